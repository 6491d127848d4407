"""The simulator's rules as modules of their own: a copy, in which a test may plant a fault."""

import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace

# In the order in which they use each other.
MODULES = (
    "kalshiflow.market.units",
    "kalshiflow.market.fees",
    "kalshiflow.market.position",
    "kalshiflow.market.reserve",
    "kalshiflow.simulator.queue",
    "kalshiflow.simulator.overlay",
    "kalshiflow.simulator.latency",
    "kalshiflow.simulator.state",
    "kalshiflow.simulator.told",
    "kalshiflow.simulator.own_orders",
    "kalshiflow.simulator.commands",
    "kalshiflow.simulator.ledger",
    "kalshiflow.simulator.levels",
    "kalshiflow.simulator.fills",
    "kalshiflow.simulator.queues",
    "kalshiflow.simulator.matching",
    "kalshiflow.simulator.recorded",
    "kalshiflow.simulator.snapshots",
    "kalshiflow.simulator.valuation",
)


def copy_of_rules(planted=()):
    """Give the modules by their last names, with texts replaced: (module, old text, new text)."""
    outside = {name: sys.modules.pop(name, None) for name in MODULES}
    rules, sources = SimpleNamespace(), {}
    try:
        for name in MODULES:
            path = Path(find_spec(name).origin)
            source = path.read_text()
            for where, old, new in planted:
                if name.endswith(where):
                    assert source.count(old) == 1, f"{name} has no such text any more: {old}"
                    source = source.replace(old, new)
            module = ModuleType(name)
            sys.modules[name] = module
            exec(compile(source, str(path), "exec"), module.__dict__)
            setattr(rules, name.rpartition(".")[2], module)
            sources[name] = source
    finally:
        for name, module in outside.items():
            sys.modules.pop(name, None)
            if module is not None:
                sys.modules[name] = module
    rules.sources = sources
    return rules

"""Compiles the library's own pure functions, so that no function is written twice.

`compiled(function)` gives the very function in machine code: its code object with other globals,
in which each function it calls is compiled the same way. What the trader and the venue interpret is
thus what the environment and the datasets run. `python -m kalshiflow.learning.compiled` compiles
ahead of time all that the programs use.
"""

import platform
import time
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, NewType, TypeVar, cast

import llvmlite
import numba
from llvmlite import binding
from numba.core import types
from numba.core.registry import CPUDispatcher

from kalshiflow.learning.compiled_sources import (
    NotCompilable,
    digest,
    functions_in,
    globals_of,
    plain,
    sources_key,
    steps_in,
)
from kalshiflow.learning.compiled_store import Kept

__all__ = ["PROGRAMS", "NotCompilable", "compiled", "compiled_code", "functions_in", "key_of"]

F = TypeVar("F", bound=Callable[..., Any])

# Modules that run compiled functions: `COMPILED` names them, and `warm_up()` compiles them.
PROGRAMS = (
    "kalshiflow.learning.bulk",
    "kalshiflow.learning.lanes.players",
    "kalshiflow.learning.episodes.builder",
)

# Division by zero gives what IEEE says instead of an exception, of which our functions make no use.
# Nothing is allocated, so no reference is ever counted.
_OPTIONS: dict[str, Any] = {
    "nopython": True,
    "nogil": True,
    "error_model": "numpy",
    "boundscheck": False,
    "_nrt": False,
}
# What the environment may tell the compiler besides: other code, by the same sources.
_TOLD = ("OPT", "BOUNDSCHECK", "LOOP_VECTORIZE", "SLP_VECTORIZE", "CPU_NAME", "CPU_FEATURES")
_CALLED_ONLY: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
# Left to itself, the compiler inlines some calls and not others, as it happens. What comes to no
# more steps than this, all that it calls put in, is always inlined: much more costs minutes.
_INLINED_STEPS = 15_000


def compiled(function: F) -> F:
    """Give a pure function's compiled form; it is compiled at the first call with given types.

    Raises `NotCompilable` for a function that uses anything but arithmetic, constants and other
    such functions.
    """
    return cast("F", _entry(function))


def key_of(function: Callable[..., Any]) -> str:
    """Give the hash of all that a function's compiled form depends on: another source or another
    machine gives another key.
    """
    return digest(_machine(), sources_key(function))


def compiled_code(function: Callable[..., Any]) -> Iterator[CodeType]:
    """Give the code objects that make up a function's compiled form."""
    waiting = [_entry(function).py_func]
    seen: set[CodeType] = set()
    while waiting:
        one = waiting.pop()
        if one.__code__ in seen:
            continue
        seen.add(one.__code__)
        yield one.__code__
        values = one.__globals__.values()
        waiting.extend(value.py_func for value in values if isinstance(value, CPUDispatcher))


@cache
def _entry(function: Callable[..., Any]) -> CPUDispatcher:
    """Give the form that Python calls, which is kept on disk."""
    source = plain(function)
    kept = Kept(source.__name__, key_of(source))
    return _KeptDispatcher(_rebound(source), _OPTIONS, kept)


@cache
def _callee(function: FunctionType) -> CPUDispatcher:
    """Give the form that compiled functions call."""
    is_small = steps_in(function) <= _INLINED_STEPS
    options = _OPTIONS | _CALLED_ONLY | {"forceinline": is_small}
    return _CalledDispatcher(_rebound(function), targetoptions=options)


class _CalledDispatcher(CPUDispatcher):
    """Is compiled once for whole numbers, be they constants, narrow, or neither."""

    def get_call_template(self, args: Any, kws: Any) -> Any:
        return super().get_call_template(tuple(_widened(one) for one in args), kws)


def _widened(kind: Any) -> Any:
    plain_kind: Any = types.unliteral(kind)
    is_whole = isinstance(plain_kind, types.Integer)
    return types.int64 if is_whole and plain_kind.signed else plain_kind


class _KeptDispatcher(CPUDispatcher):
    """Compiles, or loads what was compiled before; of several processes one does the work."""

    def __init__(self, function: FunctionType, options: dict[str, Any], kept: Kept) -> None:
        super().__init__(function, targetoptions=options)
        self._cache = kept

    def compile(self, sig: Any) -> Any:
        with self._cache.turn():
            return super().compile(sig)


def _rebound(function: FunctionType) -> FunctionType:
    """Give the function with its callees replaced by their compiled forms."""
    bound: dict[str, Any] = {"__name__": function.__module__, "__builtins__": __builtins__}
    for name, value in globals_of(function):
        if isinstance(value, FunctionType):
            bound[name] = _callee(value)
        elif isinstance(value, NewType):
            bound[name] = _callee(_same)
        else:
            bound[name] = value
    again = FunctionType(function.__code__, bound, function.__name__)
    # Symbols of the machine code bear this name: what differs must never be taken for the other.
    again.__qualname__ = f"{function.__qualname__}_{sources_key(function)[:16]}"
    again.__module__ = function.__module__
    return again


def _same(value: Any) -> Any:
    return value


@cache
def _machine() -> str:
    """Name what machine code is made with and for."""
    features = binding.get_host_cpu_features().flatten()
    versions = (numba.__version__, llvmlite.__version__, platform.python_version())
    ours = (Path(__file__), Path(__file__).with_name("compiled_sources.py"))
    made_by = (path.read_text() for path in ours)
    told = (str(getattr(numba.config, name)) for name in _TOLD)
    return digest(*versions, binding.get_host_cpu_name(), features, *made_by, *told)


def main() -> None:
    """Compile all that the programs use, where it is not kept from before."""
    for name in PROGRAMS:
        began = time.perf_counter()
        import_module(name).warm_up()
        print(f"{name}: {time.perf_counter() - began:.1f} s")  # noqa: T201


if __name__ == "__main__":
    main()

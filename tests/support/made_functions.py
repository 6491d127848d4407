"""Functions made for a test, to be compiled."""

import sys
import textwrap
from types import ModuleType

from kalshiflow.learning import compiled as compiled_module
from kalshiflow.learning.compiled import compiled

SOURCE = """
from enum import IntEnum
from typing import NewType

Whole = NewType("Whole", int)
STEP = 3
PAIR = (1, 2)

class Colour(IntEnum):
    RED = 1
    BLUE = 2

def low(value):
    return value * STEP + PAIR[1]

def high(value):
    if value == Colour.BLUE:
        return Whole(low(value))
    return Whole(low(value) + 1)
"""


def functions(source=SOURCE):
    module = ModuleType("made_for_a_test")
    exec(compile(textwrap.dedent(source), "made_for_a_test.py", "exec"), module.__dict__)
    sys.modules[module.__name__] = module
    return module


def again(function):
    """Give what another process would: a compiled form of its own."""
    compiled_module._entry.cache_clear()
    return compiled(function)

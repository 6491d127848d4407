"""The compiled form of the library's functions: the same code, known by all that it depends on."""

import sys
from importlib import import_module
from types import FunctionType

import pytest
from made_functions import SOURCE, again, functions

from kalshiflow.learning import compiled as compiled_module
from kalshiflow.learning.compiled import (
    PROGRAMS,
    NotCompilable,
    compiled,
    compiled_code,
    functions_in,
    key_of,
)
from kalshiflow.market.fees import quadratic_fee
from kalshiflow.market.position import fill_step
from kalshiflow.market.units import complement


def test_a_compiled_function_gives_what_it_gives_interpreted(kept):
    for arguments in [(0, 0, 0, 5000, 100), (-700, 123_457, 0, 2_500, 333), (50, 9, 1, 1, 75)]:
        assert compiled(fill_step)(*arguments) == fill_step(*arguments)
    assert compiled(quadratic_fee)(4_999, 137, 4, 3, 100) == quadratic_fee(4_999, 137, 4, 3, 100)


def test_enums_constants_tuples_and_new_types_are_what_they_are(kept):
    made = functions()
    assert [compiled(made.high)(value) for value in (1, 2)] == [made.high(1), made.high(2)]


@pytest.mark.parametrize("program", PROGRAMS)
def test_all_compiled_code_is_the_code_of_functions_in_their_modules(program):
    for entry in import_module(program).COMPILED:
        homes = {getattr(one, "__file__", None): one for one in tuple(sys.modules.values())}
        found = list(compiled_code(entry))
        assert entry.__code__ in found
        for code in found:
            assert getattr(homes[code.co_filename], code.co_name).__code__ is code


def test_a_functions_callees_are_known_by_name():
    assert functions_in(fill_step) == {
        "kalshiflow.market.position.fill_step": fill_step,
        "kalshiflow.market.units.complement": complement,
    }


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("value * STEP", "value + STEP"),
        ("STEP = 3", "STEP = 4"),
        ("STEP = 3", "STEP = 3.0"),
        ("PAIR = (1, 2)", "PAIR = (1, 4)"),
        ("BLUE = 2", "BLUE = 3"),
        ("+ 1)", "+ 2)"),
    ],
)
def test_a_change_of_anything_it_depends_on_changes_the_key(before, after):
    assert key_of(functions().high) != key_of(functions(SOURCE.replace(before, after)).high)


def test_where_a_function_stands_in_its_file_does_not_change_the_key():
    assert key_of(functions().high) == key_of(functions("\n# moved\n\n" + SOURCE).high)


def test_another_numba_setting_of_it_or_processor_changes_the_key(monkeypatch):
    made = functions()
    keys = {key_of(made.high)}
    for owner, name in (
        (compiled_module.numba, "__version__"),
        (compiled_module.llvmlite, "__version__"),
        (compiled_module.numba.config, "BOUNDSCHECK"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, "0.0")
            compiled_module._machine.cache_clear()
            keys.add(key_of(made.high))
    with monkeypatch.context() as patch:
        patch.setattr(compiled_module.binding, "get_host_cpu_name", lambda: "another")
        compiled_module._machine.cache_clear()
        keys.add(key_of(made.high))
    compiled_module._machine.cache_clear()
    assert len(keys) == 5


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            "import math\ndef f(x):\n    return math.sqrt(x)",
            "made_for_a_test.f uses math, a module",
        ),
        ("TABLE = {1: 2}\ndef f(x):\n    return TABLE[x]", "f uses TABLE, a dict"),
        ("NAME = 'a'\ndef f(x):\n    return NAME", "f uses NAME, a str"),
        ("def f(x):\n    print(x)", "f uses print"),
        ("def f(x):\n    return missing(x)", "f uses missing"),
        ("def f(x):\n    return [y for y in x]", "f holds a function"),
        (
            "def g():\n    def f(x):\n        return x\n    return f\nf = g()",
            "f holds a function or stands in one",
        ),
        ("def f(x, y=1):\n    return x", "f has default arguments"),
        ("def f(x):\n    return f(x - 1)", "f calls itself"),
        (
            "def g(x):\n    return h(x)\ndef h(x):\n    print(x)\ndef f(x):\n    return g(x)",
            "test.h uses print",
        ),
    ],
)
def test_what_cannot_be_compiled_is_named(source, said):
    with pytest.raises(NotCompilable, match=said):
        compiled(functions(source).f)


def test_what_is_no_plain_function_is_refused():
    with pytest.raises(NotCompilable, match="abs"):
        compiled(abs)


def test_two_functions_of_one_name_are_never_taken_for_each_other(kept):
    one = functions()
    other = functions(SOURCE.replace("STEP = 3", "STEP = 7"))
    assert isinstance(one.high, FunctionType)
    assert (again(one.high)(5), again(other.high)(5), again(one.high)(5)) == (18, 38, 18)

"""What observations, masks and the rules around them are made of: arithmetic that is the same
bit for bit wherever it runs, interpreted or compiled."""

import ast
import inspect
import textwrap
import typing
from math import sqrt
from types import FunctionType

import pytest

from kalshiflow.agent import action, formulas, reward, seen
from kalshiflow.agent.layout import forget

BUILT_INS = {"min", "max", "abs", "range", "float", "int"}
OPERATORS = (
    ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.USub, ast.Not, ast.And, ast.Or,
)  # fmt: skip
COMPARISONS = (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE)
STATEMENTS = (
    ast.Assign, ast.AugAssign, ast.Expr, ast.For, ast.While, ast.If, ast.Break, ast.Continue,
    ast.Return,
)  # fmt: skip
EXPRESSIONS = (
    ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.Call, ast.Name, ast.Constant,
    ast.Subscript, ast.IfExp, ast.Tuple,
)  # fmt: skip

ROOTS = (
    formulas.observe, action.allow, action.decide, reward.reward, reward.risk, forget,
    *(getattr(seen, name) for name in seen.__all__),
)  # fmt: skip


def tree_of(function):
    return ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]


def names_in(function):
    """Give the global names that a function's body reads, with what they stand for."""
    names = {n.id for s in tree_of(function).body for n in ast.walk(s) if isinstance(n, ast.Name)}
    return {name: vars(inspect.getmodule(function))[name]
            for name in names if name in vars(inspect.getmodule(function))}  # fmt: skip


def with_callees(roots):
    found, waiting = {}, list(roots)
    while waiting:
        function = waiting.pop()
        if function not in found:
            found[function] = None
            waiting += [v for v in names_in(function).values() if isinstance(v, FunctionType)]
    return list(found)


FUNCTIONS = with_callees(ROOTS)


def name_of(function):
    return f"{function.__module__}.{function.__name__}"


def test_the_walk_reaches_the_parts_that_other_packages_own():
    modules = {function.__module__ for function in FUNCTIONS}
    assert {"kalshiflow.simulator.queue", "kalshiflow.market.fees"} <= modules
    assert {"levels", "rolling", "own", "book", "action_rules"} <= {
        module.rpartition(".")[2] for module in modules
    }


def strange_parts(statements, known):
    """Give what of some statements is no such arithmetic."""
    return [ast.unparse(n) for one in statements for n in ast.walk(one) if not is_plain(n, known)]


def is_plain(node, known):
    if isinstance(node, ast.Call):
        called = node.func.id if isinstance(node.func, ast.Name) else None
        value = known.get(called)
        is_known = called in BUILT_INS or value is sqrt
        return not node.keywords and (is_known or isinstance(value, FunctionType | typing.NewType))
    for kind, plain in (
        (ast.stmt, STATEMENTS),
        (ast.expr, EXPRESSIONS),
        (ast.operator | ast.unaryop | ast.boolop, OPERATORS),
        (ast.cmpop, COMPARISONS),
    ):
        if isinstance(node, kind):
            return isinstance(node, plain)
    return isinstance(node, ast.expr_context)


@pytest.mark.parametrize("function", FUNCTIONS, ids=name_of)
def test_nothing_but_exactly_reproducible_arithmetic_is_used(function):
    assert strange_parts(tree_of(function).body, names_in(function)) == []


@pytest.mark.parametrize(
    "text",
    ["a ** 2", "[a]", "(a for a in b)", "{a: 1}", "{a}", "exp(a)", "sqrt(x=a)", "a.real", "a @ a",
     "f'{a}'", "a << 1", "a in b", "a is b", "lambda: a", "a[b := 1]"],
)  # fmt: skip
def test_anything_else_would_be_noticed(text):
    assert strange_parts(ast.parse(text).body, {"sqrt": sqrt})


@pytest.mark.parametrize("function", FUNCTIONS, ids=name_of)
def test_only_functions_and_fixed_numbers_are_read_from_outside(function):
    for name, value in names_in(function).items():
        is_number = type(value) in (int, float) or isinstance(value, int)
        is_row = isinstance(value, tuple) and all(type(one) is int for one in value)
        is_called = isinstance(value, FunctionType | typing.NewType) or value is sqrt
        assert is_number or is_row or is_called, f"{name_of(function)} reads {name}"


@pytest.mark.parametrize("function", FUNCTIONS, ids=name_of)
def test_they_take_plain_arguments(function):
    arguments = tree_of(function).args
    assert not arguments.defaults
    assert not arguments.kwonlyargs
    assert arguments.vararg is None
    assert arguments.kwarg is None

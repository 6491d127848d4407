"""The observation's arithmetic: what it is made of, and what it gives on books worked by hand."""

import ast
import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshiflow.agent import formulas, levels, rolling
from kalshiflow.agent.features import FEATURES
from kalshiflow.market.listing import CENT_GRID

PRICES = CENT_GRID.prices
NAMES = [feature.name for feature in FEATURES]
BUILT_INS = {"min", "max", "abs", "sqrt", "range", "len", "float"}
OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.USub, ast.And, ast.Or)
WHOLE_NUMBER_OPERATORS = (ast.FloorDiv, ast.Mod)
STATEMENTS = (
    ast.Assign, ast.Expr, ast.For, ast.While, ast.If, ast.Break, ast.Return,
)  # fmt: skip
EXPRESSIONS = (
    ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.Call, ast.Name, ast.Constant, ast.Subscript,
    ast.IfExp, ast.List, ast.Tuple,
)  # fmt: skip


def functions_of(module):
    tree = ast.parse(inspect.getsource(module))
    return [node for node in tree.body if isinstance(node, ast.FunctionDef)]


@pytest.mark.parametrize("module", [formulas, levels, rolling])
def test_nothing_but_exactly_reproducible_arithmetic_is_used(module):
    ours = {f.name for m in (formulas, levels, rolling) for f in functions_of(m)}
    operators = OPERATORS + (WHOLE_NUMBER_OPERATORS if module is rolling else ())
    for function in functions_of(module):
        for statement in function.body:
            for node in ast.walk(statement):
                where = f"{module.__name__}.{function.name}:{getattr(node, 'lineno', 0)}"
                if isinstance(node, ast.stmt):
                    assert isinstance(node, STATEMENTS), where
                elif isinstance(node, ast.expr):
                    assert isinstance(node, EXPRESSIONS), where
                elif isinstance(node, ast.operator | ast.unaryop | ast.boolop):
                    assert isinstance(node, operators), where
                if isinstance(node, ast.Call):
                    assert node.func.id in BUILT_INS | ours, where
                    assert not node.keywords, where


@pytest.mark.parametrize("module", [formulas, levels, rolling])
def test_only_the_square_root_is_imported_from_outside(module):
    imported = {
        (node.module, alias.name)
        for node in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    outside = {pair for pair in imported if not pair[0].startswith("kalshiflow.agent")}
    assert outside <= {("math", "sqrt"), ("collections.abc", "Sequence")}


def side(quantities):
    sizes = [0] * len(PRICES)
    for cents, quantity in quantities.items():
        sizes[cents - 1] = quantity
    return sizes


def observed(bids, asks, *, own=(-1, 0, -1, 0), account=(), close_time=-1, now=0):
    bid_sizes, ask_sizes = side(bids), side(asks)
    clock, sums, ring = [0] * rolling.CLOCK_SIZE, [0.0] * rolling.SUMS_SIZE, [0] * rolling.RING_SIZE
    rolling.restart(clock, sums, ring, now, 0)
    account = list(account) or [100_000_000, 0, 0, 0, 0, 0, -1, -1, 100, 0]
    values = formulas.observe(
        PRICES, bid_sizes, ask_sizes, max(bids, default=0) - 1, min(asks, default=100) - 1,
        own, clock, sums, ring, close_time, account, now,
    )  # fmt: skip
    return dict(zip(NAMES, values, strict=True))


def test_a_book_worked_by_hand():
    seen = observed({48: 3000, 47: 1000, 40: 500}, {50: 1000, 53: 2000})
    assert seen["mid"] == pytest.approx(2 * 0.49 - 1)
    assert seen["uncertainty"] == pytest.approx(4 * 0.49 * 0.51)
    assert seen["spread_steps"] == pytest.approx((1 / 3) / (1 + 1 / 3))
    assert seen["spread_share"] == pytest.approx(0.02 / (0.02 + 0.98))
    assert seen["imbalance_1"] == pytest.approx(0.5)
    assert seen["imbalance_3"] == pytest.approx(1500 / 7500)
    assert seen["bid_touch"] == pytest.approx(30 / 80)
    assert seen["bid_depth_2"] == pytest.approx(40 / 140)
    assert seen["ask_depth_5"] == pytest.approx(30 / 230)
    assert seen["bid_depth_10"] == pytest.approx(45 / 445)
    assert seen["bid_gap_2"] == pytest.approx(0.5 / 1.5)
    assert seen["bid_gap_3"] == pytest.approx((8 / 3) / (1 + 8 / 3))
    assert seen["ask_gap_3"] == pytest.approx((10 / 3) / (1 + 10 / 3))
    assert seen["bid_levels"] == pytest.approx(3 / 8)
    assert seen["ask_slope"] == pytest.approx((2 / 3) / (1 + 2 / 3))
    assert seen["touch_share"] == pytest.approx(4000 / 7501)
    bid3, ask3 = (30 * 48 + 10 * 47 + 5 * 40) / 45, (10 * 50 + 20 * 53) / 30
    shift = (bid3 * 30 + ask3 * 45) / 75 - 49
    assert seen["fair_shift"] == pytest.approx(shift / (1 + abs(shift)))


def test_an_empty_side_counts_as_the_end_of_the_dollar_with_nothing_there():
    seen = observed({}, {50: 1000})
    assert seen["mid"] == pytest.approx(-0.5)
    assert seen["imbalance_1"] == -1.0
    assert seen["bid_touch"] == seen["bid_depth_10"] == seen["bid_levels"] == 0.0


def test_own_quantity_is_no_part_of_the_observed_book():
    public = {48: 3000, 47: 1000}
    alone = observed(public, {50: 1000})
    level_is_only_ours = observed({49: 500, **public}, {50: 1000}, own=(48, 500, -1, 0))
    shared_level = observed({48: 3500, 47: 1000}, {50: 1000}, own=(47, 500, -1, 0))
    for name in NAMES[:36]:
        assert level_is_only_ours[name] == alone[name], name
        assert shared_level[name] == alone[name], name


def test_what_is_held_is_told_against_the_budget():
    budget, held, cost = 100_000_000, 2_000, 2_000 * 4_000
    account = [budget, held, cost, -1_000_000, 500_000, 2_000_000, 10_000_000_000, 0, 1_000, 400]
    seen = observed({48: 1000}, {50: 1000}, account=account, now=40_000_000_000)
    assert seen["position"] == pytest.approx(0.2 / 1.2)
    assert seen["held_side"] == 1.0
    assert seen["cost"] == pytest.approx(0.08 / 1.08)
    assert seen["unrealised"] == pytest.approx(0.16 / 1.16)
    assert seen["realised"] == pytest.approx(-0.05 / 1.05)
    assert seen["fees"] == pytest.approx(0.05 / 1.05)
    assert seen["cash_left"] == pytest.approx(0.885 / 1.885)
    assert seen["reserved"] == pytest.approx(0.2 / 1.2)
    assert seen["from_entry"] == pytest.approx(1.8 / 2.8)
    assert seen["exit_share"] == pytest.approx(0.5)
    assert seen["holding_time"] == pytest.approx(0.5)
    assert seen["since_order"] == pytest.approx(0.8)
    assert seen["last_fill_share"] == pytest.approx(0.4)


def test_no_gains_when_the_price_falls():
    account = [100_000_000, -1_000, 1_000 * 5_000, 0, 0, 0, 0, -1, 100, 0]
    seen = observed({43: 1000}, {45: 200}, account=account)
    assert seen["held_side"] == -1.0
    assert seen["unrealised"] == pytest.approx(0.05 / 1.05)
    assert seen["from_entry"] == pytest.approx(1.2 / 2.2)
    assert seen["exit_share"] == pytest.approx(0.2)


def test_an_own_bid_is_seen_with_its_distance():
    seen = observed({50: 300, 48: 1000}, {52: 1000}, own=(49, 300, -1, 0))
    assert seen["own_bid"] == pytest.approx(300 / 1300)
    assert seen["own_ask"] == 0.0
    assert seen["own_distance"] == pytest.approx(1 / 2)


books = st.tuples(
    st.dictionaries(st.integers(1, 49), st.integers(1, 10**8), max_size=20),
    st.dictionaries(st.integers(50, 99), st.integers(1, 10**8), max_size=20),
)
accounts = st.builds(
    lambda *values: list(values),
    st.integers(10**4, 10**13), st.integers(-(10**8), 10**8), st.integers(0, 10**12),
    st.integers(-(10**12), 10**12), st.integers(0, 10**12), st.integers(0, 10**12),
    st.integers(0, 10**18), st.integers(-1, 10**18), st.integers(1, 10**6), st.just(0),
)  # fmt: skip


@given(books, accounts, st.integers(-1, 2 * 10**18), st.integers(0, 2 * 10**18))
def test_every_number_stays_within_its_range(book, account, close_time, now):
    seen = observed(*book, account=account, close_time=close_time, now=now)
    for feature in FEATURES:
        assert feature.low <= seen[feature.name] <= feature.high, feature.name


SECOND = 1_000_000_000


def fresh(now=0, mid2=10_000):
    state = ([0] * rolling.CLOCK_SIZE, [0.0] * rolling.SUMS_SIZE, [0] * rolling.RING_SIZE)
    rolling.restart(*state, now, mid2)
    return state


def test_a_sum_halves_after_one_tau():
    assert rolling.decayed(8.0, 5 * SECOND, 5e9) == 4.0
    assert rolling.decayed(8.0, -3, 5e9) == 8.0


def test_the_mid_of_the_past_is_read_from_the_bucket_it_was_in():
    clock, sums, ring = fresh(now=100 * SECOND)
    rolling.on_mid(clock, sums, ring, 103 * SECOND, 10_200)
    rolling.on_mid(clock, sums, ring, 110 * SECOND, 10_600)
    assert rolling.mid_before(clock, ring, 111 * SECOND, 1 * SECOND // 2) == 10_600
    assert rolling.mid_before(clock, ring, 111 * SECOND, 5 * SECOND) == 10_200
    assert rolling.mid_before(clock, ring, 111 * SECOND, 9 * SECOND) == 10_000
    assert rolling.mid_before(clock, ring, 111 * SECOND, 30 * SECOND) == 10_000


def test_a_long_silence_leaves_the_last_mid_everywhere_in_the_ring():
    clock, sums, ring = fresh()
    rolling.on_mid(clock, sums, ring, SECOND, 10_400)
    rolling.on_mid(clock, sums, ring, 3_600 * SECOND, 9_000)
    assert set(ring) == {10_400}
    assert rolling.mid_before(clock, ring, 3_600 * SECOND, SECOND) == 10_400
    assert rolling.mid_before(clock, ring, 3_700 * SECOND, SECOND) == 9_000


@given(
    st.lists(
        st.tuples(st.integers(0, 5 * SECOND), st.integers(0, 20_000)), min_size=1, max_size=60
    ),
    st.integers(0, 31 * SECOND),
)
def test_the_ring_agrees_with_the_whole_history(steps, back):
    clock, sums, ring = fresh()
    history, now = [(0, 10_000)], 0
    for wait, mid2 in steps:
        now += wait
        rolling.on_mid(clock, sums, ring, now, mid2)
        history.append((now, mid2))
    bucket_start = (now - back) // rolling.BUCKET_NS * rolling.BUCKET_NS
    before = [mid2 for at, mid2 in history if at < bucket_start]
    expected = before[-1] if before else 10_000
    assert rolling.mid_before(clock, ring, now, back) == expected


def test_flow_and_pressure_have_the_sign_of_who_came():
    clock, sums, ring = fresh()
    rolling.on_trade(clock, sums, SECOND, 500)
    rolling.on_trade(clock, sums, 6 * SECOND, -100)
    assert sums[rolling.FLOW] == pytest.approx(5 / 2 - 1)
    rolling.on_change(clock, sums, SECOND, -300, 0)
    rolling.on_change(clock, sums, SECOND, 9_900, rolling.NEAR + 1)
    assert sums[rolling.PRESSURE] == pytest.approx(-3)
    assert sums[rolling.ACTIVITY] == pytest.approx(2)

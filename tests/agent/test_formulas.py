"""The observation's arithmetic, on books and accounts worked by hand."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshiflow.agent import layout
from kalshiflow.agent.features import FEATURES
from kalshiflow.agent.formulas import observe
from kalshiflow.agent.layout import forget, seen_size
from kalshiflow.agent.own import show_order
from kalshiflow.agent.seen import see_snapshot
from kalshiflow.market.listing import CENT_GRID, PriceBand, PriceGrid
from kalshiflow.market.units import Price

NAMES = [feature.name for feature in FEATURES]
MARKET = NAMES[:26]
SECOND = 1_000_000_000
FINE_GRID = PriceGrid((PriceBand(Price(0), Price(10_000), Price(10)),))
MIXED_GRID = PriceGrid(
    (
        PriceBand(Price(0), Price(1_000), Price(10)),
        PriceBand(Price(1_000), Price(9_000), Price(100)),
        PriceBand(Price(9_000), Price(10_000), Price(10)),
    )
)


def market(bids, asks, *, grid=CENT_GRID, close_time=-1, now=0):
    """Give a market that shows a book, told by cents."""
    seen, flows = [0] * seen_size(len(grid)), [0.0] * layout.FLOWS_SIZE
    forget(seen, flows, len(grid), close_time)
    body = [len(bids), len(asks)]
    for side, is_turned in ((bids, True), (asks, False)):
        for cents in sorted(side, reverse=is_turned):
            body += (grid.places[round(cents * 100)], side[cents])
    see_snapshot(seen, flows, grid.prices, body, 0, now)
    return seen, flows, grid.prices


def account(seen, values):
    seen[layout.BUDGET : layout.BUDGET + len(values)] = values


def numbers(one, now=0):
    out = [0.0] * len(FEATURES)
    observe(*one, now, out)
    return dict(zip(NAMES, out, strict=True))


def near(value):
    return pytest.approx(value, abs=1e-12)


def s(value):
    return near(value / (1 + abs(value)))


def test_a_book_worked_by_hand():
    one = numbers(market({48: 30_000, 47: 10_000, 40: 5_000, 12: 900}, {50: 10_000, 53: 20_000}))
    assert one["mid"] == near(2 * 0.49 - 1)
    assert one["spread_steps"] == near(1 / 4)
    assert one["imbalance_1"] == near(200 / 400)
    assert one["imbalance_3"] == near(150 / 750)
    assert one["imbalance_5"] == near(150 / 750)  # the fourth bid is too far away to count
    assert one["imbalance_all"] == near(159 / 759)
    assert one["microprice"] == s(0.5)  # (48 x 100 + 50 x 300) / 400 = 49.5
    assert one["touch_depth"] == near(400 / 900)
    assert one["bid_depth_3"] == near(400 / 2400)
    assert one["ask_depth_3"] == near(300 / 2300)
    assert one["bid_depth_10"] == near(450 / 4450)
    assert one["ask_depth_10"] == near(300 / 4300)
    assert one["book_depth"] == near(759 / 12_759)
    assert one["bid_gap"] == near(1 / 3)
    assert one["ask_gap"] == near(3 / 5)
    assert one["bid_levels"] == near(3 / 8)
    assert one["ask_levels"] == near(2 / 7)
    slope = (10_000 * 1 + 5_000 * 8) / 45_000
    assert one["bid_slope"] == near(slope / (slope + 3))
    assert one["ask_slope"] == near(2 / 5)
    assert one["bid_wall"] == near(30_000 / 45_000)
    assert one["ask_wall"] == near(20_000 / 30_000)


def test_an_empty_side_counts_as_the_end_of_the_dollar_with_nothing_there():
    one = numbers(market({}, {50: 1_000}))
    assert one["mid"] == near(-0.5)
    assert one["imbalance_1"] == one["imbalance_all"] == -1.0
    assert one["bid_depth_3"] == one["bid_levels"] == one["bid_wall"] == one["bid_slope"] == 0.0
    assert one["bid_gap"] == near(10 / 12)
    assert numbers(market({}, {}))["imbalance_5"] == 0.0


@pytest.mark.parametrize("quantity", [1, 10**14])
def test_shares_are_the_same_for_a_hundredth_of_a_contract_and_for_a_flood(quantity):
    one = numbers(market({48: 3 * quantity, 47: quantity}, {50: quantity}))
    assert (one["bid_wall"], one["ask_wall"]) == (0.75, 1.0)
    assert (one["imbalance_1"], one["imbalance_3"]) == (0.5, near(3 / 5))
    assert one["bid_slope"] == near(0.25 / 3.25)


@pytest.mark.parametrize("grid", [FINE_GRID, MIXED_GRID])
def test_bands_are_in_cents_on_any_grid(grid):
    bids = {15: 100, 11: 200, 9.5: 400, 5.1: 800, 5: 1_600, 4.9: 3_200}
    one = numbers(market(bids, {16: 100}, grid=grid))
    assert one["bid_depth_10"] == near(31 / 4_031)
    assert one["bid_levels"] == near(5 / 10)
    assert one["bid_depth_3"] == near(1 / 2_001)
    assert one["bid_gap"] == near(4 / 6)


def test_own_quantity_is_no_part_of_the_observed_book():
    public = {48: 3_000, 47: 1_000}
    alone = numbers(market(public, {50: 1_000}))
    level_is_only_ours = market({49: 500, **public}, {50: 1_000})
    show_order(level_is_only_ours[0], 0, 48, 500, 0)
    shared_level = market({48: 3_500, 47: 1_000}, {50: 1_000})
    show_order(shared_level[0], 0, 47, 500, 0)
    for one in (level_is_only_ours, shared_level):
        one = numbers(one)
        assert {name: one[name] for name in MARKET} == {name: alone[name] for name in MARKET}


def test_what_is_held_is_told_against_the_budget():
    one = market({48: 1_000, 46: 9_000}, {50: 1_000})
    held, cost = 2_000, 2_000 * 4_000
    account(one[0], (100_000_000, held, cost, -1_000_000, 500_000, 2_000_000, 10 * SECOND, 0,
                     1_000, 400))  # fmt: skip
    told = numbers(one, now=40 * SECOND)
    assert told["position"] == s(0.2)
    assert told["unrealised"] == s(10 * (1_000 * 4_800 + 1_000 * 4_600 - cost) / 100_000_000)
    assert told["from_entry"] == s(9 / 5)
    assert told["exit_share"] == near(0.5)
    assert told["exit_depth"] == near(2 / 5)
    assert told["realised"] == s(-0.05)
    assert told["fees"] == s(0.05)
    assert told["cash_left"] == s(0.885)
    assert told["holding_time"] == near(0.5)
    assert told["since_order"] == near(0.8)
    assert told["filled_share"] == near(0.4)


def test_what_is_held_of_no_is_closed_by_buying_yes():
    one = market({43: 1_000}, {45: 200, 47: 300})
    account(one[0], (100_000_000, -1_000, 1_000 * 5_000, 0, 0, 0, 0))
    told = numbers(one)
    assert told["position"] == s(-0.1)
    assert told["unrealised"] == s(10 * (200 * 5_500 + 300 * 5_300 - 5_000_000) / 100_000_000)
    assert told["from_entry"] == s(6 / 5)
    assert told["exit_share"] == near(0.2)
    assert told["exit_depth"] == 1.0  # the book does not take it all


def test_what_is_held_is_sold_down_to_the_lowest_price():
    one = market({2: 400, 1: 600}, {})
    account(one[0], (100_000_000, 1_000, 0, 0, 0, 0, 0))
    told = numbers(one)
    assert told["unrealised"] == s(10 * (400 * 200 + 600 * 100) / 100_000_000)
    assert told["exit_depth"] == near(1 / 4)


def test_when_flat_nothing_is_said_of_a_position():
    told = numbers(market({43: 1_000}, {45: 200}))
    names = ("position", "unrealised", "from_entry", "exit_share", "exit_depth", "holding_time")
    assert {told[name] for name in names} == {0.0}


def test_own_orders_are_told_with_their_size_distance_and_queue():
    one = market({50: 700, 48: 5_000}, {52: 1_000, 54: 30_000})
    show_order(one[0], 0, 49, 300, 0)
    told = numbers(one)
    assert (told["own_bid"], told["own_ask"]) == (near(3 / 13), 0.0)
    assert told["bid_queue"] == near(100 / 104)
    assert told["ask_queue"] == 0.0
    assert told["own_distance"] == 0.0
    show_order(one[0], 0, 48, 300, 1)
    assert numbers(one)["own_distance"] == s(-1 / 2)
    one = market({50: 700, 48: 5_000}, {52: 1_000, 54: 30_000})
    show_order(one[0], 1, 53, 10_000, 0)
    told = numbers(one)
    assert told["ask_queue"] == near(100 / 300)
    assert told["own_distance"] == s(-2 / 2)


def test_the_time_to_close_runs_down_and_is_one_where_it_is_unknown():
    one = market({48: 1_000}, {50: 1_000}, close_time=3_600 * SECOND)
    assert numbers(one)["time_to_close"] == near(0.5)
    assert numbers(one, now=4_000 * SECOND)["time_to_close"] == 0.0
    assert numbers(market({48: 1_000}, {50: 1_000}))["time_to_close"] == 1.0


books = st.tuples(
    st.dictionaries(st.integers(1, 49), st.integers(1, 10**10), max_size=20),
    st.dictionaries(st.integers(50, 99), st.integers(1, 10**10), max_size=20),
)
accounts = st.tuples(
    st.integers(0, 10**13), st.integers(-(10**8), 10**8), st.integers(0, 10**12),
    st.integers(-(10**12), 10**12), st.integers(0, 10**12), st.integers(0, 10**12),
    st.integers(-1, 2 * 10**18), st.integers(-1, 2 * 10**18), st.integers(1, 10**6),
    st.integers(0, 10**6),
)  # fmt: skip
orders = st.none() | st.tuples(st.integers(0, 98), st.integers(0, 10**10))
times = st.integers(0, 2 * 10**18)
flows = st.lists(st.floats(-1e9, 1e9), min_size=3, max_size=3)


@settings(max_examples=50)
@given(books, accounts, orders, orders, flows, st.integers(-1, 2 * 10**18), times, times)
def test_every_number_stays_within_its_range(book, money, bid, ask, sums, close_time, then, now):
    one = market(*book, close_time=close_time, now=then)
    account(one[0], money)
    for side, order in enumerate((bid, ask)):
        if order is not None:
            show_order(one[0], side, *order, then)
    one[1][layout.FLOW], one[1][layout.BID_PRESSURE], one[1][layout.ASK_PRESSURE] = sums
    one[1][layout.VOLUME] = abs(sums[0])
    one[1][layout.ACTIVITY] = abs(sums[1])
    one[1][layout.VARIANCE] = abs(sums[2])
    told = numbers(one, now=now)
    for feature in FEATURES:
        assert feature.low <= told[feature.name] <= feature.high, feature.name

"""An own account in a recorded market: what fills, what it pays, and what the public would see."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshiflow.market.book import Book, BookCorrupt
from kalshiflow.market.events import (
    BookDelta,
    BookSnapshot,
    MarketStatusChanged,
    PublicTrade,
    Side,
    Stamp,
    TimeSource,
)
from kalshiflow.market.fees import balance_precision, fill_cost
from kalshiflow.market.listing import (
    FeeTerms,
    GridError,
    Market,
    MarketResult,
    MarketStatus,
    PriceBand,
    PriceGrid,
)
from kalshiflow.market.orders import Order, OrderError, Role, TimeInForce
from kalshiflow.market.portfolio import Portfolio
from kalshiflow.market.units import Cash, Price, Quantity
from kalshiflow.simulator.latency import ConstantLatency, MeasuredLatency, drawn_latency
from kalshiflow.simulator.overlay import FillModel
from kalshiflow.simulator.replay import Simulation
from kalshiflow.simulator.state import ORDER_ROOM

MARKET = Market("T", "E", "a market")
CASH = Cash(100_000_000)
LATENCY = 50


def stamp(at):
    return Stamp(at, at, at, TimeSource.EXCHANGE)


def levels(side):
    return tuple((Price(p * 100), Quantity(q)) for p, q in side.items())


def snapshot(at, bids, asks):
    return BookSnapshot("T", levels(bids), levels(asks), stamp(at))


def delta(at, side, cents, change):
    return BookDelta("T", side, Price(cents * 100), Quantity(change), stamp(at))


def order(name, side, cents, quantity, tif=TimeInForce.GTC):
    return Order(name, "T", side, Price(cents * 100), Quantity(quantity), tif)


def trade(at, side, cents, quantity):
    return PublicTrade("T", "x", Price(cents * 100), Quantity(quantity), side, stamp(at))


def simulation(bids, asks, *, cash=CASH, model=FillModel.PESSIMISTIC, has_trades=True):
    one = Simulation(MARKET, cash, ConstantLatency(LATENCY), model, has_trades=has_trades)
    one.receive(snapshot(0, bids, asks))
    return one


def tick(one, at):
    """Let time pass: a trade of others that changes no book."""
    return one.receive(PublicTrade("T", "x", Price(1), Quantity(1), Side.BID, stamp(at)))


def filled(one):
    return [(f.side, f.price, f.quantity, f.role) for f in one.fills]


def test_an_order_takes_what_is_shown_best_level_first_up_to_its_limit():
    one = simulation({40: 100}, {50: 300, 51: 300, 53: 1000})
    one.send(order("a", Side.BID, 52, 1000), at=0)
    tick(one, LATENCY + 1)
    taker = Role.TAKER
    assert filled(one) == [(Side.BID, 5000, 300, taker), (Side.BID, 5100, 300, taker)]
    assert one.portfolio.orders["a"].remaining == 400
    assert one.resting_since == {"a": LATENCY}


def test_what_is_taken_is_taken_and_is_not_sold_twice():
    one = simulation({40: 100}, {50: 300})
    for name in "ab":
        one.send(order(name, Side.BID, 50, 200, TimeInForce.IOC), at=0)
    tick(one, LATENCY + 1)
    assert [f.quantity for f in one.fills] == [200, 100]
    assert one.portfolio.orders == {}


def test_an_order_arrives_after_its_latency_and_after_events_of_the_same_time():
    one = simulation({40: 100}, {50: 300})
    one.send(order("a", Side.BID, 50, 100), at=0)
    one.receive(delta(LATENCY, Side.ASK, 50, -300))
    assert not one.fills
    tick(one, LATENCY + 1)
    assert not one.fills
    assert "a" in one.portfolio.orders


def test_an_order_that_is_taken_back_on_its_way_never_arrives():
    one = simulation({40: 100}, {50: 300})
    one.send(order("a", Side.BID, 50, 100), at=0)
    assert one.withdraw("a")
    tick(one, LATENCY + 1)
    assert not one.fills
    assert one.is_quiet


def test_an_order_that_has_arrived_cannot_be_taken_back():
    one = simulation({40: 100}, {50: 300})
    one.send(order("a", Side.BID, 48, 100), at=0)
    tick(one, LATENCY + 1)
    assert not one.withdraw("a")
    assert "a" in one.portfolio.orders


def test_a_resting_order_fills_when_the_other_side_reaches_its_price():
    one = simulation({40: 100}, {50: 100})
    one.send(order("a", Side.BID, 48, 500), at=0)
    tick(one, 100)
    one.receive(delta(200, Side.ASK, 48, 300))
    assert filled(one) == [(Side.BID, 4800, 300, Role.MAKER)]
    one.receive(delta(300, Side.ASK, 47, 900))
    assert filled(one)[1:] == [(Side.BID, 4800, 200, Role.MAKER)]


def test_its_own_side_does_not_fill_a_resting_order_and_a_trade_through_it_does():
    one = simulation({40: 100}, {50: 100})
    one.send(order("a", Side.BID, 48, 500), at=0)
    tick(one, 100)
    one.receive(delta(150, Side.BID, 48, 900))
    assert not one.fills
    published = one.receive(trade(200, Side.ASK, 47, 900))
    assert filled(one) == [(Side.BID, 4800, 500, Role.MAKER)]
    assert [(e.trade_id, e.price, e.quantity) for e in published[::2]] == [
        ("own-1", 4800, 500),
        ("x", 4700, 400),
    ]
    assert published[1] == delta(200, Side.BID, 48, -500)


def test_fills_by_trades_that_nobody_told_of_are_marked():
    one = simulation({40: 100}, {50: 100}, model=FillModel.OPTIMISTIC, has_trades=False)
    one.send(order("a", Side.BID, 40, 500), at=0)
    tick(one, 100)
    one.receive(delta(200, Side.BID, 40, 300))
    one.receive(delta(300, Side.BID, 40, -400))
    one.receive(delta(400, Side.ASK, 40, 50))
    assert [(f.quantity, f.is_inferred) for f in one.fills] == [(300, True), (50, False)]


def test_a_snapshot_in_the_middle_fills_a_resting_order_and_keeps_what_was_taken():
    one = simulation({40: 100}, {50: 100, 60: 700})
    one.send(order("a", Side.BID, 50, 300), at=0)
    tick(one, 100)
    (public,) = [
        event
        for event in one.receive(snapshot(200, {40: 100}, {49: 50, 50: 100, 60: 700}))
        if isinstance(event, BookSnapshot)
    ]
    assert [f.quantity for f in one.fills] == [100, 50]
    assert public.asks == levels({60: 700})
    assert public.bids == levels({50: 150, 40: 100})


def test_a_cancel_arrives_later_and_one_that_comes_too_late_does_nothing():
    one = simulation({40: 100}, {50: 100})
    one.send(order("a", Side.BID, 48, 500), at=0)
    tick(one, 100)
    one.cancel("a", at=100)
    one.cancel("a", at=100)
    one.receive(delta(100 + LATENCY, Side.ASK, 48, 200))
    assert [f.quantity for f in one.fills] == [200]
    tick(one, 200)
    assert one.portfolio.orders == {}
    assert one.portfolio.reserved == 0
    assert one.is_quiet


def test_an_order_without_the_cash_for_it_is_rejected():
    one = simulation({40: 100}, {50: 1000}, cash=Cash(5_000_000))
    one.send(order("a", Side.BID, 50, 1000), at=0)
    tick(one, 100)
    assert one.rejected == 1
    assert not one.fills
    assert one.portfolio.cash == 5_000_000


def test_nothing_is_accepted_and_nothing_rests_once_the_market_has_closed():
    one = simulation({40: 100}, {50: 100})
    one.send(order("a", Side.BID, 48, 500), at=0)
    tick(one, 100)
    one.receive(MarketStatusChanged("T", "closed", stamp(200), MarketStatus.CLOSED))
    assert one.portfolio.orders == {}
    one.send(order("b", Side.BID, 50, 100), at=200)
    tick(one, 300)
    assert one.rejected == 1


@pytest.mark.parametrize(
    ("result", "told", "value"),
    [
        (MarketResult.YES, None, 10_000),
        (MarketResult.NO, None, 0),
        (MarketResult.SCALAR, Price(3_700), 3_700),
        (MarketResult.VOID, Price(5_000), 5_000),
    ],
)
def test_a_position_is_settled_at_what_the_result_is_worth(result, told, value):
    one = simulation({40: 100}, {50: 1000})
    one.send(order("a", Side.BID, 50, 200), at=0)
    tick(one, 100)
    before = one.portfolio.cash
    settled = MarketStatusChanged(
        "T", "determined", stamp(200), MarketStatus.DETERMINED, result, told
    )
    one.receive(settled)
    one.receive(settled)
    assert one.is_settled
    assert one.portfolio.cash == before + 200 * value


def test_a_result_without_a_value_settles_nothing_yet():
    void = MarketStatusChanged(
        "T", "determined", stamp(1), MarketStatus.DETERMINED, MarketResult.VOID
    )
    one = simulation({40: 100}, {50: 1000})
    one.receive(void)
    assert not one.is_settled
    contradiction = MarketStatusChanged(
        "T", "determined", stamp(1), MarketStatus.DETERMINED, MarketResult.YES, Price(3)
    )
    one.receive(contradiction)
    assert not one.is_settled


def test_a_recorded_change_that_cannot_be_true_is_raised():
    one = simulation({40: 100}, {50: 100})
    with pytest.raises(BookCorrupt, match="below zero"):
        one.receive(delta(1, Side.BID, 40, -101))


@pytest.mark.parametrize(
    "event",
    [
        BookDelta("T", Side.BID, Price(4_005), Quantity(100), stamp(1)),
        BookSnapshot("T", ((Price(4_005), Quantity(100)),), (), stamp(1)),
    ],
)
def test_a_level_off_the_price_grid_is_refused(event):
    one = simulation({40: 100}, {50: 100})
    with pytest.raises(GridError, match="price grid"):
        one.receive(event)


@pytest.mark.parametrize("kind", [{"time_in_force": TimeInForce.FOK}, {"post_only": True}])
def test_what_is_not_simulated_is_refused(kind):
    one = simulation({40: 100}, {50: 100})
    with pytest.raises(OrderError, match="plain limit"):
        one.send(Order("a", "T", Side.BID, Price(5000), Quantity(100), **kind), at=0)


def test_another_price_grid_ends_ones_orders_and_keeps_the_account():
    one = simulation({50: 1000}, {52: 300})
    one.send(order("took", Side.BID, 52, 300), 10)
    one.send(order("rests", Side.BID, 51, 400), 10)
    tick(one, 70)
    cash, position = one.portfolio.cash, one.position

    halves = PriceGrid((PriceBand(Price(0), Price(10_000), Price(50)),))
    change = MarketStatusChanged("T", "price_level_structure_updated", stamp(80), grid=halves)
    published = one.receive(change)

    assert list(published) == [change]
    assert not one.is_alive("rests")
    assert (one.portfolio.available, one.position, len(one.fills)) == (cash, position, 1)
    one.receive(BookSnapshot("T", (), ((Price(5_250), Quantity(500)),), stamp(90)))
    one.send(
        Order("finer", "T", Side.BID, Price(5_250), Quantity(200)),
        90,
    )
    one.receive(BookSnapshot("T", (), ((Price(5_250), Quantity(500)),), stamp(150)))
    assert [fill.price for fill in one.fills] == [5_200, 5_250]


def test_fees_follow_the_orders_own_fee_state():
    one = simulation({40: 100}, {50: 33, 51: 33, 52: 33})
    one.send(order("a", Side.BID, 52, 99), at=0)
    tick(one, 100)
    accumulated, expected = Cash(0), []
    for fill in one.fills:
        cost = fill_cost(
            accumulated,
            FeeTerms(),
            Role.TAKER,
            fill.side,
            fill.price,
            fill.quantity,
            precision=balance_precision(fill.at),
        )
        accumulated = cost.accumulated
        expected.append(cost.net)
    assert [fill.fee for fill in one.fills] == expected
    assert one.portfolio.fees_paid == sum(expected)


def test_more_orders_than_there_is_room_for_are_refused():
    one = simulation({40: 100}, {50: 100})
    for number in range(ORDER_ROOM):
        one.send(order(str(number), Side.BID, 30, 100), at=0)
    with pytest.raises(OrderError, match="are there already"):
        one.send(order("one more", Side.BID, 30, 100), at=0)


def test_own_changes_carry_the_id_of_their_order():
    one = simulation({40: 100}, {50: 100})
    for name in "ab":
        one.send(order(name, Side.BID, 45, 100), at=0)
    rested = tick(one, 100)[:2]
    assert [(e.client_order_id, e.change) for e in rested] == [("a", 100), ("b", 100)]
    one.cancel("b", at=100)
    assert tick(one, 200)[0].client_order_id == "b"
    closed = MarketStatusChanged("T", "closed", stamp(300), MarketStatus.CLOSED)
    assert one.receive(closed) == [
        closed,
        delta(300, Side.BID, 45, -100)._replace(client_order_id="a"),
    ]


def random_recording(seed, length):
    """Make snapshots and deltas of a book that lives near 50 cents."""
    rng = random.Random(seed)
    book = Book("T")
    events, now = [], 0
    bids, asks = dict.fromkeys(range(45, 49), 500), dict.fromkeys(range(51, 55), 500)
    events.append(snapshot(0, bids, asks))
    book.apply(events[0])
    for _ in range(length):
        now += rng.randrange(1, 100)
        if rng.random() < 0.03:
            bids, asks = book.levels(Side.BID), book.levels(Side.ASK)
            events.append(BookSnapshot("T", bids, asks, stamp(now)))
            continue
        side = rng.choice(list(Side))
        low, high = (45, book.best_ask_index) if side is Side.BID else (book.best_bid_index + 2, 54)
        if low > high:
            continue
        cents = rng.randint(low, high)
        held = book.quantity_at(side, Price(cents * 100))
        change = -held if held and rng.random() < 0.6 else rng.randrange(1, 900)
        event = delta(now, side, cents, change)
        book.apply(event)
        events.append(event)
    return events


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(list(FillModel)))
def test_money_and_the_public_book_hold_under_any_orders(seed, model):
    rng = random.Random(seed)
    one = Simulation(MARKET, CASH, ConstantLatency(LATENCY), model)
    public, recorded = Book("T"), Book("T")
    for number, event in enumerate(random_recording(seed, 150)):
        fills_before = len(one.fills)
        shown = sum(public.asks) + sum(public.bids)
        for seen in one.receive(event):
            if isinstance(seen, BookDelta | BookSnapshot):
                public.apply(seen)  # raises where the public book would cross or go below zero
        if isinstance(event, BookDelta | BookSnapshot):
            recorded.apply(event)
        own = {
            s: sum(o.remaining for o in one.portfolio.orders.values() if o.side is s) for s in Side
        }
        assert sum(public.bids) - own[Side.BID] <= sum(recorded.bids)
        assert sum(public.asks) - own[Side.ASK] <= sum(recorded.asks)
        assert sum(f.quantity for f in one.fills[fills_before:]) <= shown + abs(
            getattr(event, "change", 10**9)
        )
        if rng.random() < 0.3:
            for resting in one.portfolio.orders:
                one.cancel(resting, event.stamp.market_time)
            chosen = order(f"o{number}", rng.choice(list(Side)), rng.randint(44, 56), 300)
            one.send(chosen, event.stamp.market_time)
    replayed = Portfolio(CASH)
    for fill in one.fills:
        assert fill.price in MARKET.grid
        replayed.apply_fill(fill)
    assert replayed.cash == one.portfolio.cash
    assert replayed.positions == one.portfolio.positions
    held = one.portfolio.positions.get("T")
    spent = 0 if held is None else held.cost - held.realised + held.fees
    assert one.portfolio.cash == CASH - spent


def test_an_order_that_meets_ones_own_takes_what_stands_before_it_and_is_cancelled():
    one = simulation({40: 100}, {50: 100, 51: 100, 53: 100})
    one.send(order("mine", Side.ASK, 51, 100), at=0)
    one.send(order("taker", Side.BID, 52, 1000), at=0)
    tick(one, 100)
    assert [(f.price, f.quantity) for f in one.fills] == [(5000, 100), (5100, 100)]
    assert list(one.orders) == ["mine"]


def test_latencies_are_drawn_by_the_number_of_the_command():
    one = Simulation(MARKET, CASH, MeasuredLatency((10, 20, 30), seed=5))
    one.receive(snapshot(0, {40: 100}, {50: 10_000}))
    for number in range(6):
        one.send(order(str(number), Side.BID, 50, 100, TimeInForce.IOC), at=1000 * number)
        tick(one, 1000 * number + 999)
    took = [fill.at % 1000 for fill in one.fills]
    assert took == [drawn_latency((10, 20, 30), 3, 5, number) for number in range(1, 7)]
    assert len(set(took)) > 1

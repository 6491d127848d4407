"""The observer: one path for every event, market time only, and never a look ahead."""

import hashlib
import random
import struct
from pathlib import Path

import pytest

from kalshiflow.agent.features import FEATURES, OBSERVATION_SIZE, Group, observation_page
from kalshiflow.agent.observation import MarketAccount, MarketObserver, OwnOrder
from kalshiflow.market.book import BookCorrupt
from kalshiflow.market.events import (
    BookDelta,
    BookSnapshot,
    MarketStatusChanged,
    PublicTrade,
    Side,
    Stamp,
    TimeSource,
)
from kalshiflow.market.listing import CENT_GRID, Market, MarketStatus, PriceBand, PriceGrid
from kalshiflow.market.units import Cash, Price, Quantity

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
MARKET = Market("T", "E", "a market", close_time=START + 3_600 * SECOND)
NAMES = [feature.name for feature in FEATURES]


def stamp(at, source=TimeSource.EXCHANGE):
    return Stamp(1, at, at, source)


def snapshot(at, bids, asks, source=TimeSource.EXCHANGE):
    def levels(side):
        return tuple((Price(p * 100), Quantity(q)) for p, q in side.items())

    return BookSnapshot("T", levels(bids), levels(asks), stamp(at, source))


def delta(at, side, cents, change, *, own=None, source=TimeSource.EXCHANGE):
    price = Price(cents * 100)
    return BookDelta("T", side, price, Quantity(change), stamp(at, source), own)


def trade(at, side, cents, quantity):
    return PublicTrade("T", f"t{at}", Price(cents * 100), Quantity(quantity), side, stamp(at))


def account():
    return MarketAccount(Cash(100_000_000))


def script(seed=1, length=400):
    """Make a book's life by chance, but the same each time."""
    rng = random.Random(seed)
    bids, asks = dict.fromkeys(range(40, 48), 1000), dict.fromkeys(range(52, 60), 1000)
    events, now = [snapshot(START, bids, asks)], START
    for _ in range(length):
        now += rng.randrange(0, 2 * SECOND)
        if rng.random() < 0.15:
            events.append(trade(now, Side(rng.randrange(2)), 50, rng.randrange(1, 2000)))
            continue
        side = rng.choice((Side.BID, Side.ASK))
        mine, other = (bids, asks) if side is Side.BID else (asks, bids)
        price = rng.randrange(40, 50) if side is Side.BID else rng.randrange(50, 60)
        if price in other or (mine.get(price, 0) and len(mine) > 1 and rng.random() < 0.5):
            change = -mine.pop(price, 0)
        else:
            change = rng.randrange(100, 5000)
            mine[price] = mine.get(price, 0) + change
        if change:
            events.append(delta(now, side, price, change))
    return events


def observations(events):
    observer, seen = MarketObserver(MARKET), []
    for event in events:
        observer.apply(event)
        seen.append(observer.observe(account(), event.stamp.market_time))
    return seen


def test_the_table_has_26_10_11_and_5_features_of_distinct_names():
    count = {group: sum(f.group is group for f in FEATURES) for group in Group}
    assert list(count.values()) == [26, 10, 11, 5]
    assert len({f.name for f in FEATURES}) == len({f.formula for f in FEATURES}) == OBSERVATION_SIZE


def test_the_page_is_generated_from_the_table():
    page = Path(__file__).parents[2] / "docs" / "observation.md"
    assert page.read_text() == observation_page()


def test_replayed_twice_everything_is_equal_bit_for_bit():
    assert observations(script()) == observations(script())


def test_the_formulas_give_the_numbers_of_their_version():
    # Where a formula changes on purpose, OBSERVATION_VERSION goes up and this hash is renewed.
    packed = b"".join(struct.pack("52d", *row) for row in observations(script()))
    assert hashlib.sha256(packed).hexdigest()[:16] == "63f69429948c3bad"


def test_observing_changes_nothing():
    events, observer = script(), MarketObserver(MARKET)
    for event in events:
        observer.apply(event)
        for later in (0, 1, 100):
            observer.observe(account(), event.stamp.market_time + later * SECOND)
    now = events[-1].stamp.market_time
    assert observer.observe(account(), now) == observations(events)[-1]


@pytest.mark.parametrize("known", [1, 57, 200, 399])
def test_later_events_change_no_earlier_observation(known):
    events = script()
    other_future = script(seed=2)[1:]
    last = events[known - 1].stamp.market_time
    moved = [
        delta(last + 1 + n, e.side, e.price // 100, e.change)
        for n, e in enumerate(other_future)
        if isinstance(e, BookDelta) and e.change > 0 and abs(e.price - 5000) > 300
    ]
    assert observations(events[:known] + moved)[:known] == observations(events)[:known]


def test_speed_and_receive_times_play_no_part():
    def shifted(event):
        old = event.stamp
        late = Stamp(old.frame_no + 5, 17, old.market_time, old.time_source, 3, 4, 5)
        return event._make(late if value is old else value for value in event)

    assert observations([shifted(e) for e in script()]) == observations(script())


def test_not_ready_before_a_snapshot_and_after_a_cut():
    observer = MarketObserver(MARKET)
    observer.apply(delta(START, Side.BID, 40, 100))
    observer.apply(trade(START, Side.BID, 40, 100))
    assert not observer.is_ready
    observer.apply(snapshot(START, {40: 100}, {50: 100}))
    assert observer.is_ready
    observer.cut()
    observer.apply(delta(START, Side.BID, 41, 100))
    assert not observer.is_ready
    assert observer.touch()[0] == 4000


def test_a_cut_forgets_the_past():
    observer = MarketObserver(MARKET)
    for event in script():
        observer.apply(event)
    observer.cut()
    now = START + 10_000 * SECOND
    fresh = MarketObserver(MARKET)
    for one in (observer, fresh):
        one.apply(snapshot(now, {40: 100}, {50: 300}))
        one.apply(delta(now + SECOND, Side.BID, 41, 100))
    assert observer.observe(account(), now + SECOND) == fresh.observe(account(), now + SECOND)


def test_an_event_that_cannot_be_true_is_raised_and_makes_not_ready():
    observer = MarketObserver(MARKET)
    observer.apply(snapshot(START, {40: 100}, {50: 100}))
    with pytest.raises(BookCorrupt):
        observer.apply(delta(START, Side.BID, 40, -101))
    assert not observer.is_ready


def test_time_begins_with_the_first_event_after_a_snapshot_of_our_own_clock():
    ours = START + 10**9 * SECOND
    observer, reference = MarketObserver(MARKET), MarketObserver(MARKET)
    observer.apply(snapshot(ours, {40: 100}, {50: 100}, TimeSource.RECEIVE))
    assert not observer.is_ready
    reference.apply(snapshot(START, {40: 100, 41: 100}, {50: 100}))
    observer.apply(delta(START, Side.BID, 41, 100))
    assert observer.is_ready
    later = delta(START + SECOND, Side.BID, 42, 100)
    for one in (observer, reference):
        one.apply(later)
    seen, expected = (one.observe(account(), START + SECOND) for one in (observer, reference))
    differing = {n for n, a, b in zip(NAMES, seen, expected, strict=True) if a != b}
    assert differing <= {"activity", "book_pressure"}  # the delta itself is an event of one only


def test_recordings_without_exchange_times_run_on_receive_times():
    observer = MarketObserver(MARKET)
    observer.apply(snapshot(START, {40: 100}, {50: 100}, TimeSource.RECEIVE))
    observer.apply(delta(START + 9, Side.BID, 41, 100, source=TimeSource.RECEIVE))
    assert observer.is_ready


def test_own_orders_are_taken_out_of_the_observed_book_and_of_its_past():
    def run(with_own):
        observer, mine = MarketObserver(MARKET), account()
        observer.apply(snapshot(START, {40: 100, 45: 500}, {50: 300}))
        if with_own:
            mine.order_rests(OwnOrder(Side.BID, Price(4800), Quantity(700), START))
            observer.own_orders(mine)
            observer.apply(delta(START + SECOND, Side.BID, 48, 700, own="me"))
        observer.apply(delta(START + 2 * SECOND, Side.ASK, 50, 100))
        seen = observer.observe(mine, START + 3 * SECOND)
        return observer, dict(zip(NAMES, seen, strict=True))

    observer, seen = run(with_own=True)
    _, expected = run(with_own=False)
    assert observer.book.best_bid == 4800
    assert observer.touch() == (4500, 5000)
    for name in NAMES[:36]:
        assert seen[name] == expected[name], name
    assert seen["own_bid"] == pytest.approx(700 / 1700)


def test_the_status_is_followed():
    observer = MarketObserver(MARKET)
    observer.apply(snapshot(START, {40: 100}, {50: 100}))
    assert observer.is_open
    closing = MarketStatusChanged("T", "x", stamp(START), MarketStatus.CLOSED, close_time=START)
    observer.apply(closing)
    assert not observer.is_open
    seen = dict(zip(NAMES, observer.observe(account(), START), strict=True))
    assert seen["time_to_close"] == 0.0


def test_another_close_time_is_the_markets():
    observer = MarketObserver(MARKET)
    sooner = START + 60 * SECOND
    observer.apply(MarketStatusChanged("T", "close_date_updated", stamp(START), close_time=sooner))
    assert observer.market.close_time == sooner


def test_a_new_price_grid_keeps_the_book_where_it_can():
    finer = PriceGrid((PriceBand(Price(0), Price(10_000), Price(50)),))
    coarser = PriceGrid((PriceBand(Price(0), Price(10_000), Price(2_000)),))
    observer = MarketObserver(MARKET)
    observer.apply(snapshot(START, {41: 100}, {50: 100}))
    observer.apply(MarketStatusChanged("T", "x", stamp(START), grid=finer))
    assert observer.is_ready
    assert observer.touch() == (4100, 5000)
    observer.apply(MarketStatusChanged("T", "x", stamp(START), grid=coarser))
    assert not observer.is_ready
    assert observer.market.grid != CENT_GRID

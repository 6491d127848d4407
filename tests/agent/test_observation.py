"""The observer: one path for every event, market time only, and never a look ahead."""

import pytest
from market_life import MARKET, SECOND, START, delta, life, snapshot, stamp, trade

from kalshiflow.agent.features import FEATURES
from kalshiflow.agent.observation import MarketAccount, MarketObserver, OwnOrder
from kalshiflow.market.book import BookCorrupt, BookCrossed
from kalshiflow.market.events import MarketStatusChanged, Side, Stamp, TimeSource
from kalshiflow.market.listing import GridError, MarketStatus, PriceBand, PriceGrid
from kalshiflow.market.units import Cash, Price, Quantity

NAMES = [feature.name for feature in FEATURES]
OF_THE_MARKET = 36  # the first features, which know nothing of oneself


def account():
    return MarketAccount(Cash(100_000_000))


def observations(events):
    observer, seen = MarketObserver(MARKET), []
    for event in events:
        observer.apply(event)
        seen.append(observer.observe(account(), event.stamp.market_time))
    return seen


def test_replayed_twice_everything_is_equal_bit_for_bit():
    assert observations(life()) == observations(life())


def test_observing_changes_nothing():
    events, observer = life(), MarketObserver(MARKET)
    for event in events:
        observer.apply(event)
        for later in (0, 1, 100):
            observer.observe(account(), event.stamp.market_time + later * SECOND)
    now = events[-1].stamp.market_time
    assert observer.observe(account(), now) == observations(events)[-1]


@pytest.mark.parametrize("known", [1, 57, 200, 399])
def test_later_events_change_no_earlier_observation(known):
    events = life()
    last = events[known - 1].stamp.market_time
    other_future = [delta(last + n, Side(n % 2), (20, 80)[n % 2], 50 + n) for n in range(1, 30)]
    seen = observations(events[:known] + other_future)
    assert seen[:known] == observations(events)[:known]
    assert seen[known:]


def test_one_market_tells_nothing_of_another():
    one, other = MarketObserver(MARKET), MarketObserver(MARKET)
    seen = []
    for event, elsewhere in zip(life(), life(seed=2), strict=True):
        one.apply(event)
        other.apply(elsewhere)
        seen.append(one.observe(account(), event.stamp.market_time))
        other.observe(account(), elsewhere.stamp.market_time)
    assert seen == observations(life())


def test_speed_and_receive_times_play_no_part():
    def shifted(event):
        old = event.stamp
        late = Stamp(old.frame_no + 5, 17, old.market_time, old.time_source, 3, 4, 5)
        return event._make(late if value is old else value for value in event)

    assert observations([shifted(e) for e in life()]) == observations(life())


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
    for event in life():
        observer.apply(event)
    observer.cut()
    now = START + 10_000 * SECOND
    fresh = MarketObserver(MARKET)
    for one in (observer, fresh):
        one.apply(snapshot(now, {40: 100}, {50: 300}))
        one.apply(delta(now + SECOND, Side.BID, 41, 100))
    assert observer.observe(account(), now + SECOND) == fresh.observe(account(), now + SECOND)


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (delta(START, Side.BID, 40, -101), "would leave a level below zero"),
        (delta(START, Side.BID, 50, 1), "crosses the book"),
        (delta(START, Side.BID, 0.5, 1), "off the price grid"),
        (snapshot(START, {40: 0}, {}), "without quantity"),
        (snapshot(START, {0.5: 5}, {}), "off the price grid"),
        (snapshot(START, {50: 5}, {50: 5}), "crosses the book"),
    ],
)
def test_an_event_that_cannot_be_true_is_raised_and_makes_not_ready(event, why):
    observer = MarketObserver(MARKET)
    observer.apply(snapshot(START, {40: 100}, {50: 100}))
    with pytest.raises(BookCorrupt, match=why) as raised:
        observer.apply(event)
    assert isinstance(raised.value, BookCrossed) == (why == "crosses the book")
    assert not observer.is_ready


def told(observer, now):
    return dict(zip(NAMES, observer.observe(account(), now), strict=True))


def test_time_begins_with_the_first_event_after_a_snapshot_of_our_own_clock():
    ours = START + 10**9 * SECOND
    observer, reference = MarketObserver(MARKET), MarketObserver(MARKET)
    observer.apply(snapshot(ours, {40: 100}, {50: 100}, TimeSource.RECEIVE))
    assert not observer.is_ready
    reference.apply(snapshot(START, {40: 100}, {50: 100}))
    for event in (delta(START, Side.BID, 41, 100), delta(START + SECOND, Side.BID, 42, 100)):
        observer.apply(event)
        reference.apply(event)
        assert observer.is_ready
        now = event.stamp.market_time
        assert told(observer, now) == told(reference, now)


def test_recordings_without_exchange_times_run_on_receive_times():
    observer, reference = MarketObserver(MARKET), MarketObserver(MARKET)
    observer.apply(snapshot(START, {40: 100}, {50: 100}, TimeSource.RECEIVE))
    reference.apply(snapshot(START, {40: 100}, {50: 100}))
    change = delta(START + 9 * SECOND, Side.ASK, 51, 100, source=TimeSource.RECEIVE)
    again = snapshot(START + 9 * SECOND, {40: 100}, {50: 100, 51: 100}, TimeSource.RECEIVE)
    for event in (change, again):
        observer.apply(event)
        reference.apply(event)
        assert told(observer, START + 10 * SECOND) == told(reference, START + 10 * SECOND)


def test_while_a_book_lasts_time_never_runs_back():
    observer, reference = MarketObserver(MARKET), MarketObserver(MARKET)
    late, early = START + 5 * SECOND, START + 2 * SECOND
    for one, then in ((observer, early), (reference, late)):
        one.apply(snapshot(START, {40: 100}, {50: 100}))
        one.apply(delta(late, Side.BID, 41, 100))
        one.apply(delta(then, Side.BID, 42, 100))
        one.apply(trade(then, Side.BID, 50, 100))
    assert told(observer, early) == told(reference, late)
    observer.cut()
    observer.apply(snapshot(START, {40: 100}, {50: 100}))
    reference = MarketObserver(MARKET)
    reference.apply(snapshot(START, {40: 100}, {50: 100}))
    assert told(observer, early) == told(reference, early)


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
    for name in NAMES[:OF_THE_MARKET]:
        assert seen[name] == expected[name], name
    assert seen["own_bid"] == pytest.approx(700 / 1700)
    assert seen["bid_queue"] == 1.0


def test_the_book_that_is_given_away_is_a_copy():
    observer = MarketObserver(MARKET)
    observer.apply(snapshot(START, {40: 100}, {50: 100}))
    observer.book.bids[39] = 7
    assert observer.book.quantity_at(Side.BID, Price(4_000)) == 100


def test_an_own_order_off_the_grid_is_refused():
    observer, mine = MarketObserver(MARKET), account()
    mine.order_rests(OwnOrder(Side.ASK, Price(4_850), Quantity(700), START))
    with pytest.raises(GridError, match="0.4850"):
        observer.own_orders(mine)


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


def test_another_price_grid_waits_for_its_own_book_and_keeps_the_rest():
    finer = PriceGrid((PriceBand(Price(0), Price(10_000), Price(50)),))
    observer, mine = MarketObserver(MARKET), account()
    mine.order_sent(Quantity(500), START)
    observer.apply(snapshot(START, {41: 100}, {50: 100}))
    observer.apply(MarketStatusChanged("T", "x", stamp(START), status=MarketStatus.INACTIVE))
    observer.own_orders(mine)
    observer.apply(MarketStatusChanged("T", "x", stamp(START), grid=finer))
    assert not observer.is_ready
    assert observer.market.grid == finer
    observer.apply(snapshot(START + SECOND, {41.5: 100}, {50: 100}))
    assert observer.touch() == (4_150, 5_000)
    assert observer.status is MarketStatus.INACTIVE
    assert told(observer, START + SECOND)["time_to_close"] == 3_599 / 7_199

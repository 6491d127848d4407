"""What the page of a session shows: what was counted, and the mids of books that can be trusted."""

from dataclasses import replace

import pytest
from columns import columns_of, outline_of

from kalshiflow.market.events import BookDelta, BookSnapshot, PublicTrade, Side, Stamp, TimeSource
from kalshiflow.market.listing import Market, PriceBand, PriceGrid
from kalshiflow.market.units import DOLLAR, Price, Quantity
from kalshiflow.store.listings import Listing
from kalshiflow.store.replay import Gap
from pipelines.activity import LOOKS, Activity, activity_rows

MARKETS = {name: Market(name, "E", "a market") for name in "AB"}


def stamp(frame_no: int) -> Stamp:
    return Stamp(frame_no, frame_no * 10, frame_no * 10, TimeSource.EXCHANGE)


def snapshot(frame_no: int, bid: int = 4000) -> BookSnapshot:
    bids, asks = ((Price(bid), Quantity(100)),), ((Price(6000), Quantity(100)),)
    return BookSnapshot("A", bids, asks, stamp(frame_no))


def delta(frame_no: int, price: int, change: int) -> BookDelta:
    return BookDelta("A", Side.BID, Price(price), Quantity(change), stamp(frame_no))


def activity(*events, step=10**6, **more) -> Activity:
    outline = outline_of(events, MARKETS, **more)
    found = Activity(outline)
    for columns in columns_of(events, outline, step):
        found.take(columns)
    return found


@pytest.mark.parametrize("step", [1, 10**6])
def test_a_market_is_counted_and_its_mid_followed(step):
    trade = PublicTrade("A", "t", Price(5000), Quantity(250), Side.BID, stamp(3))

    found = activity(snapshot(1), delta(2, 5000, 100), trade, step=step).markets

    assert list(found) == ["A", "B"]
    assert (found["A"].snapshots, found["A"].deltas, found["A"].trades) == (1, 1, 1)
    assert found["A"].mids == [(10, 0.5), (20, 0.55)]
    assert found["B"].mids == []


def test_events_are_counted_by_the_second():
    late = snapshot(3)._replace(stamp=stamp(3)._replace(market_time=2_500_000_000))

    found = activity(snapshot(1), delta(2, 5000, 100), late)

    assert found.seconds == {0: 2, 2: 1}


def test_the_table_has_a_row_for_each_market_and_says_what_was_traded():
    trade = PublicTrade("A", "t", Price(5000), Quantity(250), Side.BID, stamp(2))

    rows = activity_rows(activity(snapshot(1), trade).markets, {"A": 0.5})

    assert [row["market"] for row in rows] == ["A", "B"]
    assert rows[0]["contracts traded"] == "2.50"
    assert rows[0]["book trusted, share of time"] == 0.5
    assert rows[1]["first mid"] == ""


def test_a_mid_is_not_followed_where_the_book_cannot_be_trusted():
    gap = Gap(2, "missing", ("A",), "expected seq 2, received 3", started_at=20)

    found = activity(snapshot(1), delta(2, 5000, 100), snapshot(3), gaps=[gap]).markets

    assert found["A"].mids == [(10, 0.5)]


def test_rows_that_cannot_be_replayed_are_counted_all_the_same():
    found = activity(snapshot(1), delta(2, 4000, -500), delta(3, 4500, 100)).markets

    assert found["A"].deltas == 2
    assert found["A"].mids == [(10, 0.5)]


def test_a_market_that_joined_is_followed_on_its_own_grid():
    tenths = PriceGrid((PriceBand(Price(0), DOLLAR, Price(10)),))
    joined = Listing(1, "joined", replace(MARKETS["A"], grid=tenths))

    found = activity(snapshot(2, bid=4010), listings=[joined]).markets

    assert found["A"].mids == [(20, 0.5005)]


def test_a_long_session_is_looked_at_now_and_then():
    changes = [delta(n, 5000, 100 if n % 2 else -100) for n in range(3, 10 * LOOKS)]

    found = activity(snapshot(1), *changes).markets

    assert found["A"].deltas == len(changes)
    assert 0 < len(found["A"].mids) <= 2 * LOOKS

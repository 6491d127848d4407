"""Sessions cut into segments, event by event, and segments into parts: nothing from the future."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from kalshiflow.learning.episodes.plain import (
    build_segments,
    is_playable,
    is_same,
    pieces,
    segment_of,
    split_segment,
)
from kalshiflow.learning.episodes.splitting import book_at
from kalshiflow.market.events import (
    BookDelta,
    BookSnapshot,
    MarketStatusChanged,
    PublicTrade,
    Side,
    Stamp,
    TimeSource,
)
from kalshiflow.market.flat import (
    CLOSES,
    DELTA,
    OWN_DELTA,
    SNAPSHOT,
    STATUS,
    STATUS_NUMBER,
    TRADE,
)
from kalshiflow.market.listing import (
    CENT_GRID,
    Market,
    MarketResult,
    MarketStatus,
    PriceBand,
    PriceGrid,
)
from kalshiflow.market.units import Price, Quantity
from kalshiflow.store.listings import Listing

MARKETS = {name: Market(name, "E", "a market") for name in "AB"}


@dataclass(frozen=True)
class Gap:
    frame_no: int
    tickers: tuple[str, ...] = ()
    hurts_books: bool = True


def stamp(frame_no, at=None, source=TimeSource.EXCHANGE):
    return Stamp(frame_no, 1, 1_000 * frame_no if at is None else at, source)


def snapshot(frame_no, ticker="A", **kwargs):
    bids, asks = ((Price(4000), Quantity(100)),), ((Price(6000), Quantity(100)),)
    return BookSnapshot(ticker, bids, asks, stamp(frame_no, **kwargs))


def delta(frame_no, ticker="A", price=4100, change=100, **kwargs):
    return BookDelta(ticker, Side.BID, Price(price), Quantity(change), stamp(frame_no, **kwargs))


def trade(frame_no, ticker="A"):
    return PublicTrade(ticker, "t", Price(5000), Quantity(1), Side.BID, stamp(frame_no))


def spans(segments):
    return [(s.ticker, int(s.events.frames[0]), int(s.events.frames[-1])) for s in segments]


def build(events, gaps=()):
    return build_segments(events, gaps, MARKETS, "s")


def test_each_markets_events_make_a_segment_of_their_own():
    events = [snapshot(1), snapshot(2, "B"), delta(3), trade(4, "B"), delta(5, "B"), trade(6)]
    assert spans(build(events)) == [("A", 1, 6), ("B", 2, 5)]


def test_nothing_before_the_first_snapshot_belongs_to_a_segment():
    assert spans(build([delta(1), trade(2), snapshot(3), delta(4)])) == [("A", 3, 4)]


def test_a_gap_cuts_the_markets_it_names_until_their_next_snapshot():
    events = [snapshot(1), snapshot(2, "B"), delta(3), delta(4, "B"), delta(5), delta(6, "B")]
    events += [trade(7), snapshot(8), delta(9)]
    cut = build(events, [Gap(5, ("A",))])
    assert spans(cut) == [("A", 1, 3), ("A", 8, 9), ("B", 2, 6)]


def test_a_gap_that_names_no_market_cuts_all():
    events = [snapshot(1), snapshot(2, "B"), delta(3), delta(4, "B"), delta(5), delta(6, "B")]
    assert spans(build(events, [Gap(5)])) == [("A", 1, 3), ("B", 2, 4)]


def test_missing_trades_cut_and_the_next_segment_begins_with_the_book_as_it_stands():
    events = [snapshot(1), delta(2), trade(4), delta(5, price=4200)]
    first, second = build(events, [Gap(4, ("A",), hurts_books=False)])
    assert spans([first, second]) == [("A", 1, 2), ("A", 2, 5)]
    assert second.events.bodies.tolist() == [2, 1, 40, 100, 39, 100, 59, 100]
    assert second.events.kinds.tolist() == [SNAPSHOT, TRADE, DELTA]


def test_an_event_that_cannot_be_true_cuts():
    events = [snapshot(1), delta(2), delta(3, price=6000), delta(4), snapshot(5), delta(6)]
    assert spans(build(events)) == [("A", 1, 2), ("A", 5, 6)]


def test_a_new_price_grid_cuts():
    grid = PriceGrid((PriceBand(Price(0), Price(10_000), Price(50)),))
    change = MarketStatusChanged("A", "x", stamp(3), grid=grid)
    segments = build([snapshot(1), delta(2), change, snapshot(4), delta(5, price=4150)])
    assert [s.market.grid for s in segments] == [CENT_GRID, grid]


def test_a_stretch_in_which_the_book_never_changes_is_no_segment():
    assert build([snapshot(1), trade(2), snapshot(3)]) == []


def test_what_changes_only_after_the_settlement_cannot_be_played():
    settled = MarketStatusChanged("A", "x", stamp(1), MarketStatus.FINALIZED, MarketResult.YES)
    assert not is_playable(segment_of([snapshot(0), settled, delta(2)], MARKETS["A"], "s").events)
    assert is_playable(segment_of([snapshot(0), delta(1), settled], MARKETS["A"], "s").events)
    assert build([snapshot(0), settled, delta(2)]) == []


def test_every_kind_of_event_has_its_row():
    known = Stamp(9, 1, 9_000, TimeSource.CARRIED)
    events = [
        snapshot(1),
        delta(2, change=-50, price=4000),
        delta(3)._replace(client_order_id="mine"),
        trade(4),
        trade(5)._replace(price=Price(5050), taker_side=Side.ASK),
        MarketStatusChanged("A", "x", known, MarketStatus.DETERMINED, MarketResult.NO, None, 77),
        MarketStatusChanged("A", "x", known, MarketStatus.DETERMINED),
    ]
    found = segment_of(events, MARKETS["A"], "s").events
    determined = STATUS_NUMBER[MarketStatus.DETERMINED]
    columns = (found.kinds, found.sides, found.indices, found.quantities, found.times)
    assert list(zip(*(column.tolist() for column in columns), strict=True)) == [
        (SNAPSHOT, 0, 6, 0, 1_000),
        (DELTA, 0, 39, -50, 2_000),
        (OWN_DELTA, 0, 40, 100, 3_000),
        (TRADE, 0, 49, 1, 4_000),
        (TRADE, 1, -1, 1, 5_000),
        (STATUS, 0, determined, 0, 9_000),
        (CLOSES, 0, 0, 77, 9_000),
        (STATUS, 0, determined, -1, 9_000),
    ]
    assert found.frames.tolist() == [1, 2, 3, 4, 5, 9, 9, 9]
    assert found.bodies.tolist() == [1, 1, 39, 100, 59, 100]


def test_a_listing_stored_later_tells_a_segment_nothing_of_the_end():
    known_later = replace(MARKETS["A"], result=MarketResult.YES, settlement_value=Price(10_000))
    (segment,) = build_segments([snapshot(1), delta(2)], [], {"A": known_later}, "s")
    assert segment.market == MARKETS["A"]


def test_a_market_is_known_as_it_was_listed_when_the_segment_began():
    later = replace(MARKETS["A"], title="renamed", close_time=5)
    events = [snapshot(1), delta(2), snapshot(4), delta(5)]
    listings = [Listing(3, "lifecycle", later), Listing(6, "lifecycle", MARKETS["A"])]
    first, second = build_segments(events, [Gap(3, ("A",))], {"A": MARKETS["A"]}, "s", listings)
    assert (first.market, second.market) == (MARKETS["A"], later)


def test_a_market_that_joins_brings_its_price_grid():
    grid = PriceGrid((PriceBand(Price(0), Price(10_000), Price(50)),))
    joined = Listing(2, "joined", replace(MARKETS["A"], grid=grid))
    events = [snapshot(1), delta(2, price=4150), snapshot(3), delta(4, price=4150)]
    (segment,) = build_segments(events, [], {"A": MARKETS["A"]}, "s", [joined])
    assert (spans([segment]), segment.market.grid) == ([("A", 3, 4)], grid)


def test_what_was_told_before_a_segment_is_known_in_it():
    closing = MarketStatusChanged("A", "x", stamp(1), MarketStatus.CLOSED, close_time=77)
    (segment,) = build([closing, snapshot(2), delta(3)])
    assert (segment.market.status, segment.market.close_time) == (MarketStatus.CLOSED, 77)


def test_a_first_snapshot_dated_by_our_clock_takes_the_time_of_what_follows():
    ours = snapshot(1, at=9_999_999, source=TimeSource.RECEIVE)
    (segment,) = build([ours, delta(2, at=50)])
    assert segment.starts_at == 50


def test_time_never_runs_backwards_in_a_segment():
    (segment,) = build([snapshot(1, at=50), delta(2, at=40), delta(3, at=60)])
    assert segment.events.times.tolist() == [50, 50, 60]


def test_where_the_exchange_told_no_time_our_clock_is_the_markets():
    ours = TimeSource.RECEIVE
    events = [snapshot(1, at=5, source=ours), delta(2, at=9, source=ours)]
    (segment,) = build(events)
    assert segment.events.times.tolist() == [5, 9]


def test_a_segment_knows_whether_trades_were_recorded():
    events = [snapshot(1), snapshot(2, "B"), delta(3), delta(4, "B")]
    found = build_segments(events, [], MARKETS, "s", with_trades="B")
    assert [segment.has_trades for segment in found] == [False, True]


def test_a_segment_must_begin_with_a_snapshot():
    with pytest.raises(ValueError, match="must begin with a snapshot"):
        segment_of([delta(1)], MARKETS["A"], "s")


def bids_of(segment, count):
    bids, _ = book_at(segment.events, count, len(segment.market.grid))
    prices = segment.market.grid.prices
    return {prices[place]: int(bids[place]) for place in np.flatnonzero(bids)}


def test_a_split_parts_the_events_and_carries_the_book_over():
    (segment,) = build([snapshot(1), delta(2), delta(3, price=4200), delta(4, price=4300)])
    before, after = split_segment(segment, at=3_000)
    assert spans([before, after]) == [("A", 1, 3), ("A", 3, 4)]
    assert bids_of(after, 1) == {4200: 100, 4100: 100, 4000: 100}
    assert bids_of(after, 2) == bids_of(segment, 4)


def test_an_embargo_leaves_events_out_between_the_parts():
    (segment,) = build([snapshot(1), delta(2), delta(3), delta(4), delta(5)])
    before, after = split_segment(segment, at=2_000, embargo=1_500)
    assert before.events.frames.tolist() == [1, 2]
    assert after.events.frames.tolist() == [3, 4, 5]


def test_a_split_outside_leaves_the_segment_whole_on_one_side():
    (segment,) = build([snapshot(1), delta(2)])
    nothing, whole = split_segment(segment, at=0)
    assert nothing is None
    assert is_same(whole, segment)
    whole, nothing = split_segment(segment, at=10**9)
    assert nothing is None
    assert is_same(whole, segment)


@pytest.mark.parametrize("longest", [1, 7, 100, 10**6])
def test_pieces_hold_every_event_once_and_each_begins_with_its_book(segments, longest):
    for segment in segments[:2]:
        parts = pieces(segment, longest)
        deltas = segment.events.kinds == DELTA
        found = np.concatenate([p.events.quantities[p.events.kinds == DELTA] for p in parts])
        assert found.tolist() == segment.events.quantities[deltas].tolist()
        assert all(part.events.kinds[0] == SNAPSHOT for part in parts)
        assert bids_of(parts[-1], len(parts[-1])) == bids_of(segment, len(segment))


def test_a_part_keeps_what_was_known_of_the_market():
    closing = MarketStatusChanged("A", "x", stamp(1), MarketStatus.CLOSED, close_time=77)
    (segment,) = build([closing, snapshot(2), delta(3), delta(4)])
    _, after = split_segment(segment, at=3_000)
    assert after.market == pieces(segment, 2)[1].market == segment.market


def test_a_part_knows_what_was_told_of_the_market_before_it():
    told = MarketStatusChanged("A", "x", stamp(3), MarketStatus.INACTIVE, close_time=77)
    (segment,) = build([snapshot(1), delta(2), told, delta(4)])
    _, after = split_segment(segment, at=3_000)
    assert (after.market.status, after.market.close_time) == (MarketStatus.INACTIVE, 77)

"""Sessions cut into segments, and segments in files: nothing lost, nothing from the future."""

from dataclasses import dataclass, replace

import pytest

from kalshiflow.agent.account import MarketAccount
from kalshiflow.agent.observation import MarketObserver
from kalshiflow.learning.episode_files import EpisodeFileError, read_segments, write_segments
from kalshiflow.learning.episodes import build_segments, is_playable, pieces, split_segment
from kalshiflow.market.book import Book
from kalshiflow.market.events import (
    BookDelta,
    BookSnapshot,
    MarketStatusChanged,
    PublicTrade,
    Side,
    Stamp,
    TimeSource,
)
from kalshiflow.market.listing import (
    CENT_GRID,
    Market,
    MarketResult,
    MarketStatus,
    PriceBand,
    PriceGrid,
)
from kalshiflow.market.units import Cash, Price, Quantity

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
    return [(s.ticker, s.events[0].stamp.frame_no, s.events[-1].stamp.frame_no) for s in segments]


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
    assert [price for price, _ in second.events[0].bids] == [4100, 4000]
    assert second.events[1:] == tuple(events[2:])


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
    settled = MarketStatusChanged("A", "x", stamp(1), MarketStatus.FINALIZED, MarketResult.YES)
    assert not is_playable([snapshot(0), settled, delta(2)])


def test_a_listing_stored_later_tells_a_segment_nothing_of_the_end():
    known_later = replace(
        MARKETS["A"],
        status=MarketStatus.FINALIZED,
        result=MarketResult.YES,
        settlement_value=Price(10_000),
    )
    (segment,) = build_segments([snapshot(1), delta(2)], [], {"A": known_later}, "s")
    assert segment.market == MARKETS["A"]


def test_what_was_told_before_a_segment_is_known_in_it():
    closing = MarketStatusChanged("A", "x", stamp(1), MarketStatus.CLOSED, close_time=77)
    (segment,) = build([closing, snapshot(2), delta(3)])
    assert (segment.market.status, segment.market.close_time) == (MarketStatus.CLOSED, 77)


def test_a_first_snapshot_dated_by_our_clock_takes_the_time_of_what_follows():
    ours = snapshot(1, at=9_999_999, source=TimeSource.RECEIVE)
    (segment,) = build([ours, delta(2, at=50)])
    assert segment.starts_at == 50


def test_a_split_parts_the_events_and_carries_the_book_over():
    (segment,) = build([snapshot(1), delta(2), delta(3, price=4200), delta(4, price=4300)])
    before, after = split_segment(segment, at=3_000)
    assert spans([before, after]) == [("A", 1, 3), ("A", 3, 4)]
    book = Book("A")
    for event in after.events[:1]:
        book.apply(event)
    assert [price for price, _ in book.levels(Side.BID)] == [4200, 4100, 4000]


def test_an_embargo_leaves_events_out_between_the_parts():
    (segment,) = build([snapshot(1), delta(2), delta(3), delta(4), delta(5)])
    before, after = split_segment(segment, at=2_000, embargo=1_500)
    assert [e.stamp.frame_no for e in before.events] == [1, 2]
    assert [e.stamp.frame_no for e in after.events[1:]] == [4, 5]


def test_a_split_outside_leaves_the_segment_whole_on_one_side():
    (segment,) = build([snapshot(1), delta(2)])
    assert split_segment(segment, at=0) == (None, segment)
    assert split_segment(segment, at=10**9) == (segment, None)


@pytest.mark.parametrize("longest", [1, 7, 100, 10**6])
def test_pieces_hold_every_event_once_and_each_begins_with_its_book(segments, longest):
    for segment in segments[:2]:
        parts = pieces(segment, longest)
        deltas = [e for e in segment.events if isinstance(e, BookDelta)]
        assert [e for part in parts for e in part.events if isinstance(e, BookDelta)] == deltas
        whole, last = Book("A", segment.market.grid), Book("A", segment.market.grid)
        for book, events in ((whole, segment.events), (last, parts[-1].events)):
            for event in events:
                if isinstance(event, BookDelta | BookSnapshot):
                    book.apply(event)
        assert last == whole


def test_a_part_keeps_what_was_known_of_the_market():
    closing = MarketStatusChanged("A", "x", stamp(1), MarketStatus.CLOSED, close_time=77)
    (segment,) = build([closing, snapshot(2), delta(3), delta(4)])
    _, after = split_segment(segment, at=3_000)
    assert after.market == pieces(segment, 2)[1].market == segment.market


def test_segments_come_back_from_a_file_as_they_were(tmp_path, segments):
    write_segments(tmp_path / "s.parquet", segments)
    assert read_segments(tmp_path / "s.parquet") == segments


def test_every_kind_of_event_survives_the_file(tmp_path):
    grid = PriceGrid((PriceBand(Price(0), Price(10_000), Price(10)),))
    full = Stamp(7, 8, 9_000, TimeSource.CARRIED, 6, 2, 3)
    events = [
        snapshot(1),
        delta(2)._replace(client_order_id="mine"),
        trade(3),
        MarketStatusChanged(
            "A", "determined", full, MarketStatus.DETERMINED, MarketResult.SCALAR, Price(12), 13
        ),
        MarketStatusChanged("A", "grid", full, grid=grid),
    ]
    (segment,) = build(events[:4])
    with_grid = replace(segment, events=tuple(events))
    write_segments(tmp_path / "s.parquet", [with_grid])
    assert read_segments(tmp_path / "s.parquet") == [with_grid]


def test_the_same_segments_give_the_same_bytes(tmp_path, segments):
    hashes = {write_segments(tmp_path / f"{n}.parquet", segments) for n in range(2)}
    assert len(hashes) == 1
    assert write_segments(tmp_path / "less.parquet", segments[1:]) not in hashes


def test_another_parquet_file_is_refused(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"a": [1]}), tmp_path / "x.parquet")
    with pytest.raises(EpisodeFileError, match=r"x\.parquet"):
        read_segments(tmp_path / "x.parquet")


def test_observations_are_the_same_live_and_through_a_file(tmp_path, recording, segments):
    """The live path sees the session's interleaved events; the other, one segment read back."""
    write_segments(tmp_path / "s.parquet", segments)
    stored = {s.ticker: s for s in read_segments(tmp_path / "s.parquet")}
    account = MarketAccount(Cash(100_000_000))
    observers = {market.ticker: MarketObserver(market) for market in recording.markets}
    live = {ticker: [] for ticker in observers}
    for event in recording.events:
        observer = observers[event.ticker]
        observer.apply(event)
        if observer.is_ready:
            live[event.ticker].append(observer.observe(account, event.stamp.market_time))
    for ticker, segment in stored.items():
        observer, seen = MarketObserver(segment.market), []
        for event in segment.events:
            observer.apply(event)
            if observer.is_ready:
                seen.append(observer.observe(account, event.stamp.market_time))
        assert seen == live[ticker]

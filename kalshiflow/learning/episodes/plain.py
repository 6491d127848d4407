"""Recorded sessions as segments, read event by event: the plain reading beside the fast one.

A segment begins with a snapshot and runs to a gap, an impossible event, a new price grid, to where
its market is followed no more, or the session's end. Of snapshots that came one after another
before any exchange time was known it begins with the last.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple, Protocol

from kalshiflow.learning.episodes.segments import (
    Events,
    Segment,
    is_playable,
    is_same,
    is_same_events,
    make_events,
)
from kalshiflow.learning.episodes.splitting import pieces, split_segment
from kalshiflow.learning.episodes.terms import JOINED, RELEASED, Listing
from kalshiflow.market.book import Book, BookCorrupt
from kalshiflow.market.events import (
    BookDelta,
    BookSnapshot,
    MarketEvent,
    MarketStatusChanged,
    Side,
    TimeSource,
)
from kalshiflow.market.flat import UNKNOWN
from kalshiflow.market.flatten import flatten, value_paid
from kalshiflow.market.listing import Market, MarketResult, PriceGrid

__all__ = [
    "Events",
    "Gap",
    "Segment",
    "Stretch",
    "build_segments",
    "is_playable",
    "is_same",
    "is_same_events",
    "pieces",
    "segment_of",
    "split_segment",
    "stretches_of",
]


class Gap(Protocol):
    """A stored gap: episodes of `tickers` (empty means all) are cut before frame `frame_no`.

    Where it `hurts_books`, the next one begins with the market's next snapshot; else, as where only
    trades are missing, at once with the book as it stands.
    """

    @property
    def frame_no(self) -> int: ...
    @property
    def tickers(self) -> Sequence[str]: ...
    @property
    def hurts_books(self) -> bool: ...


class Stretch(NamedTuple):
    """A segment as its events came; `has_trades` says whether the market's trades were recorded."""

    market: Market
    events: Sequence[MarketEvent]
    has_trades: bool


def segment_of(
    events: Sequence[MarketEvent], market: Market, session_id: str, has_trades: bool = True
) -> Segment:
    """Give one market's events, of which the first is a snapshot, as a segment.

    The first events, where they bear our clock's time, get the market time of what follows them,
    and no event gets an earlier time than the one before it.
    """
    if not events or not isinstance(events[0], BookSnapshot):
        raise ValueError(f"a segment of {market.ticker} must begin with a snapshot")
    rows: list[tuple[int, int, int, int]] = []
    times: list[int] = []
    frames: list[int] = []
    bodies: list[int] = []
    known = _first_known_time(events)
    now = 0 if known is None else known
    for event in events:
        if known is None or event.stamp.time_source is not TimeSource.RECEIVE:
            now = max(now, event.stamp.market_time)
        found = flatten(event, market.grid.places, bodies)
        rows += found
        times += [now] * len(found)
        frames += [event.stamp.frame_no] * len(found)
    columns = make_events(rows, times, frames, bodies)
    return Segment(market.ticker, session_id, market, columns, has_trades)


def build_segments(
    events: Iterable[MarketEvent],
    gaps: Iterable[Gap],
    markets: Mapping[str, Market],
    session_id: str,
    listings: Iterable[Listing] = (),
    with_trades: Collection[str] | None = None,
) -> list[Segment]:
    """Cut one session's events, given in frame order, into segments, by ticker and then by time.

    Arguments are those of `stretches_of`.
    """
    found = stretches_of(events, gaps, markets, listings, with_trades)
    return [segment_of(one.events, one.market, session_id, one.has_trades) for one in found]


def stretches_of(
    events: Iterable[MarketEvent],
    gaps: Iterable[Gap],
    markets: Mapping[str, Market],
    listings: Iterable[Listing] = (),
    with_trades: Collection[str] | None = None,
) -> list[Stretch]:
    """Cut one session's events, given in frame order, by ticker and then by time.

    `markets` are as they were known at first, `listings` what was listed since; `with_trades` are
    those whose trades were recorded, all where it is not given. Raises `KeyError` for an event of a
    market that is not in `markets`.
    """
    builders: dict[str, _Builder] = {}
    for ticker, market in markets.items():
        has_trades = with_trades is None or ticker in with_trades
        builders[ticker] = _Builder(as_it_was(market), has_trades)
    told: list[tuple[int, int, Callable[[], None]]] = [
        (one.frame_no, 0, partial(_list, builders, one)) for one in listings
    ]
    told += [(gap.frame_no, 1, partial(_interrupt, builders, gap)) for gap in gaps]
    waiting = deque(sorted(told, key=lambda one: one[:2]))
    for event in events:
        while waiting and waiting[0][0] <= event.stamp.frame_no:
            waiting.popleft()[2]()
        builders[event.ticker].add(event)
    for builder in builders.values():
        builder.cut()
    return [stretch for ticker in sorted(builders) for stretch in builders[ticker].stretches]


def _list(builders: Mapping[str, "_Builder"], listing: Listing) -> None:
    if listing.market.ticker in builders:
        builders[listing.market.ticker].relist(listing)


def _interrupt(builders: Mapping[str, "_Builder"], gap: Gap) -> None:
    for ticker in gap.tickers or tuple(builders):
        if ticker in builders:
            builders[ticker].interrupt(hurts_books=gap.hurts_books)


def as_it_was(market: Market) -> Market:
    """Give a listing, perhaps stored later, without what could not be known while it traded."""
    return replace(market, result=MarketResult.UNKNOWN, settlement_value=None)


class _Builder:
    """Collects one market's events into stretches in which something can be decided."""

    def __init__(self, market: Market, has_trades: bool) -> None:
        self.market = market
        self.has_trades = has_trades
        self.stretches: list[Stretch] = []
        self._at_start = market
        self._book = Book(market.ticker, market.grid)
        self._events: list[MarketEvent] = []

    def add(self, event: MarketEvent) -> None:
        if isinstance(event, MarketStatusChanged):
            self._learn(event)
            if event.status is None and event.close_time is None:
                return
        if isinstance(event, BookSnapshot | BookDelta):
            if not self._events and isinstance(event, BookDelta):
                return
            try:
                self._book.apply(event)
            except BookCorrupt:
                self.cut()
                return
        if isinstance(event, BookSnapshot) and self._is_undated():
            self._events = []
        if not self._events:
            if not isinstance(event, BookSnapshot):
                return
            self._at_start = self.market
        self._events.append(event)

    def _is_undated(self) -> bool:
        """Say whether there is nothing yet but a book of no known time."""
        only = self._events[0].stamp if len(self._events) == 1 else None
        return only is not None and only.time_source is TimeSource.RECEIVE

    def cut(self) -> None:
        if _is_playable(self._events):
            self.stretches.append(Stretch(self._at_start, self._events, self.has_trades))
        self._events = []

    def interrupt(self, *, hurts_books: bool) -> None:
        if not self._events:
            return
        last = self._events[-1].stamp
        self.cut()
        if not hurts_books:
            self._at_start = self.market
            bids, asks = (self._book.levels(side) for side in Side)
            self._events = [BookSnapshot(self.market.ticker, bids, asks, last)]

    def relist(self, listing: Listing) -> None:
        grid = self.market.grid
        self.market = replace(as_it_was(listing.market), grid=grid)
        if listing.reason == JOINED:
            self._regrid(listing.market.grid)
        elif listing.reason == RELEASED:
            self.cut()

    def _learn(self, event: MarketStatusChanged) -> None:
        if event.grid is not None:
            self._regrid(event.grid)
        if event.status is not None:
            self.market = replace(self.market, status=event.status)
        if event.close_time is not None:
            self.market = replace(self.market, close_time=event.close_time)

    def _regrid(self, grid: PriceGrid) -> None:
        if grid != self.market.grid:
            self.cut()
            self.market = replace(self.market, grid=grid)
            self._book = Book(self.market.ticker, grid)


def _is_playable(events: Iterable[MarketEvent]) -> bool:
    for event in events:
        if isinstance(event, BookDelta):
            return True
        if isinstance(event, MarketStatusChanged):
            paid = value_paid(event.status, event.result, event.settlement_value)
            if paid != UNKNOWN:
                return False
    return False


def _first_known_time(events: Iterable[MarketEvent]) -> int | None:
    known = (e for e in events if e.stamp.time_source is not TimeSource.RECEIVE)
    first = next(known, None)
    return None if first is None else first.stamp.market_time

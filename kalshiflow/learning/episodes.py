"""Recorded sessions as segments: unbroken stretches of one market's events, ready to be replayed.

A segment begins with a snapshot and runs to a gap, an impossible event, or the session's end.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from kalshiflow.market.book import Book, BookCorrupt
from kalshiflow.market.events import (
    BookDelta,
    BookSnapshot,
    MarketEvent,
    MarketStatusChanged,
    Side,
    Stamp,
    TimeSource,
)
from kalshiflow.market.listing import Market, MarketResult, MarketStatus
from kalshiflow.simulator.replay import settles_at


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


@dataclass(frozen=True, slots=True)
class Segment:
    """One market's events in order of frames, the first of them a snapshot.

    `market` is what was known at the segment's beginning: never its later result.
    """

    ticker: str
    session_id: str
    market: Market
    events: tuple[MarketEvent, ...]

    @property
    def starts_at(self) -> int:
        """Give the market time of the first event."""
        return self.events[0].stamp.market_time

    @property
    def ends_at(self) -> int:
        """Give the market time of the last event."""
        return self.events[-1].stamp.market_time


class _Builder:
    """Collects one market's events into segments."""

    def __init__(self, session_id: str, market: Market) -> None:
        self.session_id = session_id
        self.market = market
        self.segments: list[Segment] = []
        self._at_start = market
        self._book = Book(market.ticker, market.grid)
        self._events: list[MarketEvent] = []

    def add(self, event: MarketEvent) -> None:
        if isinstance(event, MarketStatusChanged):
            self._learn(event)
        if isinstance(event, BookSnapshot | BookDelta):
            if not self._events and isinstance(event, BookDelta):
                return
            try:
                self._book.apply(event)
            except BookCorrupt:
                self.cut()
                return
        if not self._events:
            if not isinstance(event, BookSnapshot):
                return
            self._at_start = self.market
        self._events.append(event)

    def cut(self) -> None:
        if is_playable(self._events):
            self.segments.append(
                Segment(self.market.ticker, self.session_id, self._at_start, _dated(self._events))
            )
        self._events = []

    def interrupt(self, *, hurts_books: bool) -> None:
        if not self._events:
            return
        last = self._events[-1].stamp
        self.cut()
        if not hurts_books:
            self._at_start = self.market
            self._events = [self.snapshot(last)]

    def snapshot(self, stamp: Stamp) -> BookSnapshot:
        book = self._book
        return BookSnapshot(book.ticker, book.levels(Side.BID), book.levels(Side.ASK), stamp)

    def _learn(self, event: MarketStatusChanged) -> None:
        if event.grid is not None and event.grid != self.market.grid:
            self.cut()
            self.market = replace(self.market, grid=event.grid)
            self._book = Book(self.market.ticker, event.grid)
        if event.status is not None:
            self.market = replace(self.market, status=event.status)
        if event.close_time is not None:
            self.market = replace(self.market, close_time=event.close_time)


def build_segments(
    events: Iterable[MarketEvent],
    gaps: Iterable[Gap],
    markets: Mapping[str, Market],
    session_id: str,
) -> list[Segment]:
    """Cut one session's events, given in frame order, into segments, by ticker and then by time.

    Raises `KeyError` for an event of a market that is not in `markets`.
    """
    builders: dict[str, _Builder] = {}
    waiting = sorted(gaps, key=lambda gap: gap.frame_no, reverse=True)
    for event in events:
        while waiting and waiting[-1].frame_no <= event.stamp.frame_no:
            gap = waiting.pop()
            for ticker in gap.tickers or tuple(builders):
                if ticker in builders:
                    builders[ticker].interrupt(hurts_books=gap.hurts_books)
        builder = builders.get(event.ticker)
        if builder is None:
            market = _as_it_was(markets[event.ticker])
            builder = builders[event.ticker] = _Builder(session_id, market)
        builder.add(event)
    for builder in builders.values():
        builder.cut()
    return [segment for ticker in sorted(builders) for segment in builders[ticker].segments]


def split_segment(
    segment: Segment, at: int, embargo: int = 0
) -> tuple[Segment | None, Segment | None]:
    """Cut a segment at a market time: events up to `at`, and those after `at + embargo`.

    The second part begins with the book as it then stands. A part with no decision is `None`.
    """
    return _part(segment, 0, _count(segment, at)), _part(segment, _count(segment, at + embargo))


def pieces(segment: Segment, longest: int) -> list[Segment]:
    """Cut a segment into pieces of at most `longest` events, each beginning with its book.

    Pieces without a decision are left out.
    """
    builder = _Builder(segment.session_id, segment.market)
    parts: list[Segment] = []
    for start in range(0, len(segment.events), longest):
        events = segment.events[start : start + longest]
        seams = (builder.snapshot(segment.events[start - 1].stamp),) if start else ()
        if is_playable(events):
            parts.append(replace(segment, market=builder.market, events=seams + events))
        for event in events:
            builder.add(event)
    return parts


def _part(segment: Segment, start: int, end: int | None = None) -> Segment | None:
    """Give the events from `start` to before `end`, after a snapshot of the book at `start`."""
    events = segment.events[start:end]
    if not is_playable(events):
        return None
    if start == 0:
        return replace(segment, events=events)
    builder = _Builder(segment.session_id, segment.market)
    for event in segment.events[:start]:
        builder.add(event)
    seam = builder.snapshot(segment.events[start - 1].stamp)
    return replace(segment, market=builder.market, events=(seam, *events))


def _count(segment: Segment, until: int) -> int:
    """Give how many events come before the first one after a market time."""
    for number, event in enumerate(segment.events):
        if event.stamp.market_time > until:
            return number
    return len(segment.events)


def is_playable(events: Sequence[MarketEvent]) -> bool:
    """Say whether something can be decided: the book changes before the market settles."""
    for event in events:
        if isinstance(event, BookDelta):
            return True
        if isinstance(event, MarketStatusChanged) and settles_at(event) is not None:
            return False
    return False


def _as_it_was(market: Market) -> Market:
    """Give a listing, perhaps stored later, without what could not be known while it traded."""
    return replace(
        market, status=MarketStatus.ACTIVE, result=MarketResult.UNKNOWN, settlement_value=None
    )


def _dated(events: Sequence[MarketEvent]) -> tuple[MarketEvent, ...]:
    """Give the first events, which bear our clock's time, the market time of what follows them."""
    known = (e for e in events if e.stamp.time_source is not TimeSource.RECEIVE)
    first = next(known, None)
    if first is None:
        return tuple(events)
    at = first.stamp.market_time
    return tuple(
        event._replace(stamp=event.stamp._replace(market_time=at))
        if event.stamp.time_source is TimeSource.RECEIVE
        else event
        for event in events
    )

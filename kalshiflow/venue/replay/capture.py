"""A recording as a value: its markets, and what happened to them, in order and in market time."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kalshiflow.exchange.capture import (
    CaptureError,
    coarsest_grid,
    named_market,
    read_capture,
    uses_yes_price,
)
from kalshiflow.exchange.feed import Feed
from kalshiflow.market.book import BookCorrupt
from kalshiflow.market.books import Books
from kalshiflow.market.events import (
    BookDelta,
    BookSnapshot,
    MarketEvent,
    MarketStatusChanged,
    PublicTrade,
    TimeSource,
)
from kalshiflow.market.listing import Event, Market, PriceGrid, Series
from kalshiflow.market.units import Price
from kalshiflow.store.frames import bad_frame_gap, missing_gap
from kalshiflow.store.replay import Gap, Replay

# A market whose description was not recorded is open until well after its last frame.
OPEN_AFTER = 30 * 24 * 3600 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class TimedEvent:
    """A recorded event with the market time at which it is due, which never runs backwards."""

    at: int
    event: MarketEvent

    @property
    def frame_no(self) -> int:
        """Give the event's frame, counted from 1 over all frames of the recording, whatever their
        kind; 0 for a book carried over from the recording before.
        """
        return self.event.stamp.frame_no


@dataclass(frozen=True, slots=True)
class Capture:
    """What a recording holds: its markets, and its events in order.

    `skipped` counts the events that could not be true: a level below zero, a crossed book, and
    changes of a book that was not known, before its first snapshot or after a gap.
    """

    series: tuple[Series, ...]
    events_listed: tuple[Event, ...]
    markets: tuple[Market, ...]
    events: tuple[TimedEvent, ...]
    skipped: int

    @property
    def has_trades(self) -> bool:
        """Say whether the recording tells of any trade."""
        return any(isinstance(timed.event, PublicTrade) for timed in self.events)

    @property
    def start(self) -> int:
        """Give the time of the first event."""
        return self.events[0].at

    @property
    def end(self) -> int:
        """Give the time of the last event."""
        return self.events[-1].at

    def cut(self, fraction: float) -> int:
        """Give the time at which a fraction of the capture's market time has passed."""
        return self.start + int((self.end - self.start) * fraction)


def load_capture(path: Path) -> Capture:
    """Read a capture of any recorded form; raises `CaptureError` where it has no book events."""
    gaps: list[Gap] = []
    events = list(_events(path, gaps))
    return capture_of(str(path), events, gaps, _grids(events), {})


def capture_of(
    name: str,
    events: Sequence[MarketEvent],
    gaps: Sequence[Gap],
    grids: Mapping[str, PriceGrid],
    described: Mapping[str, Market],
    joins: Iterable[tuple[int, str, PriceGrid]] = (),
) -> Capture:
    """Make a capture of recorded events in frame order.

    `grids` are the price grids with which markets came into it, for later ones told again by
    `joins`; the markets that it names are the capture's, each as it was `described` or, where it
    was not, by what its ticker tells. Raises `CaptureError` where no book is left that could be
    true.
    """
    wanted = [event for event in events if event.ticker in grids]
    if not any(isinstance(event, BookSnapshot | BookDelta) for event in wanted):
        raise CaptureError(f"{name} holds no order book frames")
    possible = tuple(_possible(wanted, Replay(Books(grids), gaps, joins)))
    if not any(isinstance(event, BookSnapshot) for event in possible):
        raise CaptureError(f"{name} holds no order book frames that could be true")
    kept = tuple(_timed(possible))
    seen = dict.fromkeys(
        event.ticker for event in possible if not isinstance(event, MarketStatusChanged)
    )
    markets = tuple(
        described.get(ticker) or _market(ticker, grids[ticker], kept[0].at, kept[-1].at)
        for ticker in grids
        if ticker in seen
    )
    return Capture(
        _series(markets),
        tuple(
            Event(market.event_ticker, market.series_ticker, market.event_ticker)
            for market in {market.event_ticker: market for market in markets}.values()
        ),
        markets,
        tuple(timed for timed in kept if timed.event.ticker in seen),
        len(wanted) - len(possible),
    )


def _events(path: Path, gaps: list[Gap]) -> Iterator[MarketEvent]:
    feed = Feed(uses_yes_price=uses_yes_price(path))
    seen: set[str] = set()
    for frame in read_capture(path):
        received = feed.receive(frame.raw, frame.received_at)
        missing = missing_gap(received)
        if missing is not None:
            gaps.append(missing)
        if received.error is not None:
            gaps.append(bad_frame_gap(received, frame.raw, received.error, tuple(seen)))
        if received.event is not None:
            seen.add(received.event.ticker)
            yield received.event


def _timed(events: Iterable[MarketEvent]) -> Iterator[TimedEvent]:
    """Give each event its market time; those before the first known one take that."""
    reached = 0
    early: list[MarketEvent] = []
    for event in events:
        if event.stamp.time_source is TimeSource.RECEIVE:
            early.append(event)
            continue
        reached = max(reached, event.stamp.market_time)
        for earlier in early:
            yield TimedEvent(reached, earlier)
        early.clear()
        yield TimedEvent(reached, event)
    for event in early:  # no frame ever told a time
        reached = max(reached, event.stamp.received_at)
        yield TimedEvent(reached, event)


def _grids(events: Iterable[MarketEvent]) -> dict[str, PriceGrid]:
    """Give each market with a book or trades the coarsest grid that all its prices are on."""
    prices: dict[str, set[Price]] = {}
    for event in events:
        if isinstance(event, MarketStatusChanged):
            continue
        seen = prices.setdefault(event.ticker, set())
        if isinstance(event, BookSnapshot):
            seen.update(price for price, _ in (*event.bids, *event.asks))
        elif isinstance(event, BookDelta):
            seen.add(event.price)
    return {ticker: coarsest_grid(seen) for ticker, seen in prices.items()}


def _possible(events: Iterable[MarketEvent], replay: Replay) -> Iterator[MarketEvent]:
    for event in events:
        replay.cut_up_to(event.stamp.frame_no)
        if isinstance(event, BookDelta) and replay.books.is_stale(event.ticker):
            continue
        try:
            replay.apply(event)
        except BookCorrupt:
            continue
        yield event


def _market(ticker: str, grid: PriceGrid, start: int, end: int) -> Market:
    return replace(named_market(ticker, grid), open_time=start, close_time=end + OPEN_AFTER)


def _series(markets: Iterable[Market]) -> tuple[Series, ...]:
    series: dict[str, Series] = {}
    for market in markets:
        ticker = market.series_ticker
        series.setdefault(ticker, Series(ticker, ticker, "Recorded", market.fees))
    return tuple(series.values())

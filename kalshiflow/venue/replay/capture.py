"""A recorded capture as a source of market events: loaded once, replayed at its own times."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kalshiflow.exchange.capture import CaptureError, read_capture, uses_yes_price
from kalshiflow.exchange.feed import Feed
from kalshiflow.market.book import BookCorrupt
from kalshiflow.market.books import Books
from kalshiflow.market.events import BookDelta, BookSnapshot, MarketEvent, PublicTrade
from kalshiflow.market.listing import (
    CENT_GRID,
    Event,
    Market,
    PriceBand,
    PriceGrid,
    Series,
)
from kalshiflow.market.units import DOLLAR, Price
from kalshiflow.simulator.overlay import FillModel
from kalshiflow.venue.floor.facts import Traded
from kalshiflow.venue.floor.floor import Floor
from kalshiflow.venue.matching.messages import (
    EngineEvent,
)
from kalshiflow.venue.matching.recorded import RecordedBook, fills_only

# A market whose description was not recorded is open until well after its last frame.
OPEN_AFTER = 30 * 24 * 3600 * 1_000_000_000
GRIDS = (
    CENT_GRID,
    PriceGrid((PriceBand(Price(0), DOLLAR, Price(10)),)),
    PriceGrid((PriceBand(Price(0), DOLLAR, Price(1)),)),
)


@dataclass(frozen=True, slots=True)
class TimedEvent:
    """A recorded event with the time at which it is due, which never runs backwards."""

    at: int
    event: BookSnapshot | BookDelta | PublicTrade


@dataclass(frozen=True, slots=True)
class Capture:
    """What a capture holds: its markets, and its events in order.

    `skipped` counts the events that could not be true (a level below zero, a crossed book).
    """

    series: tuple[Series, ...]
    events_listed: tuple[Event, ...]
    markets: tuple[Market, ...]
    events: tuple[TimedEvent, ...]
    skipped: int

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
    events = _timed(_events(path))
    if not events:
        raise CaptureError(f"{path} holds no order book frames")
    grids = _grids(timed.event for timed in events)
    kept = _possible(events, grids)
    if not kept:
        raise CaptureError(f"{path} holds no order book frames that could be true")
    markets = tuple(
        _market(ticker, grid, kept[0].at, kept[-1].at + OPEN_AFTER)
        for ticker, grid in grids.items()
    )
    series = tuple(
        Series(ticker, ticker, "Recorded")
        for ticker in dict.fromkeys(market.series_ticker for market in markets)
    )
    listed = tuple(
        Event(market.event_ticker, market.series_ticker, market.event_ticker)
        for market in {market.event_ticker: market for market in markets}.values()
    )
    return Capture(series, listed, markets, kept, len(events) - len(kept))


class CaptureSource:
    """Feeds a capture's events to the floor, one at a step. What lies before `begin_at` is
    applied to the books at once, silently.
    """

    def __init__(
        self,
        floor: Floor,
        capture: Capture,
        begin_at: int,
        model: FillModel = FillModel.PESSIMISTIC,
    ) -> None:
        self._floor = floor
        self._events = capture.events
        self._books = {
            market.ticker: RecordedBook(market.ticker, market.grid, model)
            for market in capture.markets
        }
        for market in capture.markets:
            floor.list_market(market, self._books[market.ticker])
        self._next = 0
        while self._next < len(self._events) and self._events[self._next].at < begin_at:
            self._apply(self._events[self._next])
            self._next += 1

    def next_at(self) -> int | None:
        """Give the time of the next event; `None` after the last."""
        return self._events[self._next].at if self._next < len(self._events) else None

    def step(self) -> None:
        """Let the next event happen."""
        timed = self._events[self._next]
        self._next += 1
        if isinstance(timed.event, PublicTrade):
            trade = timed.event
            self._floor.tell_trade(
                Traded(
                    trade.ticker,
                    trade.trade_id,
                    trade.price,
                    trade.quantity,
                    trade.taker_side,
                    timed.at,
                )
            )
            return
        is_whole = isinstance(timed.event, BookSnapshot)
        self._floor.follow_recording(
            timed.event.ticker, timed.at, lambda: self._apply(timed), is_whole=is_whole
        )

    def _apply(self, timed: TimedEvent) -> list[EngineEvent]:
        event = timed.event
        if isinstance(event, PublicTrade):
            return []
        book = self._books[event.ticker]
        if isinstance(event, BookDelta):
            return book.recorded_delta(event.side, event.price, event.change, timed.at)
        return fills_only(book.recorded_snapshot(event.bids, event.asks, timed.at))


def _events(path: Path) -> Iterable[MarketEvent]:
    feed = Feed(uses_yes_price=uses_yes_price(path))
    for frame in read_capture(path):
        event = feed.receive(frame.raw, frame.received_at).event
        if event is not None:
            yield event


def _timed(events: Iterable[MarketEvent]) -> list[TimedEvent]:
    timed: list[TimedEvent] = []
    reached = 0
    for event in events:
        if isinstance(event, BookSnapshot | BookDelta | PublicTrade):
            own = event.stamp.exchange_ts
            reached = max(reached, event.stamp.received_at if own is None else own)
            timed.append(TimedEvent(reached, event))
    return timed


def _grids(events: Iterable[MarketEvent]) -> dict[str, PriceGrid]:
    """Give each market the coarsest grid that all its prices are on."""
    prices: dict[str, set[Price]] = {}
    for event in events:
        seen = prices.setdefault(event.ticker, set())
        if isinstance(event, BookSnapshot):
            seen.update(price for price, _ in (*event.bids, *event.asks))
        elif isinstance(event, BookDelta):
            seen.add(event.price)
    return {ticker: _coarsest(seen) for ticker, seen in prices.items()}


def _coarsest(prices: set[Price]) -> PriceGrid:
    for grid in GRIDS:
        if all(price in grid for price in prices):
            return grid
    return GRIDS[-1]


def _possible(events: Sequence[TimedEvent], grids: dict[str, PriceGrid]) -> tuple[TimedEvent, ...]:
    books = Books(grids)
    return tuple(timed for timed in events if _is_possible(books, timed.event))


def _is_possible(books: Books, event: MarketEvent) -> bool:
    if not isinstance(event, BookSnapshot | BookDelta):
        return True
    if isinstance(event, BookDelta) and books.is_stale(event.ticker):
        return False
    try:
        books.apply(event)
    except BookCorrupt:
        return False
    return True


def _market(ticker: str, grid: PriceGrid, start: int, end: int) -> Market:
    event_ticker = ticker.rpartition("-")[0] or ticker
    market = Market(ticker, event_ticker, ticker, grid, open_time=start, close_time=end)
    return replace(market, series_ticker=ticker.partition("-")[0])

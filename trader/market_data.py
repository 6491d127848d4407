"""The markets as the policy sees them: applies each event, and knows whose book is stale."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import structlog

from kalshiflow.agent.observation import MarketObserver
from kalshiflow.exchange.feed import Received
from kalshiflow.market.book import BookCorrupt
from kalshiflow.market.events import BookDelta, BookSnapshot, MarketEvent, PublicTrade
from kalshiflow.market.listing import GridError, Market

log = structlog.get_logger()

SNAPSHOT_PAUSE = 10.0
LONGEST_SNAPSHOT_PAUSE = 160.0

Reshape = Callable[[MarketEvent], Sequence[MarketEvent]]


def as_it_is(event: MarketEvent) -> Sequence[MarketEvent]:
    """Give the event alone."""
    return (event,)


@dataclass(slots=True)
class FrameCounts:
    """Frames of the run, by what they were."""

    frames: int = 0
    snapshots: int = 0
    deltas: int = 0
    trades: int = 0
    gaps: int = 0
    bad: int = 0


class MarketData:
    """An observer per market. A stale one takes no decisions until its next snapshot.

    `reshape` stands between the feed and the observers: a simulated exchange adds its own events.
    """

    def __init__(self, reshape: Reshape = as_it_is) -> None:
        self.observers: dict[str, MarketObserver] = {}
        self._reshape = reshape
        self.counts = FrameCounts()
        self.last_frame_at = 0
        self._whole: set[str] = set()  # markets whose book is the exchange's, as far as we know
        self._asked: dict[str, tuple[float, float]] = {}  # when last asked, and how long to wait

    def follow(self, markets: Mapping[str, Market]) -> None:
        """Follow these markets from now on."""
        for ticker, market in markets.items():
            self.observers[ticker] = MarketObserver(market)

    def listed(self) -> list[Market]:
        """Give the markets as they are listed now, as far as frames have told."""
        seen = self.observers.values()
        return [replace(observer.market, status=observer.status) for observer in seen]

    def ready(self) -> int:
        """Give the number of markets whose book can be trusted."""
        return len(self._whole)

    def is_whole(self, ticker: str) -> bool:
        """Say whether a market's book can be trusted."""
        return ticker in self._whole

    def begin(self, now: float) -> None:
        """Forget the past of all markets: another connection begins, its snapshots are to come.

        `now` is by the clock of `snapshots_due`.
        """
        for ticker, observer in self.observers.items():
            observer.cut()
            self._asked[ticker] = (now, SNAPSHOT_PAUSE)
        self._whole.clear()

    def take(self, received: Received) -> str | None:
        """Apply a frame; gives the ticker whose book it changed, if it changed one."""
        self.counts.frames += 1
        self.last_frame_at = received.stamp.received_at
        if received.gap is not None:
            self.counts.gaps += 1
            self._cut(received.gap.tickers, f"frame {received.gap.expected} did not come")
        if received.error is not None:
            self.counts.bad += 1
            self._cut(received.tickers, received.error)
        event = received.event
        if event is None:
            return None
        observer = self.observers.get(event.ticker)
        if observer is None:
            return None
        grid = observer.market.grid
        try:
            for shaped in self._reshape(event):
                observer.apply(shaped)
        except (BookCorrupt, GridError) as corrupt:
            self.counts.bad += 1
            observer.cut()
            self._whole.discard(event.ticker)
            log.warning("a book went stale", ticker=event.ticker, reason=str(corrupt))
            return None
        if observer.market.grid is not grid:
            self._cut((event.ticker,), "it has another price grid now")
        return self._changed(event.ticker, event)

    def snapshots_due(self, now: float) -> list[str]:
        """Give the stale markets to ask for, at `now` by a clock in seconds.

        Each at most once in ten seconds, and ever more rarely while nothing comes of it.
        """
        due = []
        for ticker in self.observers:
            if ticker in self._whole:
                self._asked.pop(ticker, None)
                continue
            asked_at, pause = self._asked.get(ticker, (now, 0.0))
            if now - asked_at >= pause:
                due.append(ticker)
                longer = min(max(pause * 2, SNAPSHOT_PAUSE), LONGEST_SNAPSHOT_PAUSE)
                self._asked[ticker] = (now, longer)
        return due

    def _changed(self, ticker: str, event: object) -> str | None:
        if isinstance(event, BookDelta):
            self.counts.deltas += 1
            return ticker if ticker in self._whole else None
        if isinstance(event, BookSnapshot):
            self.counts.snapshots += 1
            self._whole.add(ticker)
            return ticker
        if isinstance(event, PublicTrade):
            self.counts.trades += 1
        return None

    def _cut(self, tickers: tuple[str, ...], reason: str) -> None:
        concerned = tickers or tuple(self.observers)
        log.warning("books went stale", markets=len(concerned), reason=reason)
        for ticker in concerned:
            observer = self.observers.get(ticker)
            if observer is not None:
                observer.cut()
                self._whole.discard(ticker)

"""One connection's frames, each exactly once, into books, a session's rows and screens; no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import structlog

from kalshiflow.exchange.feed import Feed, Received, Refusal
from kalshiflow.market.book import BookCorrupt
from kalshiflow.market.books import Books
from kalshiflow.market.events import (
    BookDelta,
    BookSnapshot,
    MarketStatusChanged,
    PublicTrade,
    Stamp,
)
from kalshiflow.market.listing import Market
from kalshiflow.store.database import Store
from kalshiflow.store.frames import bad_frame_gap, missing_gap
from kalshiflow.store.replay import Gap
from kalshiflow.store.sessions import NewSession, SessionWriter, new_session_id
from streaming.broadcast import Hub
from streaming.health import Health

log = structlog.get_logger()


class SubscriptionEnded(RuntimeError):
    """The exchange refused or ended the subscription that the recording lives on."""


@dataclass(frozen=True, slots=True)
class Outage:
    """A time without a connection: from the last frame before it, for these markets."""

    began_at: int
    tickers: tuple[str, ...]


class Recorder:
    """Takes the frames of one connection in order.

    Each frame becomes rows of the current session's writer; the books follow, and with them what
    is stale. `rotate` begins another session between two frames, `end` gives back the last one.
    """

    def __init__(
        self,
        store: Store,
        markets: Mapping[str, Market],
        health: Health,
        hub: Hub,
        *,
        environment: str,
        traded: bool,
        at: int,
        outage: Outage | None = None,
    ) -> None:
        self.markets = dict(markets)
        self.feed = Feed(uses_yes_price=True)
        self.books = Books({ticker: market.grid for ticker, market in markets.items()})
        self.vital: set[int] = set()  # ids of the commands without which there are no books
        self.newest: dict[str, Stamp] = {}  # by ticker, of its newest book frame
        self._store = store
        self._health = health
        self._hub = hub
        self._outage = outage
        self._grids = {ticker: market.grid for ticker, market in markets.items()}
        self._closes = {
            ticker: market.close_time
            for ticker, market in markets.items()
            if market.close_time is not None
        }
        self._first = NewSession(
            session_id=new_session_id(at),
            origin="collector",
            environment=environment,
            traded=traded,
            started_at=at,
            grids=dict(self._grids),
            closes=dict(self._closes),
        )
        self.writer = SessionWriter(store, self._first)
        self.last_frame_at: int | None = None

    def take(self, raw: bytes, received_at: int) -> Received:
        """Take one frame as it came from the socket.

        Raises `SubscriptionEnded`, once the frame is recorded, where it ends a subscription or
        refuses a command of `vital`: recording cannot go on as it is then.
        """
        received = self.feed.receive(raw, received_at)
        if received.gap is not None:
            self._mark_stale(missing_gap(received))
        refused = self._apply(received)
        self.writer.add(received, raw, refused=refused)
        reason = refused or received.error
        if reason is not None:
            self._mark_stale(bad_frame_gap(received, raw, reason, self._grids))
            self._health.bad_frames += 1
        self._count(received)
        if received.refusal is not None:
            self._heed(received, received.refusal)
        return received

    def rotate(self, at: int) -> SessionWriter:
        """Begin a new session that goes on from the books as they are; gives the old one's writer.

        The old writer is sealed: it carries the hash of these books, and is to be closed.
        """
        old = self.writer
        old.seal(self.books)
        self.feed.restart_numbers()
        seams = {
            sid: ledger.last + 1
            for sid, ledger in self.feed.ledgers().items()
            if ledger.last is not None
        }
        session = replace(
            self._first,
            session_id=new_session_id(at),
            started_at=at,
            grids=dict(self._grids),
            closes=dict(self._closes),
            follows=old.session_id,
            seams=seams,
        )
        self.writer = SessionWriter(self._store, session)
        self.writer.add_seam(self.books, at=at, market_time=self.feed.market_time)
        return old

    def end(self) -> SessionWriter:
        """End the recording; gives the last writer, sealed, to be closed."""
        self.writer.seal(self.books)
        return self.writer

    def _apply(self, received: Received) -> str | None:
        event = received.event
        if isinstance(event, BookDelta | BookSnapshot):
            try:
                book = self.books.apply(event)
            except BookCorrupt as corrupt:
                return str(corrupt)
            self.newest[event.ticker] = event.stamp
            if isinstance(event, BookSnapshot):
                self._health.snapshots += 1
                self._note_outage(received)
                self._hub.replaced(event.ticker)
            else:
                self._health.deltas += 1
                if self._hub.is_watched(event.ticker) and not self.books.is_stale(event.ticker):
                    self._hub.changed(event, book)
        elif isinstance(event, PublicTrade):
            self._health.trades += 1
        elif isinstance(event, MarketStatusChanged):
            self._relist(event)
        return None

    def _relist(self, event: MarketStatusChanged) -> None:
        if event.ticker not in self._grids:
            return
        if event.close_time is not None:
            self._closes[event.ticker] = event.close_time
        if event.grid is not None:
            self.books.set_grid(event.ticker, event.grid)
            self._grids[event.ticker] = event.grid

    def _heed(self, received: Received, refusal: Refusal) -> None:
        words = f"the exchange answered {refusal.code}: {refusal.message}"
        if refusal.is_terminal or received.command_id in self.vital:
            raise SubscriptionEnded(words)
        log.warning("command_refused", command=received.command_id, reason=words)

    def _note_outage(self, received: Received) -> None:
        if self._outage is not None:
            ended_at = received.stamp.received_at
            began_at, tickers = self._outage.began_at, self._outage.tickers
            self.writer.add_outage(tickers, began_at=began_at, ended_at=ended_at)
            self._outage = None

    def _mark_stale(self, gap: Gap | None) -> None:
        if gap is not None and gap.hurts_books:
            for ticker in gap.tickers:
                self.books.mark_stale(ticker)

    def _count(self, received: Received) -> None:
        health, stamp = self._health, received.stamp
        health.frames = received.frame_no
        health.frames_total += 1
        health.last_frame_at = self.last_frame_at = stamp.received_at
        if received.gap is not None:
            health.gaps += 1
        if stamp.exchange_ts is not None:
            health.ages.append(stamp.received_at - stamp.exchange_ts)

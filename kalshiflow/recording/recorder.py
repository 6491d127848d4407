"""Spool records to rows: one state machine for live recording, catching up and crash recovery.

The same records give the same rows, whoever takes them and when: nothing here reads a clock, a
socket or a database, and all that is known fits into a checkpoint.
"""

from collections.abc import Iterable
from dataclasses import replace

from kalshiflow.exchange.feed import Feed
from kalshiflow.market.books import Books
from kalshiflow.market.events import BookSnapshot, Stamp, TimeSource
from kalshiflow.market.listing import Market
from kalshiflow.market.units import Price, Quantity
from kalshiflow.recording import checkpoint as written
from kalshiflow.recording.blocks import Kind, Record
from kalshiflow.recording.checkpoint import Outage
from kalshiflow.recording.frames import FrameTaker, grid_gap, stamp_after
from kalshiflow.recording.notes import (
    Accounted,
    AnyNote,
    Asked,
    Audited,
    Connected,
    Disconnected,
    Joined,
    ListedMarket,
    Released,
    Restarted,
    RestBook,
    Rotated,
    decode_note,
    listed,
    market_of,
)
from kalshiflow.store import rows
from kalshiflow.store.batch import Batch, NewSession, SessionEnd
from kalshiflow.store.replay import Gap, trusted_sha256
from kalshiflow.store.session_rows import SessionRows

UNENDED = "its recorder ended without closing it"
FULL_LENGTH = "its longest recording was reached"
POISONED = "it ended the recorder twice"
UNFOLLOWED = "not followed between its release and its return"


class Recorder(FrameTaker):
    """Takes the records of a spool in order; rows go into `batch`, or nowhere while it is `None`.

    `batch` may be swapped between two records: rows then begin with the next one. Rows of a session
    that has no book yet are held back in the recorder, and its checkpoint has them.
    """

    def __init__(self, batch: Batch | None = None) -> None:
        super().__init__(batch)
        self._released: set[str] = set()  # followed no more, though the session still has them

    @property
    def session(self) -> NewSession | None:
        """Give the session that is open now."""
        return None if self.rows is None else self.rows.session

    @property
    def is_held(self) -> bool:
        """Say whether a session is open that has no rows in any batch yet."""
        return self.rows is not None and self.rows.is_held

    @property
    def frames(self) -> int:
        """Give the number of the open session's last frame."""
        return 0 if self.rows is None else self.rows.frames

    def take(self, record: Record) -> None:
        """Take one record as the spool gives it."""
        if record.kind == Kind.FRAME:
            self.frame(record.position, record.at, record.content)
        elif record.kind == Kind.NOTE:
            self.note(record.position, record.at, decode_note(record.content))
        else:
            self._reach(record.position)

    def set_aside(self, record: Record) -> None:
        """Take a record without looking at it, for it has ended the recorder before."""
        if record.kind == Kind.FRAME and self.feed is not None and self.rows is not None:
            received = self.feed.set_aside(record.at, POISONED)
            self._take(self.rows, record.content, received)
        self._reach(record.position)

    def note(self, position: int, at: int, note: AnyNote) -> None:
        """Take a note that was written at `at`."""
        match note:
            case Connected():
                self._connect(at, note)
            case Asked():
                if self.feed is not None:
                    self.feed.asked(note.command_id, note.tickers)
            case Joined():
                self._join(at, note.markets)
            case Released():
                self._release(at, note.tickers)
            case Rotated():
                self._rotate(at, note.session_id)
            case Disconnected():
                self._end("closed", note.reason, at)
            case Restarted():
                self._end("repaired", UNENDED, None)
            case RestBook():
                self._add_rest_book(at, note)
            case Audited():
                self._add_audit(at, note)
            case Accounted():
                self._add_accounts(note)
        self._reach(position)

    # --- checkpoints -------------------------------------------------------------------------

    def checkpoint(self) -> bytes:
        """Give all that is known as bytes, from which `restore` makes an equal recorder."""
        return written.encode(
            written.State(
                feed=None if self.feed is None else self.feed.state(),
                books=self.books.state(),
                markets=listed(self.markets.values()),
                newest=list(self.newest.items()),
                last_frame_at=self.last_frame_at,
                counts=self.counts,
                outage=self.outage,
                released=sorted(self._released),
                session=None if self.rows is None else written.session_state(self.rows),
            )
        )

    @classmethod
    def restore(cls, checkpoint: bytes, position: int) -> "Recorder":
        """Give a recorder as it was when it had taken the record at `position`; without a batch."""
        state = written.decode(checkpoint)
        restored = cls()
        restored.position = position
        restored.feed = None if state.feed is None else Feed.restore(state.feed)
        restored.books = Books.restore(state.books)
        restored.markets = {each.ticker: market_of(each) for each in state.markets}
        restored.newest = dict(state.newest)
        restored.last_frame_at = state.last_frame_at
        restored.counts = state.counts
        restored.outage = state.outage
        restored._released = set(state.released)
        if state.session is not None:
            restored.rows = written.session_rows(state.session)
        return restored

    # --- sessions ----------------------------------------------------------------------------

    def _connect(self, at: int, note: Connected) -> None:
        self._end("repaired", UNENDED, None)
        self.markets = {each.ticker: market_of(each) for each in note.markets}
        self.feed = Feed(uses_yes_price=note.uses_yes_price)
        self.books = Books({ticker: market.grid for ticker, market in self.markets.items()})
        if note.outage_from is not None and (
            self.outage is None or self.outage.began_at < note.outage_from <= at
        ):
            self.outage = Outage(note.outage_from, tuple(note.outage_tickers))
        session = NewSession(
            session_id=note.session_id,
            origin=note.origin,
            environment=note.environment,
            traded=note.traded,
            started_at=at,
            grids={ticker: market.grid for ticker, market in self.markets.items()},
            closes=_closes(self.markets.values()),
            shard=note.shard,
            epoch=note.epoch,
            cannot_know=tuple(note.cannot_know),
        )
        self._begin(SessionRows(session))
        if self.batch is not None:
            self.batch.list_markets(self.markets.values(), at)

    def _rotate(self, at: int, session_id: str) -> None:
        old, feed = self.rows, self.feed
        if old is None or feed is None or old.is_held:
            return  # one without a frame of its own would prove nothing: it goes on
        old.end(self.batch, SessionEnd("closed", FULL_LENGTH, at, trusted_sha256(self.books)))
        feed.restart_numbers()
        for ticker in self._released:
            self.books.forget(ticker)
            self.newest.pop(ticker, None)
        session = replace(
            old.session,
            session_id=session_id,
            started_at=at,
            grids={ticker: market.grid for ticker, market in self.markets.items()},
            closes=_closes(self.markets.values()),
            follows=old.session_id,
            seams={
                sid: ledger.last + 1
                for sid, ledger in feed.ledgers().items()
                if ledger.last is not None
            },
        )
        new = SessionRows(session)
        self._begin(new)
        new.add_seam(self.batch, self.books, stamp_after(0, at, feed.market_time))

    def _begin(self, session: SessionRows) -> None:
        self.rows = session
        self._released = set()
        at = session.session.started_at
        for ticker in sorted(self.markets):
            session.list_market(self.batch, self.markets[ticker], "begun", frame_no=0, at=at)

    def _end(self, status: str, reason: str, at: int | None) -> None:
        session = self.rows
        if session is None:
            return
        if session.has_book and self.last_frame_at is not None:
            # A connection that brought no book leaves the outage before it as it was.
            self.outage = Outage(self.last_frame_at, tuple(sorted(self.markets)))
        ended_at = at or session.last_at or session.session.started_at
        session.end(self.batch, SessionEnd(status, reason, ended_at, trusted_sha256(self.books)))
        self.rows = None
        self.feed = None
        self.books = Books()
        self.markets = {}
        self.newest = {}
        self._released = set()

    def _join(self, at: int, noted: Iterable[ListedMarket]) -> None:
        session = self.rows
        if session is None:
            return
        frame_no = session.frames + 1  # from the next one on
        markets = [market_of(each) for each in noted]
        lost = self._set_grids({market.ticker: market.grid for market in markets})
        returned = sorted(self._released.intersection(market.ticker for market in markets))
        back = tuple(ticker for ticker in returned if not self.books.is_stale(ticker))
        for market in markets:
            self.markets[market.ticker] = market
            self._released.discard(market.ticker)
            session.list_market(self.batch, market, "joined", frame_no=frame_no, at=at)
        session.join(self.batch, markets, at)
        gap = grid_gap(lost, frame_no, at)
        if gap is not None:
            session.add_gap(self.batch, gap)
        if back:  # what they have is the book of when they were let go
            gap = Gap(frame_no, "missing", back, UNFOLLOWED, at)
            self._mark_stale(gap)
            session.add_gap(self.batch, gap)

    def _release(self, at: int, tickers: Iterable[str]) -> None:
        session = self.rows
        for ticker in tickers:
            market = self.markets.pop(ticker, None)
            if market is not None and session is not None:
                frame_no = session.frames + 1
                self._released.add(ticker)
                session.list_market(self.batch, market, "released", frame_no=frame_no, at=at)

    # --- what is no frame --------------------------------------------------------------------

    def _add_rest_book(self, at: int, note: RestBook) -> None:
        if self.batch is None:
            return
        bids, asks = (
            tuple((Price(price), Quantity(quantity)) for price, quantity in levels)
            for levels in (note.bids, note.asks)
        )
        event = BookSnapshot(note.ticker, bids, asks, Stamp(0, at, at, TimeSource.RECEIVE))
        self.batch.put(rows.SNAPSHOTS, rows.snapshot_row(None, event, "rest"))
        self.batch.reach(at)

    def _add_audit(self, at: int, note: Audited) -> None:
        if self.rows is not None:
            self.rows.add_audit(
                self.batch,
                rows.Audit(
                    note.ticker, at, note.verdict, note.tries, note.took, note.age, note.detail
                ),
            )

    def _add_accounts(self, note: Accounted) -> None:
        if self.rows is not None:
            for change in note.changes:
                self.rows.add_account(self.batch, change)


def _closes(markets: Iterable[Market]) -> dict[str, int]:
    return {each.ticker: each.close_time for each in markets if each.close_time is not None}

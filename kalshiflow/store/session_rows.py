"""The frames of one session as rows, held back until there is something to keep; pure."""

from collections.abc import Iterable

from kalshiflow.market.books import Books
from kalshiflow.market.events import (
    BookDelta,
    BookSnapshot,
    MarketStatusChanged,
    PublicTrade,
    Side,
    Stamp,
)
from kalshiflow.market.listing import Market
from kalshiflow.store import rows
from kalshiflow.store.batch import Batch, NewSession, SessionEnd
from kalshiflow.store.frames import ReceivedFrame, bad_frame_gap, missing_gap, storable, text_of
from kalshiflow.store.packing import DeltaPacker
from kalshiflow.store.replay import Gap


class SessionRows:
    """Turns what one session receives into rows of the batch that is given with it.

    What comes without a batch (`None`) makes no rows, and counts all the same. Rows are held back
    until the session has its first book frame, or any frame where it goes on from another one: a
    session that never has leaves nothing behind. Held rows are kept without a batch too, and go
    into the batch that the deciding frame came with.
    """

    def __init__(self, session: NewSession) -> None:
        self.session = session
        self.session_id = session.session_id
        self.frames = 0  # the last frame added
        self.tickers = set(session.grids)  # all markets that it ever had
        self.last_at: int | None = None  # when its last frame was received
        self.held: Batch | None = Batch()
        self.pack = DeltaPacker(session.session_id).pack

    @property
    def is_held(self) -> bool:
        """Say whether nothing of it is in any batch yet."""
        return self.held is not None

    @property
    def has_book(self) -> bool:
        """Say whether a book frame came, or it went on from a session that had one."""
        return self.held is None or self.session.follows is not None

    def add(
        self,
        batch: Batch | None,
        received: ReceivedFrame,
        raw: bytes,
        *,
        refused: str | None = None,
    ) -> None:
        """Add a frame: one row in the table of its kind, and a gap row if it told of a gap.

        `refused` says why the books could not take its event; such a frame is kept raw.
        """
        self.frames = received.frame_no
        self.last_at = received.stamp.received_at
        if self.held is not None:
            self._decide(batch, received, refused)
        target = self._target(batch)
        if target is None:
            return
        target.part(self.session).frames = self.frames
        target.reach(self.last_at)
        reason = refused or received.error
        if reason is not None:
            self.add_gap(batch, bad_frame_gap(received, raw, reason, self.tickers))
        else:
            self._put_row(target, received, raw)
        gap = missing_gap(received)
        if gap is not None:
            self.add_gap(batch, gap)

    def reach(self, batch: Batch | None, stamp: Stamp, *times: int) -> None:
        """Take it that all frames up to this one have their rows in the batch.

        For whoever packs the deltas of a session himself that is held no more; `times` are the
        earliest and the latest at which they were received.
        """
        if stamp.frame_no > self.frames:
            self.frames, self.last_at = stamp.frame_no, stamp.received_at
        if batch is not None:
            batch.part(self.session).frames = self.frames
            for at in times:
                batch.reach(at)

    def add_gap(self, batch: Batch | None, gap: Gap) -> None:
        """Add a gap that is told beside the frames."""
        self._put(batch, rows.GAPS, rows.gap_row(self.session_id, gap))

    def add_books(self, batch: Batch | None, books: Books, stamp: Stamp, source: str) -> None:
        """Add the books that can be trusted, as they are at a stamp.

        `source` is `seam` (the session begins with them) or `periodic`.
        """
        if self._target(batch) is None:
            return
        for ticker in sorted(books):
            if not books.is_stale(ticker):
                bids, asks = (books[ticker].levels(side) for side in Side)
                event = BookSnapshot(ticker, bids, asks, stamp)
                self._put(batch, rows.SNAPSHOTS, rows.snapshot_row(self.session_id, event, source))
        self._reach(batch, stamp.received_at)

    def add_seam(self, batch: Batch | None, books: Books, stamp: Stamp) -> None:
        """Begin with books carried over from the session before; stale ones are a gap from here."""
        self.add_books(batch, books, stamp, "seam")
        if stale := books.stale():
            reason = "stale since the session before"
            gap = Gap(0, "carried", tuple(sorted(stale)), reason, stamp.received_at)
            self.add_gap(batch, gap)

    def add_outage(
        self, batch: Batch | None, tickers: Iterable[str], *, began_at: int, ended_at: int
    ) -> None:
        """Note that before this session nothing was connected; what was missed is not known."""
        gap = Gap(
            frame_no=0,
            kind="outage",
            tickers=tuple(sorted(tickers)),
            reason="not connected",
            started_at=began_at,
            recovered_at=ended_at,
        )
        self.add_gap(batch, gap)

    def join(self, batch: Batch | None, markets: Iterable[Market], at: int) -> None:
        """Have more markets from the next frame on."""
        found = {market.ticker: market for market in markets}
        self.tickers.update(found)
        target = self._target(batch)
        if target is not None:
            target.part(self.session).joined.update(found)
            target.list_markets(markets, at)

    def list_market(
        self, batch: Batch | None, market: Market, reason: str, *, frame_no: int, at: int
    ) -> None:
        """Note how a market is listed from a frame on: begun, joined, lifecycle or released."""
        row = rows.listing_row(self.session_id, frame_no, market, reason, at)
        self._put(batch, rows.LISTINGS, row)

    def add_audit(self, batch: Batch | None, audit: rows.Audit) -> None:
        """Note how a book compared with the exchange's own answer after the last frame."""
        self._put(batch, rows.AUDITS, rows.audit_row(self.session_id, self.frames, audit))

    def add_account(self, batch: Batch | None, change: rows.AccountChange) -> None:
        """Note how the trader's account stands in a market from a frame on."""
        self._put(batch, rows.ACCOUNTS, rows.account_row(self.session_id, change))
        self._reach(batch, change.received_at)

    def end(self, batch: Batch | None, end: SessionEnd) -> None:
        """End the session; one whose rows are still held leaves nothing behind."""
        if self.held is None and batch is not None:
            part = batch.part(self.session)
            part.frames = self.frames
            part.end = end
        self.held = None

    def _decide(self, batch: Batch | None, received: ReceivedFrame, refused: str | None) -> None:
        is_book = refused is None and isinstance(received.event, BookSnapshot)
        if self.held is not None and (is_book or self.session.follows is not None):
            if batch is not None:
                batch.extend(self.held)
            self.held = None

    def _target(self, batch: Batch | None) -> Batch | None:
        return batch if self.held is None else self.held

    def _put(self, batch: Batch | None, table: str, row: rows.Row) -> None:
        target = self._target(batch)
        if target is not None:
            target.put(table, row)
            target.part(self.session).frames = self.frames

    def _reach(self, batch: Batch | None, at: int) -> None:
        target = self._target(batch)
        if target is not None:
            target.reach(at)

    def _put_row(self, target: Batch, received: ReceivedFrame, raw: bytes) -> None:
        session_id, event = self.session_id, received.event
        match event:
            case BookDelta():
                target.deltas.append(self.pack(event))
            case BookSnapshot():
                target.put(rows.SNAPSHOTS, rows.snapshot_row(session_id, event))
            case PublicTrade():
                target.put(rows.TRADES, rows.trade_row(session_id, event))
            case MarketStatusChanged():
                target.put(rows.LIFECYCLE, rows.lifecycle_row(session_id, event))
                target.life.append(event)
            case _:
                target.put(
                    rows.FRAMES,
                    (
                        session_id,
                        received.frame_no,
                        received.sid,
                        received.seq,
                        storable(received.kind),
                        received.stamp.received_at,
                        received.stamp.market_time,
                        text_of(raw),
                    ),
                )

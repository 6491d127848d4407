"""Write a session: rows of received frames by COPY, each batch with the position it reaches."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any

from kalshiflow.market.books import Books
from kalshiflow.market.events import (
    BookDelta,
    BookSnapshot,
    MarketStatusChanged,
    PublicTrade,
    Side,
    Stamp,
    TimeSource,
)
from kalshiflow.market.listing import PriceGrid, encode_grid
from kalshiflow.store import rows
from kalshiflow.store.certificate import Certificate
from kalshiflow.store.closing import close_session
from kalshiflow.store.database import Store
from kalshiflow.store.errors import SessionLost
from kalshiflow.store.frames import ReceivedFrame, bad_frame_gap, missing_gap, storable, text_of
from kalshiflow.store.markets import apply_lifecycle
from kalshiflow.store.replay import Gap, trusted_sha256


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session before its first row. `grids` has one entry per subscribed market.

    `closes` has the close times (nanoseconds) that were known when it began, by ticker.
    `follows` and `seams` (sid to the seq that comes next) are given where a rotation begins it.
    """

    session_id: str
    origin: str
    environment: str
    traded: bool
    started_at: int
    grids: Mapping[str, PriceGrid]
    closes: Mapping[str, int] = field(default_factory=dict)
    follows: str | None = None
    seams: Mapping[int, int] = field(default_factory=dict)


def new_session_id(at: int) -> str:
    """Give an id that sorts by time and is never given twice: `20261120T143000Z-4f09ac`."""
    moment = datetime.fromtimestamp(at // 10**9, UTC)
    return f"{moment:%Y%m%dT%H%M%SZ}-{token_hex(3)}"


@dataclass(slots=True)
class _Batch:
    last_frame: int = 0
    count: int = 0
    tables: dict[str, list[rows.Row]] = field(
        default_factory=lambda: {table: [] for table in rows.COLUMNS}
    )
    life: list[MarketStatusChanged] = field(default_factory=list)


class SessionWriter:
    """Takes frames in memory (`add`), commits them (`flush`), ends the session (`close`).

    The session's own row is made with its first committed batch, and only once a book frame came,
    or any frame after a seam: what brought none leaves nothing behind. Rows and the position that
    they reach commit together, so a batch whose commit was in doubt is never stored twice.
    """

    def __init__(self, store: Store, session: NewSession) -> None:
        self.session = session
        self.session_id = session.session_id
        self.frames = 0  # the last frame added
        self.committed = 0  # the last frame whose row is on disk
        self.rows_written = 0
        self.has_book = False
        self._store = store
        self._batch = _Batch()
        self._inflight: _Batch | None = None
        self._is_stored = False
        self._close_tried = False
        self._books_hash: str | None = None
        self._one_at_a_time = asyncio.Lock()

    @property
    def pending(self) -> int:
        """Give the number of rows that are in memory only."""
        return self._batch.count + (0 if self._inflight is None else self._inflight.count)

    @property
    def is_stored(self) -> bool:
        """Say whether the session's own row is committed."""
        return self._is_stored

    def add(self, received: ReceivedFrame, raw: bytes, *, refused: str | None = None) -> None:
        """Add a frame: one row in the table of its kind, and a gap row if it told of a gap.

        `refused` says why the books could not take its event; such a frame is kept raw.
        """
        event = received.event
        reason = refused or received.error
        if reason is not None:
            self._add_gap(bad_frame_gap(received, raw, reason, self.session.grids))
        elif type(event) is BookDelta:
            self._put(rows.DELTAS, rows.delta_row(self.session_id, event))
        else:
            self._add_other(received, raw)
        if received.gap is not None:
            gap = missing_gap(received)
            assert gap is not None
            self._add_gap(gap)
        self.frames = self._batch.last_frame = received.frame_no

    def add_seam(self, books: Books, *, at: int, market_time: int | None) -> None:
        """Begin with books carried over from the session before; stale ones are a gap from here.

        `at` is our clock, `market_time` the connection's, both in nanoseconds.
        """
        source = TimeSource.RECEIVE if market_time is None else TimeSource.CARRIED
        stamp = Stamp(0, at, at if market_time is None else market_time, source)
        for ticker in sorted(books):
            if not books.is_stale(ticker):
                bids, asks = (books[ticker].levels(side) for side in Side)
                event = BookSnapshot(ticker, bids, asks, stamp)
                self._put(rows.SNAPSHOTS, rows.snapshot_row(self.session_id, event, "seam"))
        if stale := books.stale():
            reason = "stale since the session before"
            self._add_gap(Gap(0, "carried", tuple(sorted(stale)), reason, at))
        self.has_book = True  # it goes on from one that had

    def add_outage(self, tickers: Iterable[str], *, began_at: int, ended_at: int) -> None:
        """Note that before this session nothing was connected; what was missed is not known."""
        gap = Gap(
            frame_no=0,
            kind="outage",
            tickers=tuple(sorted(tickers)),
            reason="not connected",
            started_at=began_at,
            recovered_at=ended_at,
        )
        self._add_gap(gap)

    async def flush(self) -> int:
        """Commit what was added, in one transaction, and give the number of rows written.

        Raises `StoreUnavailable` where the database is away: the rows stay, call again later.
        Raises `SessionLost` where another recorder has closed this session.
        """
        async with self._one_at_a_time:
            return await self._flush()

    def seal(self, books: Books) -> None:
        """Take the hash of the closing books, which may change before `close` is awaited."""
        self._books_hash = trusted_sha256(books)

    async def close(
        self, reason: str, books: Books | None = None, *, at: int | None = None
    ) -> Certificate | None:
        """Commit the rest, draw the certificate from the rows, and close the session.

        The certificate carries the hash of `books`, or of those that it was sealed with, else of
        the rows replayed. Gives `None`, and stores nothing, where no book frame came, or nothing
        after a seam. Raises like `flush`, and may be called again like it.
        """
        if books is not None:
            self.seal(books)
        async with self._one_at_a_time:
            while await self._flush():
                pass
            if not self._is_stored:
                return None
            was_tried, self._close_tried = self._close_tried, True
            return await close_session(
                self._store,
                self.session_id,
                status="closed",
                reason=reason,
                at=at,
                books_hash=self._books_hash,
                may_be_closed=was_tried,
            )

    def _add_other(self, received: ReceivedFrame, raw: bytes) -> None:
        match received.event:
            case BookSnapshot() as event:
                self.has_book = True
                self._put(rows.SNAPSHOTS, rows.snapshot_row(self.session_id, event))
            case PublicTrade() as event:
                self._put(rows.TRADES, rows.trade_row(self.session_id, event))
            case MarketStatusChanged() as event:
                self._put(rows.LIFECYCLE, rows.lifecycle_row(self.session_id, event))
                self._batch.life.append(event)
            case _:
                self._put(
                    rows.FRAMES,
                    (
                        self.session_id,
                        received.frame_no,
                        received.sid,
                        received.seq,
                        storable(received.kind),
                        received.stamp.received_at,
                        received.stamp.market_time,
                        text_of(raw),
                    ),
                )

    def _add_gap(self, gap: Gap) -> None:
        self._put(rows.GAPS, rows.gap_row(self.session_id, gap))

    def _put(self, table: str, row: rows.Row) -> None:
        self._batch.tables[table].append(row)
        self._batch.count += 1

    async def _flush(self) -> int:
        if self._inflight is None:
            if not self.has_book or not self.frames or not self._batch.count:
                return 0
            self._inflight, self._batch = self._batch, _Batch(self._batch.last_frame)
        await self._commit(self._inflight)
        written = self._inflight.count
        self.committed = self._inflight.last_frame
        self.rows_written += written
        self._is_stored = True
        self._inflight = None
        return written

    async def _commit(self, batch: _Batch) -> None:
        async with self._store.transaction() as connection:
            stored = await connection.fetchrow(
                "SELECT frames, status FROM rl_orderbook_sessions WHERE session_id = $1 FOR UPDATE",
                self.session_id,
            )
            if stored is None and not self._is_stored:
                await self._insert_session(connection)
            elif stored is None or stored["status"] != "active":
                raise SessionLost(
                    f"session {self.session_id} is {stored and stored['status']}, not active: "
                    f"another recorder has closed it"
                )
            elif stored["frames"] > self.committed or not self._is_stored:
                return  # an earlier try was committed, though we never heard of it
            for table, found in batch.tables.items():
                if found:
                    await connection.copy_records_to_table(
                        table, columns=rows.COLUMNS[table], records=found
                    )
            if batch.life:
                await apply_lifecycle(connection, batch.life)
            await connection.execute(
                "UPDATE rl_orderbook_sessions SET frames = $2 WHERE session_id = $1",
                self.session_id,
                batch.last_frame,
            )

    async def _insert_session(self, connection: Any) -> None:
        session = self.session
        await connection.execute(
            "INSERT INTO rl_orderbook_sessions (session_id, origin, environment, traded, status,"
            " started_at, markets, grids, closes, follows, seams)"
            " VALUES ($1, $2, $3, $4, 'active', $5, $6, $7, $8, $9, $10)",
            session.session_id,
            session.origin,
            session.environment,
            session.traded,
            session.started_at,
            sorted(session.grids),
            {ticker: encode_grid(grid) for ticker, grid in session.grids.items()},
            dict(session.closes),
            session.follows,
            {str(sid): seq for sid, seq in session.seams.items()},
        )

"""Recorded sessions as values: their list, their events in order, the book at any frame."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from kalshiflow.market.book import Book
from kalshiflow.market.books import Books
from kalshiflow.market.events import MarketEvent
from kalshiflow.market.listing import PriceGrid, decode_grid
from kalshiflow.store import rows
from kalshiflow.store.database import Store
from kalshiflow.store.errors import NotRecorded
from kalshiflow.store.markets import markets
from kalshiflow.store.replay import Gap, Replay

__all__ = [
    "Gap",
    "SessionRow",
    "book_at",
    "get_session",
    "iter_events",
    "list_sessions",
    "markets",
    "session_closes",
    "session_events",
    "session_gaps",
    "session_grids",
]

_FRAMES_AT_ONCE = 50_000
_READERS: tuple[tuple[str, Callable[[Any], MarketEvent]], ...] = (
    (rows.SNAPSHOTS, rows.snapshot_of),
    (rows.DELTAS, rows.delta_of),
    (rows.TRADES, rows.trade_of),
    (rows.LIFECYCLE, rows.lifecycle_of),
)
_SESSION_COLUMNS = (
    "session_id, origin, environment, traded, status, started_at, ended_at, close_seq, markets,"
    " follows, frames, verdict, verdict_reason, end_reason, certificate"
)


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One session's own row. `status` is active, closed, repaired or failed.

    `verdict` is ok, gaps (usable, but to be cut at its gaps) or failed, `None` while active;
    `close_seq` numbers the closed ones in the order of their closing; `frames` is the last
    committed frame number; `certificate` is the JSON form of `certificate.Certificate`.
    """

    session_id: str
    origin: str
    environment: str
    traded: bool
    status: str
    started_at: int
    ended_at: int | None
    close_seq: int | None
    markets: tuple[str, ...]
    follows: str | None
    frames: int
    verdict: str | None
    verdict_reason: str | None
    end_reason: str | None
    certificate: dict[str, Any] | None


async def list_sessions(
    store: Store,
    *,
    after_close_seq: int | None = None,
    statuses: Sequence[str] | None = None,
    verdicts: Sequence[str] | None = None,
    origins: Sequence[str] | None = None,
    limit: int = 1000,
) -> list[SessionRow]:
    """Give sessions that match all that is asked.

    With `after_close_seq`: closed ones above it, in the order of their closing (a cursor's way of
    reading). Without: all, newest first.
    """
    order = "started_at DESC, session_id DESC" if after_close_seq is None else "close_seq"
    async with store.connection() as connection:
        found = await connection.fetch(
            f"SELECT {_SESSION_COLUMNS} FROM rl_orderbook_sessions"  # noqa: S608
            " WHERE (close_seq > $1 OR $1 IS NULL) AND (status = ANY($2) OR $2 IS NULL)"
            " AND (verdict = ANY($3) OR $3 IS NULL) AND (origin = ANY($4) OR $4 IS NULL)"
            f" ORDER BY {order} LIMIT $5",
            after_close_seq,
            _array(statuses),
            _array(verdicts),
            _array(origins),
            limit,
        )
    return [_session_of(record) for record in found]


async def get_session(store: Store, session_id: str) -> SessionRow:
    """Give one session; raises `NotRecorded` where there is none."""
    async with store.connection() as connection:
        record = await connection.fetchrow(
            f"SELECT {_SESSION_COLUMNS} FROM rl_orderbook_sessions"  # noqa: S608
            " WHERE session_id = $1",
            session_id,
        )
    if record is None:
        raise NotRecorded(f"there is no session {session_id}")
    return _session_of(record)


async def session_grids(store: Store, session_id: str) -> dict[str, PriceGrid]:
    """Give the price grids that the session's markets had when it began."""
    async with store.connection() as connection:
        found = await connection.fetchval(
            "SELECT grids FROM rl_orderbook_sessions WHERE session_id = $1", session_id
        )
    return {ticker: decode_grid(bands) for ticker, bands in (found or {}).items()}


async def session_closes(store: Store, session_id: str) -> dict[str, int]:
    """Give the close times (nanoseconds) of its markets that were known when it began."""
    async with store.connection() as connection:
        found = await connection.fetchval(
            "SELECT closes FROM rl_orderbook_sessions WHERE session_id = $1", session_id
        )
    return dict(found or {})


async def session_events(
    store: Store,
    session_id: str,
    *,
    first_frame: int = 0,
    last_frame: int | None = None,
    tickers: Sequence[str] | None = None,
) -> list[MarketEvent]:
    """Give a session's snapshots, deltas, trades and lifecycle events in the order of frames.

    Bounds are inclusive; frame 0 holds the snapshots carried over at a seam.
    """
    events: list[MarketEvent] = []
    async for batch in iter_events(
        store, session_id, first_frame=first_frame, last_frame=last_frame, tickers=tickers
    ):
        events.extend(batch)
    return events


async def iter_events(
    store: Store,
    session_id: str,
    *,
    first_frame: int = 0,
    last_frame: int | None = None,
    tickers: Sequence[str] | None = None,
) -> AsyncIterator[list[MarketEvent]]:
    """Give the events of `session_events` in batches, so that memory stays bounded."""
    if last_frame is None:
        last_frame = (await get_session(store, session_id)).frames
    async with store.transaction() as connection:
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        for low in range(first_frame, last_frame + 1, _FRAMES_AT_ONCE):
            high = min(low + _FRAMES_AT_ONCE - 1, last_frame)
            yield await _batch(connection, session_id, low, high, tickers)


async def session_gaps(store: Store, session_id: str) -> list[Gap]:
    """Give a session's gap rows in the order of frames."""
    async with store.connection() as connection:
        found = await connection.fetch(
            "SELECT frame_no, kind, channel, sid, seq, expected, received, tickers, reason, raw,"
            " started_at, recovered_at FROM rl_feed_gaps WHERE session_id = $1"
            " ORDER BY frame_no, kind DESC",
            session_id,
        )
    return [Gap(**{**record, "tickers": tuple(record["tickers"])}) for record in found]


async def book_at(store: Store, session_id: str, ticker: str, frame_no: int | None = None) -> Book:
    """Give a market's book after a frame (the last one without it).

    Raises `NotRecorded` where the market had no book to be trusted then: before its first snapshot,
    or after a gap and before the snapshot that mended it.
    """
    session = await get_session(store, session_id)
    last = session.frames if frame_no is None else frame_no
    async with store.connection() as connection:
        first = await connection.fetchval(
            "SELECT max(frame_no) FROM rl_orderbook_snapshots"
            " WHERE session_id = $1 AND ticker = $2 AND frame_no <= $3",
            session_id,
            ticker,
            last,
        )
    if first is None:
        raise NotRecorded(f"{ticker} has no snapshot up to frame {last} of {session_id}")
    events = await session_events(
        store, session_id, first_frame=first, last_frame=last, tickers=[ticker]
    )
    gaps = [
        gap
        for gap in await session_gaps(store, session_id)
        if ticker in gap.tickers and first <= gap.frame_no <= last
    ]
    books = Books(await session_grids(store, session_id))
    replay = Replay(books, gaps)
    for event in events:
        replay.apply(event)
    replay.cut_up_to(last)
    if books.is_stale(ticker):
        raise NotRecorded(f"{ticker} had no book to be trusted at frame {last} of {session_id}")
    return books[ticker]


async def _batch(
    connection: Any, session_id: str, low: int, high: int, tickers: Sequence[str] | None
) -> list[MarketEvent]:
    events: list[MarketEvent] = []
    for table, read in _READERS:
        found = await connection.fetch(
            f"SELECT {', '.join(rows.COLUMNS[table][1:])} FROM {table}"  # noqa: S608
            " WHERE session_id = $1 AND frame_no BETWEEN $2 AND $3"
            " AND (ticker = ANY($4) OR $4 IS NULL) ORDER BY frame_no, ticker",
            session_id,
            low,
            high,
            _array(tickers),
        )
        events.extend(map(read, found))
    events.sort(key=_frame_no)
    return events


def _frame_no(event: MarketEvent) -> int:
    return event.stamp.frame_no


def _array(values: Sequence[str] | None) -> list[str] | None:
    return None if values is None else list(values)


def _session_of(record: Any) -> SessionRow:
    return SessionRow(**{**record, "markets": tuple(record["markets"])})

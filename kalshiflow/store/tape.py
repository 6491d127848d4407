"""A session's events, in the order of frames, as the exchange sent them and the seams began them.

Periodic snapshots and books read over REST are no events: nobody sent them.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from operator import attrgetter
from typing import Any

from kalshiflow.market.events import MarketEvent
from kalshiflow.store import rows
from kalshiflow.store.database import Store
from kalshiflow.store.recorded import get_session, received_within

FRAMES_AT_ONCE = 50_000

_READERS: dict[str, Callable[[Any], MarketEvent]] = {
    rows.SNAPSHOTS: rows.snapshot_of,
    rows.DELTAS: rows.delta_of,
    rows.TRADES: rows.trade_of,
    rows.LIFECYCLE: rows.lifecycle_of,
}
_ONLY = {rows.SNAPSHOTS: " AND source IN ('exchange', 'seam')"}
QUERIES = {
    table: (
        f"SELECT {', '.join(rows.COLUMNS[table][1:])} FROM {table}"  # noqa: S608
        " WHERE session_id = $1 AND frame_no BETWEEN $2 AND $3 AND received_at BETWEEN $4 AND $5"
        f" AND (ticker = ANY($6) OR $6 IS NULL){_ONLY.get(table, '')} ORDER BY frame_no, ticker"
    )
    for table in _READERS
}
_by_frame = attrgetter("stamp.frame_no")


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
    """Give the events of `session_events` in batches, so that memory stays bounded.

    Only those days are read on which the session was recorded.
    """
    if last_frame is None:
        last_frame = (await get_session(store, session_id)).frames
    async with reading(store) as connection:
        span = await received_within(connection, session_id)
        for low in range(first_frame, last_frame + 1, FRAMES_AT_ONCE):
            high = min(low + FRAMES_AT_ONCE - 1, last_frame)
            yield await events_between(connection, session_id, span, low, high, tickers)


@asynccontextmanager
async def reading(store: Store) -> AsyncIterator[Any]:
    """Lend a connection on which every query sees the database as it is now."""
    async with store.transaction() as connection:
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield connection


async def events_between(
    connection: Any,
    session_id: str,
    span: tuple[int, int],
    first_frame: int,
    last_frame: int,
    tickers: Sequence[str] | None = None,
) -> list[MarketEvent]:
    """Give the events of some frames; `span` is what `received_within` gave for the session.

    Within a frame (frame 0 has many) snapshots come by ticker.
    """
    named = None if tickers is None else list(tickers)
    events: list[MarketEvent] = []
    for table, read in _READERS.items():
        found = await connection.fetch(
            QUERIES[table], session_id, first_frame, last_frame, *span, named
        )
        events.extend(map(read, found))
    events.sort(key=_by_frame)
    return events

"""Commit a batch: its rows and the spool position that they reach, together or not at all."""

from collections.abc import AsyncIterator
from io import BytesIO
from typing import Any

import asyncpg

from kalshiflow.market.listing import encode_grid
from kalshiflow.store import rows
from kalshiflow.store.batch import Batch, NewSession, SessionPart
from kalshiflow.store.database import Store
from kalshiflow.store.errors import SessionLost
from kalshiflow.store.leases import Lease, check_lease
from kalshiflow.store.markets import apply_lifecycle, list_markets
from kalshiflow.store.packing import DELTA_COLUMNS, copy_stream
from kalshiflow.store.partitions import days_of, prepare_days

_PIECE = 256 * 1024
_INSERT = """
INSERT INTO rl_orderbook_sessions (session_id, origin, environment, traded, status, started_at,
    markets, grids, closes, follows, seams, shard, epoch, cannot_know)
VALUES ($1, $2, $3, $4, 'active', $5, $6, $7, $8, $9, $10, $11, $12, $13)
ON CONFLICT (session_id) DO NOTHING
"""
# Where a market joins that it had before, what it had at first stays.
_REACH = """
UPDATE rl_orderbook_sessions SET
    frames = greatest(frames, $2),
    first_row_at = least(first_row_at, $3), last_row_at = greatest(last_row_at, $4),
    markets = CASE WHEN $5::text[] = '{}' THEN markets ELSE markets || ARRAY(
        SELECT one FROM unnest($5::text[]) AS one WHERE one <> ALL (markets) ORDER BY one) END,
    grids = CASE WHEN $5::text[] = '{}' THEN grids ELSE $6::jsonb || grids END,
    closes = CASE WHEN $5::text[] = '{}' THEN closes ELSE $7::jsonb || closes END,
    end_status = $8, end_reason = $9, books_sha256 = $11,
    ended_at = CASE WHEN $8::text IS NULL THEN NULL ELSE greatest(started_at, $10) END
WHERE session_id = $1 AND status = 'active' AND end_status IS NULL
RETURNING frames
"""


async def spool_position(store: Store, spool_id: str) -> int:
    """Give the last record of a spool whose rows are committed, 0 where there is none."""
    async with store.connection() as connection:
        found = await connection.fetchval(
            "SELECT position FROM rl_spool_positions WHERE spool_id = $1", spool_id
        )
    return found or 0


async def commit_batch(store: Store, spool_id: str, batch: Batch, lease: Lease | None) -> int:
    """Commit a batch and give the number of rows written: none where it was committed before.

    So a commit in doubt is simply tried again. Raises `StoreUnavailable` where the database is
    away, full or going down (nothing is written, or all of it), `LeaseLost` where somebody else
    records now, and `SessionLost` where the batch does not begin where the spool's rows end, or
    writes into a session that was closed.
    """
    days = days_of(batch)
    await prepare_days(store, days)
    try:
        return await _commit(store, spool_id, batch, lease)
    except asyncpg.CheckViolationError as refused:
        if not days or "no partition" not in str(refused):
            raise
    store.days.clear()  # somebody has removed a day that we knew
    await prepare_days(store, days)
    return await _commit(store, spool_id, batch, lease)


async def _commit(store: Store, spool_id: str, batch: Batch, lease: Lease | None) -> int:
    async with store.transaction() as connection:
        if lease is not None:
            await check_lease(connection, lease)
        stored = await _lock_position(connection, spool_id)
        if batch.position <= stored:
            return 0
        if batch.after != stored:
            raise SessionLost(
                f"the rows of spool {spool_id} end at record {stored}, "
                f"but the batch goes on from {batch.after}"
            )
        for part in batch.parts.values():
            await _reach(connection, part, batch)
        await _copy(connection, batch)
        await list_markets(connection, batch.listed.values(), at=batch.listed_at or 0)
        await apply_lifecycle(connection, batch.life)
        await connection.execute(
            "UPDATE rl_spool_positions SET position = $2, updated_at = now() WHERE spool_id = $1",
            spool_id,
            batch.position,
        )
    return batch.count


async def _lock_position(connection: Any, spool_id: str) -> int:
    stored: int | None = await connection.fetchval(
        "SELECT position FROM rl_spool_positions WHERE spool_id = $1 FOR UPDATE", spool_id
    )
    if stored is None:
        stored = await connection.fetchval(
            "INSERT INTO rl_spool_positions AS known (spool_id, position) VALUES ($1, 0)"
            " ON CONFLICT (spool_id) DO UPDATE SET position = known.position RETURNING position",
            spool_id,
        )
    assert stored is not None
    return stored


async def _reach(connection: Any, part: SessionPart, batch: Batch) -> None:
    joined, end = part.joined, part.end
    values = (
        part.session.session_id,
        part.frames,
        batch.earliest,
        batch.latest,
        list(joined),
        {ticker: encode_grid(market.grid) for ticker, market in joined.items()},
        {t: market.close_time for t, market in joined.items() if market.close_time is not None},
        end and end.status,
        end and end.reason,
        end and end.at,
        end and end.books_sha256,
    )
    found = await connection.fetchval(_REACH, *values)
    if found is None and await _insert(connection, part.session):
        found = await connection.fetchval(_REACH, *values)
    if found is None:
        raise SessionLost(
            f"session {part.session.session_id} has ended: another recorder has closed it"
        )


async def _insert(connection: Any, session: NewSession) -> bool:
    status = await connection.execute(
        _INSERT,
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
        session.shard,
        session.epoch,
        list(session.cannot_know),
    )
    return bool(status == "INSERT 0 1")


async def _copy(connection: Any, batch: Batch) -> None:
    if batch.deltas:
        await connection.copy_to_table(
            rows.DELTAS,
            columns=DELTA_COLUMNS,
            format="binary",
            source=_pieces(copy_stream(batch.deltas)),
        )
    for table, found in batch.tables.items():
        if found:
            await connection.copy_records_to_table(
                table, columns=rows.COLUMNS[table], records=found
            )


async def _pieces(stream: BytesIO) -> AsyncIterator[bytes]:
    # A file would be read in a thread, piece by piece; this is memory.
    while piece := stream.read(_PIECE):
        yield piece

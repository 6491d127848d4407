"""A session's rows as numpy columns, some thousand frames at a time, in the order of frames.

Changes and trades come by binary COPY. While some rows are worked on, the next are received.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from kalshiflow.store import rows
from kalshiflow.store.binary import BinaryRows
from kalshiflow.store.bulk_columns import (
    PACKED,
    WIDTHS,
    Column,
    Columns,
    Places,
    Rows,
    changes_of,
    rows_of,
    snapshots_of,
    trades_of,
)
from kalshiflow.store.database import Store
from kalshiflow.store.recorded import get_session, received_within
from kalshiflow.store.tape import reading

__all__ = ["WIDTHS", "Column", "Columns", "Rows", "frames_at_once", "read_columns", "rows_of"]

BYTES_OF_A_ROW = 1_024  # of memory, in all the forms in which it stands until it is worked on
FEWEST_FRAMES, MOST_FRAMES = 4_096, 262_144

# For its ticker a row brings a hash: texts would give rows of many lengths. Every change is of one
# of the session's markets, so a short one will do; a trade may be of any.
_HASH = "hashtextextended(ticker, 0)"
_SALTS = range(100)
_OWN = "(client_order_id IS NOT NULL)::integer"
_CHANGES = (
    f"SELECT frame_no, {{hash}}, market_time, change,"  # noqa: S608
    f" {PACKED.format(price='price', own=_OWN, side='side')} FROM {rows.DELTAS}"
)
_CHANGE_KINDS = ("int8", "int4", "int8", "int8", "int4")
_TRADES = (
    f"SELECT frame_no, {_HASH}, market_time, quantity,"  # noqa: S608
    f" {PACKED.format(price='price', own='0', side='taker_side')} FROM {rows.TRADES}"
)
_TRADE_KINDS = ("int8", "int8", "int8", "int8", "int4")
_SNAPSHOTS = (
    "SELECT frame_no, ticker, market_time, time_source, bid_prices, bid_quantities, ask_prices,"  # noqa: S608
    f" ask_quantities FROM {rows.SNAPSHOTS}"
)
_BOOKS_OF = " AND source IN ('exchange', 'seam') AND ticker = ANY($1) ORDER BY frame_no, ticker"
_HASHES = (
    "SELECT {hash} FROM unnest($1::text[]) WITH ORDINALITY AS named (ticker, place) ORDER BY place"
)


async def read_columns(
    store: Store,
    session_id: str,
    tickers: Sequence[str],
    take: Callable[[Columns], object],
    *,
    memory_mb: int,
) -> None:
    """Read a session's rows of some markets and have `take` called with them, part by part.

    `take` is called in a thread, once at a time and in order, while the next part is received.
    `memory_mb` bounds what the parts hold together. Raises `NotRecorded` where there is no such
    session, and what `take` raises.
    """
    last_frame = (await get_session(store, session_id)).frames
    step = frames_at_once(memory_mb)
    frames = [
        (first, min(first + step - 1, last_frame)) for first in range(0, last_frame + 1, step)
    ]
    try:
        async with reading(store) as connection:
            await _read(await _reader(connection, session_id, tickers), frames, take)
    except _NotTaken as failed:
        raise failed.error from None


async def _read(
    reader: "_Reader", frames: Sequence[tuple[int, int]], take: Callable[[Columns], object]
) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            taking: asyncio.Task[object] | None = None
            for first, last in frames:
                received = await reader.receive(first, last)
                if taking is not None:
                    await taking
                taking = group.create_task(asyncio.to_thread(_hand_over, received, take))
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None


def frames_at_once(memory_mb: int) -> int:
    """Give how many frames may be read at once, if two parts are held in so much memory."""
    rows_held = memory_mb * 2**20 // BYTES_OF_A_ROW // 2
    return max(FEWEST_FRAMES, min(MOST_FRAMES, rows_held))


class _Received(NamedTuple):
    first: int
    last: int
    changes: BinaryRows
    trades: BinaryRows
    snapshots: list[Any]
    reader: "_Reader"

    def decode(self) -> Columns:
        reader = self.reader
        snapshots, bodies = snapshots_of(self.snapshots, reader.places)
        return Columns(
            self.first,
            self.last,
            changes_of(self.changes.columns(), reader.places_of_changes),
            trades_of(self.trades.columns(), reader.places_of_trades),
            snapshots,
            bodies,
        )


class _NotTaken(Exception):
    """An error of `take` that would pass for one of the connection: a full disk, say."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


def _hand_over(received: _Received, take: Callable[[Columns], object]) -> object:
    columns = received.decode()
    try:
        return take(columns)
    except OSError as failed:
        raise _NotTaken(failed) from failed


class _Reader(NamedTuple):
    connection: Any
    session: str  # as a literal
    span: tuple[int, int]
    short_hash: str
    places: dict[str, int]
    places_of_changes: Places
    places_of_trades: Places

    async def receive(self, first: int, last: int) -> _Received:
        """Receive the rows of some frames as they are sent."""
        # Numbers and a quoted literal: arguments of a COPY cost a question to the database each.
        low, high = self.span
        within = (
            f" WHERE session_id = {self.session} AND frame_no BETWEEN {first} AND {last}"
            f" AND received_at BETWEEN {low} AND {high}"
        )
        changes, trades = BinaryRows(_CHANGE_KINDS), BinaryRows(_TRADE_KINDS)
        asked = _CHANGES.format(hash=self.short_hash) + within
        await self.connection.copy_from_query(asked, output=changes.add, format="binary")
        asked = _TRADES + within
        await self.connection.copy_from_query(asked, output=trades.add, format="binary")
        books = await self.connection.fetch(_SNAPSHOTS + within + _BOOKS_OF, list(self.places))
        return _Received(first, last, changes, trades, books, self)


async def _reader(connection: Any, session_id: str, tickers: Sequence[str]) -> _Reader:
    named = list(tickers)
    span = await received_within(connection, session_id)
    session = await connection.fetchval("SELECT quote_literal($1::text)", session_id)
    short_hash, short = await _short_hashes(connection, named)
    hashes = await connection.fetch(_HASHES.format(hash=_HASH), named)
    return _Reader(
        connection,
        session,
        span,
        short_hash,
        {ticker: place for place, ticker in enumerate(named)},
        Places(short),
        Places([row[0] for row in hashes]),
    )


async def _short_hashes(connection: Any, tickers: list[str]) -> tuple[str, list[int]]:
    """Give a short hash that is another one for each ticker, and the hashes."""
    for salt in _SALTS:
        short_hash = f"hashtext(ticker || '{salt}')" if salt else "hashtext(ticker)"
        found = [row[0] for row in await connection.fetch(_HASHES.format(hash=short_hash), tickers)]
        if len(set(found)) == len(tickers):
            break
    return short_hash, found

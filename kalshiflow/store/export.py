"""Sessions as Parquet files: a folder each, integers with their units, streamed in row groups."""

import json
import secrets
import shutil
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kalshiflow.market.events import Side
from kalshiflow.store.columns import NANOSECONDS, TABLES, Column, ExportTable
from kalshiflow.store.database import SCHEMA_REVISION, Store
from kalshiflow.store.errors import StoreError
from kalshiflow.store.moments import Instant, as_nanoseconds, show_instant
from kalshiflow.store.parquet import ParquetFile
from kalshiflow.store.point import after_frame
from kalshiflow.store.recorded import SessionRow, get_session, received_within
from kalshiflow.store.states import last_frame_before
from kalshiflow.store.tape import FRAMES_AT_ONCE, reading

OPENING = "opening"
_HOLDING = ("listings", "accounts")
_ORDERED = ("ticker", "change_no")


class ExportRefused(StoreError):
    """The folder is there already, or a table is named that cannot be exported."""


@dataclass(frozen=True, slots=True)
class Exported:
    """One session's folder and the number of rows in each of its files."""

    session_id: str
    folder: Path
    rows: dict[str, int]


async def export_session(
    store: Store,
    session_id: str,
    to: Path,
    *,
    start: Instant | None = None,
    end: Instant | None = None,
    tables: Sequence[str] | None = None,
) -> Exported:
    """Write a session to the folder `to/session_id`: a Parquet file for each table, session.json.

    `start` (included) and `end` (not included) are times of receiving. With a `start`, the file
    `opening` has the books as they stood there, and listings and accounts begin with those that
    held already.
    The folder appears when it is whole. Raises `ExportRefused` where it is there already or a table
    is unknown, and `NotRecorded` for an unknown session.
    """
    named = _checked(tables)
    session = await get_session(store, session_id)
    folder = to / session_id
    if folder.exists():
        raise ExportRefused(f"{folder} is there already; remove it, or export to another folder")
    begin = None if start is None else as_nanoseconds(start)
    until = None if end is None else as_nanoseconds(end)
    partial = _new_folder(to, session_id)
    try:
        async with reading(store) as connection:
            job = _Job(connection, session, partial, begin, until)
            counts = {name: await job.write(name, TABLES[name]) for name in named}
            if begin is not None and "snapshots" in named:
                counts[OPENING] = await job.write_opening(begin)
            about = await _about(connection, session, begin, until, counts)
        (partial / "session.json").write_text(json.dumps(about, indent=2) + "\n")
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Exported(session_id, folder, counts)


@dataclass(frozen=True, slots=True)
class _Job:
    connection: Any
    session: SessionRow
    folder: Path
    begin: int | None
    until: int | None

    async def write(self, name: str, table: ExportTable) -> int:
        """Write one table's file and give the number of its rows."""
        with self._file(name, table.columns) as file:
            async for records in self._records(name, table):
                file.add(records)
            return file.finish()

    async def write_opening(self, begin: int) -> int:
        """Write the books as they stood before `begin`, in the form of snapshots."""
        session_id = self.session.session_id
        span = await received_within(self.connection, session_id)
        frame_no = await last_frame_before(self.connection, session_id, span, begin)
        with self._file(OPENING, TABLES["snapshots"].columns) as file:
            for ticker in sorted(self.session.markets):
                known = await after_frame(self.connection, session_id, ticker, frame_no)
                if known is None:
                    continue
                sides = [known.book.levels(side) for side in Side]
                levels = [[level[part] for level in side] for side in sides for part in (0, 1)]
                stamp = known.newest
                times = (begin, stamp.market_time, 1, None, None, None)
                file.add([(frame_no, ticker, OPENING, *levels, *times)])
            return file.finish()

    async def _records(self, name: str, table: ExportTable) -> AsyncIterator[list[Any]]:
        """Give rows in the order of frames, some thousand frames at a time."""
        session_id = self.session.session_id
        low, high = await received_within(self.connection, session_id)
        begin = self.begin
        if name in _HOLDING:
            begin = None  # what held before holds still
        if table.time == "received_at":  # only the days that the session lies in are read
            begin = low if begin is None else max(begin, low)
            until = high + 1 if self.until is None else min(self.until, high + 1)
        else:
            begin, until = begin or 0, self.until or 2**63 - 1
        names = ", ".join(column.name for column in table.columns)
        second = table.columns[1].name
        order = f"frame_no, {second}" if second in _ORDERED else "frame_no"
        query = (
            f"SELECT {names} FROM {table.table} WHERE session_id = $1"  # noqa: S608
            f" AND frame_no BETWEEN $2 AND $3 AND {table.time} >= $4 AND {table.time} < $5"
            f" ORDER BY {order}"
        )
        last = self.session.frames + 1  # listings may hold from the frame after the last
        for first in range(0, last + 1, FRAMES_AT_ONCE):
            after = min(first + FRAMES_AT_ONCE - 1, last)
            yield await self.connection.fetch(query, session_id, first, after, begin, until)

    def _file(self, name: str, columns: tuple[Column, ...]) -> ParquetFile:
        return ParquetFile(self.folder / f"{name}.parquet", columns, self.session.session_id)


def _new_folder(to: Path, session_id: str) -> Path:
    partial = to / f".{session_id}.{secrets.token_hex(4)}.partial"
    partial.mkdir(parents=True)
    return partial


def _checked(tables: Sequence[str] | None) -> list[str]:
    if tables is None:
        return list(TABLES)
    for name in tables:
        if name not in TABLES:
            raise ExportRefused(f"{name} cannot be exported; there are {', '.join(TABLES)}")
    return list(dict.fromkeys(tables))


async def _about(
    connection: Any,
    session: SessionRow,
    begin: int | None,
    until: int | None,
    counts: dict[str, int],
) -> dict[str, Any]:
    stored = await connection.fetchrow(
        "SELECT grids, closes, seams FROM rl_orderbook_sessions WHERE session_id = $1",
        session.session_id,
    )
    row = {name: getattr(session, name) for name in session.__dataclass_fields__}
    return {
        **row,
        **dict(stored),
        "schema": SCHEMA_REVISION,
        "times": NANOSECONDS,
        "exported": {
            "from": None if begin is None else show_instant(begin),
            "until": None if until is None else show_instant(until),
            "rows": counts,
        },
    }

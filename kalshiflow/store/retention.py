"""Remove the oldest days of recordings, whole, and say of each session that lost rows that it did.

A day is detached from its tables before it is dropped, and looked at again in between: what
somebody wrote into it meanwhile keeps it. All of it may be broken off at any moment and run again.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from kalshiflow.store.certificate import from_json, pruned, to_json
from kalshiflow.store.database import Store
from kalshiflow.store.partitions import (
    A_DAY,
    BY_DAY,
    MAKING_DAYS,
    day_of,
    ensure_days,
    start_of,
)

_LOCK = 0x6B707275  # any number of our own: one prunes at a time
_TABLES = """
SELECT c.relname AS name, i.inhrelid IS NOT NULL AS attached,
       coalesce(i.inhdetachpending, false) AS half_detached
  FROM pg_class AS c LEFT JOIN pg_inherits AS i ON i.inhrelid = c.oid
 WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace
   AND c.relname ~ ('^(' || array_to_string($1::text[], '|') || ')_[0-9]{8}$')
 ORDER BY right(c.relname, 8), c.relname
"""
# What was pruned already holds no day any more: it is not whole, and says so.
_HOLDERS = """
SELECT session_id, status = 'active' OR (origin = 'import' AND NOT $2) AS stays,
       coalesce(first_row_at, started_at) AS low,
       coalesce(last_row_at, ended_at, started_at) AS high
  FROM rl_orderbook_sessions
 WHERE coalesce(first_row_at, started_at) < $1 AND verdict IS DISTINCT FROM 'pruned'
"""


@dataclass(frozen=True, slots=True)
class Pruned:
    """What `prune` did: days removed, days kept because a session reaches out of them or is being
    recorded, and the sessions whose certificates are `pruned` now.
    """

    removed: tuple[date, ...]
    kept: tuple[date, ...]
    sessions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Holder:
    """A session and the days, counted from 1970, from the first to the last that it has rows in."""

    session_id: str
    first: int
    last: int
    stays: bool = False

    @property
    def days(self) -> set[int]:
        """Give these days."""
        return set(range(self.first, self.last + 1))


async def prune(
    store: Store, *, before_day: date, cut: bool = False, imports: bool = False
) -> Pruned:
    """Remove the days before a UTC day, each only where no session reaches out of it into one kept.

    With `cut` sessions that reach out lose their first rows. Days of a session that is being
    recorded always stay, and so do those of imported ones, which are old by nature, unless
    `imports` is said. A session that lost rows keeps its own row, its status, its gaps and its
    listings; its certificate's verdict becomes `pruned`.
    """
    before = start_of(before_day) // A_DAY
    async with store.connection() as connection, _alone(connection):
        tables = await _tables(connection)
        holders = await _holders(connection, before, imports=imports)
        going = days_to_remove(tables, holders, before, cut=cut)
        lost = [one for one in holders if not going.isdisjoint(one.days)]
        await _mark(connection, lost, going)
        gone = [
            day
            for day in sorted(going)
            if await _remove(connection, day, tables[day], imports=imports)
        ]
    store.days -= set(gone)
    kept = sorted(day for day in tables if day < before and day not in gone)
    return Pruned(
        tuple(map(_date, gone)), tuple(map(_date, kept)), tuple(one.session_id for one in lost)
    )


def days_to_remove(
    days: Iterable[int], holders: Sequence[Holder], before: int, *, cut: bool
) -> set[int]:
    """Say which of `days` (counted from 1970) may go, all before the day `before`.

    A day stays where a session is to stay whole, and while a session that it holds reaches into
    one that stays; with `cut` the latter is no reason.
    """
    known = set(days)
    going = {day for day in known if day < before}
    for holder in holders:
        if holder.stays:
            going -= holder.days
    changed = not cut
    while changed:
        changed = False
        for holder in holders:
            held = holder.days & known
            if held & going and (holder.last >= before or not held <= going):
                going -= held
                changed = True
    return going


@asynccontextmanager
async def _alone(connection: Any) -> AsyncIterator[None]:
    await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
    try:
        yield
    finally:
        if not connection.is_closed():
            await connection.execute("SELECT pg_advisory_unlock($1)", _LOCK)


async def _tables(connection: Any) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    for row in await connection.fetch(_TABLES, list(BY_DAY)):
        day = datetime.strptime(row["name"][-8:] + "+0000", "%Y%m%d%z").date()
        found.setdefault(start_of(day) // A_DAY, []).append(row)
    return found


async def _holders(connection: Any, before: int, *, imports: bool) -> list[Holder]:
    return [
        Holder(row["session_id"], row["low"] // A_DAY, row["high"] // A_DAY, row["stays"])
        for row in await connection.fetch(_HOLDERS, before * A_DAY, imports)
    ]


async def _mark(connection: Any, lost: Iterable[Holder], going: set[int]) -> None:
    async with connection.transaction():
        for one in lost:
            stored = await connection.fetchval(
                "SELECT certificate FROM rl_orderbook_sessions WHERE session_id = $1 FOR UPDATE",
                one.session_id,
            )
            days = sorted(one.days & going)
            left = "" if one.days <= going else f" of {_date(days[0])} to {_date(days[-1])}"
            told = pruned(from_json(stored), f"its rows{left} were removed by retention")
            await connection.execute(
                "UPDATE rl_orderbook_sessions"
                " SET verdict = 'pruned', verdict_reason = $2, certificate = $3"
                " WHERE session_id = $1",
                one.session_id,
                told.reason,
                to_json(told),
            )


async def _remove(connection: Any, day: int, tables: Iterable[Any], *, imports: bool) -> bool:
    names = []
    for table in tables:
        name, parent = table["name"], table["name"][:-9]
        names.append(name)
        if table["attached"]:
            how = "FINALIZE" if table["half_detached"] else "CONCURRENTLY"
            await connection.execute(f"ALTER TABLE {parent} DETACH PARTITION {name} {how}")
    async with connection.transaction():
        # Under this lock nobody makes days, so what is detached now stays so until it is dropped.
        await connection.execute(f"SELECT pg_advisory_xact_lock({MAKING_DAYS})")
        attached = await connection.fetchval(
            "SELECT bool_or(relispartition) FROM pg_class WHERE relname = ANY($1)", names
        )
        holders = await _holders(connection, day + 1, imports=imports)
        written = [one for one in holders if day in one.days]
        if attached or written:
            await ensure_days(connection, day * A_DAY, day * A_DAY)
            return False
        await connection.execute(f"DROP TABLE {', '.join(names)}")
    return True


def _date(day: int) -> date:
    return day_of(day * A_DAY)

"""The days' partitions: made before their rows come, named `<table>_YYYYMMDD` by UTC day."""

from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta
from typing import Any

from kalshiflow.store import rows
from kalshiflow.store.batch import Batch
from kalshiflow.store.database import Store
from kalshiflow.store.packing import received_at

A_DAY = 86_400 * 10**9  # nanoseconds
BY_DAY = (
    rows.DELTAS,
    rows.SNAPSHOTS,
    rows.TRADES,
    rows.LIFECYCLE,
    rows.FRAMES,
    rows.ACCOUNTS,
)
MAKING_DAYS = 1802267756  # the lock under which the database's `rl_make_days` works


def day_of(at: int) -> date:
    """Give the UTC day of a time in nanoseconds."""
    return date(1970, 1, 1) + timedelta(days=at // A_DAY)


def start_of(day: date) -> int:
    """Give the first nanosecond of a UTC day."""
    return (day - date(1970, 1, 1)).days * A_DAY


async def ensure_days(connection: Any, first_ns: int, last_ns: int) -> int:
    """Make the partitions from one receive time to another; gives how many were missing.

    Not to be called within a transaction that goes on: others would wait for it.
    """
    made: int = await connection.fetchval("SELECT rl_make_days($1, $2)", first_ns, last_ns)
    return made


async def make_days_ahead(store: Store, days: int = 7) -> int:
    """Make the partitions of today and so many days after it; gives how many were missing."""
    now = start_of(datetime.now(UTC).date())
    async with store.connection() as connection:
        return await ensure_days(connection, now, now + days * A_DAY)


async def prepare_days(store: Store, days: Collection[int]) -> None:
    """Make the partitions of days, counted from 1970, once per store."""
    missing = sorted(set(days) - store.days)
    if missing:
        async with store.connection() as connection:
            for day in missing:
                await ensure_days(connection, day * A_DAY, day * A_DAY)
        store.days.update(missing)


def days_of(batch: Batch) -> set[int]:
    """Give the days, counted from 1970, in which the rows of a batch were received.

    Where our clock was set these may be years apart: the days between are not among them.
    """
    if batch.earliest is None or batch.latest is None:
        return set()
    first, last = batch.earliest // A_DAY, batch.latest // A_DAY
    if last - first > 1:
        found = {received_at(row) // A_DAY for row in batch.deltas}
        for table in BY_DAY:
            place = rows.COLUMNS[table].index("received_at")
            found |= {row[place] // A_DAY for row in batch.tables[table]}
        return found
    return {first, last}

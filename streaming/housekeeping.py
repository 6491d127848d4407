"""What a long recording needs beside it: days' partitions made ahead, old days removed, repair."""

import asyncio
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import structlog

from kalshiflow.recording.ingest import Ingest
from kalshiflow.recording.repairing import repair_left, stubbornly
from kalshiflow.store.database import Store
from kalshiflow.store.leases import Lease
from kalshiflow.store.partitions import make_days_ahead
from kalshiflow.store.retention import prune
from streaming.health import SECOND
from streaming.intake import Intake

EACH_SECONDS = 6 * 3600.0

log = structlog.get_logger()


def first_kept_day(now: int, days: int) -> date:
    """Give the first UTC day that is kept: today and the `days - 1` before it; `now` in ns."""
    return datetime.fromtimestamp(now // SECOND, UTC).date() - timedelta(days=days - 1)


class Housekeeping:
    """Runs beside recording and never hurries: where the database is away it tries again."""

    def __init__(
        self,
        store: Store,
        *,
        environment: str,
        shard: str,
        retention_days: int | None,
        clock: Callable[[], int],
        lease: Lease | None = None,
    ) -> None:
        self._lease = lease
        self._store = store
        self._environment = environment
        self._shard = shard
        self._retention_days = retention_days
        self._clock = clock

    async def run(self, ingest: Ingest, intake: Intake) -> None:
        """Repair once what other spools left open, and keep the days, for ever.

        Repair waits until all that this spool held at the start is committed, and leaves alone what
        it feeds since. Raises `LeaseLost` where somebody else records by then.
        """
        held = intake.recorder.position
        await stubbornly(self.keep_days)
        await repair_left(
            self._store,
            ingest,
            held,
            intake.sessions,
            origin="collector",
            environment=self._environment,
            shard=self._shard,
            lease=self._lease,
        )
        while True:
            await asyncio.sleep(EACH_SECONDS)
            await stubbornly(self.keep_days)

    async def keep_days(self) -> None:
        """Make the days to come, and remove those beyond retention."""
        made = await make_days_ahead(self._store)
        if made:
            log.info("days_made", partitions=made)
        if self._retention_days is None:
            return
        pruned = await prune(
            self._store, before_day=first_kept_day(self._clock(), self._retention_days)
        )
        if pruned.removed or pruned.kept:
            log.info(
                "days_removed",
                removed=len(pruned.removed),
                kept=len(pruned.kept),
                sessions=pruned.sessions,
            )

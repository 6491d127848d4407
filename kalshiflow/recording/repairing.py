"""What other recorders left open is closed, once one's own spool has been caught up with."""

import asyncio
from collections.abc import Awaitable, Callable, Collection

import structlog

from kalshiflow.exchange.backoff import Backoff
from kalshiflow.recording.ingest import Ingest
from kalshiflow.store.closing import repair_sessions
from kalshiflow.store.database import Store
from kalshiflow.store.errors import StoreUnavailable
from kalshiflow.store.leases import Lease

LOOK_SECONDS = 0.5

log = structlog.get_logger()


async def repair_left(
    store: Store,
    ingest: Ingest,
    held: int,
    fed: Collection[str],
    *,
    origin: str,
    environment: str,
    shard: str,
    lease: Lease | None,
) -> None:
    """Close the open sessions that nobody feeds, once the records up to `held` are committed.

    `fed` are the sessions that our own spool feeds since. Raises `LeaseLost` where somebody else
    records by then.
    """
    while ingest.committed < held:  # noqa: ASYNC110 - no event tells, and nobody hurries
        await asyncio.sleep(LOOK_SECONDS)

    async def repair() -> None:
        left = await repair_sessions(
            store, [origin], environment=environment, shard=shard, keep=fed, lease=lease
        )
        for repaired in left:
            log.info("session_repaired", session=repaired.session_id, verdict=repaired.verdict)

    await stubbornly(repair)


async def stubbornly(work: Callable[[], Awaitable[None]]) -> None:
    """Do some work that never hurries, again and again while the database is away."""
    backoff = Backoff(initial=1.0, cap=60.0)
    while True:
        try:
            await work()
        except StoreUnavailable as away:
            log.info("housekeeping_waits", reason=str(away))
            await asyncio.sleep(backoff.next_delay())
        else:
            return

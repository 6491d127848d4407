"""The right to record a share: waited for, taken up where the spool ends, kept, given back."""

import asyncio
import socket
import time
from collections.abc import Callable

import structlog

from kalshiflow.exchange.backoff import Backoff
from kalshiflow.recording.ingest import Ingest
from kalshiflow.recording.recorder import Recorder
from kalshiflow.recording.recovery import recover
from kalshiflow.recording.spool import Spool, SpoolFull
from kalshiflow.store.database import Store
from kalshiflow.store.errors import StoreUnavailable
from kalshiflow.store.leases import Lease, acquire_lease, lease_holder, release_lease, renew_lease

LEASE_SECONDS = 15.0
RENEW_SECONDS = 5.0
LOOK_SECONDS = 1.0
GIVE_BACK_SECONDS = 2.0

Tell = Callable[[str], None]
log = structlog.get_logger()


async def obtain_lease(store: Store, key: str, spool_id: str, program: str, wait: Tell) -> Lease:
    """Wait until nobody else records under this key, and take the lease; `wait` is told why.

    It is held in the spool's name, which one process at a time has: a `program` that was killed
    gets its lease back at once, without waiting until it expires.
    """
    holder = f"{socket.gethostname()}:{spool_id}"
    backoff = Backoff(initial=1.0, cap=LEASE_SECONDS)
    while True:
        try:
            lease = await acquire_lease(store, key, holder, LEASE_SECONDS)
            if lease is not None:
                log.info("lease_taken", key=key, epoch=lease.epoch)
                return lease
            other = await lease_holder(store, key) or f"another {program}"
            wait(f"{other} records {key}; this {program} begins when that one ends")
            await asyncio.sleep(LOOK_SECONDS)
        except StoreUnavailable as away:
            wait(f"it cannot be seen who records {key}: {away}")
            await asyncio.sleep(backoff.next_delay())


async def begin(store: Store, spool: Spool, lease: Lease, full: Tell) -> Recorder:
    """Give the recorder that goes on from what the spool holds.

    A spool that is full is brought into the database first, as far as that makes room; `full` is
    told so.
    """
    while True:
        try:
            return await recover(store, spool, lease, time.time_ns)
        except SpoolFull as refused:
            log.warning("spool_full", reason=str(refused))
            full(f"{refused}; recording begins when there is room")
        passing = Recorder()
        passing.position = spool.flushed  # a note may be in memory, which nobody can read
        ingest = Ingest(store, spool, passing, lease, clock=time.time_ns)
        await ingest.drain()
        spool.release(ingest.committed)  # also where all was committed before
        await asyncio.sleep(LOOK_SECONDS)


async def keep_lease(store: Store, lease: Lease) -> None:
    """Renew the lease for ever; raises `LeaseLost` where somebody has taken it over.

    While the database is away nobody can take it, and recording goes on into the spool.
    """
    while True:
        await asyncio.sleep(RENEW_SECONDS)
        try:
            await renew_lease(store, lease, LEASE_SECONDS)
        except StoreUnavailable as away:
            log.info("lease_not_renewed", reason=str(away))


async def give_back(store: Store, lease: Lease) -> None:
    """Let the next one have the lease at once, if the database can be told."""
    try:
        async with asyncio.timeout(GIVE_BACK_SECONDS):
            await release_lease(store, lease)
    except (StoreUnavailable, TimeoutError) as away:
        log.warning("lease_not_released", reason=str(away), seconds=LEASE_SECONDS)

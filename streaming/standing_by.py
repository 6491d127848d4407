"""Waiting for the spool and for the right to record a shard, and saying so in health."""

import asyncio
from collections.abc import Callable

import structlog

from kalshiflow.recording import holding
from kalshiflow.recording.holding import give_back, keep_lease
from kalshiflow.recording.recorder import Recorder
from kalshiflow.recording.spool import Spool, SpoolInUse
from kalshiflow.store.database import Store
from kalshiflow.store.leases import Lease
from streaming.health import Health, State

__all__ = ["begin", "give_back", "keep_lease", "obtain_lease", "take_spool"]

log = structlog.get_logger()


async def take_spool(take: Callable[[], Spool], health: Health) -> Spool:
    """Open the spool, once no other process has it."""
    while True:
        try:
            return take()
        except SpoolInUse as used:
            _stand_by(health, f"{used}; this collector begins when that one ends")
        await asyncio.sleep(holding.LOOK_SECONDS)


async def obtain_lease(store: Store, key: str, spool_id: str, health: Health) -> Lease:
    """Wait until nobody else records under this key, and take the lease."""
    return await holding.obtain_lease(
        store, key, spool_id, "collector", lambda detail: _stand_by(health, detail)
    )


async def begin(store: Store, spool: Spool, lease: Lease, health: Health) -> Recorder:
    """Give the recorder that goes on from what the spool holds."""
    return await holding.begin(
        store, spool, lease, lambda detail: health.become(State.SPOOL_FULL, detail)
    )


def _stand_by(health: Health, detail: str) -> None:
    if (health.state, health.detail) != (State.STANDBY, detail):
        log.info("standing_by", reason=detail)
    health.become(State.STANDBY, detail)

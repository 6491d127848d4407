"""Leases: at most one recorder of a share at a time, and nothing is written by one that was.

A lease is held under a key (`lease_key`) until it expires by the database's clock. Each holding has
an epoch, one above the one before, and every commit reads the lease's row FOR SHARE. So a recorder
that slept through its lease finds another epoch there and gets `LeaseLost`, and while its commit is
under way nobody can take over.
"""

from dataclasses import dataclass
from typing import Any

from kalshiflow.store.database import Store
from kalshiflow.store.errors import LeaseLost

__all__ = [
    "Lease",
    "LeaseLost",
    "acquire_lease",
    "check_lease",
    "lease_holder",
    "lease_key",
    "release_lease",
    "renew_lease",
    "superseded_at",
]

_NOW = "(extract(epoch FROM clock_timestamp()) * 1000000000)::bigint"
_UNTIL = "clock_timestamp() + make_interval(secs => $3)"
# Who asks for a lease that is held does not touch its row: he would wait for a commit under way
# before its holder does, and have the lease when a long one is done.
_ACQUIRE = f"""
WITH taken AS (
    INSERT INTO rl_recorder_leases AS lease (lease_key, holder, epoch, began_at, expires_at)
    SELECT $1, $2, 1, {_NOW}, {_UNTIL}
     WHERE NOT EXISTS (SELECT FROM rl_recorder_leases
                        WHERE lease_key = $1 AND holder <> $2 AND expires_at > clock_timestamp())
    ON CONFLICT (lease_key) DO UPDATE
       SET holder = excluded.holder, epoch = lease.epoch + 1,
           began_at = greatest({_NOW}, lease.began_at + 1), expires_at = {_UNTIL}
     WHERE lease.expires_at <= clock_timestamp() OR lease.holder = excluded.holder
    RETURNING lease_key, epoch, holder, began_at
), noted AS (
    INSERT INTO rl_recorder_epochs (lease_key, epoch, holder, began_at)
    SELECT lease_key, epoch, holder, began_at FROM taken
)
SELECT epoch, began_at FROM taken
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Lease:
    """One holding of a lease; `began_at` is the database's time, UTC nanoseconds."""

    key: str
    holder: str
    epoch: int
    began_at: int


def lease_key(environment: str, origin: str, shard: str) -> str:
    """Give the key of a recorder's share: `local/collector/main`."""
    return f"{environment}/{origin}/{shard}"


async def acquire_lease(store: Store, key: str, holder: str, seconds: float) -> Lease | None:
    """Take a lease that is free or has expired; gives `None` where somebody else has it.

    `holder` names who records and must be of one process at a time, such as the id of a spool,
    which only one process can open. It gets its own lease back at once, with a new epoch: what is
    left of its predecessor can write nothing more.
    """
    async with store.connection() as connection:
        taken = await connection.fetchrow(_ACQUIRE, key, holder, seconds)
    return None if taken is None else Lease(key, holder, taken["epoch"], taken["began_at"])


async def renew_lease(store: Store, lease: Lease, seconds: float) -> None:
    """Hold a lease for so many seconds from now; raises `LeaseLost` where it was taken over."""
    async with store.connection() as connection:
        found = await connection.fetchval(
            f"UPDATE rl_recorder_leases SET expires_at = {_UNTIL}"  # noqa: S608
            " WHERE lease_key = $1 AND holder = $2 AND epoch = $4 RETURNING epoch",
            lease.key,
            lease.holder,
            seconds,
            lease.epoch,
        )
    if found is None:
        raise _lost(lease)


async def release_lease(store: Store, lease: Lease) -> None:
    """Let the next one have it now; a lease that was lost already stays with its holder."""
    async with store.connection() as connection:
        await connection.execute(
            "UPDATE rl_recorder_leases SET expires_at = clock_timestamp()"
            " WHERE lease_key = $1 AND holder = $2 AND epoch = $3",
            lease.key,
            lease.holder,
            lease.epoch,
        )


async def lease_holder(store: Store, key: str) -> str | None:
    """Give who has a lease now, `None` where it is free."""
    async with store.connection() as connection:
        holder: str | None = await connection.fetchval(
            "SELECT holder FROM rl_recorder_leases"
            " WHERE lease_key = $1 AND expires_at > clock_timestamp()",
            key,
        )
    return holder


async def superseded_at(
    store: Store, key: str, epoch: int, *, holder: str | None = None
) -> int | None:
    """Give when the epoch after this one began (UTC nanoseconds), `None` while this one lasts.

    With `holder`, epochs of that holder's own do not count: nobody else was at work then.
    """
    async with store.connection() as connection:
        began_at: int | None = await connection.fetchval(
            "SELECT began_at FROM rl_recorder_epochs WHERE lease_key = $1 AND epoch > $2"
            " AND ($3::text IS NULL OR holder <> $3) ORDER BY epoch LIMIT 1",
            key,
            epoch,
            holder,
        )
    return began_at


async def check_lease(connection: Any, lease: Lease) -> None:
    """Make sure, until the transaction ends, that the lease is held; raises `LeaseLost`."""
    found = await connection.fetchrow(
        "SELECT holder, epoch FROM rl_recorder_leases WHERE lease_key = $1 FOR SHARE", lease.key
    )
    if found is None or (found["holder"], found["epoch"]) != (lease.holder, lease.epoch):
        raise _lost(lease)


def _lost(lease: Lease) -> LeaseLost:
    return LeaseLost(
        f"the lease {lease.key} that {lease.holder} had as epoch {lease.epoch} was taken over: "
        f"another recorder is at work"
    )

"""Until when a shard was recorded, for a recorder whose own spool knows nothing of it."""

from dataclasses import dataclass

from kalshiflow.store.database import Store


@dataclass(frozen=True, slots=True)
class LastRecorded:
    """The end of the newest session: its last row's receive time (UTC nanoseconds), its markets."""

    session_id: str
    at: int
    markets: tuple[str, ...]


async def last_recorded(
    store: Store, *, environment: str, origin: str, shard: str
) -> LastRecorded | None:
    """Give until when a shard was recorded, `None` where it never was."""
    async with store.connection() as connection:
        found = await connection.fetchrow(
            "SELECT session_id, coalesce(last_row_at, ended_at, started_at) AS at, markets"
            " FROM rl_orderbook_sessions WHERE environment = $1 AND origin = $2 AND shard = $3"
            " ORDER BY started_at DESC, session_id DESC LIMIT 1",
            environment,
            origin,
            shard,
        )
    if found is None:
        return None
    return LastRecorded(found["session_id"], found["at"], tuple(found["markets"]))

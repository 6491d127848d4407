"""One recorder of a kind per database: a second one must not repair what the first still writes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from zlib import crc32

import asyncpg

from kalshiflow.store.database import CONNECT_SECONDS, CONNECTION_TROUBLE, Store
from kalshiflow.store.errors import StoreError


class AlreadyRecording(StoreError):
    """Another recorder of this kind writes into the same database."""


@asynccontextmanager
async def only_recorder(store: Store, origin: str) -> AsyncIterator[None]:
    """Hold the right to record sessions of this origin; raises `AlreadyRecording`.

    The right is bound to a connection that is kept for it, so it ends with the process. Where that
    connection breaks, the rows are still safe: whoever writes into a session that somebody else
    has closed gets `SessionLost`.
    """
    key = crc32(f"kalshiflow recorder {origin}".encode())
    connection = await store.pool.acquire(timeout=CONNECT_SECONDS)
    try:
        if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", key):
            raise AlreadyRecording(
                f"another {origin} already records into this database; stop it first"
            )
        yield
    finally:
        with suppress(*CONNECTION_TROUBLE, asyncpg.InterfaceError):
            await store.pool.release(connection)  # a released connection gives up its locks

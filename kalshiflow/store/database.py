"""The store's connections: open a pool on a database whose schema is known."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import asyncpg
import uvloop

from kalshiflow.store.errors import SchemaUnknown, StoreUnavailable

SCHEMA_REVISION = "r0003"
CONNECT_SECONDS = 10.0
_JSONB_VERSION = b"\x01"
# A client whose machine went down must not hold its locks for hours.
_SERVER_SETTINGS = {
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}

T = TypeVar("T")

# What a broken or refused connection raises, told apart from errors of our own statements.
CONNECTION_TROUBLE = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.InternalClientError,  # what asyncpg's own bookkeeping raises as a connection breaks
    asyncpg.OperatorInterventionError,  # it is being shut down, or was
    asyncpg.InsufficientResourcesError,  # its disk is full, its memory, its connections
    asyncpg.PostgresSystemError,  # its disk cannot be written or read
    asyncpg.TransactionRollbackError,  # a deadlock: one of two had to yield
    asyncpg.ReadOnlySQLTransactionError,  # it is a standby, for now
    asyncpg.LockNotAvailableError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
)


class Store:
    """A pool of connections to the database `app`. Make one with `Store.open`."""

    def __init__(self, pool: Any) -> None:
        self.pool = pool
        self.days: set[int] = set()  # days since 1970 whose partitions are known to be there

    @classmethod
    async def open(cls, url: str, *, max_connections: int = 4) -> "Store":
        """Connect and check the schema.

        Raises `StoreUnavailable` where the database cannot be reached and `SchemaUnknown` where its
        schema is not ours; both say what to do in one sentence.
        """
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                pool = await asyncpg.create_pool(
                    _plain(url),
                    min_size=1,
                    max_size=max_connections,
                    init=_prepare,
                    server_settings=_SERVER_SETTINGS,
                )
        except CONNECTION_TROUBLE as failed:
            raise StoreUnavailable(
                f"the database at {_place(url)} cannot be reached ({_line(failed)}); "
                f"run `kalshiflow up`, or correct DATABASE_URL"
            ) from failed
        except asyncpg.ClientConfigurationError as wrong:
            raise StoreUnavailable(f"DATABASE_URL cannot be used: {_line(wrong)}") from wrong
        store = cls(pool)
        try:
            await store.check_schema()
        except BaseException:
            await pool.close()
            raise
        return store

    async def close(self) -> None:
        """Close all connections; what does not close in time is cut."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await self.pool.close()
        except TimeoutError:
            self.pool.terminate()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def check_schema(self) -> None:
        """Raise `SchemaUnknown` unless the schema is the one this code was written for."""
        async with self.connection() as connection:
            found = None
            if await connection.fetchval("SELECT to_regclass('alembic_version')"):
                found = await connection.fetchval("SELECT version_num FROM alembic_version")
        if found != SCHEMA_REVISION:
            raise SchemaUnknown(
                f"the database's schema is {found or 'missing'}, this program knows "
                f"{SCHEMA_REVISION}; run `kalshiflow migrate`"
            )

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        """Lend a connection; trouble with it is raised as `StoreUnavailable`."""
        ended: BaseException | None = None
        is_lent = False
        try:
            async with self.pool.acquire(timeout=CONNECT_SECONDS) as connection:
                is_lent = True
                try:
                    yield connection
                except (asyncpg.InterfaceError, asyncpg.InternalClientError) as failed:
                    # Misuse by us has the same class as a connection that broke under our hands.
                    if not _is_gone(connection):
                        ended = failed
                        raise
                    raise StoreUnavailable(f"the database went away: {_line(failed)}") from failed
                except asyncio.CancelledError as cancelled:
                    ended = cancelled
                    raise
        except asyncpg.InterfaceError as failed:
            # One that broke in the middle of something cannot be given back, and says so here.
            if ended is not None:
                raise ended from None
            if not is_lent:
                raise
            raise StoreUnavailable(f"the database went away: {_line(failed)}") from failed
        except CONNECTION_TROUBLE as failed:
            raise StoreUnavailable(f"the database cannot be used: {_line(failed)}") from failed

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        """Lend a connection with a transaction around its use."""
        async with self.connection() as connection, connection.transaction():
            yield connection


def run(url: str, work: Callable[[Store], Awaitable[T]]) -> T:
    """Open a store, await `work` on it and close it: for callers that have no event loop."""

    async def opened() -> T:
        async with await Store.open(url, max_connections=2) as store:
            return await work(store)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(opened())


async def _prepare(connection: Any) -> None:
    await connection.set_type_codec(
        "jsonb",
        encoder=_encode_jsonb,
        decoder=_decode_jsonb,
        schema="pg_catalog",
        format="binary",  # COPY knows no other
    )


def _is_gone(connection: Any) -> bool:
    try:
        return bool(connection.is_closed())
    except asyncpg.InterfaceError:
        return True  # the pool has taken a broken connection back already


def _encode_jsonb(value: Any) -> bytes:
    return _JSONB_VERSION + json.dumps(value).encode()


def _decode_jsonb(data: bytes) -> Any:
    return json.loads(data[len(_JSONB_VERSION) :])


def _plain(url: str) -> str:
    return "postgresql://" + url.partition("://")[2]


def _place(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or 5432}{parts.path}"


def _line(failed: BaseException) -> str:
    lines = str(failed).strip().splitlines()
    return lines[0] if lines else type(failed).__name__

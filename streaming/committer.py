"""Carries rows from sessions' writers to the database, and waits where the database is away."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from kalshiflow.exchange.backoff import Backoff
from kalshiflow.store.errors import StoreUnavailable
from kalshiflow.store.sessions import SessionWriter
from streaming.health import Health

FLUSH_SECONDS = 0.05
ROWS_LIMIT = 100_000  # in memory; beyond it reading from the exchange stops
RETRY_CAP_SECONDS = 5.0

T = TypeVar("T")
log = structlog.get_logger()


class Committer:
    """Commits the current session's rows in batches, and closes the sessions that have ended.

    Rows wait in memory while the database is away; `room` then holds back whoever reads frames.
    """

    def __init__(self, health: Health) -> None:
        self._health = health
        self._current: SessionWriter | None = None
        self._ended: deque[tuple[SessionWriter, str]] = deque()
        self._has_ended = asyncio.Event()
        self._has_room = asyncio.Event()
        self._written_before = 0

    def follow(self, writer: SessionWriter) -> None:
        """Commit this writer's rows from now on."""
        self._current = writer

    def retire(self, writer: SessionWriter, reason: str) -> None:
        """Close this writer's session as soon as its rows are committed."""
        if self._current is writer:
            self._current = None
        self._ended.append((writer, reason))
        self._has_ended.set()

    @property
    def waiting(self) -> int:
        """Give the number of rows that are in memory only."""
        ended = sum(writer.pending for writer, _ in self._ended) if self._ended else 0
        return ended + (0 if self._current is None else self._current.pending)

    @property
    def is_full(self) -> bool:
        """Say whether reading must stop until `room`."""
        return self.waiting >= ROWS_LIMIT

    async def room(self) -> None:
        """Wait until there is room for more rows."""
        while self.is_full:
            self._has_room.clear()
            await self._has_room.wait()

    async def commit(self) -> None:
        """Commit what comes, for ever. Raises `SessionLost` where another recorder is at work."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            if self._current is not None:
                await self._stubbornly(self._current.flush)
            self._publish()

    async def close(self) -> None:
        """Close ended sessions, for ever."""
        while True:
            await self._has_ended.wait()
            self._has_ended.clear()
            await self.drain()

    async def drain(self) -> None:
        """Close the sessions that have ended until none is left."""
        while self._ended:
            writer, reason = self._ended[0]
            certificate = await self._stubbornly(lambda: writer.close(reason))  # noqa: B023
            self._ended.popleft()
            self._written_before += writer.rows_written
            self._publish()
            if certificate is None:
                continue
            self._health.sessions_closed += 1
            log.info(
                "session_closed",
                session=writer.session_id,
                frames=certificate.frames,
                verdict=certificate.verdict,
                reason=certificate.reason,
            )

    async def _stubbornly(self, work: Callable[[], Awaitable[T]]) -> T:
        backoff = Backoff(initial=0.2, cap=RETRY_CAP_SECONDS)
        while True:
            try:
                done = await work()
            except StoreUnavailable as away:
                if self._health.database_trouble is None:
                    log.warning("database_away", reason=str(away))
                self._health.database_trouble = str(away)
                self._publish()
                await asyncio.sleep(backoff.next_delay())
            else:
                if self._health.database_trouble is not None:
                    log.info("database_back")
                self._health.database_trouble = None
                return done

    def _publish(self) -> None:
        current = 0 if self._current is None else self._current.rows_written
        ended = sum(writer.rows_written for writer, _ in self._ended)
        self._health.rows_written = self._written_before + ended + current
        self._health.rows_waiting = self.waiting
        if not self.is_full:
            self._has_room.set()

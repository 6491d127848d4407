"""Draws the certificates of sessions that have ended, one after the other, off the hot path."""

import asyncio
from contextlib import suppress

import structlog

from kalshiflow.recording.patience import Patience
from kalshiflow.store.certificate import Certificate
from kalshiflow.store.closing import certify_session, ended_sessions
from kalshiflow.store.database import Store

LOOK_SECONDS = 30.0  # without being told of an end: others may have left some

log = structlog.get_logger()


class Closer:
    """Closes the sessions that their recorder has ended, those left by a crash included.

    What it was told by a database that then went away is done again: a certificate that was drawn
    already is given as it is. `closed` counts certificates, `newest` is the last one.
    """

    def __init__(self, store: Store, *, environment: str, origin: str, shard: str = "main") -> None:
        self.closed = 0
        self.newest: Certificate | None = None
        self._patience = Patience()
        self._store = store
        self._whose = {"environment": environment, "origin": origin, "shard": shard}
        self._is_wanted = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()

    @property
    def trouble(self) -> str | None:
        """What the database last refused; `None` while it answers."""
        return self._patience.trouble

    def look(self) -> None:
        """Say that a session has ended: an `Ingest` does so."""
        self._is_wanted.set()

    async def run(self) -> None:
        """Close what has ended, for ever; waits where the database is away."""
        while True:
            self._is_wanted.clear()
            await self.drain()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._is_wanted.wait()

    async def drain(self) -> None:
        """Close sessions until none is left that has ended."""
        async with self._one_at_a_time:
            while ended := await self._patience.until_done(self._ended_ones):
                for session_id in ended:
                    await self._close(session_id)

    async def _ended_ones(self) -> list[str]:
        return await ended_sessions(self._store, **self._whose)

    async def _close(self, session_id: str) -> None:
        certificate = await self._patience.until_done(
            lambda: certify_session(self._store, session_id)
        )
        self.closed += 1
        self.newest = certificate
        log.info(
            "session_closed",
            session=session_id,
            frames=certificate.frames,
            verdict=certificate.verdict,
            reason=certificate.reason,
        )

"""Waiting for a database that is away, and saying so."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from kalshiflow.exchange.backoff import Backoff
from kalshiflow.store.errors import StoreUnavailable

RETRY_SECONDS = 5.0  # at most, between two tries
_FIRST_SECONDS = 0.1

T = TypeVar("T")
log = structlog.get_logger()


class GivenUp(Exception):
    """What was tried is no longer wanted."""


class Patience:
    """Tries what the database refuses again and again; `trouble` says why, while it does."""

    def __init__(self, retry_seconds: float = RETRY_SECONDS) -> None:
        self.trouble: str | None = None
        self._retry_seconds = retry_seconds

    async def until_done(
        self, work: Callable[[], Awaitable[T]], is_wanted: Callable[[], bool] = lambda: True
    ) -> T:
        """Do some work, as often as it takes; raises `GivenUp` once it is not wanted any more."""
        backoff = Backoff(initial=min(_FIRST_SECONDS, self._retry_seconds), cap=self._retry_seconds)
        while True:
            try:
                done = await work()
            except StoreUnavailable as away:
                if self.trouble is None:
                    log.warning("database_away", reason=str(away))
                self.trouble = str(away)
            else:
                if self.trouble is not None:
                    log.info("database_back")
                self.trouble = None
                return done
            if not is_wanted():
                raise GivenUp
            await asyncio.sleep(backoff.next_delay())

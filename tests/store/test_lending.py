"""Lending a connection that breaks while it is given back."""

import asyncio
from contextlib import asynccontextmanager

import asyncpg
import pytest

from kalshiflow.store.database import Store
from kalshiflow.store.errors import StoreUnavailable


class BreakingPool:
    """Lends one connection, and fails when it comes back, as one does that is amid a statement."""

    @asynccontextmanager
    async def acquire(self, *, timeout):
        try:
            yield object()
        finally:
            raise asyncpg.InterfaceError("another operation is in progress")


async def test_a_connection_that_cannot_be_given_back_is_a_database_that_went_away():
    with pytest.raises(StoreUnavailable, match="another operation is in progress"):
        async with Store(BreakingPool()).connection():
            pass


async def test_a_task_that_was_cancelled_stays_so_whatever_its_connection_says():
    with pytest.raises(asyncio.CancelledError):
        async with Store(BreakingPool()).connection():
            raise asyncio.CancelledError

"""A store on a fresh database, that goes away when a test tells it to."""

from collections.abc import AsyncIterator

import pytest
from ingest_stand import WeakStore


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[WeakStore]:
    """Give a store on a fresh database."""
    async with await WeakStore.open(postgres_url) as opened:
        yield opened

"""A venue with faults."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from kalshiflow.venue.app import Serving
from kalshiflow.venue.config import VenueConfig

Faulty = Callable[..., AbstractAsyncContextManager[Serving]]


@pytest.fixture
def faulty(serve_venue: Any, key_dir: Path) -> Faulty:
    """Give a function that serves two quick markets with faults."""

    @asynccontextmanager
    async def served(*faults: str, **options: Any) -> AsyncIterator[Serving]:
        config = VenueConfig(
            **{
                "markets": 2,
                "speed": 40.0,
                "key_dir": key_dir,
                "tier": "unlimited",
                "fault_lines": faults,
                **options,
            }
        )
        async with serve_venue(config) as serving:
            yield serving

    return served

"""A venue whose books stand still, for other people's clients to trade at."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kalshiflow.venue.app import Serving
from kalshiflow.venue.config import VenueConfig


@pytest.fixture
async def still_venue(serve_venue, key_dir: Path) -> AsyncIterator[Serving]:
    """Give a venue with two synthetic markets in whole cents, and market time that stands."""
    async with serve_venue(
        VenueConfig(markets=2, hold=True, key_dir=key_dir, tier="prestige")
    ) as serving:
        yield serving

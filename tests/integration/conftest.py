"""Fixtures for recordings under fire: a venue to record, a server to kill."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from recording_stand import Open, Serve, durable_server, opener

from kalshiflow.stack.postgres import PostgresServer


@pytest.fixture
def stand(serve_venue: Serve, tmp_path: Path, key_dir: Path, postgres_url: str) -> Open:
    """Give a function that runs a venue of four lively markets, and the way to record it."""
    return opener(serve_venue, tmp_path, key_dir, postgres_url)


@pytest.fixture(scope="session")
def key_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder for the venues' keys; making one takes a moment."""
    return tmp_path_factory.mktemp("venue-key")


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """Give a server of its own, whose commits reach the disk."""
    with durable_server() as running:
        yield running

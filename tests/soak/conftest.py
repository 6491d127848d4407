"""Fixtures for the long forms of recordings under fire."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from recording_stand import Open, durable_server, fresh_database, opener

from kalshiflow.stack.postgres import PostgresServer
from kalshiflow.venue.app import serve


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """Give a server of its own, whose commits reach the disk."""
    with durable_server() as running:
        yield running


@pytest.fixture
def stand(tmp_path: Path, server: PostgresServer) -> Open:
    """Give a function that runs a venue, and the way to record it into a database of that server."""
    return opener(serve, tmp_path, tmp_path / "keys", fresh_database(server))

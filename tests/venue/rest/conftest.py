"""A desk at a venue without sockets; what it is answered is judged by Kalshi's description."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from oracle import Oracle
from order_desk import Desk

from kalshiflow.exchange.credentials import Credentials
from kalshiflow.venue.keys import client_key

DeskOf = Callable[..., Desk]


@pytest.fixture(scope="session")
def credentials(key_dir: Path) -> Credentials:
    """Give what a client signs with; a private key takes its time to be read."""
    key = client_key(key_dir)
    return Credentials.from_pem(key.key_id, key.private_key_path.read_text())


@pytest.fixture
def desk_of(credentials: Credentials, tmp_path: Path, oracle: Oracle | None) -> Iterator[DeskOf]:
    """Give a function that opens a desk, by options; its answers are judged after the test."""
    logs: list[Path] = []

    def open_desk(**options: Any) -> Desk:
        logs.append(tmp_path / f"desk-{len(logs)}.jsonl")
        logs[-1].touch()
        return Desk(credentials, logs[-1], **options)

    yield open_desk
    if oracle is not None:
        assert [problem for log in logs for problem in oracle.problems(log)] == []


@pytest.fixture
def desk(desk_of: DeskOf) -> Desk:
    """Give a desk without limits."""
    return desk_of()

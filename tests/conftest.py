"""Fixtures that many tests share: a database each, the recordings, a venue, a free port."""

import contextlib
import os
import random
import secrets
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path

import psutil
import psycopg2
import pytest
from oracle import Oracle

from kalshiflow.stack.postgres import PostgresServer, create_database
from kalshiflow.venue.app import Serving, serve
from kalshiflow.venue.config import VenueConfig

_ROOT = Path(__file__).resolve().parent.parent
_PREFIX = "kalshiflow-tests-"
# Nothing of a test's database outlives the test, so nothing needs to reach the disk.
_OPTIONS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
}


def _remove_leftovers() -> None:
    """End the servers of test runs that were killed; their folders carry the run's pid."""
    for state in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        pid = state.name.removeprefix(_PREFIX).split("-")[0]
        mine = state.stat().st_uid == os.geteuid()
        if mine and pid.isdigit() and not psutil.pid_exists(int(pid)):
            PostgresServer(state).remove()
            shutil.rmtree(state, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """Give one running server for the whole run; its databases `app`, `dagster`, `mlflow` are empty."""
    _remove_leftovers()
    state = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
    server = PostgresServer(state, _OPTIONS)
    try:
        server.start()
        yield server
    finally:
        server.remove()
        shutil.rmtree(state, ignore_errors=True)


@pytest.fixture(scope="session")
def migrated_template(postgres_server: PostgresServer) -> str:
    """Give the name of a database that has our tables, and that new ones are copied from."""
    from kalshiflow.store.migrate import migrate

    name = "migrated"
    create_database(postgres_server.url("postgres"), name)
    migrate(postgres_server.url(name))
    return name


@pytest.fixture
def empty_database(postgres_server: PostgresServer) -> Iterator[Callable[[], str]]:
    """Give a function that makes a database without tables and gives its URL."""
    yield from _database_maker(postgres_server, None)


@pytest.fixture
def postgres_url(postgres_server: PostgresServer, migrated_template: str) -> Iterator[str]:
    """Give the URL of a fresh database with our tables; it is dropped after the test."""
    for make in _database_maker(postgres_server, migrated_template):
        yield make()


def _database_maker(server: PostgresServer, template: str | None) -> Iterator[Callable[[], str]]:
    made: list[str] = []

    def make() -> str:
        name = f"test_{secrets.token_hex(6)}"
        create_database(server.url("postgres"), name, template)
        made.append(name)
        return server.url(name)

    yield make
    connection = psycopg2.connect(server.url("postgres"))
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for name in made:
                cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        connection.close()


def _recordings() -> Path:
    return Path(os.environ.get("RECORDED_DATA", _ROOT.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def recorded_data() -> Path:
    """Give the folder of real recordings, or skip."""
    folder = _recordings()
    if not folder.is_dir():
        pytest.skip(f"there are no recordings in {folder}; set RECORDED_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def oracle() -> Oracle | None:
    """Give the judge of what venues send; `None` where Kalshi's description is not at hand."""
    folder = _recordings() / "kalshi-spec"
    return Oracle(folder) if folder.is_dir() else None


ServeVenue = Callable[[VenueConfig], AbstractAsyncContextManager[Serving]]


@pytest.fixture
def serve_venue(oracle: Oracle | None, tmp_path: Path) -> ServeVenue:
    """Give `serve`, with a log: all that a venue sent is judged by Kalshi's description at its end.

    A configuration that names a log of its own is judged too.
    """
    started = 0

    @contextlib.asynccontextmanager
    async def served(config: VenueConfig) -> AsyncIterator[Serving]:
        nonlocal started
        started += 1
        log = config.log or tmp_path / f"venue-{started}.jsonl"
        async with serve(replace(config, log=log)) as serving:
            yield serving
        if oracle is not None:
            assert oracle.problems(log) == []

    return served


@pytest.fixture
def venue_log(oracle: Oracle | None, tmp_path: Path) -> Iterator[Path]:
    """Give the log for a venue of the test's own, which must have ended by the test's end.

    Ask for it before whatever ends that venue: then it is judged after it.
    """
    log = tmp_path / "venue-of-its-own.jsonl"
    yield log
    if oracle is not None:
        assert oracle.problems(log) == []


@pytest.fixture
def free_port() -> int:
    """Give a TCP port on 127.0.0.1 that nobody holds, and that nobody is given by chance.

    It lies below those that the system hands out, in a range of this worker's own.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    for port in random.sample(range(20_000 + 1_000 * worker, 21_000 + 1_000 * worker), 1_000):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    pytest.fail("no port is free")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Where FORBID_SKIPS=yes, as in CI, a skipped test has failed: what it needs must be there."""
    report = yield
    if (
        report.skipped
        and not hasattr(report, "wasxfail")
        and os.environ.get("FORBID_SKIPS") == "yes"
    ):
        report.outcome = "failed"
    return report

"""The PostgreSQL server of our own: starting is recovery, and stopping leaves nothing."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg2
import pytest

from kalshiflow.stack.errors import PostgresError
from kalshiflow.stack.postgres import DATABASES, PostgresServer, create_database

pytestmark = pytest.mark.integration

FAST = {"fsync": "off"}  # for what is not about keeping rows


@contextmanager
def state_folder() -> Iterator[Path]:
    # tmp_path is closed to other users; both kinds of places are tested below.
    folder = Path(tempfile.mkdtemp(prefix="kalshiflow-state-"))
    try:
        yield folder
    finally:
        PostgresServer(folder).remove()
        shutil.rmtree(folder)


@pytest.fixture
def state() -> Iterator[Path]:
    with state_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def used() -> Iterator[Path]:
    """A state folder that several tests use: starting must do whatever the last one left."""
    with state_folder() as folder:
        yield folder


def ask(url: str, question: str) -> object:
    connection = psycopg2.connect(url)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(question)
            return cursor.fetchone()[0] if cursor.description else None
    finally:
        connection.close()


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_started_server_has_the_three_databases_and_a_stopped_one_has_no_process(used):
    server = PostgresServer(used)
    server.start()
    pid = server.status().pid

    names = [ask(server.url(name), "SELECT current_database()") for name in DATABASES]
    server.stop()

    assert names == list(DATABASES)
    assert not is_alive(pid)
    assert not server.status().running
    server.stop()


def test_a_wrong_password_is_refused(used):
    server = PostgresServer(used)
    url = server.start()
    password = url.split(":")[2].split("@")[0]

    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(url.replace(password, "wrong"))


def test_committed_rows_survive_a_kill_and_the_next_start_recovers(used):
    server = PostgresServer(used)
    url = server.start()
    ask(url, "DROP TABLE IF EXISTS kept; CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")
    os.kill(server.status().pid, signal.SIGKILL)

    again = PostgresServer(used).start()

    assert ask(again, "SELECT count(*) FROM kept") == 1000
    assert again == url  # the port is kept


def test_a_pid_file_that_names_somebody_else_is_stale(used):
    server = PostgresServer(used)
    server.start()
    folder = server.status().folder
    kept = (folder / "pgdata" / "postmaster.pid").read_text()
    server.stop()
    lines = kept.split("\n")
    (folder / "pgdata" / "postmaster.pid").write_text("\n".join(["1", *lines[1:]]))

    assert not server.status().running
    server.start()
    assert server.status().pid != 1


def test_a_killed_initdb_leaves_no_half_cluster(state):
    server = PostgresServer(state, FAST)
    server.start()
    folder = server.status().folder
    server.stop()
    half = folder / "pgdata"
    half.rename(folder / "pgdata.partial")
    (folder / "pgdata.partial" / "PG_VERSION").unlink()

    assert ask(server.start(), "SELECT 1") == 1


def test_another_major_version_is_refused_and_left_alone(state):
    server = PostgresServer(state, FAST)
    server.start()
    server.stop()
    version = server.status().folder / "pgdata" / "PG_VERSION"
    version.write_text("9\n")

    with pytest.raises(PostgresError, match="was written by PostgreSQL 9"):
        server.start()
    assert version.read_text() == "9\n"


def test_a_taken_port_is_replaced(used):
    import socket

    server = PostgresServer(used)
    server.start()
    port = server.status().port
    server.stop()

    with socket.create_server(("127.0.0.1", port)):
        server.start()
        assert server.status().port != port


def test_under_a_closed_folder_the_cluster_lies_where_its_user_can_reach_it(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    server = PostgresServer(closed / "state", FAST)
    try:
        assert ask(server.start(), "SELECT 1") == 1
        folder = server.status().folder

        # Only root's servers run as somebody else, who cannot pass through a closed folder.
        assert folder.is_relative_to(closed) == (os.geteuid() != 0)
        assert folder.stat().st_mode & 0o077 == 0
        assert closed.stat().st_mode & 0o777 == 0o700  # no parent was opened
    finally:
        server.remove()
    assert not folder.exists()


def test_the_server_answers_to_no_other_address_than_loopback(used):
    server = PostgresServer(used)
    assert ask(server.start(), "SHOW listen_addresses") == "127.0.0.1"
    assert ask(server.url(), "SHOW fsync") == "on"


def test_a_database_is_created_once(postgres_server, empty_database):
    url = empty_database()
    name = url.rsplit("/", 1)[1]

    assert create_database(postgres_server.url("postgres"), name) is False

"""One PostgreSQL server of our own in a state folder: start, stop, status and URLs."""

import secrets
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg2
import psycopg2.sql

from kalshiflow.stack.errors import PostgresError
from kalshiflow.stack.files import write_private
from kalshiflow.stack.pgbinaries import Binaries, RunAs, find_binaries, run_as
from kalshiflow.stack.pgfolder import known_folder, locked, make_folder, record_of
from kalshiflow.stack.ports import free_ports, is_free

DATABASES = ("app", "dagster", "mlflow")
USER = "app"
_OPTIONS = {"shared_buffers": "128MB", "max_connections": "100", "max_wal_size": "1GB"}
_START_ATTEMPTS = 6
_READY_SECONDS = 90
_LOG_LIMIT = 5_000_000


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """`pid` and `port` are None while the server is down."""

    running: bool
    pid: int | None
    port: int | None
    folder: Path


class PostgresServer:
    """The server whose cluster belongs to the state folder `state`; `pgfolder` says where it lies.

    `options` are server settings beside ours.
    """

    def __init__(self, state: Path, options: Mapping[str, str] | None = None) -> None:
        self.state = state.absolute()
        self._options = {**_OPTIONS, **(options or {})}
        self._user: RunAs = run_as()

    def start(self) -> str:
        """Start if it is down, create what is missing, and give the URL of the database `app`."""
        with locked(self.state):
            folder = make_folder(self.state, self._user)
            self._run(folder)
            for name in DATABASES:
                create_database(self.url("postgres"), name)
        return self.url(USER)

    def stop(self) -> None:
        """Stop, waiting for it; stopping a stopped server does nothing."""
        with locked(self.state):
            folder = self._folder()
            if folder is None:
                return
            process = self._postmaster(folder)
            if process is None:
                return
            binaries = find_binaries(self._user, folder)
            for mode in ("fast", "immediate"):
                stopped = self._pg_ctl(binaries, folder, "-m", mode, "-w", "-t", "60", "stop")
                if stopped.returncode == 0:
                    return
            if process.is_running():
                raise PostgresError(
                    f"PostgreSQL (pid {process.pid}) did not stop: {stopped.stdout}"
                )

    def remove(self) -> None:
        """Stop the server and delete its cluster with all that it holds."""
        self.stop()
        folder = self._folder()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        record_of(self.state).unlink(missing_ok=True)

    def status(self) -> ServerStatus:
        """Look, without waiting for anybody."""
        folder = self._folder()
        process = None if folder is None else self._postmaster(folder)
        if folder is None or process is None:
            return ServerStatus(False, None, None, folder or self.state / "postgres")
        return ServerStatus(True, process.pid, self._port(folder), folder)

    def url(self, database: str = USER, scheme: str = "postgresql") -> str:
        """Give the URL of one database; raises `PostgresError` before the first start."""
        folder = self._folder()
        port = None if folder is None else self._port(folder)
        if folder is None or port is None:
            raise PostgresError(f"PostgreSQL was never started in {self.state}")
        password = (folder / "password").read_text()
        return f"{scheme}://{USER}:{password}@127.0.0.1:{port}/{database}"

    @property
    def log(self) -> Path:
        """The server's log file."""
        return (self._folder() or self.state / "postgres") / "postgres.log"

    def _folder(self) -> Path | None:
        return known_folder(self.state)

    # the cluster

    def _ensure_cluster(self, folder: Path, binaries: Binaries) -> None:
        version = folder / "pgdata" / "PG_VERSION"
        if version.exists():
            major = int(version.read_text())
            if major != binaries.major:
                raise PostgresError(
                    f"{folder}/pgdata was written by PostgreSQL {major} and the programs are of "
                    f"{binaries.major}; dump it with the old ones and restore, or move it away"
                )
            return
        password = folder / "password"
        if not password.exists():
            owner = (self._user.uid, self._user.gid)
            write_private(password, secrets.token_urlsafe(24).encode(), owner)
        partial = folder / "pgdata.partial"  # a killed initdb leaves this, never half a cluster
        shutil.rmtree(partial, ignore_errors=True)
        flags = ["--locale=C"]
        if binaries.major >= 17:
            flags += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        if self._options.get("fsync") == "off":
            flags.append("--no-sync")
        made = self._user.run(
            [
                binaries.folder / "initdb", "-D", partial, "-U", USER, "-A", "scram-sha-256",
                f"--pwfile={password}", "-E", "UTF8", *flags, "--no-instructions",
            ],
            timeout=120,
        )  # fmt: skip
        if made.returncode != 0:
            raise PostgresError(f"initdb failed: {_last_lines(made.stdout)}")
        partial.rename(folder / "pgdata")

    # the process

    def _run(self, folder: Path) -> None:
        """See that a server runs and answers; one that is just dying is waited for and replaced."""
        deadline = time.monotonic() + _READY_SECONDS
        while True:
            if self._postmaster(folder) is None:
                binaries = find_binaries(self._user, folder)
                self._ensure_cluster(folder, binaries)
                self._start_postmaster(folder, binaries)
            problem = self._answers()
            if problem is None:
                return
            if time.monotonic() > deadline:
                raise PostgresError(f"PostgreSQL does not answer: {problem}")
            time.sleep(0.1)

    def _postmaster(self, folder: Path) -> psutil.Process | None:
        """Find the server that runs on this cluster; a reused pid and a zombie are no server."""
        pgdata = folder / "pgdata"
        try:
            pid = int((pgdata / "postmaster.pid").read_text().split("\n", 1)[0])
            process = psutil.Process(pid)
            # The command line is readable where /proc/<pid>/exe and cwd of another user are not.
            is_ours = str(pgdata) in process.cmdline() and "postgres" in process.name()
            return process if is_ours and process.status() != psutil.STATUS_ZOMBIE else None
        except (OSError, ValueError, psutil.Error):
            return None

    def _start_postmaster(self, folder: Path, binaries: Binaries) -> None:
        log = folder / "postgres.log"
        if log.exists() and log.stat().st_size > _LOG_LIMIT:
            log.replace(log.with_suffix(".log.1"))
        if self._postmaster(folder) is None:
            (folder / "pgdata" / "postmaster.pid").unlink(missing_ok=True)
        said = ""
        for attempt in range(_START_ATTEMPTS):
            port = self._choose_port(folder)
            settings = {"listen_addresses": "127.0.0.1", "port": str(port), **self._options}
            flags = " ".join(f"-c {name}={value}" for name, value in settings.items())
            flags += " -c unix_socket_directories=''"
            before = log.stat().st_size if log.exists() else 0
            started = self._pg_ctl(
                binaries, folder, "-w", "-t", "120", "-l", str(log), "-o", flags, "start"
            )
            if started.returncode == 0:
                return
            said = _tail(log, before)
            if "could not bind" in said:
                (folder / "port").unlink(missing_ok=True)
            elif "lock file" not in said and "shared memory" not in said:
                break  # nothing that passes by itself
            time.sleep(0.5 * (attempt + 1))  # children of a killed server need a moment to leave
        raise PostgresError(f"PostgreSQL did not start; {log} says: {_last_lines(said)}")

    def _pg_ctl(
        self, binaries: Binaries, folder: Path, *arguments: str
    ) -> subprocess.CompletedProcess[str]:
        command = [str(binaries.folder / "pg_ctl"), "-D", str(folder / "pgdata"), *arguments]
        return self._user.run(command, timeout=180)

    def _choose_port(self, folder: Path) -> int:
        kept = folder / "port"
        port = self._port(folder)
        if port is None or not is_free(port):
            (port,) = free_ports(1)
            write_private(kept, str(port).encode())
        return port

    def _port(self, folder: Path) -> int | None:
        try:
            return int((folder / "port").read_text())
        except FileNotFoundError:
            return None

    def _answers(self) -> str | None:
        """Say what keeps the server from answering; None when it answers."""
        try:
            psycopg2.connect(self.url("postgres"), connect_timeout=5).close()
        except psycopg2.OperationalError as not_yet:
            return str(not_yet).strip()
        return None


def create_database(server_url: str, name: str, template: str | None = None) -> bool:
    """Create the database `name` on the server of `server_url`; False if it is there already."""
    connection = psycopg2.connect(server_url, connect_timeout=10)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
            if cursor.fetchone() is not None:
                return False
            statement = psycopg2.sql.SQL("CREATE DATABASE {}").format(psycopg2.sql.Identifier(name))
            if template is not None:
                statement += psycopg2.sql.SQL(" TEMPLATE {}").format(
                    psycopg2.sql.Identifier(template)
                )
            cursor.execute(statement)
            return True
    finally:
        connection.close()


def _tail(log: Path, start: int) -> str:
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(start)
        return file.read().decode("utf-8", "replace")


def _last_lines(text: str) -> str:
    return " / ".join(text.strip().splitlines()[-3:])

"""A venue, a database, lines between them that can be cut, and collectors that can be killed."""

import asyncio
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from evidence import Evidence, judge
from tcp_proxy import TcpProxy, proxied

from kalshiflow.exchange.environments import REST_PATH, WS_PATH
from kalshiflow.stack.ports import free_ports
from kalshiflow.stack.postgres import PostgresServer, create_database
from kalshiflow.store.migrate import migrate
from kalshiflow.venue.app import Serving, serve
from kalshiflow.venue.config import VenueConfig
from kalshiflow.venue.faults.outlet import WatchedOutlet
from kalshiflow.venue.websocket.sessions import Session

PATIENCE_SECONDS = 30
# A collector with a file system of its own for its spool, which ends with it; needs no root.
SMALL_DISK = (
    *("unshare", "--user", "--map-root-user", "--mount", "sh", "-c"),
    'mkdir -p "$RL_SPOOL_DIR" && mount -t tmpfs -o "size=$0" tmpfs "$RL_SPOOL_DIR" && exec "$@"',
)
_PROGRAM = (sys.executable, "-m", "streaming")
_ODD = (sys.executable, str(Path(__file__).with_name("odd_collector.py")))


async def until(
    look: Callable[[], Awaitable[Any]],
    is_so: Callable[[Any], bool],
    patience: float = PATIENCE_SECONDS,
) -> Any:
    """Look again and again until what is seen is as it should be; gives it."""
    seen: Any = None
    try:
        async with asyncio.timeout(patience):
            while True:
                try:
                    seen = await look()
                except httpx.HTTPError as away:
                    seen = away
                else:
                    if is_so(seen):
                        return seen
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"it never came; last seen: {seen}") from None


class Collector:
    """A collector in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process, port: int, said: Path) -> None:
        self.process = process
        self.url = f"http://127.0.0.1:{port}"
        self._said = said
        self._client = httpx.AsyncClient(trust_env=False)

    @property
    def said(self) -> str:
        """Everything that it wrote."""
        return self._said.read_text()

    async def health(self) -> dict[str, Any]:
        """Give its health as served."""
        assert self.process.returncode is None, f"the collector has ended: {self.said[-2_000:]}"
        body: dict[str, Any] = (await self._client.get(f"{self.url}/rl/health")).json()
        return body

    async def until(self, is_so: Callable[[dict[str, Any]], bool], **more: Any) -> dict[str, Any]:
        """Wait for a state of its health."""
        found: dict[str, Any] = await until(self.health, is_so, **more)
        return found

    async def recording(self, frames: int = 50) -> dict[str, Any]:
        """Wait until it records, and has taken so many frames."""
        return await self.until(
            lambda seen: seen["state"] == "recording" and seen["frames_total"] >= frames
        )

    async def settled(self) -> dict[str, Any]:
        """Wait until all that it received is in the database."""
        return await self.until(lambda seen: seen["records_behind"] == 0)

    async def says(self, words: str) -> None:
        """Wait until its log has these words."""

        async def look() -> str:
            return self.said

        await until(look, lambda said: words in said)

    async def kill(self) -> None:
        """End it as `kill -9` does."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()
        await self._client.aclose()

    async def stop(self) -> int:
        """End it as a supervisor does; gives its exit code."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE_SECONDS):
            code = await self.process.wait()
        await self._client.aclose()
        return code


class Stand:
    """What collectors record, where to, and the way to judge it. `logs` are the venues' logs.

    All lines of the collectors go through proxies: `rest_line`, `feed_line` to the venue and
    `database_line` to PostgreSQL.
    """

    def __init__(self, folder: Path, database_url: str) -> None:
        self.folder = folder
        self.database_url = database_url
        self.logs: list[Path] = []
        self.spool = folder / "spool"
        self.serving: Serving
        self.database_line: TcpProxy
        self.rest_line: TcpProxy
        self.feed_line: TcpProxy
        self.collectors: list[Collector] = []
        self._key: dict[str, str] = {}

    def watch(self, serving: Serving, log: Path) -> None:
        """Have collectors record this venue."""
        self.serving = serving
        self.logs.append(log)
        self._key = {
            "KALSHI_API_KEY_ID": serving.key_id,
            "KALSHI_PRIVATE_KEY_PATH": str(serving.private_key_path),
        }

    def variables(self, port: int) -> dict[str, str]:
        """Give the environment of a collector that knows the proxies only."""
        parts = urlsplit(self.database_url)
        there = f"{parts.username}:{parts.password}@127.0.0.1:{self.database_line.port}"
        return {
            "PATH": os.environ["PATH"],
            "DATABASE_URL": parts._replace(netloc=there).geturl(),
            "KALSHI_API_URL": f"http://127.0.0.1:{self.rest_line.port}{REST_PATH}",
            "KALSHI_WS_URL": f"ws://127.0.0.1:{self.feed_line.port}{WS_PATH}",
            "RL_COLLECTOR_PORT": str(port),
            "RL_SPOOL_DIR": str(self.spool),
            "RL_AUDIT_MARKETS": "0",
            **self._key,
        }

    async def start(self, *odd: str, wrapper: tuple[str, ...] = (), **others: str) -> Collector:
        """Start a collector; `odd` says what is odd about it, `others` are variables of its own."""
        (port,) = free_ports(1)
        said = self.folder / f"collector-{len(self.collectors) + 1}.log"
        with said.open("wb") as out:
            process = await asyncio.create_subprocess_exec(
                *wrapper,
                *((*_ODD, *odd) if odd else _PROGRAM),
                cwd=self.folder,
                env=self.variables(port) | others,
                stdout=out,
                stderr=asyncio.subprocess.STDOUT,
            )
        self.collectors.append(Collector(process, port, said))
        return self.collectors[-1]

    @asynccontextmanager
    async def collecting(self, *odd: str, **more: Any) -> AsyncIterator[Collector]:
        """Run a collector for a block, and stop it in good order."""
        collector = await self.start(*odd, **more)
        yield collector
        code = await collector.stop()
        assert code == 0, f"the collector ended with {code}: {collector.said[-2_000:]}"

    async def judge(self, **more: Any) -> Evidence:
        """Judge what was recorded; the venues and collectors must have ended."""
        return await judge(self.logs, self.database_url, **more)


@asynccontextmanager
async def recording(
    run: "Serve",
    config: VenueConfig,
    folder: Path,
    database_url: str,
) -> AsyncIterator[Stand]:
    """Run a venue with a log, and the lines to it and to the database; collectors come by `start`.

    Once the block is over the log is whole, and the stand can judge.
    """
    stand = Stand(folder, database_url)
    log = folder / "venue-log.jsonl"
    async with run(replace(config, log=log)) as serving:
        stand.watch(serving, log)
        database, rest, feed = (urlsplit(url) for url in (database_url, serving.rest, serving.ws))
        async with (
            proxied("127.0.0.1", database.port or 5432) as stand.database_line,
            proxied("127.0.0.1", rest.port or 0) as stand.rest_line,
            proxied("127.0.0.1", feed.port or 0) as stand.feed_line,
        ):
            try:
                yield stand
            finally:
                for collector in stand.collectors:
                    await collector.kill()


Serve = Callable[[VenueConfig], AbstractAsyncContextManager[Serving]]
Open = Callable[..., AbstractAsyncContextManager[Stand]]


def opener(judged: Serve, folder: Path, key_dir: Path, database_url: str) -> Open:
    """Give a function that runs a venue of four lively markets, and the way to record it.

    It takes the venue's faults, its database (`url`), and fields of its configuration. `judged` is
    how venues are run whose frames are to be as Kalshi describes them (`is_judged`).
    """

    def opened(
        *faults: str, url: str = database_url, is_judged: bool = True, **others: Any
    ) -> AbstractAsyncContextManager[Stand]:
        fields = {"markets": 4, "speed": 60.0, "activity": 6.0, "key_dir": key_dir} | others
        config = VenueConfig(**fields, fault_lines=faults)
        return recording(judged if is_judged else serve, config, folder, url)

    return opened


@contextmanager
def durable_server() -> Iterator[PostgresServer]:
    """Run a server whose commits reach the disk: one that is to be killed."""
    state = Path(tempfile.mkdtemp(prefix="kalshiflow-durable-"))
    server = PostgresServer(state, {"shared_buffers": "32MB"})
    try:
        server.start()
        yield server
    finally:
        server.remove()
        shutil.rmtree(state, ignore_errors=True)


def fresh_database(server: PostgresServer) -> str:
    """Make a database with our tables; gives its URL."""
    name = f"recording_{secrets.token_hex(6)}"
    create_database(server.url("postgres"), name)
    migrate(server.url(name))
    return server.url(name)


def kill_server(server: PostgresServer) -> None:
    """Kill a server with all its processes, as `kill -9` does."""
    pid = server.status().pid
    assert pid is not None
    postmaster = psutil.Process(pid)
    victims = [postmaster, *postmaster.children(recursive=True)]
    for victim in victims:
        with suppress(psutil.NoSuchProcess):
            victim.kill()
    psutil.wait_procs(victims, timeout=10)


def tear_last_segment(spool: Path, count: int) -> None:
    """Cut bytes off the end of what was written last, as a loss of power may."""
    segment = max(spool.glob("*.spool"))
    with segment.open("r+b") as file:
        file.truncate(max(0, segment.stat().st_size - count))


def small_disk(size: str) -> tuple[str, ...]:
    """Give what starts a collector with a small disk for its spool, or skip the test."""
    if subprocess.run([*SMALL_DISK, size, "true"], env={"RL_SPOOL_DIR": "/tmp"}).returncode:
        pytest.skip("no file system can be mounted here: unshare and user namespaces are needed")
    return (*SMALL_DISK, size)


def tamper(
    monkeypatch: pytest.MonkeyPatch, after: int, old: bytes, new: bytes, times: int = 1
) -> None:
    """Have a venue send book changes that are not as they should be, after so many good ones."""
    real = WatchedOutlet.let_out
    seen = 0

    def changed(frame: bytes) -> bytes:
        nonlocal seen
        seen += b'"orderbook_delta"' in frame and old in frame
        is_one = after < seen <= after + times and b'"orderbook_delta"' in frame
        return frame.replace(old, new, 1) if is_one else frame

    def let_out(self: WatchedOutlet, session: Session, frames: list[bytes]) -> list[bytes]:
        return real(self, session, [changed(frame) for frame in frames])

    monkeypatch.setattr(WatchedOutlet, "let_out", let_out)

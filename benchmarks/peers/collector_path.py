"""Our collector's own path from a socket to committed rows: what `durable.py` measures.

The connection, the spool, the recorder, the ingest under a lease: all as the collector has them,
without its REST requests and screens. Run by `durable.py` as `python collector_path.py`, with its
job (see `Job`) as JSON on standard input and `DATABASE_URL`; each line that it prints is JSON.
"""

import asyncio
import json
import os
import resource
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec
import psutil
import uvloop

from kalshiflow import logs
from kalshiflow.exchange.connection import Connection, connect
from kalshiflow.exchange.credentials import Credentials, generate_key
from kalshiflow.recording.ingest import Ingest, Mode, recover
from kalshiflow.recording.notes import Connected, ListedMarket
from kalshiflow.recording.spool import Spool
from kalshiflow.store.batch import new_session_id
from kalshiflow.store.database import Store
from kalshiflow.store.leases import acquire_lease, lease_key
from kalshiflow.store.partitions import make_days_ahead
from streaming.intake import Intake
from streaming.line import FRAMES_AT_ONCE

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
LEASE_SECONDS = 3600.0
LIMIT_BYTES = 32 * 2**30


class Job(msgspec.Struct):
    """Read from a port, on one core of the machine, into a spool's folder and the database.

    With `frames`: until so many are committed. Without: for ever, telling `Progress` each `every`
    seconds.
    """

    port: int
    core: int
    loop: str
    folder: str
    markets: list[ListedMarket]
    frames: int | None = None
    every: float = 1.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is: frames received, spool records not committed, rows in memory, and megabytes.

    `at` is the machine's monotonic clock.
    """

    at: float
    frames: int
    behind: int
    waiting: int
    mode: str
    core_seconds: float
    rss_mb: float
    peak_mb: float


class Work:
    """The parts of the path, at work."""

    def __init__(self, job: Job, spool: Spool, intake: Intake, ingest: Ingest) -> None:
        self._job = job
        self._spool = spool
        self._intake = intake
        self._ingest = ingest
        self._process = psutil.Process()
        self.frames = 0
        self.began = self.core = 0.0

    async def read(self, connection: Connection) -> None:
        """Take frames as the collector does, until there are enough."""
        intake, most = self._intake, self._job.frames
        while most is None or self.frames < most:
            burst = await connection.burst()
            if not self.frames:
                self.began, self.core = time.perf_counter(), time.process_time()
            self.frames += len(burst)
            while len(burst) > FRAMES_AT_ONCE:
                intake.frames(burst[:FRAMES_AT_ONCE])
                await asyncio.sleep(0)
                burst = burst[FRAMES_AT_ONCE:]
            intake.frames(burst)
            assert not intake.is_stuck

    async def tell(self) -> None:
        """Print how far it is, for ever."""
        while True:
            await asyncio.sleep(self._job.every)
            _say(asdict(self.progress()))

    def progress(self) -> Progress:
        """Give how far it is."""
        return Progress(
            time.monotonic(),
            self.frames,
            self._ingest.behind,
            self._ingest.rows_waiting,
            str(self._ingest.mode),
            time.process_time(),
            self._process.memory_info().rss / 1e6,
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
        )

    async def finish(self) -> None:
        """Wait for the last row, and print what it took since the first frame."""
        await self._ingest.drain()
        took = time.perf_counter() - self.began
        core = time.process_time() - self.core
        told = {
            "seconds": took,
            "core_seconds": core,
            "bad": self._intake.recorder.counts.bad_frames,
        }
        _say(told | asdict(self.progress()))


async def run(job: Job) -> None:
    """Do the job."""
    credentials = Credentials.from_pem("key", generate_key()[0])
    spool = Spool.open(Path(job.folder), limit_bytes=LIMIT_BYTES)
    async with await Store.open(os.environ["DATABASE_URL"]) as store:
        key = lease_key("local", "collector", "main")
        lease = await acquire_lease(store, key, spool.spool_id, LEASE_SECONDS)
        assert lease is not None
        await make_days_ahead(store)  # as the collector's housekeeping does when it begins
        recorder = await recover(store, spool, lease, time.time_ns)
        ingest = Ingest(store, spool, recorder, lease, clock=time.time_ns)
        intake = Intake(spool, recorder, time.time_ns)
        work = Work(job, spool, intake, ingest)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(spool.keep_durable()), group.create_task(ingest.run())]
            if job.frames is None:
                tasks.append(group.create_task(work.tell()))
            # The collector asks the exchange for its markets meanwhile.
            while ingest.mode is not Mode.FOLLOWING:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            async with connect(f"ws://127.0.0.1:{job.port}/", credentials) as connection:
                intake.note(
                    Connected(
                        session_id=new_session_id(time.time_ns()),
                        origin="collector",
                        environment="local",
                        traded=False,
                        markets=job.markets,
                        epoch=lease.epoch,
                    )
                )
                await connection.subscribe(["orderbook_delta", "trade"])
                await work.read(connection)
                await work.finish()
                os._exit(0)  # a sender that is far ahead would answer no goodbye
            del tasks


def _say(told: dict[str, object]) -> None:
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    asked = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    os.sched_setaffinity(0, {asked.core})
    logs.configure("warning")
    with asyncio.Runner(loop_factory=LOOPS[asked.loop]) as runner:
        runner.run(run(asked))

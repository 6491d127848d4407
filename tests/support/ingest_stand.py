"""A recorder with its spool and its ingest, and all that it can be put through."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from batches import named_rows
from recorder_walk import BEGAN, RecorderWalk

from kalshiflow.recording.archive import read_archive
from kalshiflow.recording.ingest import Ingest, Limits, recover
from kalshiflow.recording.recorder import Recorder
from kalshiflow.recording.spool import Kind, Record, Spool, SpoolFull
from kalshiflow.store import rows
from kalshiflow.store.batch import Batch
from kalshiflow.store.database import Store
from kalshiflow.store.errors import StoreUnavailable
from kalshiflow.store.leases import Lease

LIMITS = Limits(
    tick_seconds=0.002,
    rows_in_memory=2_000,
    batch_rows=150,
    slice_seconds=0.002,
    retry_seconds=0.02,
)
LIMIT_BYTES = 64 * 2**20
SEGMENT_BYTES = 30_000


class WeakStore(Store):
    """A store that goes away when it is told to, also just after a commit went through."""

    is_away = False
    breaks_after_commit = 0
    before_commit: Callable[[], Awaitable[Any]] | None = None
    fails_at: int | None = None  # the number of the commit before which it goes away
    commits = 0

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        if self.is_away:
            await asyncio.sleep(0)
            raise StoreUnavailable("it is away")
        async with super().connection() as connection:
            yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        if self.fails_at is not None and self.commits + 1 >= self.fails_at:
            raise StoreUnavailable("it is away")
        if self.before_commit is not None:
            before, self.before_commit = self.before_commit, None
            await before()
        async with super().transaction() as connection:
            yield connection
        self.commits += 1
        if self.breaks_after_commit:
            self.breaks_after_commit -= 1
            raise StoreUnavailable("the line broke when COMMIT had been sent")


class Stand:
    """A recorder at work on a spool; `take` lets it receive, as a collector's loop does."""

    def __init__(
        self,
        store: Store,
        folder: Path,
        *,
        limit_bytes: int = LIMIT_BYTES,
        limits: Limits = LIMITS,
    ) -> None:
        self.store = store
        self.folder = folder
        self.limit_bytes = limit_bytes
        self.now = BEGAN
        self.lease: Lease | None = None
        self.limits = limits

    async def start(self) -> None:
        """Open the spool and begin, as a process does; the tasks run until `stop` or `die`."""
        self.spool = Spool.open(
            self.folder / "spool",
            limit_bytes=self.limit_bytes,
            segment_bytes=SEGMENT_BYTES,
            archive=self.folder / "archive",
        )
        self._syncing = asyncio.create_task(self.spool.keep_durable())
        self.recorder = await recover(self.store, self.spool, self.lease, lambda: self.now)
        self.begin_ingest()

    def begin_ingest(self) -> None:
        self.ingest = Ingest(
            *(self.store, self.spool, self.recorder, self.lease),
            clock=lambda: self.now,
            limits=self.limits,
        )
        self.running = asyncio.create_task(self.ingest.run())

    async def take(self, records: Iterable[Record], *, flush_every: int = 7) -> None:
        """Receive records; their positions are the spool's to give."""
        for count, record in enumerate(records, 1):
            if record.kind == Kind.CHECKPOINT:
                continue
            self.now = max(self.now, record.at)
            if self.spool.needs_segment:
                self.begin_segment()
            position = self.spool.append(record.kind, record.at, record.content)
            self.recorder.take(record._replace(position=position))
            if count % flush_every == 0:
                self.flush()
                await asyncio.sleep(0)
        self.flush()

    def begin_segment(self) -> None:
        self.spool.begin_segment(self.recorder.checkpoint(), self.now)

    def flush(self) -> None:
        self.spool.flush()

    async def room(self) -> None:
        """Wait until a full spool takes more."""
        async with asyncio.timeout(20):
            while True:
                try:
                    self.begin_segment() if self.spool.needs_segment else self.flush()
                except SpoolFull:
                    await asyncio.sleep(0.002)
                else:
                    return

    async def settle(self) -> None:
        """Wait until all that was received is in the database."""
        async with asyncio.timeout(30):
            await self.ingest.drain()

    async def stop(self) -> None:
        """End in good order."""
        await end(self.running, self._syncing)
        self.spool.close()

    async def die(self) -> None:
        """End as a process that is killed: what was not written is lost, nothing is closed."""
        await end(self.running, self._syncing)
        await self.abandon()

    async def abandon(self) -> None:
        await end(self._syncing)
        self.spool.abandon()

    def records(self) -> list[Record]:
        """Give all records that the spool ever took, archived ones included; once it is stopped."""
        files = [*(self.folder / "archive").glob("*.gz"), *self.spool.folder.glob("*.spool")]
        found = {record.position: record for path in files for record in read_archive(path)}
        return [found[position] for position in sorted(found)]


async def end(*tasks: "asyncio.Task[Any]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


def undisturbed(records: Iterable[Record], poisoned: Collection[int] = ()) -> Batch:
    """Give the rows of one recorder that took all these records, one after the other."""
    recorder = Recorder(Batch())
    for record in records:
        if record.position in poisoned:
            recorder.set_aside(record)
        else:
            recorder.take(record)
    assert recorder.batch is not None
    return recorder.batch


@asynccontextmanager
async def standing(store: Store, folder: Path, **options: Any) -> AsyncIterator[Stand]:
    """Run a stand; a failure of its tasks fails the test."""
    stand = Stand(store, folder, **options)
    await stand.start()
    try:
        yield stand
    finally:
        failed = stand.running.done() and not stand.running.cancelled()
        await stand.stop()
        if failed:
            stand.running.result()


def steps(walk: RecorderWalk, count: int) -> list[Record]:
    """Give what happens next in a walk."""
    before = len(walk.records)
    for _ in range(count):
        walk.step()
    return walk.records[before:]


def lose_connection(walk: RecorderWalk) -> None:
    """Let a walk know that its recorder was killed."""
    walk._is_connected = False


def named(batch: Batch) -> dict[str, list[str]]:
    """Give a batch's rows in a form and an order in which the stored ones can be compared."""
    return {table: _sorted(found) for table, found in named_rows(batch).items()}


async def stored(store: Store) -> dict[str, list[str]]:
    """Give all recorded rows as `named` gives a batch's."""
    found = {}
    async with store.connection() as connection:
        for table, columns in rows.COLUMNS.items():
            kept = await connection.fetch(f"SELECT {', '.join(columns)} FROM {table}")
            found[table] = _sorted(map(dict, kept))
    return found


def _sorted(found: Iterable[dict[str, Any]]) -> list[str]:
    return sorted(repr({name: _plain(row[name]) for name in sorted(row)}) for row in found)


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return int(value) if isinstance(value, int) else value


async def parts(store: Store) -> dict[str, tuple[Any, ...]]:
    """Give each session's last frame, how it ended and its books' hash, by id."""
    async with store.connection() as connection:
        found = await connection.fetch(
            "SELECT session_id, frames, end_status, books_sha256, markets"
            " FROM rl_orderbook_sessions"
        )
    return {row["session_id"]: tuple(row)[1:4] for row in found}


def parts_of(batch: Batch) -> dict[str, tuple[Any, ...]]:
    """Give of a batch what `parts` gives of the stored sessions."""
    return {
        session_id: (
            part.frames,
            part.end and part.end.status,
            part.end and part.end.books_sha256,
        )
        for session_id, part in batch.parts.items()
    }

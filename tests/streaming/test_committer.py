"""Rows to the database: while it is away nothing is lost, and reading stops before memory ends."""

import asyncio

import pytest

from kalshiflow.store.errors import SessionLost, StoreUnavailable
from streaming import committer as module
from streaming.committer import Committer
from streaming.health import Health


class Writer:
    """A writer whose database is away for the first `failures` tries."""

    session_id = "s"

    def __init__(self, pending, failures=0, error=StoreUnavailable):
        self.pending = pending
        self.rows_written = 0
        self.failures = failures
        self.error = error
        self.closed = asyncio.Event()

    async def flush(self):
        if self.failures:
            self.failures -= 1
            raise self.error("the database is away")
        written, self.pending = self.pending, 0
        self.rows_written += written
        return written

    async def close(self, reason):
        await self.flush()
        self.closed.set()


@pytest.fixture
def health():
    return Health(0, "local")


async def run_until(committer, condition):
    async with asyncio.TaskGroup() as group, asyncio.timeout(10):
        tasks = [group.create_task(committer.commit()), group.create_task(committer.close())]
        while not condition():
            await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()


async def test_rows_are_kept_and_tried_again_until_the_database_is_back(health):
    committer, writer = Committer(health), Writer(pending=5, failures=2)
    committer.follow(writer)
    troubles = set()

    def written():
        troubles.add(health.database_trouble)
        return writer.rows_written == 5 and health.rows_written == 5

    await run_until(committer, written)

    assert "the database is away" in troubles
    assert health.database_trouble is None
    assert health.rows_waiting == 0


async def test_a_session_is_closed_while_the_next_is_written(health):
    committer, old, new = Committer(health), Writer(pending=3), Writer(pending=4)
    committer.follow(old)
    committer.retire(old, "rotation")
    committer.follow(new)

    await run_until(committer, lambda: old.closed.is_set() and health.rows_written == 7)


async def test_when_memory_is_full_reading_waits_for_room(health, monkeypatch):
    monkeypatch.setattr(module, "ROWS_LIMIT", 10)
    committer, writer = Committer(health), Writer(pending=10, failures=1)
    committer.follow(writer)
    assert committer.is_full

    async with asyncio.TaskGroup() as group, asyncio.timeout(10):
        waiting = group.create_task(committer.room())
        task = group.create_task(committer.commit())
        await waiting
        task.cancel()

    assert not committer.is_full
    assert writer.rows_written == 10


async def test_a_session_taken_by_another_recorder_ends_the_program(health):
    committer = Committer(health)
    committer.follow(Writer(pending=1, failures=1, error=SessionLost))

    with pytest.raises(SessionLost):
        await committer.commit()

"""Group commit, and what a killed process leaves."""

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from kalshiflow.recording.group_sync import GroupSync
from kalshiflow.recording.spool import Kind, Spool, SpoolError

WRITER = """
import os, sys, time
from pathlib import Path
from kalshiflow.recording.spool import Kind, Spool

spool = Spool.open(Path(sys.argv[1]), limit_bytes=2**30, segment_bytes=20_000)
number = int(sys.argv[2])
while True:
    if spool.needs_segment:
        spool.begin_segment(b"checkpoint", time.time_ns())
    for _ in range(number % 7 + 1):
        number += 1
        spool.append(Kind.FRAME, number, b"frame %d" % number * 10)
    spool.flush()
    print(spool.flushed, number, flush=True)
"""


@asynccontextmanager
async def kept_durable(spool: Spool):
    keeping = asyncio.create_task(spool.keep_durable())
    try:
        yield keeping
    finally:
        keeping.cancel()
        await asyncio.wait([keeping])
        spool.close()


def open_spool(folder: Path) -> Spool:
    return Spool.open(folder / "spool", limit_bytes=2**30)


async def test_flushed_records_become_durable_by_themselves(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    async with kept_durable(spool):
        spool.begin_segment(b"", 1)
        assert spool.durable == 0
        for _ in range(100):
            position = spool.append(Kind.FRAME, 1, b"frame")
            spool.flush()

        await spool.until_durable(position)

        assert spool.durable == position == 101
        await spool.until_durable(50)  # what is durable already is not waited for


async def test_one_sync_serves_all_who_wait(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    spool.begin_segment(b"", 1)
    positions = [spool.append(Kind.FRAME, 1, b"frame") for _ in range(50)]
    async with kept_durable(spool), asyncio.TaskGroup() as group:
        for position in positions:
            group.create_task(spool.until_durable(position))
        await asyncio.sleep(0)
        spool.flush()

    assert spool.durable == 51


async def test_records_stay_durable_over_a_change_of_segments(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    async with kept_durable(spool):
        for _ in range(5):
            spool.begin_segment(b"", 1)
            assert spool.durable >= spool.position - 1  # a closed segment is safe
            spool.append(Kind.FRAME, 1, b"frame")
            spool.flush()
            await asyncio.sleep(0)
        await spool.until_durable(10)

        assert (spool.durable, spool.flushed) == (10, 10)


async def test_nothing_is_synced_while_nothing_is_written() -> None:
    sync, begun = GroupSync(0), 0

    def synced() -> int:
        nonlocal begun
        begun += 1
        return begun

    keeping = asyncio.create_task(sync.keep(synced))
    for position in (1, 2):
        sync.wrote()
        await sync.until(position)
    await asyncio.sleep(0.02)

    assert begun == 2
    keeping.cancel()
    await asyncio.wait([keeping])


async def test_a_disk_that_refuses_to_sync_ends_the_work_and_those_who_wait() -> None:
    sync = GroupSync(0)

    def refusing() -> int:
        raise OSError(5, "Input/output error")

    waiting = asyncio.create_task(sync.until(1))
    await asyncio.sleep(0)
    sync.wrote()
    for ended in (sync.keep(refusing), waiting, sync.until(1)):
        with pytest.raises(SpoolError, match="Input/output error"):
            await ended
    assert sync.durable == 0


def test_a_killed_writer_leaves_every_record_it_told_of_once(tmp_path: Path) -> None:
    folder, number = tmp_path / "spool", 0
    for lines in (1, 7, 60):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(folder), str(number)],
            stdout=subprocess.PIPE,
            text=True,
        ) as writer:
            assert writer.stdout is not None
            said = [writer.stdout.readline() for _ in range(lines)]
            os.kill(writer.pid, signal.SIGKILL)
            said += [line for line in writer.stdout if line.endswith("\n")]
        flushed, told = map(int, said[-1].split())

        spool = Spool.open(folder, limit_bytes=2**30)
        records = list(spool.read(0))
        spool.close()
        assert [record.position for record in records] == list(range(1, spool.position + 1))
        assert spool.position >= flushed
        frames = [record for record in records if record.kind == Kind.FRAME]
        number = frames[-1].at
        assert [record.at for record in frames] == list(range(1, number + 1))
        assert all(record.content == b"frame %d" % record.at * 10 for record in frames)
        assert number >= told

"""Rows reach the database exactly once, whatever is killed or away, and whenever."""

import asyncio
import copy
import random
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest
from ingest_stand import (
    LIMITS,
    Stand,
    WeakStore,
    lose_connection,
    named,
    parts,
    parts_of,
    standing,
    steps,
    stored,
    undisturbed,
)
from recorder_walk import RecorderWalk
from spool_frames import book, connected, frame
from tcp_proxy import proxied

from kalshiflow.recording.ingest import Mode
from kalshiflow.recording.spool import Kind, Record, SpoolFull
from kalshiflow.store.database import Store
from kalshiflow.store.ingest import commit_batch

pytestmark = pytest.mark.integration


BOOKLESS = [connected("quiet"), frame("ok", 1, {}), frame("ok", 2, {})]


async def assert_exact(stand: Stand, poisoned: frozenset[int] | set[int] = frozenset()) -> None:
    """Compare the database with one recorder that took the very same records undisturbed."""
    expected = undisturbed(stand.records(), poisoned)
    assert await stored(stand.store) == named(expected)
    assert await parts(stand.store) == parts_of(expected)


async def test_all_rows_are_those_of_the_recorder_and_each_is_there_once(store, tmp_path: Path):
    walk = RecorderWalk(1)
    async with standing(store, tmp_path) as stand:
        for _ in range(20):
            await stand.take(steps(walk, 40))
            await asyncio.sleep(0.002)
        await stand.settle()

        assert stand.ingest.mode is Mode.FOLLOWING
        assert stand.ingest.behind == 0
        assert store.commits > 3
    await assert_exact(stand)


@pytest.mark.parametrize("seed", range(3))
async def test_nothing_is_lost_or_doubled_by_kills_at_any_record(store, tmp_path: Path, seed):
    die = random.Random(seed)
    walk = RecorderWalk(seed)
    stand = Stand(store, tmp_path)
    written = 0
    for _ in range(25):
        await stand.start()
        await stand.take(steps(walk, die.randint(0, 120)), flush_every=die.randint(1, 30))
        await asyncio.sleep(die.choice((0, 0, 0.004, 0.02, 0.03)))
        received = stand.spool.flushed
        await stand.die()
        lose_connection(walk)
        assert received >= written
        written = received
    await stand.start()
    await stand.settle()
    await stand.stop()

    assert [record.position for record in stand.records()] == list(
        range(1, stand.spool.flushed + 1)
    )
    await assert_exact(stand)


async def test_a_long_outage_stays_out_of_memory_and_is_caught_up_with_while_recording_goes_on(
    store, tmp_path: Path
):
    walk = RecorderWalk(11)
    limits = replace(LIMITS, batch_rows=3_000)
    async with standing(store, tmp_path, limits=limits) as stand:
        await stand.take(steps(walk, 100))
        await stand.settle()
        store.is_away = True
        most = 0
        for _ in range(40):
            await stand.take(steps(walk, 100))
            await asyncio.sleep(0.002)
            most = max(most, stand.ingest.rows_waiting)
        assert stand.ingest.mode is Mode.WAITING
        assert stand.ingest.trouble == "it is away"
        assert stand.ingest.behind > 3_000
        assert most < 2 * stand.limits.rows_in_memory
        assert stand.ingest.rows_waiting == 0

        store.is_away = False
        while stand.ingest.mode is not Mode.FOLLOWING:
            await stand.take(steps(walk, 20))
            await asyncio.sleep(0.005)
        await stand.take(steps(walk, 100))
        await stand.settle()
        assert stand.ingest.trouble is None
    await assert_exact(stand)


@pytest.mark.parametrize("seed", range(4))
async def test_outages_doubts_and_kills_together_leave_every_row_once(store, tmp_path: Path, seed):
    die = random.Random(seed)
    walk = RecorderWalk(100 + seed)
    stand = Stand(store, tmp_path)
    await stand.start()
    for _ in range(40):
        match die.randrange(6):
            case 0:
                store.is_away = True
            case 1 | 2:
                store.is_away = False
            case 3:
                store.breaks_after_commit = die.randint(1, 3)
            case 4 if not store.is_away:
                await stand.die()
                lose_connection(walk)
                await stand.start()
        await stand.take(steps(walk, die.randint(0, 400)), flush_every=die.randint(1, 40))
        await asyncio.sleep(die.choice((0, 0.003, 0.01)))
    store.is_away = False
    await stand.settle()
    await stand.stop()

    await assert_exact(stand)


async def test_a_commit_in_doubt_is_tried_again_and_never_doubled(store, tmp_path: Path):
    walk = RecorderWalk(2)
    async with standing(store, tmp_path) as stand:
        for _ in range(10):
            store.breaks_after_commit = 1
            await stand.take(steps(walk, 30))
            await stand.settle()
    await assert_exact(stand)


async def test_a_commit_that_comes_through_late_is_found_and_gone_on_from(
    store, tmp_path: Path, postgres_url: str
):
    """It was given up, the spool took over, and then it turned out to be in after all."""
    walk = RecorderWalk(3)
    async with (
        await Store.open(postgres_url) as other,
        standing(store, tmp_path) as stand,
    ):
        await stand.take(steps(walk, 50))
        await stand.settle()
        store.is_away = True
        await stand.take(steps(walk, 50))
        await asyncio.sleep(0.02)
        given_up = copy.deepcopy(stand.ingest._queue[0])
        while stand.ingest.mode is not Mode.WAITING:
            await stand.take(steps(walk, 400))
            await asyncio.sleep(0.002)
        store.before_commit = lambda: commit_batch(
            other, stand.spool.spool_id, given_up, stand.lease
        )
        store.is_away = False
        await stand.settle()
        assert store.before_commit is None
    await assert_exact(stand)


async def test_a_line_that_breaks_or_falls_silent_within_a_commit_loses_and_doubles_nothing(
    tmp_path: Path, postgres_url: str
):
    walk = RecorderWalk(4)
    parts_of_url = urlsplit(postgres_url)
    async with proxied(parts_of_url.hostname, parts_of_url.port) as line:
        there = parts_of_url.netloc.replace(f":{parts_of_url.port}", f":{line.port}")
        url = parts_of_url._replace(netloc=there).geturl()
        limits = replace(LIMITS, commit_seconds=0.3)
        async with (
            await WeakStore.open(url) as store,
            standing(store, tmp_path, limits=limits) as stand,
        ):
            for round_ in range(12):
                await stand.take(steps(walk, 60))
                await asyncio.sleep(0.003 * (round_ % 4))
                if round_ % 3 == 2:
                    line.hang()
                    await stand.take(steps(walk, 60))
                    await asyncio.sleep(0.4)
                elif round_ % 3 == 1:
                    line.cut()
                    await stand.take(steps(walk, 60))
                line.heal()
            await stand.settle()
    async with await WeakStore.open(postgres_url) as stand.store:
        await assert_exact(stand)


async def test_sessions_without_a_book_yet_are_neither_lost_nor_kept_too_early(
    store, tmp_path: Path
):
    """Their rows are held back: the committed position goes past them, a kill does not lose them."""
    stand = Stand(store, tmp_path)
    await stand.start()
    await stand.take(BOOKLESS)
    await stand.settle()
    assert stand.recorder.is_held
    assert await parts(store) == {}

    stand.begin_segment()
    await stand.die()
    await stand.start()  # the note `Restarted` ends it: it has left nothing
    await stand.take(BOOKLESS)
    stand.begin_segment()
    await stand.settle()
    await stand.take([book("A", 3)])
    await stand.settle()
    await stand.stop()

    assert [found[0] for found in (await parts(store)).values()] == [3]
    await assert_exact(stand)


async def test_segments_are_released_once_they_are_committed_and_never_the_last(
    store, tmp_path: Path
):
    walk = RecorderWalk(5)
    async with standing(store, tmp_path) as stand:
        store.is_away = True
        await stand.take(steps(walk, 2_000))
        held = stand.spool.bytes_held
        assert stand.spool.first == 1
        store.is_away = False
        await stand.settle()
        async with asyncio.timeout(5):
            while stand.spool.bytes_held > held / 4:  # a thread compresses them
                await asyncio.sleep(0.01)
        assert 1 < stand.spool.first <= stand.spool.segment_start(stand.ingest.committed + 1)
    await assert_exact(stand)


async def test_a_full_spool_is_emptied_into_the_database_and_takes_more(store, tmp_path: Path):
    walk = RecorderWalk(6)
    async with standing(store, tmp_path, limit_bytes=150_000) as stand:
        store.is_away = True
        while not stand.spool.is_full:
            with suppress(SpoolFull):  # the last record waits in memory then
                await stand.take(steps(walk, 1), flush_every=1)
        received = stand.spool.position
        await asyncio.sleep(0.02)
        assert stand.spool.is_full
        assert "the spool is full" in (stand.spool.trouble or "")

        store.is_away = False
        for _ in range(1_000):
            await stand.room()
            with suppress(SpoolFull):
                await stand.take(steps(walk, 1), flush_every=1)
        await stand.room()
        await stand.settle()
        assert stand.spool.position > received + 500
    await assert_exact(stand)


async def test_a_record_that_ends_the_process_twice_is_set_aside_by_the_third(
    store, tmp_path: Path
):
    walk = RecorderWalk(7)
    stand = Stand(store, tmp_path)
    await stand.start()
    await stand.take(steps(walk, 40))
    with pytest.raises(msgspec.DecodeError):
        await stand.take([Record(0, Kind.NOTE, stand.now, b"this is no note")])
    stand.flush()
    poison = stand.spool.position
    stand.spool.mark_poison(poison)  # as whoever feeds a live recorder does
    await stand.die()
    with pytest.raises(msgspec.DecodeError):
        await stand.start()
    assert stand.spool.poisoned == {poison}
    await stand.abandon()

    await stand.start()
    lose_connection(walk)
    await stand.take(steps(walk, 40))
    await stand.settle()
    await stand.stop()

    await assert_exact(stand, poisoned={poison})

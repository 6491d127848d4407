"""Beginning again: after damage on the disk, and after somebody else had the lease."""

import asyncio
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from ingest_stand import (
    Stand,
    WeakStore,
    lose_connection,
    named,
    parts,
    stored,
    undisturbed,
)
from recorder_walk import RecorderWalk
from spool_frames import book, connected, delta

from kalshiflow.recording.archive import read_archive
from kalshiflow.recording.ingest import Mode
from kalshiflow.recording.spool import Kind, Record
from kalshiflow.store import rows
from kalshiflow.store.closing import certify_session, repair_sessions
from kalshiflow.store.errors import LeaseLost, SessionLost
from kalshiflow.store.leases import Lease, acquire_lease
from kalshiflow.store.read import get_session, session_gaps

pytestmark = pytest.mark.integration

KEY = "local/collector/main"
LISTINGS_LOST = 50  # one record may make several rows


async def take_over(store: WeakStore, holder: str) -> Lease:
    """Get the lease, whoever has it: as if it had expired."""
    async with store.connection() as connection:
        await connection.execute("UPDATE rl_recorder_leases SET expires_at = now()")
    lease = await acquire_lease(store, KEY, holder, 60)
    assert lease is not None
    return lease


def now(at: int) -> int:
    """Give a record's time by the database's clock."""
    return at


# --- leases ----------------------------------------------------------------------------------


async def test_a_recorder_whose_lease_was_taken_over_writes_nothing_more(store, tmp_path: Path):
    first, second = Stand(store, tmp_path / "a"), Stand(store, tmp_path / "b")
    first.lease = await take_over(store, "a")
    await first.start()
    await first.take([connected("one", epoch=1), book("A", 1)])
    await first.settle()
    second.lease = await take_over(store, "b")
    await second.start()
    await second.take([connected("two", epoch=2), book("A", 1)])
    await first.take([delta("A", seq) for seq in range(2, 50)])

    with pytest.raises(LeaseLost):
        await first.running
    await second.take([delta("A", seq) for seq in range(2, 10)])
    await second.settle()
    found = await parts(store)
    assert (found["one"][0], found["two"][0]) == (1, 9)
    await first.stop()
    await second.stop()


async def test_what_an_overtaken_recorder_received_meanwhile_is_kept_apart_not_stored(
    store, tmp_path: Path
):
    first = Stand(store, tmp_path / "a")
    first.lease = await take_over(store, "a")
    await first.start()
    before = first.lease.began_at + 1
    await first.take([connected("one", epoch=1)._replace(at=before), book("A", 1, at=before)])
    store.is_away = True
    await first.take([delta("A", seq, at=before + seq) for seq in range(2, 12)])
    store.is_away = False
    other = await take_over(store, "b")
    late = other.began_at
    await first.take([delta("A", seq, at=late + seq) for seq in range(12, 40)])
    first.running.cancel()
    end_of_it = first.spool.flushed
    await first.die()

    first.lease = await take_over(store, "a")
    await first.start()
    await first.settle()
    await first.take([connected("new", epoch=3)._replace(at=late + 99), book("A", 1, at=late + 99)])
    await first.settle()
    await first.stop()

    found = await parts(store)
    assert found["one"][:2] == (11, "repaired")
    assert found["new"][0] == 1
    kept = list((first.spool.folder / "superseded").iterdir())
    frames = [record for record in read_archive(kept[0]) if record.kind == Kind.FRAME]
    assert [record.at - late for record in frames] == list(range(12, 40))
    assert first.ingest.committed > end_of_it


async def test_leftovers_of_a_session_that_the_other_recorder_closed_are_kept_apart(
    store, tmp_path: Path
):
    first = Stand(store, tmp_path / "a")
    first.lease = await take_over(store, "a")
    await first.start()
    before = first.lease.began_at + 1
    await first.take([connected("one", epoch=1)._replace(at=before), book("A", 1, at=before)])
    await first.settle()
    store.is_away = True
    await first.take([delta("A", seq, at=before + seq) for seq in range(2, 12)])
    store.is_away = False
    first.running.cancel()
    await take_over(store, "b")
    await first.die()
    await repair_sessions(store, ["collector"])

    first.lease = await take_over(store, "a")
    await first.start()
    await first.settle()
    await first.die()
    await first.start()  # and a second time, nothing is tried again
    await first.settle()
    await first.stop()

    assert (await parts(store))["one"][:2] == (1, "repaired")
    kept = list((first.spool.folder / "superseded").iterdir())
    assert sum(record.kind == Kind.FRAME for record in read_archive(kept[0])) == 10


async def test_ones_own_next_lease_supersedes_nothing_even_where_clocks_differ(
    store, tmp_path: Path
):
    stand = Stand(store, tmp_path)
    stand.lease = await take_over(store, "a")
    await stand.start()
    ahead = stand.lease.began_at + 3600 * 10**9  # our clock is an hour ahead of the database's
    await stand.take([connected("one", epoch=1)._replace(at=ahead), book("A", 1, at=ahead)])
    await stand.die()
    stand.lease = await take_over(store, "a")
    stand.lease = await take_over(store, "a")
    await stand.start()
    await stand.settle()
    await stand.stop()

    assert (await parts(store))["one"][:2] == (1, "repaired")
    assert not (stand.spool.folder / "superseded").exists()


async def test_a_session_that_was_closed_under_its_recorder_does_not_stop_it_for_ever(
    store, tmp_path: Path
):
    stand = Stand(store, tmp_path)
    stand.lease = await take_over(store, "a")
    await stand.start()
    await stand.take([connected("one", epoch=1), book("A", 1)])
    await stand.settle()
    await repair_sessions(store, ["collector"])
    await stand.take([delta("A", seq) for seq in range(2, 12)])
    with pytest.raises(SessionLost):
        await stand.running
    await stand.abandon()

    stand.lease = await take_over(store, "a")
    await stand.start()
    await stand.take([connected("two", epoch=2), book("A", 1)])
    await stand.settle()
    await stand.stop()
    found = await parts(store)
    assert (found["one"][0], found["two"][0]) == (1, 1)
    (kept,) = (stand.spool.folder / "superseded").iterdir()
    assert sum(record.kind == Kind.FRAME for record in read_archive(kept)) == 10


# --- copies ----------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["an-older-copy", "no-segments"])
async def test_a_spool_that_lies_behind_the_database_loses_nothing_that_it_receives(
    store, tmp_path: Path, how
):
    stand = Stand(store, tmp_path)
    await stand.start()
    await stand.take([connected("one"), book("A", 1)])
    await stand.settle()
    await stand.stop()
    shutil.copytree(tmp_path / "spool", tmp_path / "copy")
    await stand.start()
    await stand.take([connected("two"), book("A", 1), *(delta("A", seq) for seq in range(2, 50))])
    await stand.settle()
    await stand.stop()
    if how == "no-segments":
        for path in segments(stand):
            path.unlink()
    else:
        shutil.rmtree(tmp_path / "spool")
        (tmp_path / "copy").rename(tmp_path / "spool")

    for session_id in ("three", "four"):
        await stand.start()
        await stand.take([connected(session_id), book("A", 1), delta("A", 2), delta("A", 3)])
        await stand.die()
    await stand.start()
    await stand.settle()
    await stand.stop()
    found = await parts(store)
    assert [found[each][0] for each in ("one", "two", "three", "four")] == [1, 49, 3, 3]


# --- damage ----------------------------------------------------------------------------------


def damage(path: Path, place: float) -> None:
    """Change one byte of a file."""
    content = bytearray(path.read_bytes())
    content[int(len(content) * place)] ^= 0xFF
    path.write_bytes(content)


def segments(stand: Stand) -> list[Path]:
    return sorted(stand.spool.folder.glob("*.spool"))


async def test_a_damaged_last_segment_ends_its_session_repaired_and_recording_goes_on(
    store, tmp_path: Path
):
    stand = Stand(store, tmp_path)
    await stand.start()
    store.is_away = True
    await stand.take([connected("one"), book("A", 1)])
    for seq in range(2, 100):
        await stand.take([delta("A", seq)])
        await stand.spool.until_durable(stand.spool.flushed)
    await stand.die()
    damage(segments(stand)[-1], 0.5)
    store.is_away = False

    await stand.start()
    await stand.take([connected("two"), book("A", 1)])
    await stand.settle()
    await stand.stop()

    frames, status, books = (await parts(store))["one"]
    assert 10 < frames < 90
    assert (status, books) == ("repaired", None)
    (gap,) = [gap for gap in await session_gaps(store, "one") if gap.kind == "missing"]
    assert gap.frame_no == frames + 1
    assert "damaged" in gap.reason
    certificate = await certify_session(store, "one")
    assert (certificate.whole, certificate.verdict) == (True, "gaps")
    assert (await parts(store))["two"][0] == 1
    assert len(list((stand.spool.folder / "damaged").iterdir())) == 1


async def test_damage_between_segments_loses_no_more_than_what_it_hit_and_is_told(
    store, tmp_path: Path
):
    """The session that it belongs to is not whole any more; a new one begins at once."""
    stand = Stand(store, tmp_path)
    stand.limits = replace(stand.limits, rows_in_memory=100)
    await stand.start()
    await stand.take([connected("one"), book("A", 1)])
    await stand.settle()
    store.is_away = True
    await stand.take([delta("A", seq) for seq in range(2, 800)])
    async with asyncio.timeout(10):
        await stand.spool.until_durable(stand.spool.flushed)
    assert len(segments(stand)) > 3
    damage(segments(stand)[1], 0.5)
    store.is_away = False
    await stand.settle()
    await stand.take([delta("A", seq) for seq in range(800, 850)])
    await stand.settle()
    assert stand.ingest.mode is Mode.FOLLOWING
    await stand.stop()

    found = await parts(store)
    new = next(session_id for session_id in found if session_id != "one")
    (gap,) = [gap for gap in await session_gaps(store, "one") if gap.kind == "missing"]
    certificate = await certify_session(store, "one")
    assert certificate.verdict == "failed"
    assert "frames are numbered" in certificate.reason
    assert (gap.sid, gap.tickers) == (1, ("A",))
    assert gap.received - gap.expected == certificate.missing_frames > 0
    assert found["one"][:2] == (799, "closed")
    assert (await get_session(store, new)).follows == "one"
    assert found[new][0] == 50
    assert len(list((stand.spool.folder / "damaged").iterdir())) == 1


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_byte_is_damaged_all_the_rest_is_stored_once(store, tmp_path: Path, seed):
    walk = RecorderWalk(seed)
    stand = Stand(store, tmp_path)
    await stand.start()
    await stand.take(steps_of(walk, 100))
    await stand.settle()
    store.is_away = True
    for _ in range(10):
        await stand.take(steps_of(walk, 80))
        await stand.spool.until_durable(stand.spool.flushed)
    await stand.die()
    lose_connection(walk)
    victim = segments(stand)[seed % len(segments(stand))]
    pristine = list(read_archive(victim))
    damage(victim, 0.1 + seed / 8)
    store.is_away = False

    await stand.start()
    await stand.take(steps_of(walk, 80))
    await stand.settle()
    await stand.take(steps_of(walk, 80))
    await stand.settle()
    await stand.stop()

    hit = {record.position: record for record in pristine}
    # What was cut off as a torn end has its positions given to what came next.
    whole = hit | {record.position: record for record in stand.records()}
    expected = named(undisturbed(whole[position] for position in sorted(whole)))
    lost = 0
    for table, found in (await stored(store)).items():
        if table not in {rows.GAPS, rows.LISTINGS}:  # they tell of the damage
            assert Counter(found) <= Counter(expected[table])
            lost += len(expected[table]) - len(found)
    assert lost <= len(pristine) + LISTINGS_LOST
    for certificate in await repair_sessions(store, ["collector"]):
        assert "cannot be replayed" not in certificate.reason


def steps_of(walk: RecorderWalk, count: int) -> list[Record]:
    before = len(walk.records)
    for _ in range(count):
        walk.step()
    return walk.records[before:]

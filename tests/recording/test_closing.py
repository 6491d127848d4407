"""Sessions get their certificates as soon as they have ended, whatever happens in between."""

import asyncio
from pathlib import Path

import pytest
from ingest_stand import Stand, WeakStore
from recorder_walk import BEGAN
from spool_frames import book, connected, delta

from kalshiflow.recording.closing import Closer
from kalshiflow.recording.ingest import Ingest
from kalshiflow.recording.notes import Disconnected, Rotated, encode_note
from kalshiflow.recording.spool import Kind, Record
from kalshiflow.store.read import get_session, list_sessions

pytestmark = pytest.mark.integration

ENDED = Record(0, Kind.NOTE, BEGAN, encode_note(Disconnected(reason="the line was cut")))


def closer(store: WeakStore) -> Closer:
    return Closer(store, environment="local", origin="collector")


async def recorded(store: WeakStore, folder: Path, *records: Record) -> None:
    """Store records' rows, and end."""
    stand = Stand(store, folder)
    await stand.start()
    await stand.take(records)
    await stand.settle()
    await stand.stop()


async def test_an_ended_session_is_certified_when_its_end_is_committed(store, tmp_path: Path):
    closing = closer(store)
    task = asyncio.create_task(closing.run())
    stand = Stand(store, tmp_path)
    await stand.start()
    stand.running.cancel()
    stand.ingest = Ingest(
        *(store, stand.spool, stand.recorder, None), clock=lambda: 0, ended=closing.look
    )
    stand.running = asyncio.create_task(stand.ingest.run())
    await stand.take([connected("one"), book("A", 1), delta("A", 2), ENDED])

    async with asyncio.timeout(10):
        while closing.closed == 0:
            await asyncio.sleep(0.01)
    session = await get_session(store, "one")
    assert (session.status, session.verdict) == ("closed", "ok")
    assert closing.newest is not None
    assert closing.newest.session_id == "one"
    task.cancel()
    await asyncio.wait([task])
    await stand.stop()


async def test_sessions_that_a_crash_left_uncertified_are_closed_in_order_others_are_left_alone(
    store, tmp_path: Path
):
    turned = Record(0, Kind.NOTE, BEGAN, encode_note(Rotated(session_id="two")))
    await recorded(
        *(store, tmp_path / "a", connected("one"), book("A", 1), turned),
        *(delta("A", 2), ENDED, connected("open"), book("A", 1)),
    )
    closing = closer(store)

    await closing.drain()

    closed = await list_sessions(store, after_close_seq=0)
    assert [session.session_id for session in closed] == ["one", "two"]
    assert (await get_session(store, "open")).status == "active"
    assert closing.closed == 2


async def test_closing_waits_for_a_database_that_is_away_and_says_so(store, tmp_path: Path):
    await recorded(store, tmp_path, connected("one"), book("A", 1), ENDED)
    closing = closer(store)
    store.is_away = True
    draining = asyncio.create_task(closing.drain())
    async with asyncio.timeout(5):
        while closing.trouble is None:
            await asyncio.sleep(0)
    assert closing.trouble == "it is away"
    store.breaks_after_commit = 1  # and its first answer is lost, too
    store.is_away = False

    async with asyncio.timeout(10):
        await draining
    assert closing.trouble is None
    assert (await get_session(store, "one")).close_seq == 1

"""The right to record, and where recording is taken up."""

import asyncio
import json

import pytest

from kalshiflow.exchange.connection import RawFrame
from kalshiflow.market.listing import Market
from kalshiflow.recording.ingest import Ingest
from kalshiflow.recording.notes import Connected, listed
from kalshiflow.recording.recorder import Recorder
from kalshiflow.recording.spool import Spool, SpoolFull
from kalshiflow.store.database import Store
from kalshiflow.store.leases import lease_holder
from streaming.health import Health, State
from streaming.intake import Intake
from streaming.standing_by import begin, give_back, obtain_lease, take_spool

pytestmark = pytest.mark.integration
MEBIBYTE = 2**20
KEY = "local/collector/main"


@pytest.fixture
async def store(postgres_url):
    """Give a database."""
    async with await Store.open(postgres_url) as opened:
        yield opened


@pytest.fixture
def health():
    """Give a collector's health."""
    return Health(0, "local")


async def until(condition):
    """Wait until something holds."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.02)


async def test_a_collector_that_was_killed_has_its_lease_back_at_once(store, health):
    killed = await obtain_lease(store, KEY, "spool-1", health)
    again = await obtain_lease(store, KEY, "spool-1", health)

    assert (killed.epoch, again.epoch) == (1, 2)


async def test_another_one_stands_by_until_the_lease_is_given_back(store, health):
    first = await obtain_lease(store, KEY, "spool-1", health)
    holder = await lease_holder(store, KEY)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(obtain_lease(store, KEY, "spool-2", health))
        await until(lambda: health.state is State.STANDBY)
        assert health.detail.startswith(f"{holder} records {KEY}")
        assert holder.endswith(":spool-1")
        await give_back(store, first)
    assert waiting.result().epoch == 2


async def test_a_spool_that_another_process_has_is_waited_for(tmp_path, health):
    def take():
        return Spool.open(tmp_path, limit_bytes=16 * MEBIBYTE)

    held = take()
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(take_spool(take, health))
        await until(lambda: health.state is State.STANDBY)
        held.close()
    waiting.result().close()


async def test_a_full_spool_is_emptied_into_the_database_before_recording_begins(
    tmp_path, store, health
):
    full = Spool.open(tmp_path, limit_bytes=2 * MEBIBYTE)
    frames = fill(full)
    with pytest.raises(SpoolFull):
        full.close()
    lease = await obtain_lease(store, KEY, "spool-1", health)
    spool = Spool.open(tmp_path, limit_bytes=2 * MEBIBYTE)
    recorder = await begin(store, spool, lease, health)
    assert recorder.counts.frames_total <= frames

    async with asyncio.timeout(10):
        keeping = asyncio.ensure_future(spool.keep_durable())
        await Ingest(store, spool, recorder, lease, clock=lambda: 0).drain()
        keeping.cancel()
    async with store.connection() as connection:
        stored = await connection.fetchval("SELECT count(*) FROM rl_orderbook_snapshots")
    assert stored == recorder.counts.snapshots > 0
    assert spool.bytes_held < MEBIBYTE
    spool.close()


async def test_where_only_the_note_of_the_restart_finds_no_room_it_is_made_all_the_same(
    tmp_path, store, health, monkeypatch
):
    spool = Spool.open(tmp_path, limit_bytes=16 * MEBIBYTE)
    spool.begin_segment(Recorder().checkpoint(), 0)
    real, refused = spool._writer.write, []

    def refuse_once(block):
        if not refused:
            refused.append(block)
            raise SpoolFull("there is no room for a note")
        real(block)

    monkeypatch.setattr(spool._writer, "write", refuse_once)
    lease = await obtain_lease(store, KEY, "spool-1", health)
    async with asyncio.timeout(10):
        keeping = asyncio.ensure_future(spool.keep_durable())
        recorder = await begin(store, spool, lease, health)
        keeping.cancel()

    assert refused
    assert recorder.position == spool.flushed == spool.position
    spool.close()


def fill(spool):
    """Record books until the spool takes no more; gives how many were sent."""
    recorder = Recorder()
    spool.begin_segment(recorder.checkpoint(), 0)
    intake = Intake(spool, recorder, lambda: 0)
    intake.note(
        Connected(
            session_id="s",
            origin="collector",
            environment="local",
            traded=False,
            markets=listed([Market("A", "E", "a market")]),
        )
    )
    seq = 0
    while not intake.is_stuck:
        seq += 1
        body = {"market_ticker": "A", "padding": "x" * 50_000}
        frame = {"type": "orderbook_snapshot", "sid": 1, "seq": seq, "msg": body}
        intake.frames([RawFrame(json.dumps(frame).encode(), seq)])
    return seq

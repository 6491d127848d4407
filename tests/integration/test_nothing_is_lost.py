"""Whatever happens, nothing is lost: each fault, judged row by row against the venue's own log.

The figures here are small; `tests/soak/test_recorder.py` has the full ones. `evidence` says what
is proven: each frame that the venue sent is stored exactly once as it was sent, or lies in a gap
or in an outage that the rows tell of.
"""

import asyncio
import random
from collections.abc import Callable

import pytest
from evidence import Evidence, assert_proven
from recording_stand import (
    Open,
    fresh_database,
    kill_server,
    small_disk,
    tamper,
    tear_last_segment,
)

from kalshiflow.stack.postgres import PostgresServer
from kalshiflow.venue.faults.language import read_fault

pytestmark = pytest.mark.integration


# --- the collector's end -----------------------------------------------------------------------


async def test_a_collector_killed_at_any_moment_loses_and_doubles_nothing(stand: Open) -> None:
    moments = random.Random(11)
    async with stand() as s:
        for begins_to_record in (True, False, True):
            collector = await s.start()
            if begins_to_record:
                await collector.recording(1)
            await asyncio.sleep(moments.uniform(0.0, 1.0))  # any moment, of its start too
            await collector.kill()
        async with s.collecting() as collector:
            await collector.recording()

    found = await s.judge()
    assert_proven(found)
    assert found.sessions >= 3


async def test_a_torn_tail_of_the_spool_is_an_outage_and_no_more(stand: Open) -> None:
    async with stand() as s:
        collector = await s.start()
        await collector.recording()
        s.database_line.cut()
        before = await collector.health()
        await collector.until(lambda seen: seen["frames_total"] > before["frames_total"] + 200)
        await collector.kill()
        tear_last_segment(s.spool, 1_000)
        s.database_line.heal()
        async with s.collecting() as collector:
            await collector.recording()

    found = await s.judge()
    assert_proven(found)
    assert found.in_outages > 0


async def test_a_frame_that_ends_the_recorder_twice_is_set_aside_and_kept(
    stand: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    tamper(monkeypatch, 60, b'"side":', b'"client_order_id":"POISON","side":')
    async with stand(is_judged=False) as s:
        for _ in range(2):
            collector = await s.start("poison=POISON")
            assert await asyncio.wait_for(collector.process.wait(), 20) != 0
            assert "this frame is poison" in collector.said
        async with s.collecting("poison=POISON") as collector:
            await collector.recording()

    found = await s.judge()
    assert_proven(found)
    assert found.refused == 1


async def test_a_second_collector_waits_and_goes_on_where_the_first_was_killed(
    stand: Open,
) -> None:
    async with stand() as s:
        first = await s.start("lease_seconds=2")
        await first.recording()
        async with s.collecting("lease_seconds=2", RL_SPOOL_DIR=str(s.folder / "two")) as second:
            await second.until(lambda seen: seen["state"] == "standby")
            await first.recording(200)
            await first.kill()
            await second.recording()
            await second.says("session_repaired")

    found = await s.judge()
    assert_proven(found)
    assert found.sessions == 2


# --- the database --------------------------------------------------------------------------------


async def test_a_database_killed_in_the_middle_of_it_loses_nothing(
    stand: Open, server: PostgresServer
) -> None:
    async with stand(url=fresh_database(server)) as s, s.collecting() as collector:
        await collector.recording()
        kill_server(server)
        await collector.until(lambda seen: seen["status"] == "degraded")
        await asyncio.to_thread(server.start)
        seen = await collector.until(lambda seen: seen["status"] == "ok")
        await collector.recording(seen["frames_total"] + 100)

    found = await s.judge()
    assert_proven(found)
    assert found.sessions == 1


@pytest.mark.parametrize("trouble", ["cut", "hang"])
async def test_a_database_out_of_reach_for_seconds_loses_nothing(stand: Open, trouble: str) -> None:
    async with stand() as s, s.collecting() as collector:
        seen = await collector.recording()
        getattr(s.database_line, trouble)()
        await collector.recording(seen["frames_total"] + 800)
        s.database_line.heal()
        await collector.until(lambda seen: seen["records_behind"] < 100)

    found = await s.judge()
    assert_proven(found, least=800)
    assert found.sessions == 1


async def test_a_slow_database_loses_nothing(stand: Open) -> None:
    async with stand() as s, s.collecting() as collector:
        seen = await collector.recording()
        s.database_line.slow(latency=0.05, bytes_per_second=100_000)
        await collector.recording(seen["frames_total"] + 800)
        s.database_line.heal()

    assert_proven(await s.judge(), least=800)


# --- the disk ------------------------------------------------------------------------------------


async def test_a_full_spool_stops_reading_says_so_and_goes_on(stand: Open) -> None:
    async with stand(speed=300.0) as s, s.collecting("spool_bytes=600000") as collector:
        await collector.recording()
        s.database_line.cut()
        seen = await collector.until(lambda seen: seen["state"] == "spool_full")
        assert "the spool is full" in seen["detail"]
        s.database_line.heal()
        await collector.until(lambda seen: seen["state"] == "recording")
        await collector.recording(seen["frames_total"] + 500)

    assert_proven(await s.judge(), least=500)


async def test_a_full_disk_stops_reading_says_so_and_goes_on(stand: Open) -> None:
    small = small_disk("600k")
    odd = "segment_bytes=100000"
    async with stand(speed=300.0) as s, s.collecting(odd, wrapper=small) as collector:
        await collector.recording()
        s.database_line.cut()
        seen = await collector.until(lambda seen: seen["state"] == "spool_full")
        assert "disk of the spool is full" in seen["detail"]
        s.database_line.heal()
        await collector.recording(seen["frames_total"] + 500)
        await collector.until(lambda seen: seen["records_behind"] < 100)

    assert_proven(await s.judge(), least=500)


async def test_a_disk_that_is_full_within_one_segment_is_emptied_by_another(stand: Open) -> None:
    small = small_disk("5m")  # of which four are spared for the other one
    async with stand(markets=24, activity=20.0) as s, s.collecting(wrapper=small) as collector:
        seen = await collector.recording()
        for _ in range(2):
            s.database_line.cut()
            await collector.until(lambda seen: seen["state"] == "spool_full")
            s.database_line.heal()
            await collector.recording(seen["frames_total"] + 500)
            seen = await collector.until(lambda seen: seen["records_behind"] < 500)

    found = await s.judge()
    assert_proven(found, least=500)
    assert found.sessions == 1


async def test_a_collector_stopped_on_a_full_disk_closes_its_session(stand: Open) -> None:
    async with stand(markets=24, activity=20.0) as s:
        async with s.collecting(wrapper=small_disk("5m")) as collector:
            await collector.recording()
            s.database_line.cut()
            await collector.until(lambda seen: seen["state"] == "spool_full")
            collector.process.terminate()
            await collector.until(lambda seen: seen["state"] == "stopping")
            s.database_line.heal()
        assert "session_closed" in collector.said

    found = await s.judge()
    assert_proven(found, least=500)
    assert found.sessions == 1


# --- the feed ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "counts"),
    [
        ("drop every=97", lambda found: found.in_gaps > 0),
        ("drop channel=orderbook_delta rate=0.02", lambda found: found.in_gaps > 0),
        ("duplicate every=101", lambda found: True),
        ("reorder every=103", lambda found: True),
        ("delay every=211 ms=150", lambda found: True),
    ],
)
async def test_frames_that_the_line_lost_doubled_or_mixed_up_are_told(
    stand: Open, fault: str, counts: Callable[[Evidence], bool]
) -> None:
    async with stand(fault) as s, s.collecting() as collector:
        await collector.recording(800)

    found = await s.judge()
    assert_proven(found, least=800)
    assert counts(found)


async def test_connections_that_break_again_and_again_lose_nothing_unseen(stand: Open) -> None:
    async with stand("disconnect after=300 count=4") as s, s.collecting() as collector:
        await collector.recording(1_500)

    found = await s.judge()
    assert_proven(found, least=1_500)
    assert found.sessions == 5


async def test_a_refused_handshake_is_an_outage(stand: Open) -> None:
    async with stand() as s, s.collecting() as collector:
        await collector.recording()
        s.serving.faults.add(read_fault("refuse-handshakes count=2 status=503"))
        s.feed_line.cut()
        s.feed_line.heal()
        await collector.until(lambda seen: seen["state"] in {"unavailable", "maintenance"})
        seen = await collector.until(lambda seen: seen["state"] == "recording")
        await collector.recording(seen["frames_total"] + 100)

    found = await s.judge()
    assert_proven(found)
    assert found.sessions == 2


async def test_a_frame_that_means_nothing_is_kept_and_its_market_mended(
    stand: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    tamper(monkeypatch, 200, b'"delta_fp":"', b'"delta_fp":"nonsense')
    async with stand(is_judged=False) as s, s.collecting() as collector:
        await collector.recording(600)
        await collector.until(lambda seen: seen["stale_markets"] == 0)

    found = await s.judge()
    assert_proven(found, least=600)
    assert found.refused == 1

"""The full figures of `tests/integration/test_nothing_is_lost.py`, and an hour of faults at random.

`SOAK_MINUTES` is the length of that hour (60), `SOAK_SEED` what its dice begin with. Each test
prints what was sent, stored, and told as lost.
"""

import asyncio
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest
from evidence import Evidence, assert_proven
from recording_stand import Collector, Open, Stand, kill_server, small_disk, tear_last_segment

from kalshiflow.stack.postgres import PostgresServer
from kalshiflow.venue.faults.language import read_fault
from kalshiflow.venue.replay.capture import load_capture

pytestmark = pytest.mark.soak

ROOT = Path(__file__).resolve().parents[2]
MINUTES = float(os.environ.get("SOAK_MINUTES", "60"))
SEED = int(os.environ.get("SOAK_SEED", "1"))
MOST_MEGABYTES = 250
RECORDINGS = (
    "kalshi-demo-ws-2026-07/session.jsonl",
    "kalshi-prod-inxd-2023-08-31/INXD-23AUG31-B4512.jsonl",
)


def tell(what: object) -> None:
    sys.stdout.write(f"{what}\n")


async def proven(s: Stand, *, least: int) -> Evidence:
    found = await s.judge()
    tell(found)
    assert_proven(found, least=least)
    return found


async def test_fifty_kills_at_any_moment(stand: Open) -> None:
    moments = random.Random(SEED)
    async with stand(markets=24, activity=10.0) as s:
        for number in range(50):
            collector = await s.start()
            if number % 3:
                await collector.recording(1)
            await asyncio.sleep(moments.uniform(0.0, 3.0))
            await collector.kill()
        async with s.collecting() as collector:
            await collector.recording()
            await collector.settled()

    found = await proven(s, least=10_000)
    assert found.sessions >= 34


async def test_ten_kills_of_the_database(stand: Open, server: PostgresServer) -> None:
    moments = random.Random(SEED)
    async with stand(markets=24, activity=10.0) as s, s.collecting() as collector:
        await collector.recording()
        for _ in range(10):
            await asyncio.sleep(moments.uniform(0.5, 4.0))
            kill_server(server)
            await asyncio.sleep(moments.uniform(0.0, 3.0))
            await asyncio.to_thread(server.start)
            await collector.until(lambda seen: seen["status"] == "ok")
        await collector.until(lambda seen: seen["records_behind"] < 1_000)

    found = await proven(s, least=10_000)
    assert found.sessions == 1


@pytest.mark.parametrize("trouble", ["cut", "hang"])
async def test_a_database_out_of_reach_for_three_minutes(stand: Open, trouble: str) -> None:
    async with stand(markets=24, activity=20.0) as s, s.collecting() as collector:
        await collector.recording()
        getattr(s.database_line, trouble)()
        await asyncio.sleep(180)
        s.database_line.heal()
        await collector.until(lambda seen: seen["records_behind"] < 1_000, patience=180)

    found = await proven(s, least=100_000)
    assert found.sessions == 1


async def test_a_disk_of_a_few_megabytes_that_is_full_three_times(stand: Open) -> None:
    small = small_disk("24m")
    odd = "segment_bytes=4000000"
    async with (
        stand(markets=24, activity=60.0) as s,
        s.collecting(odd, wrapper=small) as collector,
    ):
        seen = await collector.recording()
        for _ in range(3):
            s.database_line.cut()
            await collector.until(lambda seen: seen["state"] == "spool_full", patience=180)
            await asyncio.sleep(5)
            s.database_line.heal()
            await collector.recording(seen["frames_total"] + 1_000)
            seen = await collector.until(lambda seen: seen["records_behind"] < 5_000, patience=60)

    await proven(s, least=100_000)


async def test_twenty_torn_tails(stand: Open) -> None:
    dice = random.Random(SEED)
    async with stand(markets=24, activity=10.0) as s:
        for _ in range(20):
            collector = await s.start()
            seen = await collector.recording(100)
            s.database_line.cut()
            await collector.recording(seen["frames_total"] + 500)
            await collector.kill()
            tear_last_segment(s.spool, dice.randrange(1, 20_000))
            s.database_line.heal()
        async with s.collecting() as collector:
            await collector.recording()
            await collector.settled()

    await proven(s, least=2_000)


async def test_a_line_with_every_fault_at_once(stand: Open) -> None:
    faults = (
        "drop rate=0.002",
        "duplicate rate=0.002",
        "reorder rate=0.002",
        "delay rate=0.002 ms=200",
        "disconnect after=5000 rate=0.5",
        "refuse-handshakes rate=0.3",
    )
    async with stand(*faults, markets=24, activity=20.0) as s, s.collecting() as collector:
        await collector.until(lambda seen: seen["frames_total"] > 100_000, patience=600)

    found = await proven(s, least=100_000)
    assert found.in_gaps > 50


@pytest.mark.recorded
@pytest.mark.parametrize("name", RECORDINGS)
async def test_a_rotation_each_fifth_of_a_minute_loses_nothing_at_any_seam(
    stand: Open, recorded_data: Path, name: str
) -> None:
    capture = load_capture(recorded_data / name)
    speed = (capture.end - capture.start) / 1e9 / 60  # all of it in a minute
    async with (
        stand(capture=recorded_data / name, speed=speed) as s,
        s.collecting(RL_SESSION_MAX_MINUTES="0.2") as collector,
    ):
        await collector.recording(1)
        await asyncio.sleep(65)

    found = await proven(s, least=len(capture.events) // 2)
    assert found.seams >= 4


def test_durable_ingest_is_sustained_and_catches_up() -> None:
    done = subprocess.run(
        [
            *(sys.executable, str(ROOT / "benchmarks" / "durable.py")),
            *("--sustain", "300", "--outage", "600"),
        ],
        capture_output=True,
        text=True,
    )
    tell(done.stdout)
    assert done.returncode == 0, done.stderr
    told = dict(line.split(" ", 1) for line in done.stdout.splitlines() if line[:1].isalpha())
    assert float(told["sustained_peak"].split()[0]) < MOST_MEGABYTES
    assert float(told["outage_of_catching_up"].split()[0]) >= 5


# --- an hour -----------------------------------------------------------------------------------


async def test_an_hour_of_faults_at_random_loses_nothing(
    stand: Open, server: PostgresServer
) -> None:
    async with stand(markets=24, activity=8.0) as s:
        soak = Soak(s, server, random.Random(SEED))
        await soak.run(MINUTES * 60)

    await proven(s, least=int(MINUTES * 3_000))
    peak, growth = max(soak.memory), soak.growth()
    tell(f"{soak.struck}; memory at most {peak:.0f} MB, {growth:+.1f} MB over the longest life")
    assert peak < MOST_MEGABYTES
    assert growth < 20


class Soak:
    """Strikes one fault after another, and looks at the collector's memory between them."""

    def __init__(self, stand: Stand, server: PostgresServer, dice: random.Random) -> None:
        self.stand = stand
        self.struck: dict[str, int] = {}
        self.memory: list[float] = []
        self._server = server
        self._dice = dice
        self._lives: list[list[float]] = []
        self._collector: Collector

    async def run(self, seconds: float) -> None:
        await self._begin()
        ends = time.monotonic() + seconds
        faults: dict[Callable[[], Awaitable[None]], int] = {
            # How often each, compared with the others: a collector is to live for a while.
            self._kill_the_collector: 1,
            self._stop_the_collector: 1,
            self._kill_the_database: 2,
            self._cut_the_database: 4,
            self._slow_the_database: 4,
            self._cut_the_feed: 4,
            self._spoil_the_feed: 6,
            self._refuse_handshakes: 2,
        }
        while time.monotonic() < ends:
            (strike,) = self._dice.choices(list(faults), weights=list(faults.values()))
            name = strike.__name__.strip("_")
            self.struck[name] = self.struck.get(name, 0) + 1
            await strike()
            await self._live(self._dice.uniform(3.0, 15.0))
        await self._collector.settled()
        assert await self._collector.stop() == 0

    def growth(self) -> float:
        """Give how much more memory the longest life had at its end than after its first third."""
        longest = max(self._lives, key=len)
        third = max(1, len(longest) // 3)
        return statistics.median(longest[-third:]) - statistics.median(longest[third : 2 * third])

    async def _live(self, seconds: float) -> None:
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            await asyncio.sleep(1)
            used = psutil.Process(self._collector.process.pid).memory_info().rss / 1e6
            self.memory.append(used)
            self._lives[-1].append(used)

    async def _begin(self) -> None:
        self._collector = await self.stand.start(RL_SESSION_MAX_MINUTES="2", RL_AUDIT_MARKETS="3")
        self._lives.append([])
        await self._collector.recording(1)

    async def _kill_the_collector(self) -> None:
        await self._collector.kill()
        if self._dice.random() < 0.3:
            tear_last_segment(self.stand.spool, self._dice.randrange(1, 5_000))
        await self._begin()

    async def _stop_the_collector(self) -> None:
        assert await self._collector.stop() == 0
        await self._begin()

    async def _kill_the_database(self) -> None:
        kill_server(self._server)
        await asyncio.sleep(self._dice.uniform(0.0, 10.0))
        await asyncio.to_thread(self._server.start)

    async def _cut_the_database(self) -> None:
        line = self.stand.database_line
        self._dice.choice((line.cut, line.hang))()
        await self._live(self._dice.uniform(1.0, 40.0))
        line.heal()

    async def _slow_the_database(self) -> None:
        line = self.stand.database_line
        line.slow(
            latency=self._dice.uniform(0.0, 0.3),
            bytes_per_second=self._dice.uniform(20_000, 500_000),
        )
        await self._live(self._dice.uniform(5.0, 20.0))
        line.heal()

    async def _cut_the_feed(self) -> None:
        for _ in range(self._dice.randrange(1, 4)):
            self.stand.feed_line.cut()
            await asyncio.sleep(self._dice.uniform(0.0, 0.5))
            self.stand.feed_line.heal()
            await asyncio.sleep(self._dice.uniform(0.0, 2.0))

    async def _spoil_the_feed(self) -> None:
        kind = self._dice.choice(("drop", "duplicate", "reorder", "delay ms=100"))
        word, _, more = kind.partition(" ")
        seconds = self._dice.uniform(1.0, 10.0)
        await self._fault(f"{word} rate=0.02 for={seconds:.1f}s {more}".strip())

    async def _refuse_handshakes(self) -> None:
        status = self._dice.choice((401, 429, 503))
        await self._fault(f"refuse-handshakes status={status} count=2")
        self.stand.feed_line.cut()
        self.stand.feed_line.heal()

    async def _fault(self, line: str) -> None:
        self.stand.serving.faults.add(read_fault(line))

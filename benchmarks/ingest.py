"""Frames to committed rows: the collector without its socket, against a bare COPY of the same rows.

A PostgreSQL of its own in a temporary folder, fsync and synchronous_commit on. Figures are medians
of three takes in this run; the ratios are what counts, rates belong to the machine named. Time is
the clock's for what is durable, and the client's processor time where the name says `core`.
"""

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from feed import MARKETS, ROUNDS, SECONDS, frames_of
from machine import machine

from kalshiflow.exchange.feed import Feed
from kalshiflow.market.events import BookDelta
from kalshiflow.stack.postgres import PostgresServer
from kalshiflow.store import rows
from kalshiflow.store.database import Store
from kalshiflow.store.migrate import migrate
from kalshiflow.venue.traders.synthetic import Recording, record
from streaming.broadcast import Hub
from streaming.committer import Committer
from streaming.health import Health
from streaming.recorder import Recorder

TURN = 64  # frames between two looks at other tasks, as a socket would allow


async def ingest(store: Store, frames: list[bytes], recording: Recording) -> tuple[float, float]:
    """Give the seconds from the first frame to the last committed row, and our processor's."""
    health = Health(time.time_ns(), "local")
    committer = Committer(health)
    recorder = Recorder(
        store,
        {market.ticker: market for market in recording.markets},
        health,
        Hub(),
        environment="local",
        traded=False,
        at=time.time_ns(),
    )
    committer.follow(recorder.writer)
    async with asyncio.TaskGroup() as group:
        commit = group.create_task(committer.commit())
        began, core = time.perf_counter(), time.process_time()
        for number, raw in enumerate(frames):
            if committer.is_full:
                await committer.room()
            recorder.take(raw, time.time_ns())
            if number % TURN == 0:
                await asyncio.sleep(0)
        await recorder.writer.flush()
        while recorder.writer.pending:
            await recorder.writer.flush()
        took = time.perf_counter() - began, time.process_time() - core
        commit.cancel()
    committer.retire(recorder.end(), "end of the benchmark")
    await committer.drain()
    assert health.bad_frames == health.gaps == 0
    return took


async def bare_copy(store: Store, frames: list[bytes]) -> tuple[float, float]:
    """Give the same for as many delta rows copied in batches of 10,000, and nothing else."""
    feed = Feed(uses_yes_price=True)
    events = (feed.receive(raw, time.time_ns()).event for raw in frames)
    made = [rows.delta_row("bare", event) for event in events if isinstance(event, BookDelta)]
    async with store.connection() as connection:
        await connection.execute(f"CREATE TABLE bare (LIKE {rows.DELTAS} INCLUDING ALL)")
        began, core = time.perf_counter(), time.process_time()
        for low in range(0, len(made), 10_000):
            await connection.copy_records_to_table(
                "bare", columns=rows.COLUMNS[rows.DELTAS], records=made[low : low + 10_000]
            )
        took, core = time.perf_counter() - began, time.process_time() - core
        await connection.execute("DROP TABLE bare")
    scale = len(frames) / len(made)
    return took * scale, core * scale


async def main(url: str) -> None:
    """Measure and print."""
    recording = record(markets=MARKETS, seconds=SECONDS)
    frames = frames_of(recording)
    async with await Store.open(url) as store:
        durable = [await ingest(store, frames, recording) for _ in range(ROUNDS)]
        bare = [await bare_copy(store, frames) for _ in range(ROUNDS)]
    print(f"machine: {machine()}")
    print(f"frames {len(frames)} frames")
    rates = {}
    for name, takes in (("durable_ingest", durable), ("bare_copy", bare)):
        seconds, core = (statistics.median(times) for times in zip(*takes, strict=True))
        rates[name] = len(frames) / seconds
        print(f"{name} {len(frames) / seconds:.0f} frames/s")
        print(f"{name}_core {len(frames) / core:.0f} frames/s")
    print(f"durable_ingest_of_bare_copy {rates['durable_ingest'] / rates['bare_copy']:.3f} ratio")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="kalshiflow-bench-") as folder:
        server = PostgresServer(Path(folder))
        try:
            database = server.start()
            migrate(database)
            asyncio.run(main(database))
        finally:
            server.remove()

"""Books to screens while 10,000 frames a second are recorded: from a change to the last screen.

Frames are taken as from a socket's bursts: into a spool on disk, then into the recorder, its books
and rows, which are thrown away. A hundred screens, raw sockets in a process of their own, watch a
few of 300 markets each; one more watches all of them and never reads. A time runs from the burst's
arrival until the last screen has read the change. `record_core` is the processor's share without
any screen, `broadcast_core` what the screens add to it.
"""

import asyncio
import gc
import json
import random
import struct
import sys
import tempfile
import time
from itertools import chain, count, islice
from pathlib import Path

from machine import machine
from traffic import Traffic, synthetic

from kalshiflow.exchange.feed import Received
from kalshiflow.market.events import BookDelta, BookSnapshot
from kalshiflow.recording.notes import Connected, listed
from kalshiflow.recording.recorder import Recorder
from kalshiflow.recording.spool import Spool
from kalshiflow.serving import bind, serving
from kalshiflow.store.batch import Batch
from streaming.broadcast import Hub, encode, snapshot_message
from streaming.health import Health, State, stats_message
from streaming.intake import Intake
from streaming.server import application

RATE = 10_000  # frames a second
SECONDS = 20
TURN_SECONDS = 0.001
MARKETS, SCREENS, WATCHED = 300, 100, 4
ROWS_KEPT = 10_000
SEQ, DELTA = b'"sequence_number":', b"orderbook_delta"
UPGRADE = (
    b"GET /rl/ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class Bench:
    """The part of a collector behind its socket, and its screens' server."""

    def __init__(self, traffic: Traffic, spool: Spool) -> None:
        self.traffic = traffic
        self.hub = Hub()
        self.recorder = Recorder(Batch())
        self.health = Health(time.time_ns(), "local", state=State.RECORDING)
        self.health.markets = tuple(sorted(market.ticker for market in traffic.markets))
        self.arrived: dict[int, float] = {}  # by sequence number, of changes that were told
        self.intake = Intake(spool, self.recorder, time.time_ns)
        self.intake.look = self.look
        self.intake.looks_closely = lambda: bool(self.hub.screens)
        self.now = 0.0
        spool.begin_segment(self.recorder.checkpoint(), time.time_ns())

    def book(self, ticker: str) -> bytes | None:
        """Give a book's message, as the collector does."""
        recorder = self.recorder
        if recorder.books.is_stale(ticker):
            return None
        return encode(snapshot_message(recorder.books[ticker], recorder.newest.get(ticker)))

    def look(self, received: Received) -> None:
        """Look at a frame, as the collector does."""
        event = received.event
        if isinstance(event, BookDelta):
            if self.hub.is_watched(event.ticker):
                self.arrived[event.stamp.seq or 0] = self.now
                self.hub.changed(event, self.recorder.books[event.ticker])
        elif isinstance(event, BookSnapshot):
            self.hub.replaced(event.ticker)

    def frames(self, raws: list[bytes]) -> None:
        """Take a burst."""
        self.now = time.perf_counter()
        at = time.time_ns()
        self.intake.frames([(raw, at) for raw in raws])
        batch = self.recorder.batch
        if batch is not None and batch.count > ROWS_KEPT:
            self.recorder.batch = Batch(self.recorder.position, self.recorder.position)

    async def run(self, seconds: float) -> float:
        """Take frames at the rate; gives the processor's seconds."""
        laps = chain.from_iterable(self.traffic.lap() for _ in count())
        frames = list(islice(laps, int(RATE * seconds)))
        gc.collect()
        core, began, sent = time.process_time(), time.perf_counter(), 0
        while sent < len(frames):
            due = int((time.perf_counter() - began) * RATE)
            if due > sent:
                self.frames(frames[sent:due])
                sent = due
            await asyncio.sleep(TURN_SECONDS)
        return time.process_time() - core

    async def tell(self) -> None:
        """Tell the figures each second."""
        while True:
            await asyncio.sleep(1)
            self.hub.tell(stats_message(self.health, time.time_ns()))


async def main(folder: Path) -> None:
    """Measure and print."""
    print(f"machine: {machine()}")
    traffic = synthetic(MARKETS, 60)
    spool = Spool.open(folder, limit_bytes=2**33)
    bench = Bench(traffic, spool)
    bench.intake.note(
        Connected(
            session_id="bench",
            origin="collector",
            environment="local",
            traded=False,
            markets=listed(traffic.markets),
        )
    )
    bench.frames(traffic.greeting())
    bench.frames(traffic.lap())
    beside = [asyncio.create_task(spool.keep_durable()), asyncio.create_task(bench.tell())]
    with bind(0, "") as listener:
        port = listener.getsockname()[1]
        pages = application(bench.health, bench.hub, bench.book, time.time_ns)
        async with serving(pages, listener):
            alone = await bench.run(SECONDS / 2) / (SECONDS / 2)
            readers, stuck = await screens(port, bench)
            bench.arrived.clear()
            together = await bench.run(SECONDS) / SECONDS
            await asyncio.sleep(0.5)
            said, _ = await readers.communicate(b"end\n")
            slow = [screen for screen in bench.hub.screens if screen.conflated]
            stuck.close()
    for task in beside:
        task.cancel()
    await asyncio.wait(beside)
    spool.close()
    report(bench.arrived, json.loads(said), alone, together)
    assert len(slow) == 1, "only the screen that never reads may be conflated"


def report(
    arrived: dict[int, float], seen: list[list[float]], alone: float, together: float
) -> None:
    """Print the figures."""
    last = {int(seq): (at, count) for seq, at, count in seen if int(seq) in arrived}
    taken = sorted(last[seq][0] - at for seq, at in arrived.items() if seq in last)
    messages = int(sum(count for _, count in last.values()))
    for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0)):
        print(f"broadcast_{name} {taken[int(share * (len(taken) - 1))] * 1e3:.2f} ms")
    print(f"record_core {alone:.3f} of_one_core")
    print(f"broadcast_core {together - alone:.3f} of_one_core")
    print(f"broadcast_cost {(together - alone) * SECONDS / messages * 1e6:.1f} us/message")
    print(f"changes {len(taken)} changes")
    print(f"messages {messages} messages")
    print(f"frames {RATE * SECONDS} frames")


async def screens(
    port: int, bench: Bench
) -> tuple[asyncio.subprocess.Process, asyncio.StreamWriter]:
    """Begin the screens, and the one that never reads; waits until all are there."""
    reader, stuck = await asyncio.open_connection("127.0.0.1", port, limit=2**12)
    stuck.write(UPGRADE)
    await reader.readuntil(b"\r\n\r\n")
    stuck.write(masked(json.dumps({"cmd": "watch", "markets": bench.health.markets}).encode()))
    stuck.transport.pause_reading()
    readers = await asyncio.create_subprocess_exec(
        *(sys.executable, __file__, "read", str(port), *bench.health.markets),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**28,
    )
    while sum(bool(screen.watched) for screen in bench.hub.screens) < SCREENS + 1:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    await asyncio.sleep(1)
    return readers, stuck


def masked(text: bytes) -> bytes:
    """Write a client's frame; its mask is zero."""
    size = bytes((0x80 | len(text),)) if len(text) < 126 else b"\xfe" + struct.pack("!H", len(text))
    return b"\x81" + size + bytes(4) + text


class Reader(asyncio.Protocol):
    """One screen: notes when it has read which change."""

    def __init__(self, seen: dict[int, list[float]], markets: list[str]) -> None:
        self.seen = seen
        self.command = masked(json.dumps({"cmd": "watch", "markets": markets}).encode())
        self.rest = b""
        self.is_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.write(UPGRADE)  # type: ignore[attr-defined]
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        data, now = self.rest + data, time.perf_counter()
        if not self.is_open:
            _, _, data = data.partition(b"\r\n\r\n")
            self.is_open = True
            self.transport.write(self.command)  # type: ignore[attr-defined]
        offset = 0
        while len(data) >= offset + 4:
            length, begin = data[offset + 1], offset + 2
            if length == 126:
                length, begin = int.from_bytes(data[offset + 2 : offset + 4]), offset + 4
            if len(data) < begin + length:
                break
            if data[begin : begin + 30].find(DELTA) > 0:
                place = data.index(SEQ, begin) + len(SEQ)
                seq = int(data[place : data.index(b",", place)])
                newest = self.seen.setdefault(seq, [0.0, 0])
                newest[0] = now
                newest[1] += 1
            offset = begin + length
        self.rest = data[offset:]


async def read(port: int, markets: list[str]) -> None:
    """Be all the screens until a line comes in; then tell what was seen when."""
    dice, seen = random.Random(4), {}
    loop = asyncio.get_running_loop()
    for _ in range(SCREENS):
        some = dice.sample(markets, WATCHED)
        await loop.create_connection(lambda some=some: Reader(seen, some), "127.0.0.1", port)
    await loop.run_in_executor(None, sys.stdin.readline)
    print(json.dumps([(seq, at, count) for seq, (at, count) in seen.items()]))


if __name__ == "__main__":
    if sys.argv[1:2] == ["read"]:
        asyncio.run(read(int(sys.argv[2]), sys.argv[3:]))
    else:
        with tempfile.TemporaryDirectory(prefix="kalshiflow-bench-") as temporary:
            asyncio.run(main(Path(temporary) / "spool"))

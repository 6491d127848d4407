"""Frames to the spool: what a record costs, and how soon it would survive a loss of power.

A spool in a temporary folder, synced with fdatasync as the collector's is. `durable_*` are times
from another process's sending a frame through a socket until the loop knows that it is durable, at
10,000 frames of 200 to 300 bytes a second; `append_flush_*` is processor time for each frame, by
the frames in a block; `durable_core` is the processor's share, the reading of the socket included.
"""

import asyncio
import random
import socket
import sys
import tempfile
import time
from collections import deque
from pathlib import Path
from struct import Struct

from machine import machine

from kalshiflow.recording.spool import Kind, Spool

RATE = 10_000  # frames a second
SECONDS = 10
TURN_SECONDS = 0.0005  # between two sendings
COUNT = 200_000
LIMIT = 2**33
HEAD = Struct("<dI")  # when a frame was sent, and its length


def frames() -> list[bytes]:
    """Give frames of the length of a book's changes."""
    dice = random.Random(4)
    return [dice.randbytes(dice.randint(200, 300)) for _ in range(1000)]


def cost(folder: Path, block: int) -> tuple[float, float]:
    """Give the processor's and the clock's microseconds for one frame."""
    spool, some = Spool.open(folder, limit_bytes=LIMIT), frames()[:block]
    spool.begin_segment(b"", 1)
    core, began = time.process_time(), time.perf_counter()
    for _ in range(COUNT // block):
        for frame in some:
            spool.append(Kind.FRAME, 1, frame)
        spool.flush()
    core, took = time.process_time() - core, time.perf_counter() - began
    spool.close()
    return core / COUNT * 1e6, took / COUNT * 1e6


def send(descriptor: int) -> None:
    """Write frames at the rate into a socket, each with the time of its sending."""
    some = frames()
    with socket.socket(fileno=descriptor) as out:
        began, sent = time.perf_counter(), 0
        while sent < RATE * SECONDS:
            due = min(int((time.perf_counter() - began) * RATE), RATE * SECONDS)
            if due > sent:
                now = time.perf_counter()
                batch = (some[number % 1000] for number in range(sent, due))
                out.sendall(b"".join(HEAD.pack(now, len(frame)) + frame for frame in batch))
                sent = due
            time.sleep(TURN_SECONDS)


class Taker(asyncio.Protocol):
    """Spools what comes in, one block for what comes in together."""

    def __init__(self, spool: Spool) -> None:
        self.spool = spool
        self.ended = asyncio.get_running_loop().create_future()
        self.waiting: deque[tuple[int, float]] = deque()  # positions and when they were sent
        self.found: list[float] = []
        self.rest = b""

    def data_received(self, data: bytes) -> None:
        data, offset, spool = self.rest + data, 0, self.spool
        while len(data) >= offset + HEAD.size:
            sent, length = HEAD.unpack_from(data, offset)
            end = offset + HEAD.size + length
            if end > len(data):
                break
            position = spool.append(Kind.FRAME, 1, data[offset + HEAD.size : end])
            self.waiting.append((position, sent))
            offset = end
        self.rest = data[offset:]
        spool.flush()

    def connection_lost(self, _error: Exception | None) -> None:
        self.ended.set_result(None)

    async def watch(self) -> None:
        """Note when frames are known to be durable, for ever."""
        while True:
            await self.spool.until_durable(self.spool.durable + 1)
            now = time.perf_counter()
            while self.waiting and self.waiting[0][0] <= self.spool.durable:
                self.found.append(now - self.waiting.popleft()[1])


async def latencies(folder: Path) -> list[float]:
    """Give the seconds from each frame's sending until it is durable, sorted."""
    spool = Spool.open(folder, limit_bytes=LIMIT)
    keeping = asyncio.create_task(spool.keep_durable())
    spool.begin_segment(b"", 1)
    await spool.until_durable(1)
    here, there = socket.socketpair()
    with there:
        sender = await asyncio.create_subprocess_exec(
            sys.executable, __file__, "send", str(there.fileno()), pass_fds=(there.fileno(),)
        )
    loop = asyncio.get_running_loop()
    _, taker = await loop.create_connection(lambda: Taker(spool), sock=here)
    watching = asyncio.create_task(taker.watch())
    await taker.ended
    await sender.wait()
    await spool.until_durable(spool.flushed)
    await asyncio.sleep(TURN_SECONDS)
    for task in (keeping, watching):
        task.cancel()
    await asyncio.wait([keeping, watching])
    spool.close()
    assert len(taker.found) == RATE * SECONDS
    return sorted(taker.found)


def main() -> None:
    """Measure and print."""
    print(f"machine: {machine()}")
    with tempfile.TemporaryDirectory(prefix="kalshiflow-bench-") as folder:
        for block in (1, 10, 200):
            core, took = cost(Path(folder) / str(block), block)
            print(f"append_flush_{block} {core:.2f} us/frame")
            print(f"append_flush_{block}_clock {took:.2f} us/frame")
        core = time.process_time()
        found = asyncio.run(latencies(Path(folder) / "paced"))
        core = time.process_time() - core
        for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0)):
            print(f"durable_{name} {found[int(share * (len(found) - 1))] * 1e3:.3f} ms")
        print(f"durable_core {core / SECONDS:.3f} of_one_core")
        print(f"frames {len(found)} frames")


if __name__ == "__main__":
    if sys.argv[1:2] == ["send"]:
        send(int(sys.argv[2]))
    else:
        main()

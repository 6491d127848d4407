"""Frames off a socket: our connection against `websockets`, which reads and discards.

A bare sender in a process of its own writes the synthetic market's frames for ever; the reader
throws them away. `core` is frames by processor second of the reader's process, the kernel's share
included; each figure is the median of three takes, on asyncio's loop and on uvloop. `of_websockets`
are the ratios to `websockets` on the same loop.
"""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable

import uvloop
from discard import sending
from feed import ROUNDS, frames_of
from machine import machine
from websockets.asyncio.client import connect as connect_websockets

from kalshiflow.exchange.connection import connect
from kalshiflow.exchange.credentials import Credentials, generate_key
from kalshiflow.exchange.errors import Unreachable
from kalshiflow.venue.traders.synthetic import record
from kalshiflow.venue.websocket.framing import framed

SECONDS = 2.0
WARM_UP = 50_000
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}

Take = Callable[[], Awaitable[int]]  # reads some frames and gives how many


async def rates(take: Take) -> tuple[float, float]:
    """Give the frames by second of the clock, and by second of our processor."""
    count = 0
    while count < WARM_UP:
        count += await take()
    count, began, core = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - began < SECONDS:
        count += await take()
    return count / (time.perf_counter() - began), count / (time.process_time() - core)


async def by_burst(port: int, credentials: Credentials) -> tuple[float, float]:
    """Read as the collector does: all that is there at once."""
    async with connect(f"ws://127.0.0.1:{port}/", credentials) as connection:

        async def take() -> int:
            return len(await connection.burst())

        return await rates(take)


async def one_by_one(port: int, credentials: Credentials) -> tuple[float, float]:
    """Read frame by frame, a thousand between two looks at the clock."""
    async with connect(f"ws://127.0.0.1:{port}/", credentials) as connection:

        async def take() -> int:
            for _ in range(1_000):
                await connection.receive()
            return 1_000

        return await rates(take)


async def by_websockets(port: int, _: Credentials) -> tuple[float, float]:
    """Read with `websockets`: bytes, its default queue."""
    url = f"ws://127.0.0.1:{port}/"
    async with connect_websockets(url, compression=None, proxy=None) as reader:

        async def take() -> int:
            for _ in range(1_000):
                await reader.recv(decode=False)
            return 1_000

        return await rates(take)


READERS = {"websockets": by_websockets, "receive": one_by_one, "burst": by_burst}


async def until_there(port: int, credentials: Credentials) -> None:
    """Wait for the sender's process to listen."""
    while True:
        try:
            async with connect(f"ws://127.0.0.1:{port}/", credentials):
                return
        except Unreachable:
            await asyncio.sleep(0.05)


def main() -> None:
    """Measure and print."""
    frames = frames_of(record(markets=24, seconds=60.0))[-2_000:]
    credentials = Credentials.from_pem("benchmark", generate_key()[0])
    print(f"machine: {machine()}")
    print(f"frame_size {statistics.mean(map(len, frames)):.0f} bytes")
    with sending(framed(frames)) as port:
        asyncio.run(until_there(port, credentials))
        for loop, make in LOOPS.items():
            bare = 0.0
            for name, reader in READERS.items():
                takes = []
                for _ in range(ROUNDS):
                    with asyncio.Runner(loop_factory=make) as runner:
                        takes.append(runner.run(reader(port, credentials)))
                wall, core = (statistics.median(each) for each in zip(*takes, strict=True))
                print(f"{name}_{loop} {wall:.0f} frames/s")
                print(f"{name}_{loop}_core {core:.0f} frames/s")
                bare = bare or core
                if core != bare:
                    print(f"{name}_{loop}_of_websockets {core / bare:.2f} ratio")


if __name__ == "__main__":
    main()

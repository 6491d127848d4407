"""What `websockets` reads and throws away: bytes, its default queue, asyncio's own loop.

Run by `durable.py` as `python websockets_discard.py PORT FRAMES CORE`; prints JSON.
"""

import asyncio
import json
import os
import sys
import time

from websockets.asyncio.client import connect


async def discard(port: int, frames: int) -> dict[str, float]:
    """Read so many frames; gives the seconds since the first one, the clock's and our core's."""
    async with connect(f"ws://127.0.0.1:{port}", compression=None, proxy=None) as reader:
        await reader.recv(decode=False)
        began, core = time.perf_counter(), time.process_time()
        for _ in range(frames - 1):
            await reader.recv(decode=False)
        took, core = time.perf_counter() - began, time.process_time() - core
        reader.transport.abort()
    return {"seconds": took, "core_seconds": core}


if __name__ == "__main__":
    port, frames, core = map(int, sys.argv[1:])
    os.sched_setaffinity(0, {core})
    print(json.dumps(asyncio.run(discard(port, frames))))

"""The other end of a venue's WebSocket, in a process of its own: it costs the venue nothing."""

import asyncio
import base64
import json
import multiprocessing
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from urllib.parse import urlsplit

from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.protocol import State

from kalshiflow.exchange.credentials import Credentials
from kalshiflow.exchange.environments import WS_PATH
from kalshiflow.venue.app import Serving

SOCKET_BYTES = 2**20
QUIET_SECONDS = 0.3
_processes = multiprocessing.get_context("spawn")


class Readers:
    """Readers that were started; `end` tells them to stop once nothing comes any more."""

    def __init__(self, pipes: list[Connection]) -> None:
        self._pipes = pipes

    def end(self) -> tuple[int, float]:
        """Give the bytes that all took, and when the last of them came (seconds, `monotonic`)."""
        for pipe in self._pipes:
            pipe.send("end")
        taken = [pipe.recv() for pipe in self._pipes]
        return sum(count for count, _ in taken), max(at for _, at in taken)


@contextmanager
def reading(
    serving: Serving, tickers: list[str], count: int, how: str = "raw"
) -> Iterator[Readers]:
    """Run readers of every book and trade: `raw` ones, which take bytes, or by `websockets`."""
    work = {"raw": _take_bytes, "websockets": _take_frames}[how]
    headers = Credentials.from_pem(serving.key_id, serving.private_key_path.read_text()).headers(
        "GET", WS_PATH, time.time_ns() // 1_000_000
    )
    params = {
        "channels": ["orderbook_delta", "trade"],
        "market_tickers": tickers,
        "use_yes_price": True,
    }
    command = json.dumps({"id": 1, "cmd": "subscribe", "params": params})
    pipes, children = [], []
    for _ in range(count):
        ours, theirs = _processes.Pipe()
        child = _processes.Process(target=work, args=(serving.ws, headers, command, theirs))
        child.start()
        pipes.append(ours)
        children.append(child)
    try:
        yield Readers(pipes)
    finally:
        for child in children:
            child.terminate()
            child.join()


def _take_bytes(url: str, headers: dict[str, str], command: str, pipe: Connection) -> None:
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 0)) as reader:
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            f"GET {parts.path} HTTP/1.1",
            f"Host: {parts.netloc}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}",
            "Sec-WebSocket-Version: 13",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        reader.sendall("\r\n".join([*lines, "", ""]).encode())
        # Masked, as a client must, by zeros; a length of 16 bits is long enough here.
        text = command.encode()
        reader.sendall(b"\x81\xfe" + len(text).to_bytes(2, "big") + bytes(4) + text)
        reader.settimeout(QUIET_SECONDS)
        taken, at, buffer = 0, time.monotonic(), bytearray(SOCKET_BYTES)
        while True:
            try:
                count = reader.recv_into(buffer)
            except TimeoutError:
                if pipe.poll():
                    break
                continue
            taken, at = taken + count, time.monotonic()
            if not count:
                break
        pipe.send((taken, at))


def _take_frames(url: str, headers: dict[str, str], command: str, pipe: Connection) -> None:
    async def take() -> tuple[int, float]:
        taken, at = 0, time.monotonic()
        async with connect(url, additional_headers=headers, compression=None, proxy=None) as reader:
            await reader.send(command)
            while True:
                try:
                    async with asyncio.timeout(QUIET_SECONDS):
                        while True:
                            taken += len(await reader.recv(decode=False))
                            at = time.monotonic()
                except TimeoutError:
                    if pipe.poll():
                        return taken, at

    pipe.send(asyncio.run(take()))


@contextmanager
def sending(piece: bytes) -> Iterator[int]:
    """Run a bare sender that writes the same ready frames for ever; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    child = _processes.Process(target=_send, args=(port, piece))
    child.start()
    try:
        yield port
    finally:
        child.terminate()
        child.join()


def _send(port: int, piece: bytes) -> None:
    async def converse(connection: ServerConnection) -> None:
        # The reader takes what it wants and goes: its goodbye ends the conversation.
        while connection.protocol.state is State.OPEN and not connection.transport.is_closing():
            if connection.transport.get_write_buffer_size() <= SOCKET_BYTES:
                connection.transport.write(piece)
                await asyncio.sleep(0)
            else:
                await asyncio.sleep(0.0005)

    async def run() -> None:
        async with serve(converse, "127.0.0.1", port, compression=None) as server:
            await server.serve_forever()

    asyncio.run(run())

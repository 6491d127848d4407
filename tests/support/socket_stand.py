"""The WebSocket server over a small venue, on a real port, and clients that behave badly."""

import asyncio
import contextlib
import functools
import json
import logging
import os
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from scene import A, Scene
from websockets.asyncio.client import ClientConnection, connect

from kalshiflow.exchange.credentials import Credentials
from kalshiflow.exchange.environments import WS_PATH
from kalshiflow.market.events import Side
from kalshiflow.venue.auth import Gate
from kalshiflow.venue.floor.accounts import Account
from kalshiflow.venue.keys import client_key
from kalshiflow.venue.websocket.hub import Hub
from kalshiflow.venue.websocket.server import Sockets
from kalshiflow.venue.websocket.sessions import Session


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


class Stand:
    """A running server; `account` is whose key the clients sign with."""

    def __init__(
        self, scene: Scene, sockets: Sockets, port: int, account: Account, signer: Credentials
    ) -> None:
        self.scene = scene
        self.hub: Hub = scene.hub
        self.sockets = sockets
        self.port = port
        self.account = account
        self._signer = signer

    def headers(self) -> dict[str, str]:
        return self._signer.headers("GET", WS_PATH, wall_ms())

    def client(self, headers: dict[str, str] | None = None) -> connect:
        return connect(
            f"ws://127.0.0.1:{self.port}{WS_PATH}",
            additional_headers=self.headers() if headers is None else headers,
            compression=None,
            max_queue=None,
            max_size=None,
            proxy=None,
        )

    async def ask(self, client: ClientConnection, cmd: str, **params: Any) -> dict[str, Any]:
        """Send a command and give the next frame."""
        command = {"id": 1, "cmd": cmd, **({"params": params} if params else {})}
        await client.send(json.dumps(command))
        return await self.next(client)

    async def next(self, client: ClientConnection) -> dict[str, Any]:
        async with asyncio.timeout(5):
            return json.loads(await client.recv())

    async def serves(self) -> bool:
        """Say whether a fresh client is answered."""
        async with self.client() as client:
            answer = await self.ask(client, "list_subscriptions")
            return answer == {"type": "ok", "id": 1, "msg": []}

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for what the server does by itself; each look lets it work."""
        async with asyncio.timeout(5):
            while not condition():
                self.sockets.flush()
                await asyncio.sleep(0.001)

    async def fill(self, raw: "RawClient", session: Session, is_enough: Callable[[], bool]) -> None:
        """Let a bare client subscribe to a book, and send it deltas that it does not read."""
        params = {"channels": ["orderbook_delta"], "market_ticker": A}
        await raw.text(json.dumps({"id": 1, "cmd": "subscribe", "params": params}))
        await self.until(lambda: bool(session.by_sid))
        self.scene.order(self.scene.other, Side.BID, 40, 1)
        async with asyncio.timeout(10):
            while not is_enough():
                for _ in range(200):
                    self.hub.publish(self.scene.facts[0])
                self.sockets.flush()
                await asyncio.sleep(0)

    async def raw(self, receive_buffer: int = 0) -> "RawClient":
        """Shake hands over a bare socket, which reads nothing unless it is told to."""
        client = RawClient(self.port, receive_buffer)
        await client.shake(self.headers())
        return client


class RawClient:
    """A bare socket that speaks WebSocket by hand."""

    def __init__(self, port: int, receive_buffer: int = 0) -> None:
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setblocking(False)
        self._loop = asyncio.get_running_loop()

    async def shake(self, headers: dict[str, str]) -> bytes:
        await self.write(handshake(headers))
        return await self.read_until(b"\r\n\r\n")

    async def write(self, data: bytes) -> None:
        await self._loop.sock_sendall(self.socket, data)

    async def text(self, payload: bytes | str, opcode: int = 1) -> None:
        await self.write(masked(payload.encode() if isinstance(payload, str) else payload, opcode))

    async def read(self, limit: int = 2**20) -> bytes:
        async with asyncio.timeout(5):
            return await self._loop.sock_recv(self.socket, limit)

    async def read_until(self, end: bytes) -> bytes:
        found = b""
        while not found.endswith(end):
            more = await self.read(1)
            if not more:
                break
            found += more
        return found

    async def read_all(self) -> bytes:
        """Give all that comes until the server closes; a reset is an end, too."""
        found = b""
        with contextlib.suppress(ConnectionResetError):
            while more := await self.read():
                found += more
        return found

    def vanish(self) -> None:
        """End without a word: a reset, where the peer hears anything at all."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def handshake(headers: dict[str, str]) -> bytes:
    """Write a handshake as a client does."""
    lines = [
        f"GET {WS_PATH} HTTP/1.1",
        "Host: 127.0.0.1",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def masked(payload: bytes, opcode: int = 1, *, fin: bool = True) -> bytes:
    """Write a frame as a client does."""
    length, mask = len(payload), os.urandom(4)
    head = bytes([(0x80 if fin else 0) | opcode])
    if length < 126:
        head += bytes([0x80 | length])
    elif length < 65_536:
        head += bytes([0x80 | 126]) + struct.pack("!H", length)
    else:
        head += bytes([0x80 | 127]) + struct.pack("!Q", length)
    key = int.from_bytes((mask * (length // 4 + 1))[:length])
    return head + mask + (int.from_bytes(payload) ^ key).to_bytes(length)


@contextlib.asynccontextmanager
async def standing(
    key_dir: Path, scene: Scene | None = None, **options: Any
) -> AsyncIterator[Stand]:
    """Run the server; nothing that it logs on the way may be an error."""
    scene = scene or Scene()
    signer = _signer(key_dir)
    account = scene.floor.accounts.open(
        Account(
            "5a1ad7c5-9b3a-4b4e-8a4f-4d55cf1d7a11",
            scene.mine.portfolio.cash,
            key_id=signer.key_id,
            public_key=signer.public_key,
        )
    )
    gate = Gate(scene.floor.accounts, wall_ms)
    sockets = Sockets(scene.hub, gate, hosts=["127.0.0.1"], **options)
    with socket.create_server(("127.0.0.1", 0)) as listener, no_errors_logged():
        # Small buffers of the system make a slow reader one soon.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**16)
        listener.setblocking(False)
        async with sockets.serving(listener), asyncio.TaskGroup() as group:
            beat = group.create_task(sockets.beat())
            try:
                yield Stand(scene, sockets, listener.getsockname()[1], account, signer)
            finally:
                beat.cancel()


@functools.cache
def _signer(key_dir: Path) -> Credentials:
    key = client_key(key_dir)
    return Credentials.from_pem(key.key_id, key.private_key_path.read_text())


@contextlib.contextmanager
def no_errors_logged() -> Any:
    """Fail where a logger is told of an error, or of anything with a traceback."""
    heard: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.levelno >= logging.WARNING or record.exc_info:
                heard.append(self.format(record))

    listener = Listener()
    root = logging.getLogger()
    root.addHandler(listener)
    try:
        yield
    finally:
        root.removeHandler(listener)
    assert heard == []

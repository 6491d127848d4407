"""A WebSocket server that writes whatever a test wants, byte by byte."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 0x1, 0x2, 0x0, 0x8, 0x9, 0xA

_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def frame(payload: bytes, kind: int = TEXT, *, final: bool = True) -> bytes:
    """Write one frame as a server does."""
    head = bytes([(0x80 if final else 0) | kind])
    length = len(payload)
    if length < 126:
        return head + bytes([length]) + payload
    if length < 1 << 16:
        return head + b"\x7e" + length.to_bytes(2) + payload
    return head + b"\x7f" + length.to_bytes(8) + payload


class Wire:
    """The server's end of one connection, after the request was read."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: bytes):
        self.reader = reader
        self.writer = writer
        self._key = key

    async def accept(self, more: bytes = b"") -> None:
        """Take the handshake; `more` goes into the same packet."""
        token = base64.b64encode(hashlib.sha1(self._key + _MAGIC).digest())
        await self.send(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + token + b"\r\n\r\n" + more
        )

    async def send(self, raw: bytes) -> None:
        """Write bytes as they are."""
        self.writer.write(raw)
        await self.writer.drain()

    async def heard(self) -> tuple[int, bytes]:
        """Give the client's next frame: its kind and payload, unmasked; short ones only."""
        first, second = await self.reader.readexactly(2)
        length = second & 0x7F
        if length == 126:
            length = int.from_bytes(await self.reader.readexactly(2))
        mask = await self.reader.readexactly(4)
        masked = await self.reader.readexactly(length)
        return first & 0xF, bytes(each ^ mask[at % 4] for at, each in enumerate(masked))

    async def until_gone(self) -> None:
        """Read until the client says goodbye, and answer that."""
        while True:
            kind, payload = await self.heard()
            if kind == CLOSE:
                await self.send(frame(payload, CLOSE))
                return


@asynccontextmanager
async def bare_server(
    talk: Callable[[Wire], Awaitable[None]], ssl: object = None
) -> AsyncIterator[int]:
    """Give the port of a server that runs `talk` for each connection; its failures are told."""
    failures: list[BaseException] = []
    talks: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.append(asyncio.current_task())
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                head = await reader.readuntil(b"\r\n\r\n")
                key = next(
                    (
                        line.split(b": ", 1)[1]
                        for line in head.split(b"\r\n")
                        if line.lower().startswith(b"sec-websocket-key")
                    ),
                    b"",
                )
                await talk(Wire(reader, writer, key))
        except Exception as failure:
            failures.append(failure)
        finally:
            writer.close()
            with suppress(ConnectionError, OSError):
                await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=ssl)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        async with asyncio.timeout(10):
            await asyncio.gather(*talks, return_exceptions=True)
            await server.wait_closed()
    if failures:
        raise failures[0]

"""A line that can be cut: a loopback TCP proxy between a program and its server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_PIECE = 65_536


class TcpProxy:
    """Passes bytes on both ways, until it is told to do worse.

    `cut` ends every connection at once and refuses new ones; `refuse` refuses new ones only;
    `hang` passes nothing on and says nothing, as a network that has gone; `slow` adds a delay to
    each piece and bounds the rate; `heal` ends all of that.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self._refuses = False
        self._latency = 0.0
        self._rate: float | None = None
        self.port = 0
        self.accepted = 0

    def cut(self) -> None:
        """End all connections without a goodbye, and refuse new ones."""
        self._refuses = True
        for writer in self._writers:
            writer.transport.abort()

    def refuse(self) -> None:
        """Refuse new connections; the ones that are open stay."""
        self._refuses = True

    def hang(self) -> None:
        """Let nothing through; whatever comes waits."""
        self._flows.clear()

    def slow(self, *, latency: float = 0.0, bytes_per_second: float | None = None) -> None:
        """Delay each piece by `latency` seconds, and pass on so many bytes a second at most."""
        self._latency, self._rate = latency, bytes_per_second

    def heal(self) -> None:
        """Be a good line again."""
        self._refuses = False
        self._latency, self._rate = 0.0, None
        self._flows.set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._flows.set()
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refuses:
            writer.transport.abort()
            return
        self.accepted += 1
        self._writers.add(writer)
        try:
            there, back = await asyncio.open_connection(*self._target)
        except OSError:
            self._leave(writer)
            return
        self._writers.add(back)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, back))
                group.create_task(self._pump(there, writer))
        finally:
            self._leave(writer)
            self._leave(back)

    def _leave(self, writer: asyncio.StreamWriter) -> None:
        self._writers.discard(writer)
        writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while piece := await reader.read(_PIECE):
                await self._flows.wait()
                if self._latency:
                    await asyncio.sleep(self._latency)
                if self._rate is not None:
                    await asyncio.sleep(len(piece) / self._rate)
                writer.write(piece)
                await writer.drain()
            writer.write_eof()
        except OSError:  # either end may break the connection: that is what this line is for
            writer.transport.abort()


@asynccontextmanager
async def proxied(host: str, port: int) -> AsyncIterator[TcpProxy]:
    """Run a proxy to a server for as long as the block lasts."""
    proxy = TcpProxy(host, port)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()

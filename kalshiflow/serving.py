"""Serve a Starlette application on loopback, as one of a program's tasks."""

import asyncio
import contextlib
import errno
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.types import ASGIApp

from kalshiflow.sockets import FramesSocket

HOST = "127.0.0.1"
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]  # what the Host header may say
_BACKLOG = 256
_TICK_SECONDS = 0.1
_LOOK_SECONDS = 0.005
_LARGEST_MESSAGE = 1_000_000  # bytes that a screen may send at once


class PortTaken(RuntimeError):
    """The port that a program should serve on belongs to another, or cannot be had."""


class Server(uvicorn.Server):
    """Uvicorn as one of a program's tasks: it leaves signals alone, and ends when it is told to."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ending = asyncio.Event()

    def end(self) -> None:
        """Let `serve` come to its end now, rather than at uvicorn's next look around."""
        self.should_exit = True
        self._ending.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield

    async def main_loop(self) -> None:
        """Tick ten times a second, as uvicorn does, until the end."""
        ticks = 0
        while not await self.on_tick(ticks):
            ticks += 1
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TICK_SECONDS):
                    await self._ending.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close, and wait for what is open; unlike uvicorn, for nothing where nothing is open."""
        for taken in (*self.servers, *(sockets or ())):
            taken.close()
        for connection in tuple(self.server_state.connections):
            connection.shutdown()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.config.timeout_graceful_shutdown):
                while self.server_state.connections or self.server_state.tasks:  # noqa: ASYNC110 - no event tells
                    await asyncio.sleep(_LOOK_SECONDS)
        for task in tuple(self.server_state.tasks):
            task.cancel()


def listen(host: str, port: int) -> socket.socket:
    """Take a port (0: any free one) and listen on it; raises `OSError`.

    Made for TCP by name: only then does asyncio let small answers go without waiting for the
    acknowledgement of those before, which takes 40 ms.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


def bind(port: int, variable: str) -> socket.socket:
    """Take a port on loopback (0: any free one); `variable` is what moves it to another.

    Raises `PortTaken` with one sentence where another program has it, or nobody may.
    """
    try:
        return listen(HOST, port)
    except OSError as refused:
        why = "is taken by another program"
        if refused.errno != errno.EADDRINUSE:
            why = f"cannot be had ({refused.strerror})"
        raise PortTaken(f"port {port} {why}; set {variable} to a free one") from refused


@asynccontextmanager
async def serving(application: ASGIApp, listener: socket.socket) -> AsyncIterator[None]:
    """Serve while the block runs; at its end open sockets have a second to close."""
    server = Server(
        uvicorn.Config(
            application,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=1,
            ws=FramesSocket,
            ws_per_message_deflate=False,  # on loopback it would only cost
            ws_max_size=_LARGEST_MESSAGE,
        )
    )
    async with asyncio.TaskGroup() as group:
        task = group.create_task(server.serve(sockets=[listener]), name="http")
        try:
            yield
        finally:
            server.end()
            await task


@contextmanager
def stopped_by_signals(stop: asyncio.Event) -> Iterator[None]:
    """Let SIGTERM and Ctrl-C set `stop` instead of ending the process."""
    loop = asyncio.get_running_loop()
    wanted = (signal.SIGTERM, signal.SIGINT)
    for number in wanted:
        loop.add_signal_handler(number, stop.set)
    try:
        yield
    finally:
        for number in wanted:
            loop.remove_signal_handler(number)

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

HOST = "127.0.0.1"
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]  # what the Host header may say
_BACKLOG = 256
_LARGEST_MESSAGE = 1_000_000  # bytes that a screen may send at once


class PortTaken(RuntimeError):
    """The port that a program should serve on belongs to another, or cannot be had."""


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # signals are the program's business


def bind(port: int, variable: str) -> socket.socket:
    """Take a port on loopback (0: any free one); `variable` is what moves it to another.

    Raises `PortTaken` with one sentence where another program has it, or nobody may.
    """
    try:
        return socket.create_server((HOST, port), backlog=_BACKLOG)
    except OSError as refused:
        why = "is taken by another program"
        if refused.errno != errno.EADDRINUSE:
            why = f"cannot be had ({refused.strerror})"
        raise PortTaken(f"port {port} {why}; set {variable} to a free one") from refused


@asynccontextmanager
async def serving(application: ASGIApp, listener: socket.socket) -> AsyncIterator[None]:
    """Serve while the block runs; at its end open sockets have a second to close."""
    server = _Server(
        uvicorn.Config(
            application,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=1,
            ws="websockets-sansio",
            ws_max_size=_LARGEST_MESSAGE,
        )
    )
    async with asyncio.TaskGroup() as group:
        task = group.create_task(server.serve(sockets=[listener]), name="http")
        try:
            yield
        finally:
            server.should_exit = True
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

"""The venue's log: what it was asked, what it sent to whom, and which faults struck.

JSON lines, each with its `kind` and `wall_ns`: `rest` is a whole exchange as it went over the
wire, `handshake`, `command` and `frame` are the WebSocket's, `order` is each state of a client's
order with the recorded frame (`after_frame`) after which it came, `fault` is a fault's strike.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import msgspec

FLUSH_SECONDS = 1.0
BUFFER_BYTES = 2**20


class Log(Protocol):
    """Takes entries."""

    @property
    def is_kept(self) -> bool:
        """Say whether anything becomes of an entry."""

    def note(self, kind: str, entry: Mapping[str, object]) -> None:
        """Write one entry."""

    async def keep(self) -> None:
        """Do what has to be done from time to time."""


class NoLog:
    """Takes everything, and keeps nothing."""

    is_kept = False

    def note(self, kind: str, entry: Mapping[str, object]) -> None:
        """Let it pass."""

    async def keep(self) -> None:
        """Do nothing."""


NO_LOG = NoLog()


class VenueLog:
    """Adds entries to a file: after `flush_seconds`, and at the end. What it held before stays.

    Raises `OSError`, with the file's name, where it cannot be written.
    """

    is_kept = True

    def __init__(
        self,
        path: Path,
        wall_ns: Callable[[], int] = time.time_ns,
        flush_seconds: float = FLUSH_SECONDS,
    ) -> None:
        try:
            self._file = path.open("ab")
        except OSError as problem:
            raise OSError(f"the log {path} cannot be written: {problem.strerror}") from None
        self._wall_ns = wall_ns
        self._flush_seconds = flush_seconds
        self._encoder = msgspec.json.Encoder(enc_hook=str)
        self._waiting = bytearray()

    def note(self, kind: str, entry: Mapping[str, object]) -> None:
        """Write one entry, soon."""
        self._waiting += self._encoder.encode({"kind": kind, "wall_ns": self._wall_ns(), **entry})
        self._waiting += b"\n"
        if len(self._waiting) > BUFFER_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        self._file.write(self._waiting)
        self._file.flush()
        self._waiting.clear()

    async def keep(self) -> None:
        """Write what waits from time to time, for ever."""
        while True:
            await asyncio.sleep(self._flush_seconds)
            self.flush()

    def close(self) -> None:
        """Write what waits, and close the file."""
        self.flush()
        self._file.close()


def as_text(raw: bytes | str) -> str:
    """Give what came or went as text; a byte that is none shows as its escape."""
    return raw if isinstance(raw, str) else raw.decode("utf-8", "backslashreplace")

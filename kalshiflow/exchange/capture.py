"""Recorded traffic on disk: three forms read, one written, each frame as raw bytes.

- Frames as the exchange sent them, one a line (2026). They hold no receive time: it is taken from
  their exchange time, carried forward where a frame has none.
- `{"recv_ts", "type", "msg"}` (2023), with the receive time as ISO 8601 and no numbers.
- Our own: a first line `{"capture": 1, "uses_yes_price": ...}`, then
  `{"received_at": nanoseconds, "frame": {...}}`, or `"bytes"` in base64 for what is no JSON.

Blank lines between frames are skipped.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import msgspec

from kalshiflow.exchange.feed import Feed
from kalshiflow.exchange.times import nanoseconds

VERSION = 1


_ABSENT = msgspec.Raw(b"")


class CaptureError(ValueError):
    """A line that none of the known forms explains."""


@dataclass(frozen=True, slots=True)
class CapturedFrame:
    """A frame that a `Feed` can take as it is, with its receive time in nanoseconds."""

    raw: bytes
    received_at: int


class _Line(msgspec.Struct):
    """A line of any form: which fields are there tells which one it is."""

    capture: int | None = None
    uses_yes_price: bool | None = None
    received_at: int | None = None
    frame: msgspec.Raw = _ABSENT
    content: bytes | None = msgspec.field(name="bytes", default=None)
    recv_ts: str | None = None
    type: str | None = None
    msg: msgspec.Raw = _ABSENT


_lines: msgspec.json.Decoder[_Line] = msgspec.json.Decoder(_Line)
_encoder = msgspec.json.Encoder()


def read_capture(path: Path) -> Iterator[CapturedFrame]:
    """Yield the frames of a recording in order; raises `CaptureError` for a line of no form.

    Snapshots that a recorder wrote by itself between chunks are frames like any other.
    """
    feed = Feed()  # only for the exchange times of frames without a receive time
    early: list[bytes] = []  # frames before the first known time: they take that time
    for line, text in _texts(path):
        frame = _frame(line, text, path)
        if frame is None:
            continue
        if isinstance(frame, CapturedFrame):
            yield frame
            continue
        feed.receive(frame, 0)
        if feed.market_time is None:
            early.append(frame)
            continue
        for raw in (*early, frame):
            yield CapturedFrame(raw, feed.market_time)
        early.clear()
    if early:
        raise CaptureError(f"{path}: no frame tells a time")


def uses_yes_price(path: Path) -> bool:
    """Say whether the NO levels of a recording carry YES prices: only our own form can say so."""
    for line, _ in _texts(path):
        return bool(line.uses_yes_price)
    return False


def capture_tickers(path: Path) -> list[str]:
    """Give the markets whose books a recording holds, in order of their first frame."""
    feed = Feed(uses_yes_price=uses_yes_price(path))
    found: dict[str, None] = {}
    for frame in read_capture(path):
        event = feed.receive(frame.raw, frame.received_at).event
        if event is not None:
            found[event.ticker] = None
    return list(found)


def capture_span(path: Path) -> tuple[int, int]:
    """Give the receive times of the first and the last frame, in nanoseconds."""
    first = last = None
    for frame in read_capture(path):
        first = frame.received_at if first is None else first
        last = frame.received_at
    if first is None or last is None:
        raise CaptureError(f"{path}: no frames")
    return first, last


class CaptureWriter:
    """Writes a recording in our own form; a context manager. Refuses to overwrite a file."""

    def __init__(self, path: Path, *, uses_yes_price: bool = True) -> None:
        self._file: IO[bytes] = path.open("xb")
        self._write({"capture": VERSION, "uses_yes_price": uses_yes_price})

    def write(self, raw: bytes, received_at: int) -> None:
        """Append one frame, whatever its bytes are."""
        if _is_one_line_of_json(raw):
            self._write({"received_at": received_at, "frame": msgspec.Raw(raw)})
        else:
            self._write({"received_at": received_at, "bytes": raw})

    def close(self) -> None:
        """Finish the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _write(self, line: dict[str, object]) -> None:
        self._file.write(_encoder.encode(line) + b"\n")


def _texts(path: Path) -> Iterator[tuple[_Line, bytes]]:
    with path.open("rb") as file:
        for number, text in enumerate(file, start=1):
            stripped = text.strip()
            if not stripped:
                continue
            try:
                yield _lines.decode(stripped), stripped
            except (ValueError, RecursionError) as unreadable:
                raise CaptureError(f"{path}, line {number}: {unreadable}") from unreadable


def _frame(line: _Line, text: bytes, path: Path) -> CapturedFrame | bytes | None:
    """Give the line's frame: with its receive time, or bare where it has none."""
    if line.capture is not None:
        if line.capture != VERSION:
            raise CaptureError(f"{path}: form {line.capture} is not known")
        return None
    if line.received_at is not None:
        raw = bytes(line.frame) or line.content
        if raw is None:
            raise CaptureError(f"{path}: a line with neither frame nor bytes")
        return CapturedFrame(raw, line.received_at)
    if line.type is None:
        raise CaptureError(f"{path}: a line of no known form: {text[:80]!r}")
    if line.recv_ts is not None:
        body = bytes(line.msg) or b"null"
        raw = b'{"type":' + _encoder.encode(line.type) + b',"msg":' + body + b"}"
        try:
            return CapturedFrame(raw, nanoseconds(line.recv_ts))
        except ValueError as unreadable:
            raise CaptureError(f"{path}: recv_ts {line.recv_ts!r}: {unreadable}") from unreadable
    return text


def _is_one_line_of_json(raw: bytes) -> bool:
    if b"\n" in raw or b"\r" in raw or raw != raw.strip():  # JSON would drop the blanks
        return False
    try:
        msgspec.json.decode(raw)
    except (ValueError, RecursionError):
        return False
    return True

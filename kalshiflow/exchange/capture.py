"""Recorded traffic on disk: three forms read, one written, each frame as raw bytes.

- Frames as the exchange sent them, one a line (2026). They hold no receive time: it is taken from
  their exchange time, carried forward where a frame has none.
- `{"recv_ts", "type", "msg"}` (2023), with the receive time as ISO 8601 and no numbers.
- Our own: a first line `{"capture": 1, "uses_yes_price": ...}`, then
  `{"received_at": nanoseconds, "frame": {...}}`, or `"bytes"` in base64 for what is no JSON.

Blank lines between frames are skipped.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import msgspec

from kalshiflow.exchange.feed import Feed
from kalshiflow.exchange.times import nanoseconds
from kalshiflow.market.listing import CENT_GRID, Market, PriceBand, PriceGrid
from kalshiflow.market.units import DOLLAR, Price

VERSION = 1
# Grids that a market may have whose description was not recorded, the coarsest first.
GRIDS = (
    CENT_GRID,
    PriceGrid((PriceBand(Price(0), DOLLAR, Price(10)),)),
    PriceGrid((PriceBand(Price(0), DOLLAR, Price(1)),)),
)

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


def read_capture(path: Path, *, keeps_bad: bool = False) -> Iterator[CapturedFrame]:
    """Yield the frames of a recording in order; raises `CaptureError` for a line of no form.

    Snapshots that a recorder wrote by itself between chunks are frames like any other. With
    `keeps_bad` a line of no form is a frame, too, with the time of the one before it: one that no
    feed can read.
    """
    feed = Feed()  # only for the exchange times of frames without a receive time
    early: list[bytes] = []  # frames before the first known time: they take that time
    latest: int | None = None
    for line, text in _texts(path, keeps_bad=keeps_bad):
        frame = text if line is None else _frame(line, text, path, keeps_bad=keeps_bad)
        if frame is None:
            continue
        if isinstance(frame, CapturedFrame):
            latest = frame.received_at
        else:
            feed.receive(frame, 0)
            latest = latest if feed.market_time is None else feed.market_time
            if latest is None:
                early.append(frame)
                continue
            frame = CapturedFrame(frame, latest)
        for raw in early:
            yield CapturedFrame(raw, latest)
        early.clear()
        yield frame
    if early:
        raise CaptureError(f"{path}: no frame tells a time")


def uses_yes_price(path: Path) -> bool:
    """Say whether the NO levels of a recording carry YES prices: only our own form can say so."""
    return bool(told_price_scale(path))


def told_price_scale(path: Path) -> bool | None:
    """Give what a recording says on whether its NO levels carry YES prices, `None` for nothing."""
    line = _first_line(path)
    return None if line is None or line.capture is None else bool(line.uses_yes_price)


def has_receive_times(path: Path) -> bool:
    """Say whether a recording has receive times: frames as the exchange sent them have none."""
    line = _first_line(path)
    return line is not None and (line.capture is not None or line.recv_ts is not None)


def coarsest_grid(prices: Iterable[Price]) -> PriceGrid:
    """Give the coarsest of the usual price grids that all these prices are on."""
    seen = set(prices)
    for grid in GRIDS:
        if all(price in grid for price in seen):
            return grid
    return GRIDS[-1]


def named_market(ticker: str, grid: PriceGrid) -> Market:
    """Give a market of which no description was recorded: its event and series by its ticker."""
    event_ticker = ticker.rpartition("-")[0] or ticker
    return Market(ticker, event_ticker, ticker, grid, series_ticker=ticker.partition("-")[0])


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


def _first_line(path: Path) -> _Line | None:
    return next((line for line, _ in _texts(path, keeps_bad=True) if line is not None), None)


def _texts(path: Path, *, keeps_bad: bool) -> Iterator[tuple[_Line | None, bytes]]:
    """Give each line as read and as it stands; `None` for one that cannot be read."""
    with path.open("rb") as file:
        for number, text in enumerate(file, start=1):
            stripped = text.strip()
            if not stripped:
                continue
            line: _Line | None = None
            try:
                line = _lines.decode(stripped)
            except (ValueError, RecursionError) as unreadable:
                if not keeps_bad:
                    raise CaptureError(f"{path}, line {number}: {unreadable}") from unreadable
            yield line, stripped


def _frame(
    line: _Line, text: bytes, path: Path, *, keeps_bad: bool
) -> CapturedFrame | bytes | None:
    """Give the line's frame: with its receive time, or bare where it has none."""
    try:
        return _known_frame(line, text, path)
    except CaptureError:
        if keeps_bad:
            return text
        raise


def _known_frame(line: _Line, text: bytes, path: Path) -> CapturedFrame | bytes | None:
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

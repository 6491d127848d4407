"""Feed traffic made ready ahead, and a bare sender that writes it as fast as it is taken.

A lap begins with a snapshot of every market, so that its changes fit the books; the sequence
numbers go on from lap to lap. The sender is a process of its own: it costs the reader nothing.
"""

import base64
import hashlib
import itertools
import multiprocessing
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from feed import frames_of

from kalshiflow.market.events import BookSnapshot, MarketEvent, Stamp, TimeSource
from kalshiflow.market.listing import Market
from kalshiflow.market.units import Price, Quantity
from kalshiflow.venue.replay.capture import load_capture
from kalshiflow.venue.traders.synthetic import Recording, record
from kalshiflow.venue.websocket.framing import framed

BOOK_SID, TRADE_SID, LIFECYCLE_SID = 1, 2, 3
_CHANNELS = {BOOK_SID: "orderbook_delta", TRADE_SID: "trade", LIFECYCLE_SID: "market_lifecycle_v2"}
_DEMO = "kalshi-demo-ws-2026-07/session.jsonl"
_PIECE = 2**18  # bytes that are written at once
_processes = multiprocessing.get_context("spawn")


@dataclass(frozen=True, slots=True)
class _Frame:
    before: bytes  # the text up to the sequence number, and from it on
    sid: int
    after: bytes


class Traffic:
    """A lap of frames that can be written again and again under new sequence numbers."""

    def __init__(self, name: str, markets: Sequence[Market], events: Sequence[MarketEvent]) -> None:
        self.name = name
        self.markets = tuple(markets)
        self.snapshots = sum(isinstance(event, BookSnapshot) for event in events)
        self._frames = [_split(raw) for raw in frames_of(Recording(self.markets, tuple(events)))]
        self._seqs = dict.fromkeys(_CHANNELS, 0)

    @property
    def frames_in_lap(self) -> int:
        """Give how many frames a lap has."""
        return len(self._frames)

    def greeting(self) -> list[bytes]:
        """Give the answers to a subscription of all channels by the command 1."""
        return [
            b'{"type":"subscribed","id":1,"msg":{"channel":"%b","sid":%d}}' % (name.encode(), sid)
            for sid, name in _CHANNELS.items()
        ]

    def lap(self) -> list[bytes]:
        """Give the next lap's frames."""
        seqs, made = self._seqs, []
        for frame in self._frames:
            seq = seqs[frame.sid] = seqs[frame.sid] + 1
            made.append(b"%b%d%b" % (frame.before, seq, frame.after))
        return made

    def write(self, file: Path, frames: int) -> None:
        """Write a fresh connection's first so many frames, its greeting included, ready to send."""
        self._seqs = dict.fromkeys(_CHANNELS, 0)
        laps = itertools.chain.from_iterable(self.lap() for _ in itertools.count())
        with file.open("wb") as out:
            for texts in _pieces(itertools.chain(self.greeting(), laps), frames):
                out.write(framed(texts))


def synthetic(markets: int, seconds: float) -> Traffic:
    """Give the lively synthetic markets' traffic, `seconds` of market time a lap."""
    recording = record(markets, seconds)
    return Traffic("synthetic", recording.markets, recording.events)


def recorded() -> Traffic | None:
    """Give the recorded demo session's traffic; `None` where there are no recordings."""
    folder = Path(os.environ.get("RECORDED_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not (folder / _DEMO).exists():
        return None
    capture = load_capture(folder / _DEMO)
    events = [timed.event for timed in capture.events]
    return Traffic("recorded", capture.markets, events)


def full_books(markets: int) -> Traffic:
    """Give one snapshot each of so many markets, with an order at every cent of both sides."""
    made, events = [], []
    for number in range(markets):
        ticker = f"FULL-26-{number:04d}"
        made.append(Market(ticker, "FULL-26", ticker))
        bids = tuple((Price(cent * 100), Quantity(100 * cent)) for cent in range(49, 0, -1))
        asks = tuple((Price(cent * 100), Quantity(100 * cent)) for cent in range(51, 100))
        stamp = Stamp(number + 1, 0, 0, TimeSource.RECEIVE, None, BOOK_SID, number + 1)
        events.append(BookSnapshot(ticker, bids, asks, stamp))
    return Traffic("books", made, events)


@contextmanager
def sending(ready: Path) -> Iterator[int]:
    """Run a sender of a file's ready bytes to the first reader that comes; gives its port."""
    with _sender(_send_file, str(ready)) as port:
        yield port


@contextmanager
def pouring(source: str, frames_per_second: float | None) -> Iterator[int]:
    """Run a sender that makes and writes laps for ever, at a rate or as fast as they are taken.

    `source` is "recorded", or "synthetic:300:60": markets, and seconds of market time in a lap.
    """
    with _sender(_pour, source, frames_per_second) as port:
        yield port


def traffic_of(source: str) -> Traffic | None:
    """Give the traffic that a `source` names, as in `pouring`."""
    if source == "recorded":
        return recorded()
    _, markets, seconds = source.split(":")
    return synthetic(int(markets), float(seconds))


@contextmanager
def _sender(work: Callable[..., None], *arguments: object) -> Iterator[int]:
    # The listening socket is made here: its port is known, and a reader may come at once.
    with socket.create_server(("127.0.0.1", 0)) as server:
        child = _processes.Process(target=work, args=(server, *arguments))
        child.start()
        try:
            yield server.getsockname()[1]
        finally:
            child.terminate()
            child.join()


def _split(raw: bytes) -> _Frame:
    before, mark, rest = raw.partition(b'"seq":')
    number, comma, after = rest.partition(b",")
    assert number.isdigit()
    sid = int(before.partition(b'"sid":')[2].rstrip(b",")) if mark else 0
    return _Frame(before + mark, sid, comma + after)


def _pieces(texts: Iterator[bytes], count: int) -> Iterator[list[bytes]]:
    while count > 0:
        piece = list(itertools.islice(texts, min(count, 10_000)))
        count -= len(piece)
        yield piece


def _accept(server: socket.socket) -> socket.socket:
    reader, _ = server.accept()
    request = b""
    while b"\r\n\r\n" not in request:
        request += reader.recv(4096)
    key = next(
        line.partition(b":")[2].strip()
        for line in request.split(b"\r\n")
        if line.lower().startswith(b"sec-websocket-key:")
    )
    accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    reader.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )
    return reader


def _send_file(server: socket.socket, path: str) -> None:
    ready = memoryview(Path(path).read_bytes())
    with _accept(server) as reader, suppress(OSError):
        for low in range(0, len(ready), _PIECE):
            reader.sendall(ready[low : low + _PIECE])
        while reader.recv(65_536):  # commands are answered already; the reader goes when it has all
            pass


def _pour(server: socket.socket, source: str, frames_per_second: float | None) -> None:
    traffic = traffic_of(source)
    assert traffic is not None
    with _accept(server) as reader, suppress(OSError):
        reader.sendall(framed(traffic.greeting()))
        sent, began = 0, time.monotonic()
        while True:
            lap = iter(traffic.lap())
            # A hundredth of a second's frames at a time, where there is a rate.
            size = 1_000 if frames_per_second is None else max(1, int(frames_per_second / 100))
            while piece := list(itertools.islice(lap, size)):
                if frames_per_second is not None:
                    ahead = began + sent / frames_per_second - time.monotonic()
                    if ahead > 0:
                        time.sleep(ahead)
                reader.sendall(framed(piece))
                sent += len(piece)

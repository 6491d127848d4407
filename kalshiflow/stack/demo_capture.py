"""What a capture holds, and whether the database holds the same once it was recorded."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kalshiflow.exchange.capture import read_capture, uses_yes_price
from kalshiflow.exchange.feed import Feed
from kalshiflow.market.events import BookDelta, BookSnapshot, Side
from kalshiflow.store.database import Store
from kalshiflow.store.errors import NotRecorded
from kalshiflow.store.read import book_at

SideLevels = dict[tuple[Side, int], int]  # quantity by side and price


@dataclass(frozen=True, slots=True)
class CaptureFacts:
    """A capture's deltas, the span of its market time in nanoseconds, and how its books end."""

    deltas: int
    span: tuple[int, int]
    books: Mapping[str, SideLevels]

    def seconds(self, fraction: float) -> float:
        """Give the length of a fraction of its market time, in seconds."""
        return (self.span[1] - self.span[0]) / 1e9 * fraction


def read_facts(path: Path) -> CaptureFacts:
    """Count and replay a capture, in the plainest way; raises `CaptureError` if it is none."""
    feed = Feed(uses_yes_price=uses_yes_price(path))
    books: dict[str, SideLevels] = {}
    times: list[int] = []
    deltas = 0
    for frame in read_capture(path):
        event = feed.receive(frame.raw, frame.received_at).event
        if isinstance(event, BookSnapshot):
            books[event.ticker] = _levels(event)
        elif isinstance(event, BookDelta):
            deltas += 1
            _apply(books.setdefault(event.ticker, {}), event)
        if event is not None:
            times.append(event.stamp.market_time)
    return CaptureFacts(deltas, (min(times, default=0), max(times, default=0)), books)


async def books_that_differ(
    store: Store, session_id: str, books: Mapping[str, SideLevels]
) -> list[str]:
    """Name the markets whose last book, rebuilt from the rows, is not the capture's."""
    differ: list[str] = []
    for ticker, expected in books.items():
        try:
            book = await book_at(store, session_id, ticker)
        except NotRecorded:
            differ.append(ticker)
            continue
        found = {(side, price): size for side in Side for price, size in book.levels(side)}
        if found != expected:
            differ.append(ticker)
    return differ


def _levels(snapshot: BookSnapshot) -> SideLevels:
    bids = {(Side.BID, int(price)): int(size) for price, size in snapshot.bids}
    return bids | {(Side.ASK, int(price)): int(size) for price, size in snapshot.asks}


def _apply(levels: SideLevels, delta: BookDelta) -> None:
    key = (delta.side, int(delta.price))
    size = levels.get(key, 0) + delta.change
    if size:
        levels[key] = size
    else:
        levels.pop(key, None)

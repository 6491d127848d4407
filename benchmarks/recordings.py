"""One market's recorded day for the benchmarks: the real one where it is at hand, else a synthetic.

The real one is the production day of 2023 in the folder that RECORDED_DATA names (by default
`shared/data` beside the project); it is never part of the project.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kalshiflow.market.book import Book
from kalshiflow.market.events import BookDelta, BookSnapshot, MarketEvent, Side
from kalshiflow.market.listing import Market
from kalshiflow.venue.replay.capture import load_capture
from kalshiflow.venue.traders.synthetic import record

DAY = Path("kalshi-prod-inxd-2023-08-31") / "INXD-23AUG31-B4512.jsonl"


@dataclass(frozen=True, slots=True)
class MarketDay:
    """One market's events in order, and what to call it in a table."""

    name: str
    market: Market
    events: list[MarketEvent]


def market_day() -> MarketDay:
    """Give the real day, or the busiest synthetic market where it is not at hand."""
    folder = os.environ.get("RECORDED_DATA")
    data = Path(folder) if folder else Path(__file__).parents[2] / "shared" / "data"
    if (data / DAY).exists():
        capture = load_capture(data / DAY)
        events = [
            timed.event._replace(stamp=timed.event.stamp._replace(market_time=timed.at))
            for timed in capture.events
        ]
        return MarketDay("2023 production day", capture.markets[0], events)
    recording = record(seed=7, markets=4, seconds=3_600.0)
    by_ticker: dict[str, list[MarketEvent]] = {}
    for event in recording.events:
        by_ticker.setdefault(event.ticker, []).append(event)
    busiest = max(by_ticker, key=lambda ticker: len(by_ticker[ticker]))
    market = next(each for each in recording.markets if each.ticker == busiest)
    return MarketDay("synthetic hour", market, by_ticker[busiest])


def sizes(day: MarketDay, events: int) -> dict[str, np.ndarray]:
    """Give the day, looped to so many changes, in the form that other engines take.

    Columns: `at` (nanoseconds, strictly rising), `side` (0 bid, 1 ask), `price` (dollars), `size`
    (contracts at that price from now on). Snapshots come as the levels that differ.
    """
    rows = np.empty((events, 4), dtype=object)
    book, filled, shift, last = Book(day.market.ticker, day.market.grid), 0, 0, 0
    while filled < events:
        for event in day.events:
            for side, price, size in _changes(book, event):
                last = event.stamp.market_time + shift
                rows[filled] = (last, side, price / 10_000, size / 100)
                filled += 1
                if filled == events:
                    break
            if filled == events:
                break
        shift = last - day.events[0].stamp.market_time + 1_000_000
    at = rows[:, 0].astype(np.int64)
    # Engines that step by time would take changes of one moment together.
    at = np.maximum.accumulate(at - np.arange(events)) + np.arange(events)
    return {
        "at": at,
        "side": rows[:, 1].astype(np.int8),
        "price": rows[:, 2].astype(np.float64),
        "size": rows[:, 3].astype(np.float64),
    }


def _changes(book: Book, event: MarketEvent) -> Iterator[tuple[int, int, int]]:
    if isinstance(event, BookDelta):
        book.apply(event)
        yield int(event.side), event.price, book.quantity_at(event.side, event.price)
    elif isinstance(event, BookSnapshot):
        before = {side: dict(book.levels(side)) for side in Side}
        book.apply(event)
        for side in Side:
            after = dict(book.levels(side))
            for price in sorted({*before[side], *after}):
                if before[side].get(price, 0) != after.get(price, 0):
                    yield int(side), price, after.get(price, 0)

"""Events in memory to rows of 52 numbers and masks, beside plain limits; and one observation live.

A row of float32 is written at every change of a book, block by block. Each figure is the median of
some takes in this run, in processor seconds of one core, printed as `name value unit`; rates belong
to the machine named, the ratios are what counts. `book_limit` keeps the book and its best prices
and no more, `copy_limit` copies a row of 52 numbers besides. The recordings are real where they are
at hand (see `recordings`), else synthetic. The same changes are given to hftbacktest's feed loop
and to a strategy of nautilus_trader, which read the best bid and ask (`other_engines`).
"""

import os
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from machine import machine
from numba import njit
from other_engines import print_readers
from recordings import market_day

from kalshiflow.agent.account import MarketAccount
from kalshiflow.agent.action import mask
from kalshiflow.agent.features import OBSERVATION_SIZE
from kalshiflow.agent.observation import MarketObserver
from kalshiflow.learning.bulk import Stream
from kalshiflow.learning.episodes.plain import build_segments
from kalshiflow.learning.episodes.segments import Events, Segment
from kalshiflow.market.events import MarketEvent
from kalshiflow.market.flat import DELTA, SNAPSHOT
from kalshiflow.market.listing import Market
from kalshiflow.market.units import CONTRACT, Cash, Quantity, cash_from_cents
from kalshiflow.venue.replay.capture import load_capture
from kalshiflow.venue.traders.synthetic import record

SESSION = Path("kalshi-demo-ws-2026-07") / "session.jsonl"
EVENTS = 1_000_000
ROUNDS = 5
LIVE_EVENTS = 10_000


class Terms:
    """The terms of acting."""

    budget: Cash = cash_from_cents(10_000)
    order_quantity: Quantity = Quantity(10 * CONTRACT)


def session() -> tuple[str, Sequence[Market], list[MarketEvent]]:
    """Give a session of many markets: its name, its markets, its events."""
    folder = os.environ.get("RECORDED_DATA")
    data = Path(folder) if folder else Path(__file__).parents[2] / "shared" / "data"
    if (data / SESSION).exists():
        capture = load_capture(data / SESSION)
        return "2026 demo session", capture.markets, dated(capture.events)
    recording = record(seed=7, markets=24, seconds=600.0)
    return "synthetic session", recording.markets, list(recording.events)


def dated(events: Iterable) -> list[MarketEvent]:
    """Give timed events with their times as market time."""
    return [e.event._replace(stamp=e.event.stamp._replace(market_time=e.at)) for e in events]


def segments_of(markets: Sequence[Market], events: Sequence[MarketEvent]) -> list[Segment]:
    """Give the segments of a recording."""
    return build_segments(events, [], {market.ticker: market for market in markets}, "s")


def looped(segments: Sequence[Segment], count: int) -> tuple[Events, np.ndarray]:
    """Give at least so many events of all segments, interleaved as they were, and whose they are.

    Each round begins with the segments' snapshots and goes on in time where the one before ended.
    """
    columns = [np.concatenate([getattr(s.events, name) for s in segments]) for name in COLUMNS]
    kinds, sides, indices, quantities, times, frames = columns
    bodies = np.concatenate([segment.events.bodies for segment in segments])
    first_bodies = np.cumsum([0] + [len(segment.events.bodies) for segment in segments[:-1]])
    lengths = [len(segment) for segment in segments]
    quantities += np.repeat(first_bodies, lengths) * (kinds == SNAPSHOT)
    owners = np.repeat(np.arange(len(segments), dtype=np.int32), lengths)
    order = np.argsort(frames, kind="stable")
    rounds = -(-count // len(order))
    span = times.max() - times.min() + 1_000_000
    shifts = np.repeat(np.arange(rounds) * span, len(order))
    many = [np.tile(column[order], rounds) for column in (kinds, sides, indices, quantities)]
    events = Events(*many, np.tile(times[order], rounds) + shifts, np.arange(len(shifts)), bodies)
    return events, np.tile(owners[order], rounds)


COLUMNS = ("kinds", "sides", "indices", "quantities", "times", "frames")


def observe(segments: Sequence[Segment], events: Events, owners: np.ndarray) -> int:
    """Observe all; give how many rows were written."""
    stream = Stream(Terms(), dtype=np.float32)
    for place, segment in enumerate(segments):
        stream.begin(place, segment.market)
    return sum(len(rows.rows) for rows in stream.read(events, owners))


@njit(nogil=True)
def keep_books(kinds, sides, indices, quantities, bodies, owners, levels, bests, row, rows):
    """Keep the books and their best prices: the least that can be done with events.

    Copies `row` at every change where there is room for it.
    """
    size = levels.shape[2]
    total, place = 0, 0
    for number in range(len(kinds)):
        book, best, side = levels[owners[number]], bests[owners[number]], sides[number]
        if kinds[number] == SNAPSHOT:
            book[:] = 0
            start = quantities[number]
            middle = start + 2 + 2 * bodies[start]
            for at in range(start + 2, middle, 2):
                book[0, bodies[at]] = bodies[at + 1]
            for at in range(middle, middle + 2 * bodies[start + 1], 2):
                book[1, bodies[at]] = bodies[at + 1]
            best[0] = bodies[start + 2] if bodies[start] else -1
            best[1] = bodies[middle] if bodies[start + 1] else size
        elif kinds[number] <= DELTA + 1:
            index = indices[number]
            book[side, index] += quantities[number]
            step = 1 if side else -1
            if (index - best[side]) * step <= 0:
                best[side] = index
                while 0 <= best[side] < size and book[side, best[side]] == 0:
                    best[side] += step
        else:
            continue
        total ^= best[0] + best[1]
        if len(rows):
            rows[place] = row
            place = place + 1 if place + 1 < len(rows) else 0
    return total


def keep(segments: Sequence[Segment], events: Events, owners: np.ndarray, block: int) -> int:
    """Do what the limits do; rows of a `block` are copied where it is not 0."""
    size = max(len(segment.market.grid) for segment in segments)
    levels = np.zeros((len(segments), 2, size), np.int64)
    bests = np.zeros((len(segments), 2), np.int64)
    row = np.ones(OBSERVATION_SIZE, np.float32)
    rows = np.empty((block, OBSERVATION_SIZE), np.float32)
    return keep_books(
        events.kinds, events.sides, events.indices, events.quantities, events.bodies, owners,
        levels, bests, row, rows,
    )  # fmt: skip


def median_seconds(work: Callable[[], object]) -> float:
    """Give the median duration of some runs, after one that compiles what it needs."""
    work()
    took = []
    for _ in range(ROUNDS):
        began = time.process_time()
        work()
        took.append(time.process_time() - began)
    return statistics.median(took)


def print_bulk(name: str, segments: Sequence[Segment]) -> float:
    """Measure and print the bulk path over a recording; give its events by second."""
    events, owners = looped(segments, EVENTS)
    rows = observe(segments, events, owners)
    took = median_seconds(lambda: observe(segments, events, owners))
    book = median_seconds(lambda: keep(segments, events, owners, 0))
    copy = median_seconds(lambda: keep(segments, events, owners, 4_096))
    print(f"{name}_events {len(events)} events")
    print(f"{name}_rows {rows} rows")
    print(f"{name}_observe_rate {len(events) / took:.0f} events/s")
    print(f"{name}_book_limit {len(events) / book:.0f} events/s")
    print(f"{name}_copy_limit {len(events) / copy:.0f} events/s")
    print(f"{name}_observe_to_copy_limit {copy / took:.3f} ratio")
    return len(events) / took


def print_live(market: Market, events: Sequence[MarketEvent]) -> None:
    """Measure and print what one event, one observation and one mask cost a live program."""
    observer, account = MarketObserver(market), MarketAccount(Terms.budget)
    took: dict[str, list[int]] = {"live_apply": [], "live_observe": [], "live_mask": []}
    for event in events[:LIVE_EVENTS]:
        began = time.perf_counter_ns()
        observer.apply(event)
        applied = time.perf_counter_ns()
        observer.observe(account, event.stamp.market_time)
        observed = time.perf_counter_ns()
        mask(observer, account, Terms.order_quantity)
        masked = time.perf_counter_ns()
        took["live_apply"].append(applied - began)
        took["live_observe"].append(observed - applied)
        took["live_mask"].append(masked - observed)
    for name, times in took.items():
        middle, high = np.percentile(times, [50, 99]) / 1e3
        print(f"{name}_p50 {middle:.1f} us")
        print(f"{name}_p99 {high:.1f} us")


def main() -> None:
    """Run and print."""
    print(f"machine: {machine()}")
    day = market_day()
    print(f"day: {day.name}")
    rate = print_bulk("day", segments_of([day.market], day.events))
    print_readers(day, rate)
    name, markets, events = session()
    print(f"session: {name}, {len(markets)} markets")
    print_bulk("session", segments_of(markets, events))
    print_live(day.market, day.events)


if __name__ == "__main__":
    main()

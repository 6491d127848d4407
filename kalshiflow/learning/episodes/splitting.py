"""Parts of a segment, each beginning with the book as it stood there."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kalshiflow.learning.episodes.segments import Events, Segment, is_playable, slice_of
from kalshiflow.market.flat import (
    CLOSES,
    DELTA,
    OWN_DELTA,
    SNAPSHOT,
    STATUS,
    STATUSES,
    UNKNOWN,
)
from kalshiflow.market.listing import Market

Numbers = NDArray[np.int64]


def split_segment(
    segment: Segment, at: int, embargo: int = 0
) -> tuple[Segment | None, Segment | None]:
    """Cut a segment at a market time: events up to `at`, and those after `at + embargo`.

    The second part begins with the book as it then stands. A part with no decision is `None`.
    """
    times = segment.events.times
    first = int(np.searchsorted(times, at, "right"))
    second = int(np.searchsorted(times, at + embargo, "right"))
    return part_of(segment, 0, first), part_of(segment, second, len(segment))


def pieces(segment: Segment, longest: int) -> list[Segment]:
    """Cut a segment into pieces of at most `longest` events, each beginning with its book.

    Pieces without a decision are left out.
    """
    starts = range(0, len(segment), longest)
    parts = (part_of(segment, at, min(at + longest, len(segment))) for at in starts)
    return [part for part in parts if part is not None]


def part_of(segment: Segment, start: int, end: int) -> Segment | None:
    """Give the events from number `start` to before `end`, after the book as it stood at `start`.

    Gives `None` where nothing could be decided in them.
    """
    events = segment.events
    chosen = slice_of(events, start, end)
    if not is_playable(chosen):
        return None
    if start == 0:
        return replace(segment, events=chosen)
    size = len(segment.market.grid)
    body = body_of(*book_at(events, start, size))
    at, frame = int(events.times[start - 1]), int(events.frames[start - 1])
    return replace(
        segment,
        market=_as_known(segment.market, events, start),
        events=with_seam(chosen, body, at, frame),
    )


def book_at(events: Events, count: int, size: int) -> tuple[Numbers, Numbers]:
    """Give the quantities of bids and asks, by place in the grid, after so many events."""
    sides = np.zeros((2, size), np.int64)
    snapshots = np.flatnonzero(events.kinds[:count] == SNAPSHOT)
    begin = int(snapshots[-1])
    start = int(events.quantities[begin])
    bids, asks = events.bodies[start : start + 2].tolist()
    levels = events.bodies[start + 2 : start + 2 + 2 * (bids + asks)].reshape(-1, 2)
    sides[0, levels[:bids, 0]] = levels[:bids, 1]
    sides[1, levels[bids:, 0]] = levels[bids:, 1]
    kinds = events.kinds[begin:count]
    changes = begin + np.flatnonzero((kinds == DELTA) | (kinds == OWN_DELTA))
    places = (events.sides[changes].astype(np.int64), events.indices[changes])
    np.add.at(sides, places, events.quantities[changes])
    return sides[0], sides[1]


def body_of(bids: Numbers, asks: Numbers) -> Numbers:
    """Give the body of a snapshot of the book with these quantities."""
    held_bids, held_asks = np.flatnonzero(bids)[::-1], np.flatnonzero(asks)
    places = np.concatenate((held_bids, held_asks))
    quantities = np.concatenate((bids[held_bids], asks[held_asks]))
    head = np.array((len(held_bids), len(held_asks)), np.int64)
    return np.concatenate((head, np.stack((places, quantities), 1).ravel()))


def with_seam(events: Events, body: Numbers, at: int, frame: int) -> Events:
    """Put a snapshot before events."""
    quantities = events.quantities + (events.kinds == SNAPSHOT) * len(body)
    return Events(
        _before(SNAPSHOT, events.kinds),
        _before(0, events.sides),
        _before(len(body), events.indices),
        _before(0, quantities),
        _before(at, events.times),
        _before(frame, events.frames),
        np.concatenate((body, events.bodies)),
    )


def _before(value: int, column: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate((np.array([value], column.dtype), column))


def _as_known(market: Market, events: Events, count: int) -> Market:
    """Give a market's terms as the first `count` events left them."""
    kinds = events.kinds[:count]
    told = np.flatnonzero((kinds == STATUS) & (events.indices[:count] != UNKNOWN))
    if len(told):
        market = replace(market, status=STATUSES[int(events.indices[told[-1]])])
    closes = np.flatnonzero(kinds == CLOSES)
    if len(closes):
        at = int(events.quantities[closes[-1]])
        market = replace(market, close_time=None if at == UNKNOWN else at)
    return market

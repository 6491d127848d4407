"""Segments joined end to end into a few arrays, so that any number of lanes can play them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kalshiflow.learning.episodes.segments import Segment
from kalshiflow.learning.lanes.layout import (
    EVENT_SIZE,
    SEGMENT_CLOSE_TIME,
    SEGMENT_FEE_DENOMINATOR,
    SEGMENT_FIRST,
    SEGMENT_GRID,
    SEGMENT_GRID_SIZE,
    SEGMENT_HAS_TRADES,
    SEGMENT_LAST,
    SEGMENT_MAKER_QUARTERS,
    SEGMENT_SIZE,
    SEGMENT_STATUS,
    SEGMENT_TAKER_QUARTERS,
)
from kalshiflow.market.fees import fee_numbers
from kalshiflow.market.flat import SNAPSHOT, STATUS_NUMBER, UNKNOWN
from kalshiflow.market.units import Price

Whole = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Joined:
    """`grids` has a row of prices for each grid, `segments` and `events` are of `layout`."""

    grids: Whole
    segments: Whole
    events: Whole
    bodies: Whole

    @property
    def grid_size(self) -> int:
        """Give the steps of the largest grid."""
        return self.grids.shape[1]


def join(segments: Sequence[Segment]) -> Joined:
    """Join segments of any markets."""
    numbers: dict[tuple[Price, ...], int] = {}
    for segment in segments:
        numbers.setdefault(segment.market.grid.prices, len(numbers))
    grids = np.zeros((len(numbers), max(map(len, numbers))), np.int64)
    for prices, number in numbers.items():
        grids[number, : len(prices)] = prices
    table = np.zeros((len(segments), SEGMENT_SIZE), np.int64)
    events = np.empty((sum(map(len, segments)), EVENT_SIZE), np.int64)
    bodies = np.concatenate([segment.events.bodies for segment in segments])
    first = body = 0
    for row, segment in zip(table, segments, strict=True):
        last = first + len(segment)
        _describe(row, segment, numbers[segment.market.grid.prices])
        row[SEGMENT_FIRST], row[SEGMENT_LAST] = first, last
        _copy_events(events[first:last], segment, body)
        first, body = last, body + len(segment.events.bodies)
    return Joined(grids, table, events.reshape(-1), bodies)


def _describe(row: Whole, segment: Segment, grid: int) -> None:
    market = segment.market
    taker, maker, denominator = fee_numbers(market.fees)
    row[SEGMENT_GRID] = grid
    row[SEGMENT_GRID_SIZE] = len(market.grid)
    row[SEGMENT_CLOSE_TIME] = UNKNOWN if market.close_time is None else market.close_time
    row[SEGMENT_STATUS] = STATUS_NUMBER[market.status]
    row[SEGMENT_HAS_TRADES] = segment.has_trades
    row[SEGMENT_TAKER_QUARTERS] = taker
    row[SEGMENT_MAKER_QUARTERS] = maker
    row[SEGMENT_FEE_DENOMINATOR] = denominator


def _copy_events(rows: Whole, segment: Segment, body: int) -> None:
    """Write a segment's events; its snapshots' bodies begin at `body`."""
    events = segment.events
    rows[:, 0] = events.kinds
    rows[:, 1] = events.sides
    rows[:, 2] = events.indices
    rows[:, 3] = events.quantities + (events.kinds == SNAPSHOT) * body
    rows[:, 4] = events.times

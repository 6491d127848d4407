"""A segment: an unbroken stretch of one market's events, in columns, ready to be replayed."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from kalshiflow.market.flat import (
    ACTIVE,
    DELTA,
    OWN_DELTA,
    SNAPSHOT,
    STATUS,
    STATUS_NUMBER,
    UNKNOWN,
)
from kalshiflow.market.listing import Market


@dataclass(frozen=True, slots=True, eq=False)
class Events:
    """Events of one market as `market.flat` has them, in order; `frames` are their frame numbers.

    `bodies` holds the snapshots' bodies one after another, in the order of their events.
    """

    kinds: NDArray[np.int8]
    sides: NDArray[np.int8]
    indices: NDArray[np.int32]
    quantities: NDArray[np.int64]
    times: NDArray[np.int64]
    frames: NDArray[np.int64]
    bodies: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.kinds)


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """One market's events in order of frames, the first of them a snapshot; time never runs back.

    `market` is what was known at the segment's beginning: never its later result. `has_trades` says
    whether the market's public trades are among the events.
    """

    ticker: str
    session_id: str
    market: Market
    events: Events
    has_trades: bool = True

    def __len__(self) -> int:
        return len(self.events)

    @property
    def starts_at(self) -> int:
        """Give the market time of the first event."""
        return int(self.events.times[0])

    @property
    def ends_at(self) -> int:
        """Give the market time of the last event."""
        return int(self.events.times[-1])


def make_events(
    rows: Sequence[tuple[int, int, int, int]],
    times: Sequence[int],
    frames: Sequence[int],
    bodies: Sequence[int],
) -> Events:
    """Give rows (kind, side, index, quantity) with their times and frames as columns."""
    kinds, sides, indices, quantities = zip(*rows, strict=True) if rows else ((), (), (), ())
    return Events(
        np.array(kinds, np.int8),
        np.array(sides, np.int8),
        np.array(indices, np.int32),
        np.array(quantities, np.int64),
        np.array(times, np.int64),
        np.array(frames, np.int64),
        np.array(bodies, np.int64),
    )


def slice_of(events: Events, start: int, end: int) -> Events:
    """Give some events with their own bodies only."""
    chosen = slice(start, end)
    kinds, quantities = events.kinds[chosen], events.quantities[chosen]
    snapshots = np.flatnonzero(kinds == SNAPSHOT)
    low = high = 0
    if len(snapshots):
        low = int(quantities[snapshots[0]])
        high = int(quantities[snapshots[-1]] + events.indices[start + snapshots[-1]])
    return Events(
        kinds,
        events.sides[chosen],
        events.indices[chosen],
        quantities - (kinds == SNAPSHOT) * low if low else quantities,
        events.times[chosen],
        events.frames[chosen],
        events.bodies[low:high],
    )


def joined(parts: Sequence[Events]) -> Events:
    """Give events that follow one another as one."""
    if len(parts) == 1:
        return parts[0]
    columns = {f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Events)}
    starts = np.cumsum([0, *(len(part.bodies) for part in parts[:-1])])
    shift = np.repeat(starts, [len(part) for part in parts])
    columns["quantities"] = columns["quantities"] + shift * (columns["kinds"] == SNAPSHOT)
    return Events(**columns)


def is_same_events(one: Events, other: Events) -> bool:
    """Say whether two are equal in every number and its width."""
    pairs = ((getattr(one, f.name), getattr(other, f.name)) for f in fields(Events))
    return all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in pairs)


def is_same(one: Segment, other: Segment) -> bool:
    """Say whether two segments are equal in all that they hold."""
    told = (one.ticker, one.session_id, one.market, one.has_trades)
    return told == (
        other.ticker,
        other.session_id,
        other.market,
        other.has_trades,
    ) and is_same_events(one.events, other.events)


def is_playable(events: Events) -> bool:
    """Say whether something can be decided: the book changes before the market settles."""
    changes = (events.kinds == DELTA) | (events.kinds == OWN_DELTA)
    if not changes.any():
        return False
    settled = (events.kinds == STATUS) & (events.quantities >= 0)
    return not settled.any() or bool(changes.argmax() < settled.argmax())


def changes_while_open(segment: Segment) -> bool:
    """Say whether the book ever changes in an open market, as `market` and the events tell it."""
    events = segment.events
    told = (events.kinds == STATUS) & (events.indices != UNKNOWN)
    numbers = np.concatenate(([STATUS_NUMBER[segment.market.status]], events.indices[told]))
    is_open = numbers[np.cumsum(told)] == ACTIVE
    return bool((((events.kinds == DELTA) | (events.kinds == OWN_DELTA)) & is_open).any())

"""Events of many markets put aside as they come, to be taken out market by market.

They stay in memory while they are few; more than that go to files, a run at a time, in which those
of one market lie together.
"""

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kalshiflow.learning.episodes.segments import Events, joined, slice_of
from kalshiflow.market.flat import SNAPSHOT

BYTES_OF_AN_EVENT = (
    256  # of memory while a run is put in order: the events, their order, both forms
)

_COLUMNS = tuple(field.name for field in fields(Events))


class Shelves:
    """Takes events with their markets' places, and gives each market's in their order."""

    def __init__(self, owners: int, folder: Path, memory_mb: int) -> None:
        self._owners = owners
        self._folder = folder
        self._most = memory_mb * 2**20 // BYTES_OF_AN_EVENT
        self._runs: list[_Run] = []
        self._waiting: list[Events] = []
        self._waiting_owners: list[NDArray[np.int32]] = []
        self._size = 0

    def add(self, events: Events, owners: NDArray[np.int32]) -> None:
        """Put events aside; they are copied."""
        self._waiting.append(Events(*(getattr(events, name).copy() for name in _COLUMNS)))
        self._waiting_owners.append(owners.copy())
        self._size += len(events) + len(events.bodies)
        if self._size > self._most:
            self._runs.append(_FileRun(self._folder / f"run-{len(self._runs)}", *self._sorted()))

    def market(self, owner: int) -> "OneMarket":
        """Give a market's events from the first; nothing may be added any more."""
        if self._waiting:
            self._runs.append(_HeldRun(*self._sorted()))
        return OneMarket(self._runs, owner)

    def _sorted(self) -> tuple[Events, NDArray[np.int64]]:
        events, owners = joined(self._waiting), np.concatenate(self._waiting_owners)
        self._waiting, self._waiting_owners, self._size = [], [], 0
        order = np.argsort(owners, kind="stable")
        bounds = np.searchsorted(owners[order], np.arange(self._owners + 1))
        return _in_order(events, order), bounds


class OneMarket:
    """One market's events, taken out from the first to the last."""

    def __init__(self, runs: Sequence["_Run"], owner: int) -> None:
        bounds = [(run, *run.bounds[owner : owner + 2].tolist()) for run in runs]
        self._left = [(run, first, end) for run, first, end in bounds if first < end]

    def take(self, most: int) -> Events:
        """Give the next events, at most so many and at least one."""
        run, first, end = self._left[0]
        stop = min(first + most, end)
        if stop == end:
            del self._left[0]
        else:
            self._left[0] = (run, stop, end)
        return run.slice(first, stop)


class _Run(Protocol):
    bounds: NDArray[np.int64]

    def slice(self, first: int, end: int) -> Events: ...


class _HeldRun:
    def __init__(self, events: Events, bounds: NDArray[np.int64]) -> None:
        self._events = events
        self.bounds = bounds

    def slice(self, first: int, end: int) -> Events:
        return slice_of(self._events, first, end)


class _FileRun:
    def __init__(self, path: Path, events: Events, bounds: NDArray[np.int64]) -> None:
        self._path = path
        self.bounds = bounds
        self._columns: dict[str, tuple[np.dtype[Any], int]] = {}
        with path.open("wb") as file:
            for name in _COLUMNS:
                column = getattr(events, name)
                self._columns[name] = (column.dtype, file.tell())
                file.write(np.ascontiguousarray(column).data)

    def slice(self, first: int, end: int) -> Events:
        columns = {name: self._read(name, first, end) for name in _COLUMNS[:-1]}
        snapshots = np.flatnonzero(columns["kinds"] == SNAPSHOT)
        low = high = 0
        if len(snapshots):
            low = int(columns["quantities"][snapshots[0]])
            high = int(columns["quantities"][snapshots[-1]] + columns["indices"][snapshots[-1]])
            columns["quantities"][snapshots] -= low
        return Events(**columns, bodies=self._read("bodies", low, high))

    def _read(self, name: str, first: int, end: int) -> NDArray[Any]:
        width, offset = self._columns[name]
        at = offset + first * width.itemsize
        return np.fromfile(self._path, width, end - first, offset=at)


def _in_order(events: Events, order: NDArray[np.int64]) -> Events:
    """Give events in another order, the snapshots' bodies in the order of their events."""
    chosen = {name: getattr(events, name)[order] for name in _COLUMNS[:-1]}
    snapshots = np.flatnonzero(chosen["kinds"] == SNAPSHOT)
    starts, sizes = chosen["quantities"][snapshots], chosen["indices"][snapshots].astype(np.int64)
    new_starts = np.cumsum(sizes) - sizes
    places = np.repeat(starts - new_starts, sizes) + np.arange(int(sizes.sum()))
    chosen["quantities"][snapshots] = new_starts
    return replace(events, **chosen, bodies=events.bodies[places])

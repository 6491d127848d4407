"""Rows of many markets as numpy columns, and how they are read from what the database sends."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kalshiflow.market.flat import DELTA, SNAPSHOT, TRADE
from kalshiflow.store.errors import StoreError

Column = NDArray[Any]
WIDTHS = (np.int64, np.int32, np.int8, np.int8, np.int32, np.int64, np.int64, np.int8)

# Small numbers share a column, for each column costs the database as much as it sends: the price,
# then two bits for the time's source, one for changes by own orders, one for the side.
PACKED = "(({price} << 4) | (time_source << 2) | ({own} << 1) | {side})"
_PRICE, _SOURCE, _OWN = 4, 2, 1


class Rows(NamedTuple):
    """Rows of many markets in the order of frames: a column each, of equal length and `WIDTHS`.

    `markets` are places in the list of tickers that was asked for, `kinds` those of `market.flat`,
    `sources` the codes of time sources. A snapshot's `quantities` tells where its body begins in
    the bodies, and its `prices` how many numbers it has.
    """

    frames: Column
    markets: Column
    kinds: Column
    sides: Column
    prices: Column
    quantities: Column
    times: Column
    sources: Column

    def chosen(self, places: NDArray[Any]) -> "Rows":
        """Give some of the rows."""
        return Rows(*(column[places] for column in self))


class Columns(NamedTuple):
    """All rows of the frames from `first` to `last`.

    `bodies` are the snapshots': how many bids and asks, then price and quantity of each bid from
    the best, of each ask from the best.
    """

    first: int
    last: int
    changes: Rows
    trades: Rows
    snapshots: Rows
    bodies: NDArray[np.int64]


class Places:
    """Knows the places of markets by the hashes that stand for their tickers in rows."""

    def __init__(self, hashes: Sequence[int]) -> None:
        known = np.array(hashes, np.int64)
        self._order = np.argsort(known).astype(np.int32)
        self._sorted = known[self._order]
        if (self._sorted[1:] == self._sorted[:-1]).any():
            raise StoreError("two tickers of the session have the same hash")

    def find(self, hashes: Column) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        """Give the places, and which of the hashes are known."""
        if not len(self._sorted):
            return np.zeros(len(hashes), np.int32), np.zeros(len(hashes), np.bool_)
        near = np.searchsorted(self._sorted, hashes)
        near = np.minimum(near, len(self._sorted) - 1)
        return self._order[near], self._sorted[near] == hashes


def changes_of(columns: Sequence[Column], places: Places) -> Rows:
    """Give changes of books (frame, hash, time, quantity, packed) as rows of known markets."""
    own = (columns[4] >> _OWN & 1).astype(np.int8)
    return _rows(columns, places, own + np.int8(DELTA))


def trades_of(columns: Sequence[Column], places: Places) -> Rows:
    """Give public trades (frame, hash, time, quantity, packed) as rows of known markets."""
    return _rows(columns, places, np.full(len(columns[0]), TRADE, np.int8))


def snapshots_of(found: Sequence[Any], places: dict[str, int]) -> tuple[Rows, NDArray[np.int64]]:
    """Give fetched snapshots as rows, and their bodies."""
    bodies: list[int] = []
    table: list[tuple[int, ...]] = []
    for frame_no, ticker, at, source, *sides in found:
        start = len(bodies)
        bodies += (len(sides[0]), len(sides[2]))
        for prices, quantities in (sides[:2], sides[2:]):
            for level in zip(prices, quantities, strict=True):
                bodies += level
        size = len(bodies) - start
        table.append((frame_no, places[ticker], SNAPSHOT, 0, size, start, at, source))
    return rows_of(table), np.array(bodies, np.int64)


def rows_of(table: Sequence[tuple[int, ...]]) -> Rows:
    """Give rows that stand one after the other, in the order of the columns, as columns."""
    columns = zip(*table, strict=True) if table else ((),) * len(Rows._fields)
    return Rows(*(np.array(c, width) for c, width in zip(columns, WIDTHS, strict=True)))


def _rows(columns: Sequence[Column], places: Places, kinds: NDArray[np.int8]) -> Rows:
    frames, hashes, times, quantities = (column.astype(np.int64) for column in columns[:4])
    packed = columns[4].astype(np.int32)
    markets, known = places.find(hashes)
    found = Rows(
        frames,
        markets,
        kinds,
        (packed & 1).astype(np.int8),
        packed >> _PRICE,
        quantities,
        times,
        (packed >> _SOURCE & 3).astype(np.int8),
    )
    if not known.all():
        found = found.chosen(known)
    if (found.frames[1:] < found.frames[:-1]).any():  # pages that were used again
        found = found.chosen(np.argsort(found.frames, kind="stable"))
    return found

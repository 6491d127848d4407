"""Sums over many rows of features, exact: the same rows give the same numbers in any order.

Features lie within -1 to 1 and are counted in whole steps of 2^-20, so that no sum is ever rounded,
whichever way a machine adds up; lowest, highest and what is wrong are taken from the numbers as
they are, in the float32 that a policy sees. Memory is the same for any number of rows.
"""

from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

STEPS = 1 << 20
BINS = 1024
SHARES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
_ROWS_AT_ONCE = 4096  # of products up to STEPS², whose sum a float64 holds exactly
_SHIFT = 11  # of 2 * STEPS steps, to BINS bins

Rows = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class FeatureStatistics:
    """One feature over all rows; `quantiles` are those of `SHARES`, to a five-hundredth.

    `values` counts different ones, to as much. `at_low` and `at_high` are shares of the rows at the
    table's bounds, `not_finite` and `outside` counts of rows that are no number and that lie beyond
    the bounds; those are in nothing else.
    """

    name: str
    rows: int
    mean: float
    deviation: float
    lowest: float
    highest: float
    quantiles: tuple[float, ...]
    values: int
    at_low: float
    at_high: float
    not_finite: int
    outside: int

    @property
    def is_constant(self) -> bool:
        """Say whether every row has the same number."""
        return self.rows > 0 and self.lowest == self.highest


class Moments:
    """Takes rows in and tells their statistics; `low` and `high` are the features' bounds."""

    def __init__(self, names: tuple[str, ...], low: Rows, high: Rows) -> None:
        size = len(names)
        self.names = names
        self._low = np.asarray(low, np.float32)
        self._high = np.asarray(high, np.float32)
        self._rows = np.zeros(size, np.int64)
        self._at_low, self._at_high = np.zeros((2, size), np.int64)
        self._not_finite, self._outside = np.zeros((2, size), np.int64)
        self._lowest = np.full(size, np.inf, np.float32)
        self._highest = np.full(size, -np.inf, np.float32)
        self._bins = np.zeros((size, BINS), np.int64)
        # Python's integers: sums of squares of many rows are beyond 64 bits.
        self._sums = np.zeros(size, object)
        self._products = np.zeros((size, size), object)
        self._whole = 0

    def add(self, rows: Rows) -> None:
        """Take in rows, one column for each feature."""
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            self._add(np.asarray(rows[start : start + _ROWS_AT_ONCE], np.float32))

    def statistics(self) -> tuple[FeatureStatistics, ...]:
        """Give what the rows so far say of each feature."""
        return tuple(self._of(number) for number in range(len(self.names)))

    def correlation(self, one: int, other: int) -> float:
        """Give the correlation of two features over the rows that are whole; 0 for a constant."""
        covariance = self._covariance(one, other)
        spread = self._covariance(one, one) * self._covariance(other, other)
        return covariance / sqrt(spread) if spread > 0 else 0.0

    def _add(self, rows: NDArray[np.float32]) -> None:
        finite = np.isfinite(rows)
        inside = finite & (rows >= self._low) & (rows <= self._high)
        self._not_finite += np.count_nonzero(~finite, axis=0)
        self._outside += np.count_nonzero(finite & ~inside, axis=0)
        self._rows += np.count_nonzero(inside, axis=0)
        self._at_low += np.count_nonzero(inside & (rows == self._low), axis=0)
        self._at_high += np.count_nonzero(inside & (rows == self._high), axis=0)
        np.minimum(self._lowest, np.where(inside, rows, np.inf).min(axis=0), out=self._lowest)
        np.maximum(self._highest, np.where(inside, rows, -np.inf).max(axis=0), out=self._highest)
        self._count(rows, inside)
        self._sum(rows[inside.all(axis=1)])

    def _count(self, rows: NDArray[np.float32], inside: NDArray[np.bool_]) -> None:
        size = len(self.names)
        bins = np.minimum((_steps(np.where(inside, rows, 0.0)) + STEPS) >> _SHIFT, BINS - 1)
        places = (bins + np.arange(size) * BINS)[inside]
        self._bins += np.bincount(places, minlength=size * BINS).reshape(size, BINS)

    def _sum(self, rows: NDArray[np.float32]) -> None:
        steps = _steps(rows).astype(np.float64)
        self._whole += len(rows)
        self._sums += steps.sum(axis=0).astype(np.int64).astype(object)
        self._products += (steps.T @ steps).astype(np.int64).astype(object)

    def _covariance(self, one: int, other: int) -> int:
        product: int = self._whole * self._products[one, other]
        return product - int(self._sums[one] * self._sums[other])

    def _of(self, number: int) -> FeatureStatistics:
        rows, whole = int(self._rows[number]), max(self._whole, 1)
        return FeatureStatistics(
            name=self.names[number],
            rows=rows,
            mean=int(self._sums[number]) / (whole * STEPS),
            deviation=sqrt(self._covariance(number, number)) / (whole * STEPS),
            lowest=float(self._lowest[number]) if rows else 0.0,
            highest=float(self._highest[number]) if rows else 0.0,
            quantiles=self._quantiles(number),
            values=int(np.count_nonzero(self._bins[number])),
            at_low=int(self._at_low[number]) / max(rows, 1),
            at_high=int(self._at_high[number]) / max(rows, 1),
            not_finite=int(self._not_finite[number]),
            outside=int(self._outside[number]),
        )

    def _quantiles(self, number: int) -> tuple[float, ...]:
        filled = np.cumsum(self._bins[number])
        if not filled[-1]:
            return tuple(0.0 for _ in SHARES)
        found = (np.searchsorted(filled, share * filled[-1]) for share in SHARES)
        low, high = float(self._lowest[number]), float(self._highest[number])
        return tuple(min(max((2 * int(at) + 1) / BINS - 1.0, low), high) for at in found)


def _steps(rows: NDArray[np.float32]) -> NDArray[np.int64]:
    """Give features in whole steps; a product with a power of two is exact."""
    return np.rint(rows.astype(np.float64) * STEPS).astype(np.int64)

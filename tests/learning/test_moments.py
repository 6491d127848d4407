"""Sums over rows are exact: in any order, in any batches, and beside numpy's own."""

import numpy as np
import pytest

from kalshiflow.learning.datasets.moments import SHARES, Moments

NAMES = ("wide", "half", "same", "twice", "never")
LOW, HIGH = np.array([-1, 0, -1, -1, -1]), np.ones(5)


@pytest.fixture(scope="module")
def rows():
    random = np.random.default_rng(3)
    found = random.uniform(-1, 1, (9_000, 5)).astype(np.float32)
    found[:, 1] = np.abs(found[:, 1])
    found[:, 3] = -found[:, 0]
    found[:, 4] = 0.25
    found[:100, 2] = 1.0
    return found


def moments_of(*batches) -> Moments:
    made = Moments(NAMES, LOW, HIGH)
    for batch in batches:
        made.add(batch)
    return made


def test_statistics_are_those_of_numpy(rows):
    found = moments_of(rows).statistics()

    for number, one in enumerate(found):
        column = rows[:, number].astype(np.float64)
        assert (one.name, one.rows) == (NAMES[number], 9_000)
        assert one.mean == pytest.approx(column.mean(), abs=1e-6)
        assert one.deviation == pytest.approx(column.std(), abs=1e-6)
        assert (one.lowest, one.highest) == (column.min(), column.max())
        assert one.quantiles == pytest.approx(np.quantile(column, SHARES), abs=0.003)
    assert found[2].at_high == pytest.approx(100 / 9_000)
    assert [one.is_constant for one in found] == [False, False, False, False, True]


def test_the_order_and_the_batches_of_rows_make_no_difference(rows):
    whole = moments_of(rows)
    parts = moments_of(*np.array_split(rows[np.random.default_rng(1).permutation(9_000)], 37))

    assert whole.statistics() == parts.statistics()
    assert whole.correlation(0, 2) == parts.correlation(0, 2)


def test_correlations_are_those_of_numpy(rows):
    found = moments_of(rows)

    assert found.correlation(0, 3) == -1.0
    assert found.correlation(0, 4) == 0.0
    expected = np.corrcoef(rows[:, 0], rows[:, 2])[0, 1]
    assert found.correlation(0, 2) == pytest.approx(expected, abs=1e-5)


def test_what_is_no_number_or_out_of_bounds_is_counted_and_kept_out(rows):
    bad = rows[:4].copy()
    bad[:, 1] = [np.nan, np.inf, -0.5, 0.5]

    one = moments_of(bad).statistics()[1]

    assert (one.rows, one.not_finite, one.outside) == (1, 2, 1)
    assert (one.lowest, one.highest) == (0.5, 0.5)


def test_without_rows_there_is_nothing_to_tell():
    one = moments_of(np.zeros((0, 5))).statistics()[0]

    assert (one.rows, one.mean, one.deviation, one.is_constant) == (0, 0.0, 0.0, False)

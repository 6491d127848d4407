"""The hidden probability: bounded, a martingale, and settled by a coin at its last value."""

import random
from statistics import fmean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshiflow.market.listing import MarketResult
from kalshiflow.market.units import DOLLAR
from kalshiflow.venue.traders.value import HiddenValue

LOWEST, HIGHEST = 200.0, 9_800.0
PATHS = 3_000


class Drawn:
    """Draws what it was given."""

    def __init__(self, draw: float) -> None:
        self.draw = draw

    def random(self) -> float:
        return self.draw


@given(
    st.floats(LOWEST + 1e-6, HIGHEST - 1e-6),
    st.lists(st.floats(0.0, 20_000.0), max_size=60),
    st.integers(0, 2**32),
)
def test_it_never_reaches_a_bound(start, sizes, seed):
    value = HiddenValue(start, LOWEST, HIGHEST, random.Random(seed))
    for size in sizes:
        before = value.now
        change = value.move(size)

        assert LOWEST < value.now < HIGHEST
        assert value.now == before + change
        assert abs(change) <= size


@given(st.floats(LOWEST + 1, HIGHEST - 1), st.floats(1.0, 5_000.0))
def test_the_mean_of_its_next_value_is_what_it_is_now(start, size):
    up = HiddenValue(start, LOWEST, HIGHEST, Drawn(0.0)).move(size)
    down = HiddenValue(start, LOWEST, HIGHEST, Drawn(1.0 - 1e-12)).move(size)
    share = -down / (up - down)  # of moves upwards, if their mean is zero

    just_below = HiddenValue(start, LOWEST, HIGHEST, Drawn(share - 1e-9)).move(size)
    just_above = HiddenValue(start, LOWEST, HIGHEST, Drawn(share + 1e-9)).move(size)

    assert down < 0 < up
    assert (just_below, just_above) == (up, down)


@pytest.mark.parametrize("start", [300.0, 2_500.0, 5_000.0, 9_500.0])
def test_the_mean_of_many_paths_stays_where_they_began_and_coins_fall_by_their_ends(start):
    rng = random.Random(f"paths/{start}")
    values = [HiddenValue(start, LOWEST, HIGHEST, rng) for _ in range(PATHS)]
    for value in values:
        for _ in range(30):
            value.move(rng.uniform(450.0, 750.0))
    ends = [value.now for value in values]
    tosses = [value.toss() is MarketResult.YES for value in values]
    error = stdev(ends) / PATHS**0.5

    assert abs(fmean(ends) - start) < 4 * error
    assert abs(fmean(tosses) - fmean(ends) / DOLLAR) < 4 * 0.5 / PATHS**0.5


@pytest.mark.parametrize("last", [205.0, 3_000.0, 9_700.0])
def test_the_coin_falls_on_yes_as_often_as_the_last_value_says(last):
    value = HiddenValue(last, LOWEST, HIGHEST, random.Random("coin"))
    share = last / DOLLAR

    yes = fmean(value.toss() is MarketResult.YES for _ in range(20_000))

    assert abs(yes - share) < 4 * (share * (1 - share) / 20_000) ** 0.5


def test_a_value_at_or_beyond_its_bounds_is_refused():
    for start in (0.0, LOWEST, HIGHEST, 20_000.0):
        with pytest.raises(ValueError, match="does not lie between"):
            HiddenValue(start, LOWEST, HIGHEST, random.Random(1))

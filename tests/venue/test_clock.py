"""Market time: held, paced, and led by events."""

import math

import pytest

from kalshiflow.venue.clock import MILLISECOND, SECOND, VenueClock

START = 1_000 * SECOND


class Ticks:
    """A monotonic clock that moves when told to."""

    def __init__(self) -> None:
        self.at = 5

    def __call__(self) -> int:
        return self.at


def test_market_time_stands_still_until_it_begins() -> None:
    ticks = Ticks()
    clock = VenueClock(START, 20.0, ticks)
    ticks.at += 60 * SECOND

    assert clock.now() == START
    assert clock.seconds_until(START + 1) == math.inf


def test_market_time_runs_at_the_speed_from_where_it_began() -> None:
    ticks = Ticks()
    clock = VenueClock(START, 20.0, ticks)
    ticks.at += 60 * SECOND
    clock.begin()
    ticks.at += SECOND // 2
    clock.begin()  # changes nothing

    assert clock.now() == START + 10 * SECOND
    assert clock.seconds_until(START + 30 * SECOND) == pytest.approx(1.0)


def test_market_time_is_told_in_whole_milliseconds() -> None:
    ticks = Ticks()
    clock = VenueClock(START, 1.0, ticks)
    clock.begin()
    ticks.at += 2 * MILLISECOND + 345_678

    assert clock.now() == START + 2 * MILLISECOND


def test_an_endless_speed_is_where_events_have_led_it() -> None:
    clock = VenueClock(START, math.inf)
    clock.begin()
    clock.reach(START + 7)
    clock.reach(START + 3)

    assert clock.now() == START + 7


def test_a_speed_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="above 0, not 0"):
        VenueClock(START, 0.0)

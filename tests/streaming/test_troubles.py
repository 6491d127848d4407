"""What trouble with the exchange is called, and how long it is waited for."""

from datetime import UTC, datetime

import pytest

from kalshiflow.exchange.errors import (
    ConnectionLost,
    ExchangeUnavailable,
    ProtocolError,
    RateLimited,
    Unauthorised,
    Unreachable,
)
from streaming.health import SECOND, State
from streaming.troubles import (
    NoMarkets,
    SubscriptionEnded,
    clock_trouble,
    in_maintenance_window,
    trouble_of,
)


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND


WEDNESDAY = at("2026-11-18T12:00:00")


def told(error, now=WEDNESDAY, *, is_active=None):
    return trouble_of(error, key_id="key-1", now=now, is_active=is_active)


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (Unauthorised("HTTP 401"), State.UNAUTHORISED),
        (RateLimited("HTTP 429"), State.RATE_LIMITED),
        (ExchangeUnavailable("HTTP 503"), State.UNAVAILABLE),
        (Unreachable("refused"), State.WAITING),
        (ConnectionLost(1006, ""), State.WAITING),
        (ProtocolError("no JSON"), State.WAITING),
        (SubscriptionEnded("error 25"), State.WAITING),
        (NoMarkets("none"), State.NO_MARKETS),
    ],
)
def test_each_kind_of_trouble_has_a_state_of_its_own(error, state):
    assert told(error).state is state


def test_a_refused_key_is_named_and_tried_again_slowly():
    trouble = told(Unauthorised("HTTP 401 INCORRECT_API_KEY_SIGNATURE"))

    assert "key-1" in trouble.detail
    assert "INCORRECT_API_KEY_SIGNATURE" in trouble.detail
    assert trouble.least_pause == 60.0


def test_too_many_requests_are_waited_for_as_long_as_the_exchange_asks():
    assert told(RateLimited("HTTP 429", 7.5)).least_pause == 7.5
    assert told(RateLimited("HTTP 429")).least_pause == 0.0


def test_an_exchange_that_says_it_is_inactive_is_in_maintenance():
    assert told(ExchangeUnavailable("HTTP 503"), is_active=False).state is State.MAINTENANCE
    assert told(ExchangeUnavailable("HTTP 503"), is_active=True).state is State.UNAVAILABLE


@pytest.mark.parametrize(
    ("moment", "inside"),
    [
        ("2026-11-19T07:59:59", False),  # Thursday in winter: New York is five hours behind
        ("2026-11-19T08:00:00", True),
        ("2026-11-19T09:59:59", True),
        ("2026-11-19T10:00:00", False),
        ("2026-07-02T07:00:00", True),  # in summer four
        ("2026-11-20T08:30:00", False),  # Friday
    ],
)
def test_the_weekly_maintenance_is_by_new_yorks_clock(moment, inside):
    assert in_maintenance_window(at(moment)) is inside
    state = told(ExchangeUnavailable("HTTP 503"), at(moment)).state
    assert state is (State.MAINTENANCE if inside else State.UNAVAILABLE)


@pytest.mark.parametrize(
    ("offset", "median", "pace", "words"),
    [
        (None, None, None, None),
        (0.4, 20_000_000, 1.0, None),
        (0.4, 30 * SECOND, 0.9, None),  # we are late: that is an age
        (12.0, 20_000_000, 1.0, "12 s or more from ours"),
        (0.0, 20_000_000, 20.0, "20.0 times as fast"),
        (0.0, -6 * SECOND, 1.0, "6 s ahead of our clock"),
        (0.0, 7_200 * SECOND, 1.0, "2 hours ago"),
    ],
)
def test_ages_are_shown_only_where_both_clocks_are_of_one_time(offset, median, pace, words):
    found = clock_trouble(offset, median, pace)

    assert found is None if words is None else words in found

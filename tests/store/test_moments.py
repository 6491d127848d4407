"""Times as people write them: UTC or refused."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshiflow.store.moments import (
    NotAnInstant,
    as_nanoseconds,
    read_day,
    read_instant,
    show_instant,
    show_span,
)

SECOND = 10**9


@given(st.integers(0, 4_000_000_000 * SECOND))
def test_what_is_shown_reads_back_to_the_last_nanosecond(at):
    assert read_instant(show_instant(at)) == at


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("1970-01-02", 86_400 * SECOND),
        ("1970-01-01T00:01Z", 60 * SECOND),
        ("1970-01-01 00:00:01.5Z", 3 * SECOND // 2),
        ("1970-01-01T00:00:01+00:00", SECOND),
        ("1795000000000000001", 1_795_000_000_000_000_001),
    ],
)
def test_a_time_may_be_written_in_several_ways(text, at):
    assert read_instant(text) == at


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2026-11-20T14:30:00", "times are UTC, write 2026-11-20T14:30:00Z"),
        ("2026-11-20T14:30:00+02:00", "is no time"),
        ("2026-13-20", "is no time"),
        ("noon", "is no time"),
    ],
)
def test_a_time_that_is_not_utc_is_refused_and_told_how_to_be(text, why):
    with pytest.raises(NotAnInstant, match=why):
        read_instant(text)


def test_a_datetime_says_that_it_is_utc_or_is_refused():
    assert as_nanoseconds(datetime(1970, 1, 1, 0, 0, 1, 7, tzinfo=UTC)) == SECOND + 7000
    assert as_nanoseconds(42) == 42
    with pytest.raises(NotAnInstant, match="names no time zone"):
        as_nanoseconds(datetime(2026, 11, 20))
    with pytest.raises(NotAnInstant, match="is not in UTC"):
        as_nanoseconds(datetime(2026, 11, 20, tzinfo=timezone(timedelta(hours=2))))


def test_a_day_is_read_as_one():
    assert read_day("2026-11-20") == date(2026, 11, 20)
    with pytest.raises(NotAnInstant, match="is no day"):
        read_day("20 November")


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (450_000_000, "450 ms"),
        (-3_200_000_000, "-3.2 s"),
        (3_200_000_000, "3.2 s"),
        (125 * SECOND, "2 min 05 s"),
        (2 * 3_600 * SECOND + 5 * 60 * SECOND, "2 h 05 min"),
    ],
)
def test_a_length_of_time_is_shown_as_a_person_reads_it(nanoseconds, text):
    assert show_span(nanoseconds) == text

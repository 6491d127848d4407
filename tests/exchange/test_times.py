"""Times: to the last digit, both ways."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshiflow.exchange.times import iso_time, nanoseconds

MOMENTS = st.integers(0, 2**62)


@given(MOMENTS)
def test_a_time_survives_the_wire(at):
    assert nanoseconds(iso_time(at)) == at


@given(st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)), st.text("0123456789", max_size=9))
def test_a_time_is_read_as_its_second_and_its_fraction_to_the_last_digit(moment, digits):
    second = moment.replace(microsecond=0, tzinfo=UTC)
    fraction = f".{digits}" if digits else ""
    expected = int(second.timestamp()) * 10**9 + int(digits.ljust(9, "0"))
    for _ in range(2):  # the second time out of memory
        assert nanoseconds(f"{second:%Y-%m-%dT%H:%M:%S}{fraction}Z") == expected


@given(st.text("0123456789٣ _+-.:TZ", max_size=14))
def test_a_second_that_is_known_makes_no_bad_ending_good(ending):
    second = "2026-11-20T09:00:00"
    nanoseconds(f"{second}Z")
    try:
        expected = datetime.fromisoformat(second + ending)
    except ValueError:
        expected = None
    if expected is None or expected.tzinfo is None:
        if not re.fullmatch(r"\.[0-9]{1,9}Z", ending):
            with pytest.raises(ValueError):
                nanoseconds(second + ending)
        return
    if not re.fullmatch(r"\.[0-9]{7,9}Z", ending):
        assert nanoseconds(second + ending) // 1000 == int(expected.timestamp() * 10**6)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-06-11T06:29:47.42784Z", 1_781_159_387_427_840_000),
        ("2025-11-22T20:44:01Z", 1_763_844_241_000_000_000),
        ("2023-08-31T09:30:11.177187-04:00", 1_693_488_611_177_187_000),
        ("2026-11-20T09:00:00.123456789Z", 1_795_165_200_123_456_789),
        ("2026-11-20T09:00:00+00:00", 1_795_165_200_000_000_000),
    ],
)
def test_every_form_that_was_seen_is_read(text, at):
    assert nanoseconds(text) == at


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Z",
        "yesterday",
        "2026-11-20",
        "2026-11-20T09:00:00",
        "2026-11-20T09:00:00.12a4Z",
        "2026-02-30T09:00:00Z",
        "1969-12-31T23:59:59Z",
        "9999-12-31T23:59:59Z",
        "9999-12-31T23:59:59-01:00",
    ],
)
def test_what_is_no_time_of_ours_is_refused(text):
    with pytest.raises(ValueError):
        nanoseconds(text)


def test_kalshi_writes_no_trailing_zeros():
    assert iso_time(1_795_165_200_120_000_000) == "2026-11-20T09:00:00.12Z"
    assert iso_time(1_795_165_200_000_000_000) == "2026-11-20T09:00:00Z"

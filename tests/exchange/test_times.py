"""Times: to the last digit, both ways."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshiflow.exchange.times import iso_time, nanoseconds

MOMENTS = st.integers(0, 2**62)


@given(MOMENTS)
def test_a_time_survives_the_wire(at):
    assert nanoseconds(iso_time(at)) == at


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

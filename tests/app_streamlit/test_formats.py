"""How figures are written on screen."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app_streamlit.formats import clock, money, short, size, span, time_of_day
from kalshiflow.market.units import Cash, cash_to_dollars


@pytest.mark.parametrize(
    ("dollars", "shown"),
    [
        ("1234.567800", "$1,234.5678"),
        ("-0.010000", "-$0.01"),
        ("5", "$5.00"),
        ("1000000.100000", "$1,000,000.10"),
        (None, "–"),
    ],
)
def test_money_keeps_every_digit_and_at_least_the_cents(dollars, shown) -> None:
    assert money(dollars) == shown


@given(st.integers(-(10**15), 10**15))
def test_money_on_screen_is_the_ledgers_amount(cash) -> None:
    shown = money(cash_to_dollars(Cash(cash)))

    assert Decimal(shown.replace("$", "").replace(",", "")) == Decimal(cash) / 10**6


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(None, "–"), (0, "0s"), (59.9, "59s"), (425, "7m 05s"), (12_000, "3h 20m")],
)
def test_a_span_is_told_in_its_two_largest_units(seconds, shown) -> None:
    assert span(seconds) == shown


def test_times_are_shown_in_utc() -> None:
    assert time_of_day("2026-11-20T10:00:00.123456+01:00") == "09:00:00.123"
    assert clock(1_795_165_200_000_000_000) == "2026-11-20 09:00:00"


def test_a_long_identifier_is_cut() -> None:
    assert short("0123456789abcdef", 8) == "01234567"
    assert short(None) == "–"


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1.0 kB"),
        (67_108_864, "67.1 MB"),
        (8_000_000_000, "8.0 GB"),
        (None, "–"),
    ],
)
def test_bytes_are_told_in_the_unit_that_suits_them(count, shown) -> None:
    assert size(count) == shown

"""Instants as people and callers name them, and as the store keeps them: UTC nanoseconds."""

import re
from datetime import UTC, date, datetime, timedelta

Instant = int | datetime  # UTC nanoseconds, or a datetime that says that it is UTC

DAY = 86_400 * 10**9
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TEXT = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,9}))?(Z|\+00:00)?)?")


class NotAnInstant(ValueError):
    """A time that names no zone, or another than UTC, or no time at all."""


def as_nanoseconds(at: Instant) -> int:
    """Give an instant in UTC nanoseconds; raises `NotAnInstant` for a datetime that is not UTC."""
    if isinstance(at, int):
        return at
    if at.tzinfo is None:
        raise NotAnInstant(f"{at.isoformat()} names no time zone; give it in UTC")
    if at.utcoffset() != timedelta(0):
        raise NotAnInstant(f"{at.isoformat()} is not in UTC; convert it first")
    return (at - _EPOCH) // timedelta(microseconds=1) * 1000


def read_instant(text: str) -> int:
    """Read `2026-11-20T14:30:00.5Z` (up to nine digits), a day (its first moment) or nanoseconds.

    Raises `NotAnInstant` for anything else, a time of day without its Z among it.
    """
    if text.isascii() and text.isdecimal() and len(text) >= 16:
        return int(text)
    found = _TEXT.fullmatch(text)
    if found is None:
        raise NotAnInstant(f"{text!r} is no time; write it as 2026-11-20T14:30:00Z")
    day, clock, fraction, zone = found.groups()
    if clock is not None and zone is None:
        raise NotAnInstant(f"{text!r} names no time zone; times are UTC, write {text}Z")
    try:
        moment = datetime.fromisoformat(f"{day}T{clock or '00:00'}+00:00")
    except ValueError as wrong:
        raise NotAnInstant(f"{text!r} is no time: {wrong}") from None
    return as_nanoseconds(moment) + int((fraction or "0").ljust(9, "0"))


def read_day(text: str) -> date:
    """Read `2026-11-20`; raises `NotAnInstant` for anything else."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise NotAnInstant(f"{text!r} is no day; write it as 2026-11-20") from None


def show_instant(at: int) -> str:
    """Write nanoseconds as `2026-11-20T14:30:00.5Z`: UTC, to the last digit that is not zero."""
    seconds, fraction = divmod(at, 10**9)
    whole = (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{fraction:09d}".rstrip("0").rstrip(".") + "Z"


def show_span(nanoseconds: int) -> str:
    """Write a length of time as a person reads it: `2 h 05 min`, `3.2 s`, `450 ms`."""
    if nanoseconds < 0:
        return f"-{show_span(-nanoseconds)}"
    seconds = nanoseconds / 1e9
    if seconds < 1:
        return f"{nanoseconds / 1e6:.3g} ms"
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {left:02d} s"

"""The exchange's times (ISO 8601 text, seconds, milliseconds) and ours: UTC nanoseconds."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

NANOSECONDS = 1_000_000_000
PER_MILLISECOND = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = 2**63 - 1  # what 64 bits can hold: the year 2262

# A feed tells the same second over and over: its text (19 characters) and what that was read as.
_SECONDS: dict[str, int] = {}
_SECONDS_KEPT = 256
# What follows the second, where it is told in whole milliseconds or less.
_FRACTIONS = {"Z": 0} | {
    f".{part:0{digits}d}Z": part * 10 ** (9 - digits)
    for digits in (1, 2, 3)
    for part in range(10**digits)
}
_SCALES: tuple[int, ...] = tuple(10 ** (9 - digits) for digits in range(10))


def nanoseconds(text: str) -> int:
    """Read an ISO 8601 time with a zone, to the last digit of its fraction (at most nine).

    Raises `ValueError` for a time without a zone, before 1970 or after 2262, or no time at all.
    """
    rest = text[19:]
    fraction = _FRACTIONS.get(rest) if len(rest) < 6 else None
    if fraction is None:
        digits = rest[1:-1]
        is_plain = digits.isdecimal() and digits.isascii() and rest[0] == "." and rest[-1] == "Z"
        if not is_plain or len(digits) > 9:
            return _any_form(text)
        fraction = int(digits) * _SCALES[len(digits)]
    second = text[:19]
    whole = _SECONDS.get(second)
    return (_second(second) if whole is None else whole) + fraction


def iso_time(at: int) -> str:
    """Write nanoseconds as Kalshi does: UTC, `Z`, no trailing zeros in the fraction."""
    seconds, fraction = divmod(at, NANOSECONDS)
    return f"{_whole(seconds)}.{fraction:09d}".rstrip("0").rstrip(".") + "Z"


@lru_cache(maxsize=256)
def _whole(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")


def _any_form(text: str) -> int:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"time {text!r} names no zone")
    return _checked((moment - _EPOCH) // timedelta(microseconds=1) * 1000, text)


def _second(text: str) -> int:
    moment = datetime.fromisoformat(f"{text}+00:00")
    at = _checked((moment - _EPOCH) // timedelta(seconds=1) * NANOSECONDS, text)
    if len(_SECONDS) >= _SECONDS_KEPT:
        _SECONDS.clear()
    _SECONDS[text] = at
    return at


def _checked(at: int, text: str) -> int:
    if not 0 <= at <= _LATEST - NANOSECONDS:
        raise ValueError(f"time {text!r} is before 1970 or after 2262")
    return at

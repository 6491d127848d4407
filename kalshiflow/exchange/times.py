"""The exchange's times (ISO 8601 text, seconds, milliseconds) and ours: UTC nanoseconds."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

NANOSECONDS = 1_000_000_000
PER_MILLISECOND = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = 2**63 - 1  # what 64 bits can hold: the year 2262


def nanoseconds(text: str) -> int:
    """Read an ISO 8601 time with a zone, to the last digit of its fraction (at most nine).

    Raises `ValueError` for a time without a zone, before 1970 or after 2262, or no time at all.
    """
    rest = text[19:]
    if rest.endswith("Z") and (rest == "Z" or rest[0] == "."):
        fraction = rest[1:-1]
        if rest == "Z":
            return _seconds(text[:19]) * NANOSECONDS
        if fraction.isascii() and fraction.isdecimal() and len(fraction) <= 9:
            return _seconds(text[:19]) * NANOSECONDS + int(fraction.ljust(9, "0"))
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"time {text!r} names no zone")
    return _checked((moment - _EPOCH) // timedelta(microseconds=1) * 1000, text)


def iso_time(at: int) -> str:
    """Write nanoseconds as Kalshi does: UTC, `Z`, no trailing zeros in the fraction."""
    seconds, fraction = divmod(at, NANOSECONDS)
    return f"{_whole(seconds)}.{fraction:09d}".rstrip("0").rstrip(".") + "Z"


@lru_cache(maxsize=256)
def _whole(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")


@lru_cache(maxsize=256)
def _seconds(text: str) -> int:
    # A feed asks for the same second over and over.
    moment = datetime.fromisoformat(f"{text}+00:00")
    seconds = (moment - _EPOCH) // timedelta(seconds=1)
    _checked(seconds * NANOSECONDS, text)
    return seconds


def _checked(at: int, text: str) -> int:
    if not 0 <= at <= _LATEST - NANOSECONDS:
        raise ValueError(f"time {text!r} is before 1970 or after 2262")
    return at

"""Times as people read them."""

from datetime import UTC, datetime

NANOSECONDS = 1_000_000_000


def seconds(nanoseconds: int) -> float:
    """Give a length of time in seconds."""
    return nanoseconds / NANOSECONDS


def utc(nanoseconds: int) -> str:
    """Write a moment in ISO 8601, to the millisecond."""
    moment = datetime.fromtimestamp(nanoseconds // NANOSECONDS, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{nanoseconds % NANOSECONDS // 1_000_000:03d}Z"

"""How figures are written on screen: pure functions from values to text."""

from datetime import UTC, datetime
from decimal import Decimal


def money(dollars: str | None) -> str:
    """Write a decimal dollar string with a sign, thousands and no lost digits: `$1,234.5678`."""
    if dollars is None:
        return "–"
    value = Decimal(dollars)
    whole, _, fraction = f"{abs(value):f}".partition(".")
    fraction = fraction.rstrip("0").ljust(2, "0")
    return f"{'-' if value < 0 else ''}${int(whole):,}.{fraction}"


def clock(nanoseconds: int | None) -> str:
    """Write a UTC instant in nanoseconds as a time of day with its date."""
    if nanoseconds is None:
        return "–"
    return datetime.fromtimestamp(nanoseconds / 1e9, tz=UTC).strftime("%Y-%m-%d %H:%M:%S")


def time_of_day(iso: str | None) -> str:
    """Write an ISO 8601 instant as its time of day in UTC, to the millisecond."""
    if not iso:
        return "–"
    moment = datetime.fromisoformat(iso).astimezone(UTC)
    return moment.strftime("%H:%M:%S.") + f"{moment.microsecond // 1000:03d}"


def span(seconds: float | None) -> str:
    """Write a duration: `42s`, `7m 05s`, `3h 20m`."""
    if seconds is None:
        return "–"
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    return f"{whole // 3600}h {whole % 3600 // 60:02d}m"


def size(count: int | None) -> str:
    """Write a number of bytes: `512 B`, `3.4 MB`."""
    if count is None:
        return "–"
    value, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"


def short(identifier: str | None, length: int = 12) -> str:
    """Shorten a hash or id for a table."""
    return (identifier or "–")[:length]

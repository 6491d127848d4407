"""What trouble with the exchange means: the state to tell, and the least time to wait; pure."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from kalshiflow.exchange.errors import (
    ExchangeUnavailable,
    RateLimited,
    Unauthorised,
)
from streaming.health import SECOND, State

_EXCHANGE_ZONE = ZoneInfo("America/New_York")
_THURSDAY = 3
_MAINTENANCE_HOURS = range(3, 5)
UNAUTHORISED_SECONDS = 60.0
MAINTENANCE_SECONDS = 15.0


class SubscriptionEnded(RuntimeError):
    """The exchange refused or ended what the recording lives on."""


class NoMarkets(RuntimeError):
    """There is nothing to record, or nothing is left."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """A state with its sentence; `least_pause` is in seconds."""

    state: State
    detail: str
    least_pause: float = 0.0


def trouble_of(
    error: Exception, *, key_id: str, now: int, is_active: bool | None = None
) -> Trouble:
    """Say what an error means; `now` is UTC nanoseconds.

    `is_active` is what the exchange's own status says, `None` where it cannot be asked.
    """
    said = str(error)
    if is_active is False:
        return Trouble(
            State.MAINTENANCE,
            f"the exchange says that it is not active now; {said}",
            MAINTENANCE_SECONDS,
        )
    if isinstance(error, Unauthorised):
        return Trouble(
            State.UNAUTHORISED,
            f"the exchange does not accept the key {key_id}: {said}; correct KALSHI_API_KEY_ID, "
            f"its private key or this machine's clock",
            UNAUTHORISED_SECONDS,
        )
    if isinstance(error, RateLimited):
        after = getattr(error, "retry_after", None)
        return Trouble(
            State.RATE_LIMITED, f"the exchange asks for fewer requests: {said}", after or 0.0
        )
    if isinstance(error, ExchangeUnavailable):
        if in_maintenance_window(now):
            return Trouble(
                State.MAINTENANCE,
                f"the exchange is in its maintenance of Thursday, 3 to 5 in New York: {said}",
                MAINTENANCE_SECONDS,
            )
        return Trouble(State.UNAVAILABLE, f"the exchange is not available: {said}")
    if isinstance(error, NoMarkets):
        return Trouble(State.NO_MARKETS, said)
    return Trouble(State.WAITING, said)


def in_maintenance_window(now: int) -> bool:
    """Say whether it is Thursday between 3 and 5 in New York, when Kalshi may be away."""
    there = datetime.fromtimestamp(now // SECOND, _EXCHANGE_ZONE)
    return there.weekday() == _THURSDAY and there.hour in _MAINTENANCE_HOURS


def clock_trouble(offset: float | None, median_age: int | None, pace: float | None) -> str | None:
    """Say why receive time less exchange time is no age, or `None` where it is one.

    `offset` is how many seconds the exchange's clock is at least from ours, by the dates of its
    REST answers, `pace` the exchange's seconds in one of ours over the last frames, `median_age` in
    nanoseconds. Ages are shown as measured, never corrected: the offset is known to a second or so,
    which is more than an age.
    """
    if offset is not None and offset > _OFFSET_SECONDS:
        return f"the exchange's clock is {offset:.0f} s or more from ours"
    if pace is not None and pace > _PACE:
        return f"exchange time runs {pace:.1f} times as fast as ours"
    if median_age is None:
        return None
    if median_age < -_OFFSET_SECONDS * SECOND:
        return f"frames are dated {-median_age / SECOND:.0f} s ahead of our clock"
    if median_age > _ANOTHER_TIME:
        return f"frames are dated {median_age / SECOND / 3600:.0f} hours ago: another clock"
    return None


_OFFSET_SECONDS = 5.0
_PACE = 1.5
_ANOTHER_TIME = 3600 * SECOND  # a delay of ours would have ended the connection long before

"""How far the exchange's clock is from ours, as far as the Date of its answers can tell."""

from collections import deque
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

from kalshiflow.exchange.times import NANOSECONDS

_ANSWERS = 64  # the newest that count: clocks drift, and the oldest are forgotten
# A Date is cut to whole seconds, and servers keep one for up to a second before they make another.
_SPAN = 2 * NANOSECONDS


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """The exchange's clock minus ours lies between the two, in nanoseconds."""

    lowest: int
    highest: int

    @property
    def estimate(self) -> int:
        """Give the middle, in nanoseconds."""
        return (self.lowest + self.highest) // 2

    @property
    def uncertainty(self) -> int:
        """Give how far from the estimate the truth may be, in nanoseconds."""
        return (self.highest - self.lowest + 1) // 2

    @property
    def seconds(self) -> float:
        """Give the estimate in seconds."""
        return self.estimate / NANOSECONDS


class DateClock:
    """Gathers bounds, one pair an answer; all that the newest answers agree on is the offset."""

    def __init__(self) -> None:
        self._bounds: deque[tuple[int, int]] = deque(maxlen=_ANSWERS)

    def see(self, date: str | None, sent_at: int, received_at: int) -> None:
        """Take an answer's Date, and our clock before the request and after the answer (ns).

        A Date that cannot be read says nothing.
        """
        try:
            told = parsedate_to_datetime(date or "")
            at = int(told.replace(tzinfo=told.tzinfo or UTC).timestamp()) * NANOSECONDS
        except (ValueError, OverflowError):
            return
        self._bounds.append((at - received_at, at + _SPAN - sent_at))

    @property
    def offset(self) -> ClockOffset | None:
        """Give what is known; `None` before the first answer.

        Where older answers contradict newer ones, a clock was set: the newer ones count.
        """
        if not self._bounds:
            return None
        lowest, highest = self._bounds[-1]
        for low, high in reversed(self._bounds):
            if max(low, lowest) > min(high, highest):
                break
            lowest, highest = max(low, lowest), min(high, highest)
        return ClockOffset(lowest, highest)

"""The venue's one clock: market time, which stands still, runs at a speed, or follows events."""

import math
import time
from collections.abc import Callable

SECOND = 1_000_000_000
MILLISECOND = 1_000_000


class VenueClock:
    """Market time in UTC nanoseconds, in whole milliseconds as it runs; never backwards.

    Whole milliseconds are what every kind of frame can tell exactly.

    It stands at `start` until `begin()`, then runs at `speed` market seconds per second of the
    monotonic clock. At an infinite speed it has no pace of its own: it is where `reach()` put it.
    """

    def __init__(
        self, start: int, speed: float, monotonic: Callable[[], int] = time.monotonic_ns
    ) -> None:
        if not speed > 0:
            raise ValueError(f"the venue's speed must be above 0, not {speed}")
        self.start = start
        self.speed = speed
        self._monotonic = monotonic
        self._begun_at: int | None = None
        self._reached = start

    @property
    def is_running(self) -> bool:
        """Say whether market time has begun to run."""
        return self._begun_at is not None

    def begin(self) -> None:
        """Let market time run from now on; a second call changes nothing."""
        if self._begun_at is None:
            self._begun_at = self._monotonic()

    def now(self) -> int:
        """Give the market time."""
        if self._begun_at is None or math.isinf(self.speed):
            return self._reached
        elapsed = int((self._monotonic() - self._begun_at) * self.speed)
        return max(self._reached, self.start + elapsed - elapsed % MILLISECOND)

    def reach(self, at: int) -> None:
        """Note that something happened at market time `at`, which is therefore not to come."""
        self._reached = max(self._reached, at)

    def seconds_until(self, at: int) -> float:
        """Give the real seconds until market time `at` (0 where it is past or speed is no limit).

        Infinite while the clock stands still.
        """
        if self._begun_at is None:
            return math.inf
        if math.isinf(self.speed):
            return 0.0
        return max(0.0, (at - self.now()) / self.speed / SECOND)

"""How fast one connection may send commands: a bucket of tokens on the wall clock."""

from collections.abc import Callable


class Pace:
    """Allows `rate` commands a second, and as many at once after a pause; `seconds` is a clock."""

    def __init__(self, rate: float, seconds: Callable[[], float]) -> None:
        self._rate = rate
        self._seconds = seconds
        self._tokens = rate
        self._at = seconds()

    def allows(self) -> bool:
        """Count one command; say whether it is within the rate."""
        now = self._seconds()
        self._tokens = min(self._rate, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

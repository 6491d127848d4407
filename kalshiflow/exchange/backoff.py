"""How long to wait before the next attempt."""

import random


class Backoff:
    """Delays that double from `initial` to `cap` seconds, each shortened at random by up to half.

    The randomness keeps many clients from coming back at the same moment.
    """

    def __init__(
        self,
        *,
        initial: float = 0.5,
        factor: float = 2.0,
        cap: float = 60.0,
        jitter: random.Random | None = None,
    ) -> None:
        self._initial = initial
        self._factor = factor
        self._cap = cap
        self._jitter = jitter or random.Random()  # noqa: S311 - no secret depends on it
        self._next = initial

    def next_delay(self) -> float:
        """Give the seconds to wait now, and lengthen the next wait."""
        delay = self._next
        self._next = min(self._cap, delay * self._factor)
        return delay * self._jitter.uniform(0.5, 1.0)

    def reset(self) -> None:
        """Begin at the shortest wait again, after a success."""
        self._next = self._initial

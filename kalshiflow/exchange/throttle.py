"""A token bucket that keeps our requests below the exchange's own limit."""


class TokenBucket:
    """Tokens that refill at `rate` a second up to `capacity`; a request takes its cost.

    `now` is a monotonic time in seconds, given by the caller.
    """

    def __init__(self, rate: float, capacity: float, now: float) -> None:
        self._rate = rate
        self._capacity = capacity
        self._tokens = capacity
        self._at = now

    def take(self, cost: float, now: float) -> float:
        """Take `cost` tokens and give the seconds to wait before they may be spent.

        The balance may go below zero: requests then wait in the order in which they came.
        """
        self._tokens = min(self._capacity, self._tokens + (now - self._at) * self._rate)
        self._at = now
        self._tokens -= cost
        return max(0.0, -self._tokens / self._rate)

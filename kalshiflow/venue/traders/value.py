"""A market's hidden probability: a martingale between two bounds, settled by a coin."""

import random

from kalshiflow.market.listing import MarketResult
from kalshiflow.market.units import DOLLAR

# A move goes at most this share of the way to a bound, so that neither is ever reached.
ROOM = 0.5


class HiddenValue:
    """The probability of YES, `now`, in price units; strictly between `lowest` and `highest`.

    It is a martingale: whatever it is, the mean of its next value is what it is now. So in the long
    run it settles near a bound, and moves there by large steps rarely and by small ones often.
    """

    def __init__(self, value: float, lowest: float, highest: float, rng: random.Random) -> None:
        if not 0 <= lowest < value < highest <= DOLLAR:
            raise ValueError(f"a value of {value} does not lie between {lowest} and {highest}")
        self.now = value
        self._lowest, self._highest = lowest, highest
        self._rng = rng

    def move(self, size: float) -> float:
        """Move by about `size` and give the change, whose mean is zero.

        Far from the bounds up and down are equally likely. Near one the way to it is shorter, and
        likelier by as much.
        """
        up = min(size, ROOM * (self._highest - self.now))
        down = min(size, ROOM * (self.now - self._lowest))
        if not up + down > 0:
            return 0.0
        change = up if self._rng.random() * (up + down) < down else -down
        self.now += change
        return change

    def toss(self) -> MarketResult:
        """Settle by a coin that falls on YES with the probability reached."""
        return MarketResult.YES if self._rng.random() * DOLLAR < self.now else MarketResult.NO

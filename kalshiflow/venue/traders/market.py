"""The synthetic traders of one market: what they believe, and how they quote and take.

The market has a hidden value V. It drifts a little all the time and jumps by 8 to 15 cents about
every 45 seconds. Four traders act on it, each with an account of its own:

- the fast maker quotes few contracts one and two cents around V, and follows V at once;
- the slow maker quotes 30 to 60 contracts at five prices around V as it was `lag` seconds ago;
- the noise taker buys or sells a few contracts at the touch, whatever V is;
- the informed taker buys or sells a few contracts while the touch is more than two cents wrong.

Makers never take: a quote that would is put one step short of the other side's best. So after a
jump upwards the fast maker's bids, several times their usual size, stand right below the slow
maker's old asks, and its own asks are gone from the touch. That lasts `lag` seconds of market time.
With the lag at zero it never happens.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

from kalshiflow.market.events import Side
from kalshiflow.market.orders import TimeInForce
from kalshiflow.market.units import CONTRACT, DOLLAR, Quantity
from kalshiflow.venue.clock import MILLISECOND
from kalshiflow.venue.floor.accounts import Account
from kalshiflow.venue.floor.floor import Floor, NewOrder
from kalshiflow.venue.traders.maker import HOUSE_CASH, Maker, send

LOWEST_VALUE, HIGHEST_VALUE = 800.0, 9_200.0
HALF = DOLLAR / 2

Schedule = Callable[[int, Callable[[int], None]], None]


@dataclass(frozen=True, slots=True)
class Habits:
    """How often things happen (mean market seconds between them), how large they are (prices)."""

    lag: float = 4.0
    jump_every: float = 45.0
    smallest_jump: float = 800.0
    largest_jump: float = 1_500.0
    # A price that jumps this often would leave the dollar within minutes. So a jump's direction
    # leans back to the middle: upwards with probability 0.5 + lean x (0.5 - V).
    lean: float = 0.4
    drift_every: float = 5.0
    drift_size: float = 20.0
    fast_refresh_every: float = 1.8
    slow_refresh_every: float = 4.0
    noise_every: float = 7.0
    informed_every: float = 2.0


FAST_OFFSETS = (100, 200)
SLOW_OFFSETS = (100, 200, 300, 500, 800)
FAST_SIZES = (5, 8)
SLOW_SIZES = (30, 50)
NOISE_SIZES = (1, 8)
INFORMED_SIZES = (1, 4)
WRONG_BY = 200


class MarketTraders:
    """The four traders of one market and its hidden value.

    `schedule(at, action)` is how they arrange to act again; all randomness comes from `rng`.
    """

    def __init__(
        self,
        floor: Floor,
        ticker: str,
        habits: Habits,
        rng: random.Random,
        schedule: Schedule,
    ) -> None:
        self._floor = floor
        self._listed = floor.market(ticker)
        self._habits = habits
        self._rng = rng
        self._schedule = schedule
        self.value = rng.uniform(0.25, 0.75) * DOLLAR
        self.slow_value = self.value
        self._slow = self._maker("slow", SLOW_OFFSETS, SLOW_SIZES, is_eager=False)
        self._fast = self._maker("fast", FAST_OFFSETS, FAST_SIZES, is_eager=True)
        self._noise = self._account("noise")
        self._informed = self._account("informed")

    def open(self, now: int) -> None:
        """Quote for the first time, and schedule everything that recurs."""
        self._slow.requote(self.value, now)
        self._fast.requote(self.value, now)
        habits = self._habits
        for every, action in (
            (habits.jump_every, self._jump),
            (habits.drift_every, self._drift),
            (habits.fast_refresh_every, self._fast.refresh),
            (habits.slow_refresh_every, self._slow.refresh),
            (habits.noise_every, self._take_at_random),
            (habits.informed_every, self._take_what_is_wrong),
        ):
            self._recur(now, every, action)

    def _recur(self, now: int, every: float, action: Callable[[int], None]) -> None:
        def act(at: int) -> None:
            action(at)
            self._recur(at, every, action)

        self._schedule(_later(now, self._rng.expovariate(1 / every)), act)

    def _jump(self, now: int) -> None:
        size = self._rng.uniform(self._habits.smallest_jump, self._habits.largest_jump)
        upwards = self._rng.random() < 0.5 + self._habits.lean * (HALF - self.value) / DOLLAR
        if self.value + size > HIGHEST_VALUE:
            upwards = False
        elif self.value - size < LOWEST_VALUE:
            upwards = True
        self._move(self.value + size if upwards else self.value - size, now)

    def _drift(self, now: int) -> None:
        moved = self.value + self._rng.gauss(0.0, self._habits.drift_size)
        self._move(min(max(moved, LOWEST_VALUE), HIGHEST_VALUE), now)

    def _move(self, value: float, now: int) -> None:
        self.value = value
        if self._habits.lag <= 0:
            self.slow_value = value
            self._slow.pull(value, now)
            self._fast.pull(value, now)
            self._slow.quote(now)
            self._fast.quote(now)
            return
        self._fast.requote(value, now)

        def follow(at: int) -> None:
            self.slow_value = value
            self._slow.pull(value, at)
            self._fast.pull(self.value, at)
            self._slow.quote(at)
            self._fast.quote(at)

        self._schedule(_later(now, self._habits.lag), follow)

    def _take_at_random(self, now: int) -> None:
        side = self._rng.choice((Side.BID, Side.ASK))
        if self._rng.random() < 0.15:
            quantity = self._rng.randint(20, 500)
        else:
            quantity = self._rng.randint(*NOISE_SIZES) * CONTRACT
        self._take(self._noise, side, quantity, now)

    def _take_what_is_wrong(self, now: int) -> None:
        bid, _, ask, _ = self._listed.touch()
        quantity = self._rng.randint(*INFORMED_SIZES) * CONTRACT
        if ask is not None and ask < self.value - WRONG_BY:
            self._take(self._informed, Side.BID, quantity, now)
        elif bid is not None and bid > self.value + WRONG_BY:
            self._take(self._informed, Side.ASK, quantity, now)

    def _take(self, account: Account, side: Side, quantity: int, now: int) -> None:
        bid, _, ask, _ = self._listed.touch()
        price = ask if side is Side.BID else bid
        if price is not None:
            order = NewOrder(
                self._listed.market.ticker, side, price, Quantity(quantity), TimeInForce.IOC
            )
            send(self._floor, account, order, now)

    def _maker(
        self, name: str, offsets: tuple[int, ...], sizes: tuple[int, int], *, is_eager: bool
    ) -> Maker:
        ticker = self._listed.market.ticker
        return Maker(
            self._floor, self._account(name), ticker, offsets, sizes, self._rng, is_eager=is_eager
        )

    def _account(self, name: str) -> Account:
        user_id = self._floor.ids.of("house", f"{self._listed.market.ticker}/{name}")
        return self._floor.accounts.open(Account(user_id, HOUSE_CASH, is_house=True))


def _later(now: int, seconds: float) -> int:
    """Give a market time in whole milliseconds, at least one after now."""
    return now + max(1, round(seconds * 1000)) * MILLISECOND

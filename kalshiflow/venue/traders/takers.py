"""Synthetic takers: those who buy longshots whatever the value is, and those who know it."""

import random

from kalshiflow.market.events import Side
from kalshiflow.market.orders import TimeInForce
from kalshiflow.market.units import CONTRACT, DOLLAR, Quantity
from kalshiflow.venue.floor.accounts import Account
from kalshiflow.venue.floor.floor import Floor
from kalshiflow.venue.floor.requests import NewOrder
from kalshiflow.venue.traders.habits import TakerTerms
from kalshiflow.venue.traders.maker import send

# Some noise takers trade fractions of contracts, in hundredths.
FRACTIONAL = 0.15
FRACTIONS = (20, 500)


class Takers:
    """The takers of one market: an account of those who do not know its value, and one who do."""

    def __init__(
        self,
        floor: Floor,
        ticker: str,
        noise: Account,
        informed: Account,
        terms: TakerTerms,
        rng: random.Random,
    ) -> None:
        self._floor = floor
        self._listed = floor.market(ticker)
        self._noise, self._informed = noise, informed
        self._terms = terms
        self._rng = rng

    def take_at_random(self, now: int) -> None:
        """Buy YES or NO at the touch: rather what is unlikely, as it costs little."""
        bid, _, ask, _ = self._listed.touch()
        low, high = 0 if bid is None else bid, DOLLAR if ask is None else ask
        buys_yes = self._rng.random() < yes_share((low + high) / 2, self._terms)
        if self._rng.random() < FRACTIONAL:
            quantity = self._rng.randint(*FRACTIONS)
        else:
            quantity = self._rng.choice(self._terms.noise_sizes) * CONTRACT
        self._take(self._noise, Side.BID if buys_yes else Side.ASK, quantity, now)

    def take_what_is_wrong(self, value: float, now: int) -> None:
        """Take from a touch that is on the wrong side of the value, and far enough."""
        bid, _, ask, _ = self._listed.touch()
        quantity = self._rng.choice(self._terms.informed_sizes) * CONTRACT
        if ask is not None and ask < value - self._terms.wrong_by:
            self._take(self._informed, Side.BID, quantity, now)
        elif bid is not None and bid > value + self._terms.wrong_by:
            self._take(self._informed, Side.ASK, quantity, now)

    def _take(self, account: Account, side: Side, quantity: int, now: int) -> None:
        bid, _, ask, _ = self._listed.touch()
        price = ask if side is Side.BID else bid
        if price is not None:
            ticker = self._listed.market.ticker
            order = NewOrder(ticker, side, price, Quantity(quantity), TimeInForce.IOC)
            send(self._floor, account, order, now)


def yes_share(mid: float, terms: TakerTerms) -> float:
    """Give the share of noise takers that buys YES at a mid: more where YES is the longshot."""
    return 0.5 + terms.yes_lean + terms.longshot_lean * (1 - 2 * mid / DOLLAR)

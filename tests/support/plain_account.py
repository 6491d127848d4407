"""What an account must own after its fills, worked out with fractions and nothing of ours."""

from fractions import Fraction
from math import floor

DOLLAR = Fraction(1)
CENT = Fraction(1, 100)
CENTICENT = Fraction(1, 10_000)
WHOLE_CENTS_UNTIL = 1_780_272_000_000_000_000  # 2026-06-01 UTC


class PlainAccount:
    """Cash in dollars, YES and NO held apart: a pair of both is worth a dollar at once."""

    def __init__(self, cash, *, taker=Fraction(1), maker=Fraction(0)):
        self.cash = Fraction(cash, 1_000_000)
        self.multiplier = {0: taker, 1: maker}  # of 0.07, by role
        self.yes = self.no = Fraction(0)
        self.fees = Fraction(0)
        self._kept = {}  # by order: what rounding took and has not given back

    def fill(self, side, price, quantity, role, at, order):
        """Take a fill and give its fee in dollars; an ask buys NO at a dollar less its price."""
        contracts, price = Fraction(quantity, 100), Fraction(price, 10_000)
        fee = self._fee(side, price, contracts, role, at, order)
        self.fees += fee
        self.cash -= fee
        if side == 0:
            self.yes += contracts
            self.cash -= price * contracts
        else:
            self.no += contracts
            self.cash -= (DOLLAR - price) * contracts
        pairs = min(self.yes, self.no)
        self.yes -= pairs
        self.no -= pairs
        self.cash += pairs * DOLLAR
        return fee

    def settle(self, value):
        value = Fraction(value, 10_000)
        self.cash += self.yes * value + self.no * (DOLLAR - value)
        self.yes = self.no = Fraction(0)

    def _fee(self, side, price, contracts, role, at, order):
        share = Fraction(7, 100) * self.multiplier[role]
        trade_fee = _up(share * contracts * price * (1 - price), CENTICENT)
        revenue = -price * contracts if side == 0 else price * contracts
        change = revenue - trade_fee
        precision = CENT if at < WHOLE_CENTS_UNTIL else CENTICENT
        rounding = change - floor(change / precision) * precision
        kept = self._kept.get(order, Fraction(0)) + rounding
        rebate = Fraction(0)
        while kept > CENT and trade_fee + rounding - rebate >= CENT:
            kept -= CENT
            rebate += CENT
        self._kept[order] = kept
        return trade_fee + rounding - rebate


def _up(amount, step):
    return -floor(-amount / step) * step

"""What the book would pay for a position: the value where its market's result is not known."""

from collections.abc import Sequence

from kalshiflow.market.fees import CENTICENT, balance_precision, quadratic_fee, rounding_step
from kalshiflow.market.units import Price, complement
from kalshiflow.simulator.levels import shown
from kalshiflow.simulator.state import (
    BEST,
    FEE_DENOMINATOR,
    POSITION,
    SIZE,
    TAKER_QUARTERS,
)


def closing_proceeds(market: Sequence[int], prices: Sequence[Price], at: int) -> int:
    """Give what closing the position at once would bring, level by level, less the taker's fees.

    One order takes what the others show, best level first, down to the level at which it has
    brought most. Contracts that nobody would buy are worth nothing.
    """
    left = abs(market[POSITION])
    side = 0 if market[POSITION] > 0 else 1  # whose levels are taken
    index = market[BEST + side]
    brought = most = rounded = 0
    while left > 0 and 0 <= index < market[SIZE]:
        quantity = min(left, shown(market, side, index))
        if quantity > 0:
            price = prices[index]
            revenue = (price if side == 0 else complement(price)) * quantity
            charged = quadratic_fee(
                price, quantity, market[TAKER_QUARTERS], market[FEE_DENOMINATOR], CENTICENT
            )
            rounding, rebate, rounded = rounding_step(
                rounded, revenue, charged, balance_precision(at)
            )
            brought += revenue - charged - rounding + rebate
            most = max(most, brought)
            left -= quantity
        index += -1 if side == 0 else 1
    return most

"""The whole numbers of former days, which older clients insist on: cents and contracts.

They are the nearest ones, halves upwards. The text beside them is what counts.
"""

from kalshiflow.market.units import CASH_PER_CENT, CENT, CONTRACT, Cash, Price, Quantity

WHOLE_CENTS = 100


def cents(cash: Cash) -> int:
    """Give the nearest whole cents."""
    return _nearest(cash, CASH_PER_CENT)


def cents_of_price(price: Price) -> int:
    """Give the nearest whole cents of a price."""
    return _nearest(price, CENT)


def cents_of_both(yes: Price) -> tuple[int, int]:
    """Give the whole cents of a YES price and of NO beside it, which make a dollar together."""
    cents_of_yes = cents_of_price(yes)
    return cents_of_yes, WHOLE_CENTS - cents_of_yes


def contracts(quantity: Quantity) -> int:
    """Give the nearest whole contracts."""
    return _nearest(quantity, CONTRACT)


def _nearest(value: int, unit: int) -> int:
    return (2 * value + unit) // (2 * unit)

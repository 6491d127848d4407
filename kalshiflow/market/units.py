"""Exact integer units of price, quantity and cash, and their conversions.

`Price` counts 1/10000 dollar, `Quantity` 1/100 contract and `Cash` 1/1000000 dollar, so a price
times a quantity is an amount of cash with no rounding at all.
"""

from typing import NewType

Price = NewType("Price", int)
Quantity = NewType("Quantity", int)
Cash = NewType("Cash", int)

DOLLAR = Price(10_000)
CENT = Price(100)
CONTRACT = Quantity(100)
CASH_PER_DOLLAR = Cash(1_000_000)
CASH_PER_CENT = Cash(10_000)
NO_CASH = Cash(0)

PRICE_PLACES = 4
QUANTITY_PLACES = 2
CASH_PLACES = 6

_LONGEST_TEXT = 40  # characters; far beyond any amount, and short enough to be read at once


class UnitError(ValueError):
    """A text or number that is no exact value of its unit."""


def price_from_dollars(text: str) -> Price:
    """Read a dollar string such as `"0.5600"` (at most four decimals, 0 to 1 dollar).

    Raises `UnitError` for anything else: a price outside the dollar, a fifth decimal, no number.
    """
    price = _PRICE_OF.get(text)
    if price is not None:
        return price
    value = _parse(text, PRICE_PLACES, "price")
    if not 0 <= value <= DOLLAR:
        raise UnitError(f"price {text!r} is outside 0 to 1 dollar")
    return Price(value)


def price_to_dollars(price: Price) -> str:
    """Write a price as Kalshi does, with four decimals: `"0.5600"`."""
    return _format(price, PRICE_PLACES)


def price_from_cents(cents: int) -> Price:
    """Read a whole-cent price as recordings before 2025 hold it (0 to 100)."""
    if not 0 <= cents <= 100:
        raise UnitError(f"price {cents!r} is outside 0 to 100 cents")
    return Price(cents * CENT)


def complement(price: Price) -> Price:
    """Give the price of the other side: NO at q is YES at 1 - q, and back.

    The only place where a price is taken from a dollar.
    """
    return Price(DOLLAR - price)


def quantity_from_contracts(text: str) -> Quantity:
    """Read a signed number of contracts such as `"-54.00"` (at most two decimals)."""
    quantity = _QUANTITY_OF.get(text)
    if quantity is None:
        quantity = Quantity(_parse(text, QUANTITY_PLACES, "quantity"))
        if len(_QUANTITY_OF) >= _QUANTITIES_KEPT:
            _QUANTITY_OF.clear()
        _QUANTITY_OF[text] = quantity
    return quantity


def quantity_to_contracts(quantity: Quantity) -> str:
    """Write a quantity as Kalshi does, with two decimals: `"10.00"`."""
    return _format(quantity, QUANTITY_PLACES)


def cash_from_dollars(text: str) -> Cash:
    """Read a signed amount of dollars with at most six decimals: `"3.648800"`."""
    return Cash(_parse(text, CASH_PLACES, "cash"))


def cash_to_dollars(cash: Cash, places: int = CASH_PLACES) -> str:
    """Write an amount of dollars with `places` decimals.

    Raises `UnitError` where `places` is too few to say it exactly; truncation is the caller's word
    (`floor_cash`), never this function's.
    """
    if not 0 < places <= CASH_PLACES:
        raise UnitError(f"{places} decimals were asked for; 1 to {CASH_PLACES} can be had")
    step = 10 ** (CASH_PLACES - places)
    if cash % step:
        raise UnitError(f"cash {cash} is not a whole number of 1e-{places} dollar")
    return _format(cash // step, places)


def floor_cash(cash: Cash, quantum: Cash) -> Cash:
    """Round towards minus infinity to a multiple of `quantum`."""
    return Cash(cash // quantum * quantum)


def cash_from_cents(cents: int) -> Cash:
    """Give whole cents as cash."""
    return Cash(cents * CASH_PER_CENT)


def notional(price: Price, quantity: Quantity) -> Cash:
    """Give price times quantity, which is exact by the choice of units."""
    return Cash(price * quantity)


def _parse(text: str, places: int, what: str) -> int:
    if len(text) > _LONGEST_TEXT:
        raise UnitError(f"{what} of {len(text)} characters is no amount of anything")
    sign, digits = (-1, text[1:]) if text[:1] == "-" else (1, text)
    whole, point, fraction = digits.partition(".")
    plain = whole.isascii() and whole.isdecimal() and len(fraction) <= places
    if not plain or (point and not (fraction.isascii() and fraction.isdecimal())):
        raise UnitError(f"{what} {text!r} is not a decimal number with at most {places} decimals")
    scale: int = 10**places
    return sign * (int(whole) * scale + int(fraction.ljust(places, "0") or "0"))


def _format(value: int, places: int) -> str:
    sign = "-" if value < 0 else ""
    whole, fraction = divmod(abs(value), 10**places)
    return f"{sign}{whole}.{fraction:0{places}d}"


# The four-decimal texts are what the exchange sends: one look-up instead of a parse per level.
_PRICE_OF = {_format(value, PRICE_PLACES): Price(value) for value in range(DOLLAR + 1)}
# What has been read before, `None` where a text was not: for those who read by the million.
known_price = _PRICE_OF.get

# A feed tells the same quantities over and over; no text in here is longer than `_LONGEST_TEXT`.
_QUANTITY_OF: dict[str, Quantity] = {}
_QUANTITIES_KEPT = 2**14
known_quantity = _QUANTITY_OF.get

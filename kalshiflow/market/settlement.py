"""What a market's result is worth: the one value at which its positions are settled."""

from kalshiflow.market.listing import MarketResult
from kalshiflow.market.units import DOLLAR, Price, price_to_dollars

_FIXED = {MarketResult.YES: DOLLAR, MarketResult.NO: Price(0)}


class SettlementError(ValueError):
    """A result that says no value, or a value that contradicts it."""


def settlement_value(result: MarketResult, told: Price | None = None) -> Price:
    """Give the value that YES is paid (NO is paid one dollar less it).

    Yes is one dollar and no is nothing. Scalar and void are settled at the value that the exchange
    tells, whatever it is; there is no rule that gives it. Raises `SettlementError` for an unknown
    result, a scalar or void one without a value, and a told value that is not the result's.
    """
    value = _FIXED.get(result, told)
    if result == MarketResult.UNKNOWN or value is None:
        raise SettlementError(f"result {result.value!r} has no settlement value")
    if told is not None and told != value:
        raise SettlementError(f"result {result.value} with the value {price_to_dollars(told)}")
    if not 0 <= value <= DOLLAR:
        raise SettlementError(f"settlement value {value} is outside 0 to {DOLLAR}")
    return value

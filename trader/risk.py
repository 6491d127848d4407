"""What may be sent: a pure check of an intent against the account's limits, the last word on it."""

from dataclasses import dataclass

from kalshiflow.agent.action import Intent
from kalshiflow.market.listing import Market, MarketStatus
from kalshiflow.market.units import (
    Cash,
    Quantity,
    cash_to_dollars,
    price_to_dollars,
    quantity_to_contracts,
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one order and one market may use, and how many orders may be under way at once."""

    market_budget: Cash
    order_quantity: Quantity
    open_orders: int = 1_000


@dataclass(frozen=True, slots=True)
class Standing:
    """What is true of the account just before the order. `needed` is what it would reserve."""

    needed: Cash
    available: Cash
    market_left: Cash
    open_orders: int


def refusal(
    intent: Intent,
    market: Market,
    status: MarketStatus,
    standing: Standing,
    limits: Limits,
    now: int,
) -> str | None:
    """Say why an intent may not be sent at market time `now`; `None` where it may."""
    if status is not MarketStatus.ACTIVE:
        return f"the market is {status}"
    if market.close_time is not None and now >= market.close_time:
        return "the market has closed"
    if intent.price not in market.grid:
        return f"price {price_to_dollars(intent.price)} is not on the market's grid"
    if not 0 < intent.quantity <= limits.order_quantity:
        return (
            f"quantity {quantity_to_contracts(intent.quantity)} is over "
            f"{quantity_to_contracts(limits.order_quantity)}"
        )
    if standing.open_orders >= limits.open_orders:
        return f"{standing.open_orders} orders are open"
    if standing.needed and standing.needed > standing.market_left:
        return (
            f"it needs {cash_to_dollars(standing.needed)} dollars, the market's budget has "
            f"{cash_to_dollars(standing.market_left)}"
        )
    if standing.needed and standing.needed > standing.available:
        return (
            f"it needs {cash_to_dollars(standing.needed)} dollars, "
            f"{cash_to_dollars(standing.available)} are available"
        )
    return None

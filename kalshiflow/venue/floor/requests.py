"""What clients ask of the floor: orders, and changes of resting ones."""

from dataclasses import dataclass

from kalshiflow.market.events import Side
from kalshiflow.market.orders import TimeInForce
from kalshiflow.market.units import Price, Quantity
from kalshiflow.venue.matching.messages import SelfTrade


@dataclass(frozen=True, slots=True)
class NewOrder:
    """What a client asks for. `expires_at` is market time; `group_id` is empty without a group."""

    ticker: str
    side: Side
    price: Price
    quantity: Quantity
    time_in_force: TimeInForce = TimeInForce.GTC
    client_order_id: str = ""
    post_only: bool = False
    reduce_only: bool = False
    self_trade: SelfTrade = SelfTrade.TAKER
    expires_at: int | None = None
    group_id: str = ""
    cancel_on_pause: bool = False


@dataclass(frozen=True, slots=True)
class Amendment:
    """A resting order's new terms. `quantity` is the new total, what is filled included.

    `ticker`, `side` and `client_order_id` (empty: not told) must be the order's own.
    `updated_client_order_id` replaces the order's client order id where it is not empty.
    `expires_at` is its new expiry; `None` leaves it as it is.
    """

    ticker: str
    side: Side
    price: Price
    quantity: Quantity
    client_order_id: str = ""
    updated_client_order_id: str = ""
    expires_at: int | None = None

"""What goes into the matching engine and what comes out: orders in, events out."""

from dataclasses import dataclass
from enum import StrEnum

from kalshiflow.market.events import Side
from kalshiflow.market.orders import TimeInForce
from kalshiflow.market.units import Price, Quantity


class SelfTrade(StrEnum):
    """Who gives way where an order would meet one of its own account's."""

    TAKER = "taker_at_cross"
    MAKER = "maker"


class Removal(StrEnum):
    """Why a remainder left the book, by Kalshi's names of `last_update_reason`."""

    CANCEL = ""
    DECREASE = "Decrease"
    SELF_TRADE = "SelfTradeCancel"
    EXPIRY = "ExpiryCancel"
    CLOSE = "CloseCancel"
    HALT = "HaltCancel"
    POST_ONLY_CROSS = "PostOnlyCrossCancel"
    REDUCE_ONLY = "ReduceOnlyCancel"


@dataclass(frozen=True, slots=True)
class LevelChanged:
    """The public quantity at one price changed; `order_id` names the order that caused it.

    Of a match that is the taker's; `None` where a recording moved.
    """

    ticker: str
    side: Side
    price: Price
    change: int
    at: int
    order_id: str | None = None


@dataclass(frozen=True, slots=True)
class Matched:
    """Two orders met at the resting one's price; `None` is a side that is no order of ours.

    `taker_side` is the side of the taker's order. `trade_id` names the recorded trade that it is a
    part of, which is told for itself.
    """

    ticker: str
    price: Price
    quantity: Quantity
    taker_side: Side
    maker_id: str | None
    taker_id: str | None
    at: int
    trade_id: str | None = None


@dataclass(frozen=True, slots=True)
class Passed:
    """A recorded trade between others, as far as it came to its own price."""

    ticker: str
    trade_id: str
    price: Price
    quantity: Quantity
    taker_side: Side
    at: int


@dataclass(frozen=True, slots=True)
class Removed:
    """An order's remainder left the book, or never entered it."""

    ticker: str
    order_id: str
    quantity: Quantity
    reason: Removal
    at: int


EngineEvent = LevelChanged | Matched | Passed | Removed


@dataclass(frozen=True, slots=True)
class Incoming:
    """An order as it arrives at the book. `owner` is compared for self-trades.

    A resting `reduce_only` order is filled as far as it closes its owner's position, no further.
    """

    order_id: str
    owner: str
    side: Side
    price: Price
    quantity: Quantity
    time_in_force: TimeInForce = TimeInForce.GTC
    post_only: bool = False
    self_trade: SelfTrade = SelfTrade.TAKER
    reduce_only: bool = False


@dataclass(slots=True)
class Resting:
    """An order in the queue of its price."""

    order_id: str
    owner: str
    side: Side
    price: Price
    remaining: int
    reduce_only: bool = False

"""What happens at the venue, as facts: told in order, at once, to whoever publishes them."""

from dataclasses import dataclass

from kalshiflow.market.events import Side
from kalshiflow.market.orders import Fill
from kalshiflow.market.units import Price, Quantity
from kalshiflow.venue.floor.accounts import Account, OrderRecord
from kalshiflow.venue.matching.messages import (
    LevelChanged,
)


@dataclass(frozen=True, slots=True)
class Traded:
    """Anyone's trade."""

    ticker: str
    trade_id: str
    price: Price
    quantity: Quantity
    taker_side: Side
    at: int


@dataclass(frozen=True, slots=True)
class BookReplaced:
    """A market's whole book is told anew."""

    ticker: str
    at: int


@dataclass(frozen=True, slots=True)
class TickerMoved:
    """A market's touch or its last trade changed."""

    ticker: str
    at: int


@dataclass(frozen=True, slots=True)
class Filled:
    """An account's part of a trade, with its position after it."""

    record: OrderRecord
    fill: Fill
    position: Quantity


@dataclass(frozen=True, slots=True)
class OrderChanged:
    """An order of an account was accepted, filled or removed."""

    record: OrderRecord


@dataclass(frozen=True, slots=True)
class PositionChanged:
    """An account's position in a market changed."""

    account: Account
    ticker: str


Fact = LevelChanged | Traded | BookReplaced | TickerMoved | Filled | OrderChanged | PositionChanged

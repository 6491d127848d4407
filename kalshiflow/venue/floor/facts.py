"""What happens at the venue, as facts: told in order, at once, to whoever publishes them."""

from dataclasses import dataclass
from enum import StrEnum

from kalshiflow.market.events import Side
from kalshiflow.market.listing import Event
from kalshiflow.market.orders import Fill
from kalshiflow.market.units import Price, Quantity
from kalshiflow.venue.floor.accounts import Account, OrderRecord
from kalshiflow.venue.matching.messages import LevelChanged


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


class LifecycleKind(StrEnum):
    """What happened to a market, by Kalshi's names of `event_type`."""

    CREATED = "created"
    ACTIVATED = "activated"
    DEACTIVATED = "deactivated"
    CLOSE_DATE_UPDATED = "close_date_updated"
    DETERMINED = "determined"
    SETTLED = "settled"
    PRICE_LEVELS_UPDATED = "price_level_structure_updated"
    METADATA_UPDATED = "metadata_updated"


@dataclass(frozen=True, slots=True)
class LifecycleChanged:
    """A market was listed, or moved on in its life; the market itself tells how it is now.

    `changed` names the fields of its details that an update of its metadata changed.
    """

    ticker: str
    kind: LifecycleKind
    at: int
    changed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EventListed:
    """An event was listed."""

    event: Event
    at: int


class GroupStep(StrEnum):
    """What happened to an order group, by Kalshi's names of `event_type`."""

    CREATED = "created"
    TRIGGERED = "triggered"
    RESET = "reset"
    DELETED = "deleted"
    LIMIT_UPDATED = "limit_updated"


@dataclass(frozen=True, slots=True)
class OrderGroupChanged:
    """An order group of an account was made, changed or taken away; `limit` is the one it has."""

    account: Account
    group_id: str
    step: GroupStep
    limit: Quantity
    at: int


Fact = (
    LevelChanged
    | Traded
    | BookReplaced
    | TickerMoved
    | Filled
    | OrderChanged
    | PositionChanged
    | LifecycleChanged
    | EventListed
    | OrderGroupChanged
)

"""Orders, fills, and the moves an order may make."""

from dataclasses import dataclass, replace
from enum import StrEnum

from kalshiflow.market.events import Side
from kalshiflow.market.units import Cash, Price, Quantity


class OrderError(ValueError):
    """An order that cannot be, or a move that its state does not allow."""


class TimeInForce(StrEnum):
    """How long an order may rest, by Kalshi's names."""

    GTC = "good_till_canceled"
    IOC = "immediate_or_cancel"
    FOK = "fill_or_kill"


class OrderState(StrEnum):
    """An order's state. `PENDING` and `UNKNOWN` are ours: sent or to be sent, answer not known."""

    PENDING = "pending"
    UNKNOWN = "unknown"
    RESTING = "resting"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    EXPIRED = "expired"


TRANSITIONS: dict[OrderState, frozenset[OrderState]] = {
    OrderState.PENDING: frozenset(
        {
            OrderState.UNKNOWN,
            OrderState.RESTING,
            OrderState.FILLED,
            OrderState.CANCELLED,
            OrderState.REJECTED,
        }
    ),
    OrderState.UNKNOWN: frozenset(
        {OrderState.RESTING, OrderState.FILLED, OrderState.CANCELLED, OrderState.REJECTED}
    ),
    OrderState.RESTING: frozenset({OrderState.FILLED, OrderState.CANCELLED, OrderState.EXPIRED}),
    OrderState.FILLED: frozenset(),
    OrderState.CANCELLED: frozenset(),
    OrderState.REJECTED: frozenset(),
    OrderState.EXPIRED: frozenset(),
}
ENDED = frozenset(state for state, moves in TRANSITIONS.items() if not moves)


class Role(StrEnum):
    """Who took whose liquidity."""

    MAKER = "maker"
    TAKER = "taker"


@dataclass(frozen=True, slots=True)
class Order:
    """A limit order on the YES book: a bid buys YES (or sells NO), an ask does the reverse."""

    order_id: str
    ticker: str
    side: Side
    price: Price
    quantity: Quantity
    time_in_force: TimeInForce = TimeInForce.GTC
    client_order_id: str = ""
    post_only: bool = False
    reduce_only: bool = False
    state: OrderState = OrderState.PENDING
    filled: Quantity = Quantity(0)

    def __post_init__(self) -> None:
        if self.quantity <= 0 or not 0 <= self.filled <= self.quantity:
            raise OrderError(
                f"order {self.order_id}: quantity {self.quantity} with {self.filled} filled"
            )

    @property
    def remaining(self) -> Quantity:
        """Give what may still be filled: nothing once the order has ended."""
        return Quantity(0 if self.state in ENDED else self.quantity - self.filled)

    def moved_to(self, state: OrderState) -> "Order":
        """Give the order in another state; raises `OrderError` where that is no legal move."""
        if state not in TRANSITIONS[self.state]:
            raise OrderError(f"order {self.order_id} cannot go from {self.state} to {state}")
        return replace(self, state=state)

    def filled_by(self, quantity: Quantity) -> "Order":
        """Give the order after a fill; the last contract moves it to `FILLED`."""
        if not 0 < quantity <= self.remaining:
            raise OrderError(
                f"order {self.order_id} ({self.state}): a fill of {quantity} exceeds "
                f"{self.remaining} remaining"
            )
        filled = Quantity(self.filled + quantity)
        state = OrderState.FILLED if filled == self.quantity else self.state
        return Order(
            self.order_id,
            self.ticker,
            self.side,
            self.price,
            self.quantity,
            self.time_in_force,
            self.client_order_id,
            self.post_only,
            self.reduce_only,
            state,
            filled,
        )


@dataclass(frozen=True, slots=True)
class Fill:
    """Our part of a trade: `price` on the YES scale, `fee` net of rebates, `at` in nanoseconds.

    `is_inferred` marks a simulated fill by a trade that no recording told of.
    """

    trade_id: str
    order_id: str
    ticker: str
    side: Side
    price: Price
    quantity: Quantity
    role: Role
    fee: Cash
    at: int
    client_order_id: str = ""
    is_inferred: bool = False

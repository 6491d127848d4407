"""Our own orders: what was sent, what the exchange said of it, and which market must wait."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from uuid import UUID

from kalshiflow.market.events import Side
from kalshiflow.market.orders import ENDED, Fill, Order, OrderState
from kalshiflow.market.units import Price, Quantity

KEPT_ENDED = 500
UNANSWERED = frozenset({OrderState.PENDING, OrderState.UNKNOWN})


@dataclass(frozen=True, slots=True)
class TrackedOrder:
    """One of our orders as we know it.

    `filled` counts the fills that the ledger has taken in, `told_filled` is the most the exchange
    has said; they differ while fills are on their way. `told_end` is an end that was told before
    the create was answered. `market_time` is the exchange's clock at the decision, `created_at`
    ours. `cancelling` is set from the decision to cancel to its answer.
    """

    client_order_id: UUID
    decision_id: UUID
    ticker: str
    side: Side
    price: Price
    quantity: Quantity
    created_at: int
    market_time: int
    state: OrderState = OrderState.PENDING
    order_id: str | None = None
    filled: Quantity = Quantity(0)
    told_filled: Quantity = Quantity(0)
    told_end: OrderState | None = None
    cancelling: bool = False
    error: str | None = None

    @property
    def remaining(self) -> Quantity:
        """Give what may still be filled."""
        known = max(self.filled, self.told_filled)
        return Quantity(0 if self.state in ENDED else self.quantity - known)

    @property
    def is_over(self) -> bool:
        """Say whether the order has ended and every fill of it is in the ledger."""
        return self.state in ENDED and self.is_settled

    @property
    def is_settled(self) -> bool:
        """Say whether nothing is awaited: no answer, no cancel, no fill on its way."""
        answered = self.state not in UNANSWERED and not self.cancelling
        return answered and self.filled >= self.told_filled


class OrderTable:
    """Our orders by client order id, in the order of their intents.

    The latest of those that are over are kept; `ends` counts all of them by their last state.
    """

    def __init__(self) -> None:
        self._orders: dict[UUID, TrackedOrder] = {}
        self._by_order_id: dict[str, UUID] = {}
        self._open: dict[str, dict[UUID, None]] = {}  # per market: what is not over
        self.ends: Counter[OrderState] = Counter()

    def __getitem__(self, client_order_id: UUID) -> TrackedOrder:
        return self._orders[client_order_id]

    def __contains__(self, client_order_id: object) -> bool:
        return client_order_id in self._orders

    def __iter__(self) -> Iterator[TrackedOrder]:
        return iter(self._orders.values())

    def find(self, order_id: str, client_order_id: str = "") -> TrackedOrder | None:
        """Give the order that the exchange knows by these ids, if it is ours."""
        ours = self._by_order_id.get(order_id) or _uuid(client_order_id)
        return self._orders.get(ours) if ours else None

    def open(self, ticker: str | None = None) -> list[TrackedOrder]:
        """Give what is not over yet, of one market or of all."""
        tickers = list(self._open) if ticker is None else [ticker]
        return [self._orders[key] for t in tickers for key in self._open.get(t, ())]

    def resting(self, ticker: str) -> TrackedOrder | None:
        """Give the market's resting order; there is at most one."""
        for order in self.open(ticker):
            if order.state is OrderState.RESTING:
                return order
        return None

    def awaiting_fills(self) -> list[TrackedOrder]:
        """Give the orders of which the exchange has told more fills than have come."""
        return [
            order
            for order in self.open()
            if order.state not in UNANSWERED and order.filled < order.told_filled
        ]

    def must_wait(self, ticker: str) -> bool:
        """Say whether the market awaits an answer or a fill, and so takes no decision."""
        orders = self._open.get(ticker)
        return orders is not None and not all(self._orders[key].is_settled for key in orders)

    def add(self, order: TrackedOrder) -> None:
        """Take in a new order."""
        self._store(order)

    def answered(
        self, key: UUID, order_id: str, filled: Quantity, remaining: Quantity
    ) -> TrackedOrder:
        """Take in the answer to a create: the exchange's id, and what is filled and what rests.

        An end that a frame told before the answer came stands.
        """
        order = self._orders[key]
        told = Quantity(max(order.told_filled, filled))
        state = order.state
        if state in UNANSWERED:
            state = order.told_end or _state_of(order.quantity, told, remaining)
        return self._store(replace(order, order_id=order_id, told_filled=told, state=state))

    def told(self, key: UUID, order_id: str, state: OrderState, filled: Quantity) -> TrackedOrder:
        """Take in what an order frame or a read says.

        An order that has ended stays ended, and one that awaits its answer goes on waiting.
        """
        order = self._orders[key]
        told = Quantity(max(order.told_filled, filled))
        end = state if state in ENDED else order.told_end
        kept = state if order.state is OrderState.RESTING else order.state
        return self._store(
            replace(order, order_id=order_id, told_filled=told, told_end=end, state=kept)
        )

    def filled(self, key: UUID, fill: Fill) -> TrackedOrder:
        """Take in a fill that the ledger has applied."""
        order = self._orders[key]
        filled = Quantity(order.filled + fill.quantity)
        state = OrderState.FILLED if filled >= order.quantity else order.state
        return self._store(replace(order, order_id=fill.order_id, filled=filled, state=state))

    def cancelled(self, key: UUID, reduced_by: Quantity) -> TrackedOrder:
        """Take in the answer to a cancel: all that it did not take off was filled."""
        order = self._orders[key]
        told = Quantity(max(order.told_filled, order.quantity - reduced_by))
        state = order.state
        if state not in ENDED:
            state = OrderState.FILLED if told >= order.quantity else OrderState.CANCELLED
        return self._store(replace(order, told_filled=told, state=state, cancelling=False))

    def rejected(self, key: UUID, error: str) -> TrackedOrder:
        """Record that an order was refused, or never sent."""
        return self._store(
            replace(self._orders[key], state=OrderState.REJECTED, error=error, cancelling=False)
        )

    def mark(self, key: UUID, *, cancelling: bool) -> TrackedOrder:
        """Record that a cancel was decided on, or is answered."""
        return self._store(replace(self._orders[key], cancelling=cancelling))

    def written_off(self, key: UUID) -> TrackedOrder:
        """Record that fills which were told of will not come: the position was taken over."""
        order = self._orders[key]
        return self._store(replace(order, told_filled=order.filled))

    def unknown(self, key: UUID, error: str) -> TrackedOrder:
        """Record that nobody knows whether the exchange has the order."""
        order = self._orders[key]
        state = OrderState.UNKNOWN if order.state is OrderState.PENDING else order.state
        return self._store(replace(order, state=state, error=error))

    def _store(self, order: TrackedOrder) -> TrackedOrder:
        key = order.client_order_id
        self._orders[key] = order
        if order.order_id is not None:
            self._by_order_id[order.order_id] = key
        waiting = self._open.setdefault(order.ticker, {})
        if order.is_over:
            if key in waiting:
                del waiting[key]
                self.ends[order.state] += 1
                self._forget_oldest()
        else:
            waiting[key] = None
        return order

    def _forget_oldest(self) -> None:
        if len(self._orders) <= KEPT_ENDED:
            return
        for key, order in self._orders.items():
            if key not in self._open.get(order.ticker, ()):
                del self._orders[key]
                self._by_order_id.pop(order.order_id or "", None)
                return


def as_order(order: TrackedOrder) -> Order:
    """Give an order as the ledger reserves for it: under our own id."""
    key = str(order.client_order_id)
    return Order(key, order.ticker, order.side, order.price, order.quantity, client_order_id=key)


def _state_of(quantity: Quantity, filled: Quantity, remaining: Quantity) -> OrderState:
    if filled >= quantity:
        return OrderState.FILLED
    return OrderState.RESTING if remaining > 0 else OrderState.CANCELLED


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None

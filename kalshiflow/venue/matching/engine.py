"""Price-time priority matching of one market: commands in, events out, no accounts and no clock."""

from kalshiflow.market.book import Book
from kalshiflow.market.events import Side
from kalshiflow.market.listing import CENT_GRID, PriceGrid
from kalshiflow.market.orders import TimeInForce
from kalshiflow.market.units import Price, Quantity
from kalshiflow.venue.matching.messages import (
    EngineEvent,
    Incoming,
    LevelChanged,
    Matched,
    Removal,
    Removed,
    Rested,
    Resting,
    SelfTrade,
)


class MatchingError(ValueError):
    """A command that the book refuses; nothing has changed."""


class PostOnlyCross(MatchingError):
    """A post-only order that would have taken liquidity."""


class NotFillable(MatchingError):
    """A fill-or-kill order that the resting volume cannot fill at once."""


class UnknownOrder(MatchingError):
    """An order id that does not rest in this book."""


class MatchingBook:
    """One market's queues. `book` is what the public sees: every level's resting quantity.

    A subclass may keep liquidity that is no order of ours in front of each queue.
    """

    def __init__(self, ticker: str, grid: PriceGrid = CENT_GRID) -> None:
        self.ticker = ticker
        self.book = Book(ticker, grid)
        self._orders: dict[str, Resting] = {}
        # Per side and price the orders in order of arrival; an empty queue is removed.
        self._queues: tuple[dict[Price, dict[str, Resting]], dict[Price, dict[str, Resting]]] = (
            {},
            {},
        )

    def __contains__(self, order_id: object) -> bool:
        return order_id in self._orders

    def resting(self, order_id: str) -> Resting:
        """Give a resting order; raises `UnknownOrder`."""
        try:
            return self._orders[order_id]
        except KeyError:
            raise UnknownOrder(f"{self.ticker}: order {order_id} does not rest here") from None

    def queue(self, side: Side, price: Price) -> tuple[Resting, ...]:
        """Give the orders at a price, first in line first."""
        return tuple(self._queues[side].get(price, {}).values())

    def check(self, incoming: Incoming) -> None:
        """Raise `PostOnlyCross` or `NotFillable` where `place` would; changes nothing."""
        if incoming.post_only and self._reached_by(incoming) is not None:
            raise PostOnlyCross(f"{self.ticker}: {incoming.price} would take liquidity")
        if incoming.time_in_force is TimeInForce.FOK:
            available = self.fillable(incoming)
            if available < incoming.quantity:
                raise NotFillable(f"{self.ticker}: {available} of {incoming.quantity} can be had")

    def fillable(self, incoming: Incoming) -> int:
        """Give how much of an order would be filled at once."""
        total = 0
        opposite = incoming.side.other
        for price, quantity in self.book.levels(opposite):
            if total >= incoming.quantity or not _reaches(incoming.side, incoming.price, price):
                break
            queue = self.queue(opposite, price)
            total += quantity - sum(order.remaining for order in queue)
            for order in queue:
                if order.owner != incoming.owner:
                    total += order.remaining
                elif incoming.self_trade is SelfTrade.TAKER:
                    return min(total, incoming.quantity)
        return min(total, incoming.quantity)

    def place(self, incoming: Incoming, at: int) -> list[EngineEvent]:
        """Match an order and let its remainder rest or lapse; raises what `check` raises."""
        self.check(incoming)
        events: list[EngineEvent] = []
        left = incoming.quantity
        self_cross = False
        while left and not self_cross:
            price = self._reached_by(incoming)
            if price is None:
                break
            taken, self_cross = self._take(incoming, price, left, at, events)
            left = Quantity(left - taken)
        if not left:
            return events
        if self_cross:
            events.append(Removed(self.ticker, incoming.order_id, left, Removal.SELF_TRADE, at))
        elif incoming.time_in_force is TimeInForce.GTC:
            self._rest(incoming, left, at, events)
        else:
            events.append(Removed(self.ticker, incoming.order_id, left, Removal.CANCEL, at))
        return events

    def cancel(self, order_id: str, at: int, reason: Removal = Removal.CANCEL) -> list[EngineEvent]:
        """Take a resting order out of its queue; raises `UnknownOrder`."""
        order = self.resting(order_id)
        return self._remove(order, reason, at)

    def reduce(self, order_id: str, quantity: Quantity, at: int) -> list[EngineEvent]:
        """Lower a resting order's remainder by less than all of it; it keeps its place."""
        order = self.resting(order_id)
        if not 0 < quantity < order.remaining:
            raise MatchingError(f"{order_id}: {quantity} of {order.remaining} cannot be taken off")
        order.remaining -= quantity
        return [
            self._change(order.side, order.price, -quantity, at, order_id),
            Removed(self.ticker, order_id, quantity, Removal.DECREASE, at),
        ]

    def cancel_all(self, at: int, reason: Removal) -> list[EngineEvent]:
        """Take every resting order out, in order of arrival."""
        events: list[EngineEvent] = []
        for order in list(self._orders.values()):
            events += self._remove(order, reason, at)
        return events

    def _take_anonymous(self, side: Side, price: Price, quantity: int) -> int:
        """Take liquidity that is no order of ours and stands first at this price."""
        del side, price, quantity
        return 0

    def _reached_by(self, incoming: Incoming) -> Price | None:
        best = self.book.best_ask if incoming.side == Side.BID else self.book.best_bid
        if best is None or not _reaches(incoming.side, incoming.price, best):
            return None
        return best

    def _take(
        self, incoming: Incoming, price: Price, left: int, at: int, events: list[EngineEvent]
    ) -> tuple[int, bool]:
        """Take once at the best price; give what was taken and whether an own order forbids more.

        A resting order of the same account that gives way counts as nothing taken.
        """
        side = incoming.side.other
        anonymous = self._take_anonymous(side, price, left)
        if anonymous:
            events.append(self._change(side, price, -anonymous, at))
            events.append(self._matched(incoming, price, anonymous, None, at))
            return anonymous, False
        first = next(iter(self._queues[side][price].values()))
        if first.owner == incoming.owner:
            if incoming.self_trade is SelfTrade.TAKER:
                return 0, True
            events += self._remove(first, Removal.SELF_TRADE, at)
            return 0, False
        quantity = min(left, first.remaining)
        events.append(self._fill_resting(first, quantity, at))
        events.append(self._matched(incoming, price, quantity, first.order_id, at))
        return quantity, False

    def _matched(
        self, incoming: Incoming, price: Price, quantity: int, maker_id: str | None, at: int
    ) -> Matched:
        return Matched(
            self.ticker,
            price,
            Quantity(quantity),
            incoming.side,
            maker_id,
            incoming.order_id,
            at,
        )

    def _fill_resting(self, order: Resting, quantity: int, at: int) -> LevelChanged:
        order.remaining -= quantity
        if not order.remaining:
            self._forget(order)
        return self._change(order.side, order.price, -quantity, at, order.order_id)

    def _rest(self, incoming: Incoming, left: Quantity, at: int, events: list[EngineEvent]) -> None:
        order = Resting(incoming.order_id, incoming.owner, incoming.side, incoming.price, left)
        self._orders[order.order_id] = order
        self._queues[order.side].setdefault(order.price, {})[order.order_id] = order
        events.append(self._change(order.side, order.price, left, at, order.order_id))
        events.append(Rested(self.ticker, order.order_id, left, at))

    def _remove(self, order: Resting, reason: Removal, at: int) -> list[EngineEvent]:
        self._forget(order)
        left = Quantity(order.remaining)
        return [
            self._change(order.side, order.price, -left, at, order.order_id),
            Removed(self.ticker, order.order_id, left, reason, at),
        ]

    def _forget(self, order: Resting) -> None:
        del self._orders[order.order_id]
        queue = self._queues[order.side][order.price]
        del queue[order.order_id]
        if not queue:
            del self._queues[order.side][order.price]

    def _change(
        self, side: Side, price: Price, change: int, at: int, order_id: str | None = None
    ) -> LevelChanged:
        self.book.apply_delta(side, price, change)
        return LevelChanged(self.ticker, side, price, change, at, order_id)


def _reaches(side: Side, limit: Price, price: Price) -> bool:
    return price <= limit if side == Side.BID else price >= limit

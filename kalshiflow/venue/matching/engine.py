"""Price-time priority matching of one market: commands in, events out, no accounts and no clock."""

from collections.abc import Callable, Iterator

from kalshiflow.market.book import Book
from kalshiflow.market.events import Side
from kalshiflow.market.listing import CENT_GRID, PriceGrid
from kalshiflow.market.orders import TimeInForce
from kalshiflow.market.units import Price, Quantity
from kalshiflow.venue.matching.errors import (
    MatchingError,
    NotFillable,
    PostOnlyCross,
    UnknownOrder,
)
from kalshiflow.venue.matching.messages import (
    EngineEvent,
    Incoming,
    LevelChanged,
    Matched,
    Removal,
    Removed,
    Resting,
    SelfTrade,
)


class MatchingBook:
    """One market's queues. `book` is what the public sees: every level's resting quantity.

    A subclass may keep liquidity that is no order of ours in the queues.

    `held` gives an owner's signed position, for reduce-only orders: one is never filled beyond
    what it closes, and what it cannot fill is removed when its turn comes. Fills count from their
    match on; `booked()` says that `held` knows of them too. `stopped` gives the reason by which an
    order ends that a recording reaches while nothing may trade, `None` where it may.
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
        self.held: Callable[[str], int] = _flat
        self.stopped: Callable[[], Removal | None] = lambda: None
        self._reduce_only = 0
        self._unbooked: dict[str, int] = {}

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
        moved = dict(self._unbooked)
        for price, _ in self.book.levels(opposite):
            if total >= incoming.quantity or not _reaches(incoming.side, incoming.price, price):
                break
            for before, order in self._line(opposite, price):
                total += before
                if order is None:
                    continue
                if order.owner == incoming.owner:
                    if incoming.self_trade is SelfTrade.TAKER:
                        return min(total, incoming.quantity)
                    continue
                allowed = self._allowed(order, moved)
                total += allowed
                self._count(order, allowed, moved)
        return min(total, incoming.quantity)

    def ahead(self, order_id: str) -> Quantity:
        """Give the quantity before a resting order at its price; raises `UnknownOrder`."""
        order = self.resting(order_id)
        total = 0
        for other in self._queues[order.side][order.price].values():
            if other is order:
                break
            total += other.remaining
        return Quantity(total)

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

    def replace(self, incoming: Incoming, at: int) -> list[EngineEvent]:
        """Give a resting order new terms; `incoming.quantity` is what is to remain of it.

        At its price, with no more to fill than before, it keeps its place. Else it leaves its
        queue and comes in anew: last in line, and it may match. Raises `UnknownOrder`, and
        `PostOnlyCross` as `check` does; then nothing has changed.
        """
        order = self.resting(incoming.order_id)
        change = incoming.quantity - order.remaining
        if incoming.price == order.price and change <= 0:
            order.remaining = incoming.quantity
            if not change:
                return []
            return [self._change(order.side, order.price, change, at, order.order_id)]
        self.check(incoming)
        self._forget(order)
        left = self._change(order.side, order.price, -order.remaining, at, order.order_id)
        return [left, *self.place(incoming, at)]

    def reduce(
        self, order_id: str, quantity: int, at: int, reason: Removal = Removal.DECREASE
    ) -> list[EngineEvent]:
        """Lower a resting order's remainder by less than all of it; it keeps its place."""
        order = self.resting(order_id)
        if not 0 < quantity < order.remaining:
            raise MatchingError(f"{order_id}: {quantity} of {order.remaining} cannot be taken off")
        order.remaining -= quantity
        return [
            self._change(order.side, order.price, -quantity, at, order_id),
            Removed(self.ticker, order_id, Quantity(quantity), reason, at),
        ]

    def cancel_all(self, at: int, reason: Removal) -> list[EngineEvent]:
        """Take every resting order out, in order of arrival."""
        events: list[EngineEvent] = []
        for order in list(self._orders.values()):
            events += self._remove(order, reason, at)
        return events

    def regrid(self, grid: PriceGrid) -> None:
        """Index the book by another price grid, on which every order that rests must be."""
        book = Book(self.ticker, grid)
        book.apply_snapshot(self.book.levels(Side.BID), self.book.levels(Side.ASK))
        self.book = book

    def booked(self) -> None:
        """Note that the positions that `held` gives have all fills in them."""
        self._unbooked.clear()

    def _allowed(self, order: Resting, moved: dict[str, int]) -> int:
        """Give how much of a resting order may be filled; `moved` is what `held` does not know."""
        if not order.reduce_only:
            return order.remaining
        held = self.held(order.owner) + moved.get(order.owner, 0)
        return min(order.remaining, max(held if order.side == Side.ASK else -held, 0))

    def _count(self, order: Resting, quantity: int, moved: dict[str, int]) -> None:
        if self._reduce_only:
            change = quantity if order.side == Side.BID else -quantity
            moved[order.owner] = moved.get(order.owner, 0) + change

    def _line(self, side: Side, price: Price) -> Iterator[tuple[int, Resting | None]]:
        """Give a level's orders, first in line first, with what is no order of ours before each.

        What stands behind the last one comes with `None`.
        """
        for order in self.queue(side, price):
            yield 0, order

    def _take_anonymous(self, side: Side, price: Price, quantity: int) -> int:
        """Take liquidity that is no order of ours and stands before the first one of this price."""
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
            events.append(self._change(side, price, -anonymous, at, incoming.order_id))
            events.append(self._matched(incoming, price, anonymous, None, at))
            return anonymous, False
        first = next(iter(self._queues[side][price].values()))
        if first.owner == incoming.owner:
            if incoming.self_trade is SelfTrade.TAKER:
                return 0, True
            events += self._remove(first, Removal.SELF_TRADE, at)
            return 0, False
        quantity = min(left, self._allowed(first, self._unbooked))
        if not quantity:
            events += self._remove(first, Removal.REDUCE_ONLY, at)
            return 0, False
        events.append(self._fill_resting(first, quantity, at, incoming.order_id))
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

    def _fill_resting(
        self, order: Resting, quantity: int, at: int, taker_id: str | None
    ) -> LevelChanged:
        order.remaining -= quantity
        self._count(order, quantity, self._unbooked)
        if not order.remaining:
            self._forget(order)
        return self._change(order.side, order.price, -quantity, at, taker_id)

    def _rest(self, incoming: Incoming, left: Quantity, at: int, events: list[EngineEvent]) -> None:
        order = Resting(
            incoming.order_id,
            incoming.owner,
            incoming.side,
            incoming.price,
            left,
            incoming.reduce_only,
        )
        self._reduce_only += order.reduce_only
        self._orders[order.order_id] = order
        self._queues[order.side].setdefault(order.price, {})[order.order_id] = order
        events.append(self._change(order.side, order.price, left, at, order.order_id))

    def _remove(self, order: Resting, reason: Removal, at: int) -> list[EngineEvent]:
        self._forget(order)
        left = Quantity(order.remaining)
        return [
            self._change(order.side, order.price, -left, at, order.order_id),
            Removed(self.ticker, order.order_id, left, reason, at),
        ]

    def _forget(self, order: Resting) -> None:
        del self._orders[order.order_id]
        self._reduce_only -= order.reduce_only
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


def _flat(owner: str) -> int:
    del owner
    return 0

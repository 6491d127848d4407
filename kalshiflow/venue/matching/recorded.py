"""A recorded book with our orders in it: the recording moves it, and our orders take and rest.

By the simulator's rules (`simulator.overlay`, `simulator.queue`): an order takes what is shown, and
what is left of it rests behind all that its level shows. It is filled at its own price

- by a recorded trade that passes through its price, or that at its price gets past its queue;
- by what the recording newly shows of the other side at its price or through it.

Better prices come first, at one price the earlier order. While nothing may trade, an order that is
reached is taken off.
"""

from collections.abc import Iterable, Iterator

from kalshiflow.market.events import Levels, Side
from kalshiflow.market.listing import CENT_GRID, PriceBand, PriceGrid
from kalshiflow.market.units import DOLLAR, Price, Quantity
from kalshiflow.simulator.overlay import FillModel, Overlay
from kalshiflow.venue.matching.engine import MatchingBook
from kalshiflow.venue.matching.levels import is_best, on_grid, sizes_of
from kalshiflow.venue.matching.messages import (
    EngineEvent,
    Incoming,
    LevelChanged,
    Matched,
    Passed,
    Removal,
    Resting,
)
from kalshiflow.venue.matching.standing import Standing

EVERY_PRICE = PriceGrid((PriceBand(Price(0), DOLLAR, Price(1)),))


class RecordedBook(MatchingBook):
    """One market of a recording. `book` is what it shows: the recording less what was taken, and
    our resting orders on top.

    `has_trades` says that the recording tells of trades; else they are inferred.
    """

    def __init__(
        self,
        ticker: str,
        grid: PriceGrid = CENT_GRID,
        model: FillModel = FillModel.PESSIMISTIC,
        *,
        has_trades: bool = True,
    ) -> None:
        super().__init__(ticker, grid)
        self.overlay = Overlay(grid, model)
        self._has_trades = has_trades
        self._standing = Standing(model)

    @property
    def has_orders(self) -> bool:
        """Say whether an order of ours rests here."""
        return bool(self._orders)

    def recorded_delta(self, side: Side, price: Price, change: int, at: int) -> list[EngineEvent]:
        """Follow a recorded delta; gives the fills that it made and the change of what is shown."""
        index = self.book.grid.index(price)
        if not self._orders:  # as most often: nothing of ours is there to meet
            shown = self.overlay.recorded_delta(side, index, change)
            return [self._change(side, price, shown, at)] if shown else []
        before = self.overlay.shown_at(side, index)
        is_trade = not self._has_trades and is_best(self.overlay, side, index)
        shown = self.overlay.recorded_delta(side, index, change)
        return self._follow(side, price, before, shown, at, is_trade=is_trade)

    def recorded_snapshot(self, bids: Levels, asks: Levels, at: int) -> list[EngineEvent]:
        """Follow a recorded snapshot; gives the fills that it made and all changes."""
        grid = self.book.grid
        changes = self.overlay.recorded_snapshot(sizes_of(bids, grid), sizes_of(asks, grid))
        events: list[EngineEvent] = []
        for side, index, shown in changes:
            before = self.overlay.shown_at(side, index) - shown
            events += self._follow(side, grid.prices[index], before, shown, at)
        return events

    def recorded_trade(
        self, trade_id: str, price: Price, quantity: Quantity, taker_side: Side, at: int
    ) -> list[EngineEvent]:
        """Follow a recorded trade between others; gives it with what it fills of our orders.

        Orders at better prices are filled first, so that less of it comes to its own price; what it
        fills there is a part of it. One off the grid meets nobody.
        """
        meets = price in self.book.grid
        events: list[EngineEvent] = []
        left: int = quantity
        side = taker_side.other
        if meets:
            left -= self._meet_better(side, price, left, at, events)
        if left:
            passed = Passed(self.ticker, trade_id, price, Quantity(left), taker_side, at)
            events.append(passed)
        if not meets:
            return events
        level = self._level(side, price)
        for order in self.queue(side, price):
            past = self._standing.trade(order, level, quantity, left, at)
            if past > 0:
                left -= self._meet(order, past, at, events, trade_id)
        return events

    def ahead(self, order_id: str) -> Quantity:
        """Give the recorded quantity that stands before a resting order at its price."""
        order = self.resting(order_id)
        return Quantity(self._standing.ahead(order, self._level(order.side, order.price)))

    def regrid(self, grid: PriceGrid) -> None:
        """Keep the book's own index, as recorded liquidity may be anywhere on it.

        It grows to every price there is where the market's new grid goes beyond it.
        """
        if all(price in self.book.grid for price in grid.prices):
            return
        super().regrid(EVERY_PRICE)
        self.overlay = on_grid(self.overlay, EVERY_PRICE)

    # --- the queues ------------------------------------------------------------------------

    def _line(self, side: Side, price: Price) -> Iterator[tuple[int, Resting | None]]:
        return self._standing.line(self.queue(side, price), self._level(side, price))

    def _take_anonymous(self, side: Side, price: Price, quantity: int) -> int:
        orders, level = self.queue(side, price), self._level(side, price)
        standing, _ = next(self._standing.line(orders, level))
        got = self.overlay.take(side, self.book.grid.index(price), min(quantity, standing))
        self._standing.serve(orders, level, got)
        return got

    def _rest(self, incoming: Incoming, left: Quantity, at: int, events: list[EngineEvent]) -> None:
        self._standing.join(incoming.order_id, self._level(incoming.side, incoming.price), at)
        super()._rest(incoming, left, at, events)

    def _forget(self, order: Resting) -> None:
        super()._forget(order)
        self._standing.leave(order)

    # --- what the recording does to our orders ---------------------------------------------

    def _follow(
        self, side: Side, price: Price, before: int, shown: int, at: int, *, is_trade: bool = False
    ) -> list[EngineEvent]:
        """Let what a level newly shows, or shows no more, meet our orders, and tell of it."""
        events: list[EngineEvent] = []
        if shown < 0:
            self._lower(side, price, before, -shown, at, events, is_trade=is_trade)
        elif shown > 0:
            self._standing.rise(self.queue(side, price), before)
            shown -= self._meet_reached(side, price, shown, at, events)
        if shown:
            events.append(self._change(side, price, shown, at))
        return events

    def _lower(
        self,
        side: Side,
        price: Price,
        before: int,
        lost: int,
        at: int,
        events: list[EngineEvent],
        *,
        is_trade: bool,
    ) -> None:
        """Move our orders up, or fill them where the decrease may be a trade."""
        left = lost
        for order in self.queue(side, price):
            past = self._standing.fall(order, before, left, at, is_trade=is_trade)
            if past > 0:
                left -= self._standing.lost_with(self._meet(order, past, at, events))

    def _meet_better(
        self, side: Side, price: Price, most: int, at: int, events: list[EngineEvent]
    ) -> int:
        """Fill our orders that a trade at a price passes through; give what they took of it."""
        took = 0
        while took < most:
            order = self._best_order(side)
            if order is None or not _is_better(side, order.price, price):
                break
            took += self._meet(order, most - took, at, events)
        return took

    def _meet_reached(
        self, side: Side, price: Price, shown: int, at: int, events: list[EngineEvent]
    ) -> int:
        """Fill our orders that a side reaches with what it newly shows; give what they took."""
        took = 0
        while took < shown:
            order = self._best_order(side.other)
            if order is None or _is_better(side.other, price, order.price):
                break
            got = self._meet(order, shown - took, at, events)
            took += self.overlay.take(side, self.book.grid.index(price), got)
        return took

    def _meet(
        self,
        order: Resting,
        reached: int,
        at: int,
        events: list[EngineEvent],
        trade_id: str | None = None,
    ) -> int:
        """Fill an order from what reaches it, or take it off if it may not trade; what it took."""
        reason = self.stopped()
        quantity = Quantity(min(reached, self._allowed(order, self._unbooked)))
        if reason is None and not quantity:
            reason = Removal.REDUCE_ONLY
        if reason is not None:
            events += self._remove(order, reason, at)
            return 0
        taker, name = order.side.other, order.order_id
        events.append(self._fill_resting(order, quantity, at, None))
        events.append(Matched(self.ticker, order.price, quantity, taker, name, None, at, trade_id))
        return quantity

    def _level(self, side: Side, price: Price) -> int:
        return self.overlay.shown_at(side, self.book.grid.index(price))

    def _best_order(self, side: Side) -> Resting | None:
        """Give our order of a side that would be met first."""
        prices = self._queues[side]
        if not prices:
            return None
        best = max(prices) if side is Side.BID else min(prices)
        return next(iter(prices[best].values()))


def fills_only(events: Iterable[EngineEvent]) -> list[EngineEvent]:
    """Leave out the changes of levels, where the whole book is told anew."""
    return [event for event in events if not isinstance(event, LevelChanged)]


def _is_better(side: Side, price: Price, than: Price) -> bool:
    return price > than if side is Side.BID else price < than

"""A recorded book with our orders in it: the recording moves it, and our orders take and rest.

The recorded liquidity stands first at each price. A resting order of ours is filled, at its own
price, only when the recorded opposite side reaches that price: by then the recorded orders that
stood there before it are gone. That is the careful assumption; trades that touched our price
without passing it fill nothing. While nothing may trade an order that is reached is taken off.
"""

from collections.abc import Iterable

from kalshiflow.market.events import Levels, Side
from kalshiflow.market.listing import CENT_GRID, PriceBand, PriceGrid
from kalshiflow.market.units import DOLLAR, Price, Quantity
from kalshiflow.simulator.overlay import FillModel, Overlay
from kalshiflow.venue.matching.engine import MatchingBook
from kalshiflow.venue.matching.messages import (
    EngineEvent,
    LevelChanged,
    Matched,
    Removal,
    Resting,
)

EVERY_PRICE = PriceGrid((PriceBand(Price(0), DOLLAR, Price(1)),))


class RecordedBook(MatchingBook):
    """One market of a recording. `book` is what it shows: the recording less what was taken, and
    our resting orders on top.
    """

    def __init__(
        self,
        ticker: str,
        grid: PriceGrid = CENT_GRID,
        model: FillModel = FillModel.PESSIMISTIC,
    ) -> None:
        super().__init__(ticker, grid)
        self.overlay = Overlay(grid, model)

    def recorded_delta(self, side: Side, price: Price, change: int, at: int) -> list[EngineEvent]:
        """Follow a recorded delta; gives the fills that it made and the change of what is shown."""
        shown = self.overlay.recorded_delta(side, self.book.grid.index(price), change)
        return self._show(side, price, shown, at)

    def recorded_snapshot(self, bids: Levels, asks: Levels, at: int) -> list[EngineEvent]:
        """Follow a recorded snapshot; gives the fills that it made and all changes."""
        changes = self.overlay.recorded_snapshot(self._by_index(bids), self._by_index(asks))
        events: list[EngineEvent] = []
        for side, index, shown in changes:
            events += self._show(side, self.book.grid.prices[index], shown, at)
        return events

    def ahead(self, order_id: str) -> Quantity:
        """Give the recorded quantity at a resting order's price: all of it stands before ours."""
        order = self.resting(order_id)
        return Quantity(self.overlay.shown_at(order.side, self.book.grid.index(order.price)))

    def regrid(self, grid: PriceGrid) -> None:
        """Keep the book's own index, as recorded liquidity may be anywhere on it.

        It grows to every price there is where the market's new grid goes beyond it.
        """
        if all(price in self.book.grid for price in grid.prices):
            return
        old, overlay = self.overlay, Overlay(EVERY_PRICE, self.overlay.model)
        for side in Side:
            for price, recorded, taken in zip(
                old.grid.prices, old.recorded[side], old.taken[side], strict=True
            ):
                overlay.recorded[side][EVERY_PRICE.index(price)] = recorded
                overlay.taken[side][EVERY_PRICE.index(price)] = taken
        super().regrid(EVERY_PRICE)
        self.overlay = overlay

    def _take_anonymous(self, side: Side, price: Price, quantity: int) -> int:
        return self.overlay.take(side, self.book.grid.index(price), quantity)

    def _show(self, side: Side, price: Price, shown: int, at: int) -> list[EngineEvent]:
        events: list[EngineEvent] = []
        while shown > 0:
            order = self._reached_order(side, price)
            if order is None:
                break
            most = self._allowed(order, self._unbooked)
            reason = self.stopped()
            if reason is None and not most:
                reason = Removal.REDUCE_ONLY
            if reason is not None:
                events += self._remove(order, reason, at)
                continue
            shown -= self._fill_by_recording(order, side, price, min(shown, most), at, events)
        if shown:
            events.append(self._change(side, price, shown, at))
        return events

    def _reached_order(self, side: Side, price: Price) -> Resting | None:
        """Give our order that recorded liquidity at this price would meet first."""
        opposite = side.other
        best = self.book.best_bid if opposite is Side.BID else self.book.best_ask
        if best is None or (best < price if opposite is Side.BID else best > price):
            return None
        return next(iter(self.queue(opposite, best)), None)

    def _fill_by_recording(
        self,
        order: Resting,
        side: Side,
        price: Price,
        most: int,
        at: int,
        events: list[EngineEvent],
    ) -> int:
        quantity = self.overlay.take(side, self.book.grid.index(price), most)
        events.append(self._fill_resting(order, quantity, at, None))
        events.append(
            Matched(self.ticker, order.price, Quantity(quantity), side, order.order_id, None, at)
        )
        return quantity

    def _by_index(self, levels: Levels) -> list[int]:
        sizes = [0] * len(self.book.grid)
        for price, quantity in levels:
            sizes[self.book.grid.index(price)] = quantity
        return sizes


def fills_only(events: Iterable[EngineEvent]) -> list[EngineEvent]:
    """Leave out the changes of levels, where the whole book is told anew."""
    return [event for event in events if not isinstance(event, LevelChanged)]

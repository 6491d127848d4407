"""One market's recording with one account trading in it: what would have happened.

Orders arrive after a latency of market time, trade by the rules of `fills`, pay `market.fees`, and
are booked in `market.Portfolio`. What the public would have seen of it is published like the rest.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from kalshiflow.market.book import BookCorrupt
from kalshiflow.market.events import (
    BookDelta,
    BookSnapshot,
    Levels,
    MarketEvent,
    MarketStatusChanged,
    PublicTrade,
    Side,
    Stamp,
    TimeSource,
)
from kalshiflow.market.fees import fill_cost
from kalshiflow.market.listing import Market, MarketStatus
from kalshiflow.market.orders import Fill, Order, OrderError, OrderState, Role, TimeInForce
from kalshiflow.market.portfolio import Portfolio
from kalshiflow.market.settlement import SettlementError, settlement_value
from kalshiflow.market.units import Cash, Price, Quantity
from kalshiflow.simulator.fills import take_liquidity
from kalshiflow.simulator.latency import ConstantLatency
from kalshiflow.simulator.overlay import FillModel, Overlay

_SETTLING = (MarketStatus.DETERMINED, MarketStatus.FINALIZED)


@dataclass(frozen=True, slots=True)
class _Command:
    arrives_at: int
    order: Order | None
    cancel_id: str


class Simulation:
    """Feeds on the recorded events of one market, in order, and on one's own commands.

    `fills` are all so far; `resting_since` gives the market time at which each resting order of
    `portfolio.orders` came to rest; `rejected` counts orders that the exchange would refuse.
    """

    def __init__(
        self,
        market: Market,
        cash: Cash,
        latency: ConstantLatency,
        model: FillModel = FillModel.PESSIMISTIC,
    ) -> None:
        self.market = market
        self.portfolio = Portfolio(cash)
        self.fills: list[Fill] = []
        self.resting_since: dict[str, int] = {}
        self.rejected = 0
        self.is_settled = False
        self._latency = latency
        self._overlay = Overlay(market.grid, model)
        self._status = market.status
        self._commands: deque[_Command] = deque()
        self._fee_states: dict[str, Cash] = {}
        self._last_stamp: Stamp | None = None

    @property
    def is_quiet(self) -> bool:
        """Say whether no own order is resting or on its way."""
        return not self._commands and not self.portfolio.orders

    def send(self, order: Order, at: int) -> None:
        """Send an order at market time `at`; it trades or rests when it arrives."""
        if order.time_in_force is TimeInForce.FOK or order.post_only or order.reduce_only:
            raise OrderError(f"order {order.order_id}: only plain limit orders are simulated")
        self._commands.append(_Command(self._latency.arrival(at), order, ""))

    def cancel(self, order_id: str, at: int) -> None:
        """Send a cancel; one that arrives after the order has ended does nothing."""
        self._commands.append(_Command(self._latency.arrival(at), None, order_id))

    def withdraw(self, order_id: str) -> bool:
        """Take back an order that is still on its way; gives whether there was one."""
        for command in self._commands:
            if command.order is not None and command.order.order_id == order_id:
                self._commands.remove(command)
                return True
        return False

    def receive(self, event: MarketEvent) -> Sequence[MarketEvent]:
        """Take in the next recorded event and give what is published, in order.

        Commands that arrive before the event come first; at the same time the event does. Raises
        `BookCorrupt` for a recorded change that cannot be true.
        """
        published: list[MarketEvent] = []
        while self._commands and self._commands[0].arrives_at < event.stamp.market_time:
            self._obey(self._commands.popleft(), published)
        self._last_stamp = event.stamp
        if isinstance(event, BookDelta):
            self._receive_delta(event, published)
        elif isinstance(event, BookSnapshot):
            self._receive_snapshot(event, published)
        else:
            published.append(event)
            if isinstance(event, MarketStatusChanged):
                self._receive_status(event, published)
        return published

    def _obey(self, command: _Command, published: list[MarketEvent]) -> None:
        if command.order is None:
            if command.cancel_id in self.portfolio.orders:
                self._take_off(command.cancel_id, self._stamp(command.arrives_at), published)
            return
        order = command.order.moved_to(OrderState.RESTING)
        if self._status is not MarketStatus.ACTIVE or not self.portfolio.can_place(
            order, self.market.fees
        ):
            self.rejected += 1
            return
        self._enter(order, self._stamp(command.arrives_at), published)

    def _enter(self, order: Order, stamp: Stamp, published: list[MarketEvent]) -> None:
        limit = self.market.grid.index(order.price)
        meets_own = self._short_of_own(order.side, limit)
        self.portfolio.place(order, self.market.fees)
        reach = limit if meets_own is None else meets_own
        for index, got in take_liquidity(self._overlay, order.side, reach, order.quantity):
            price, quantity = self.market.grid.prices[index], Quantity(got)
            published.append(self._fill(order, price, quantity, Role.TAKER, stamp))
            change = Quantity(-got)
            published.append(BookDelta(order.ticker, order.side.other, price, change, stamp))
        resting = self.portfolio.orders.get(order.order_id)
        if resting is None:
            return
        if order.time_in_force is TimeInForce.IOC or meets_own is not None:
            self.portfolio.cancel(order.order_id)
            return
        self.resting_since[order.order_id] = stamp.market_time
        published.append(_own_change(resting, resting.remaining, stamp))

    def _short_of_own(self, side: Side, limit: int) -> int | None:
        """Give the last grid index before one's own orders of the other side, if one would meet.

        An order trades up to there and what is left is cancelled (Kalshi's `taker_at_cross`).
        """
        index = self.market.grid.index
        own = [index(o.price) for o in self.portfolio.orders.values() if o.side is not side]
        if side is Side.BID:
            return min(own) - 1 if own and min(own) <= limit else None
        return max(own) + 1 if own and max(own) >= limit else None

    def _receive_delta(self, event: BookDelta, published: list[MarketEvent]) -> None:
        index = self.market.grid.index(event.price)
        overlay = self._overlay
        before = overlay.recorded[event.side][index]
        if before + event.change < 0:
            raise BookCorrupt(
                f"{event.ticker}: recorded level {event.price} holds {before} "
                f"and cannot change by {event.change}"
            )
        change = overlay.recorded_delta(event.side, index, event.change)
        if self.portfolio.orders and change > 0:
            change -= self._match_resting(event.side, index, event.stamp, published)
        if change == event.change:
            published.append(event)
        elif change:
            quantity = Quantity(change)
            published.append(
                BookDelta(event.ticker, event.side, event.price, quantity, event.stamp)
            )

    def _receive_snapshot(self, event: BookSnapshot, published: list[MarketEvent]) -> None:
        grid = self.market.grid
        sides = ([0] * len(grid), [0] * len(grid))
        for quantities, levels in zip(sides, (event.bids, event.asks), strict=True):
            for price, quantity in levels:
                quantities[grid.index(price)] = quantity
        for side, index, change in self._overlay.recorded_snapshot(*sides):
            if change > 0 and self.portfolio.orders:
                self._match_resting(side, index, event.stamp, published)
        bids, asks = (self._public_levels(side) for side in Side)
        published.append(BookSnapshot(event.ticker, bids, asks, event.stamp))

    def _receive_status(self, event: MarketStatusChanged, published: list[MarketEvent]) -> None:
        if event.status is not None:
            self._status = event.status
        if self._status not in {MarketStatus.ACTIVE, MarketStatus.INACTIVE}:
            for order_id in tuple(self.portfolio.orders):
                self._take_off(order_id, event.stamp, published)
        value = settles_at(event)
        if value is not None and not self.is_settled:
            self.portfolio.settle(event.ticker, value)
            self.is_settled = True

    def _match_resting(
        self, side: Side, index: int, stamp: Stamp, published: list[MarketEvent]
    ) -> int:
        """Let resting orders trade with what `side` now shows at `index`; give what they took."""
        price = self.market.grid.prices[index]
        took = 0
        for order in tuple(self.portfolio.orders.values()):
            meets = price <= order.price if order.side is Side.BID else price >= order.price
            if order.side is side or not meets:
                continue
            got = self._overlay.take(side, index, order.remaining)
            if got:
                took += got
                quantity = Quantity(got)
                published.append(self._fill(order, order.price, quantity, Role.MAKER, stamp))
                published.append(_own_change(order, -got, stamp))
        return took

    def _fill(
        self, order: Order, price: Price, quantity: Quantity, role: Role, stamp: Stamp
    ) -> PublicTrade:
        order_id = order.order_id
        accumulated = self._fee_states.get(order_id, Cash(0))
        terms = self.market.fees
        cost = fill_cost(accumulated, terms, role, order.side, price, quantity)
        self._fee_states[order_id] = cost.accumulated
        trade_id = f"own-{len(self.fills) + 1}"
        at = stamp.market_time
        fill = Fill(
            trade_id, order_id, order.ticker, order.side, price, quantity, role, cost.net, at
        )
        self.portfolio.apply_fill(fill)
        self.fills.append(fill)
        if order_id not in self.portfolio.orders:
            self.resting_since.pop(order_id, None)
        taker_side = order.side if role is Role.TAKER else order.side.other
        return PublicTrade(order.ticker, trade_id, price, quantity, taker_side, stamp)

    def _take_off(self, order_id: str, stamp: Stamp, published: list[MarketEvent]) -> None:
        order = self.portfolio.orders[order_id]
        self.portfolio.cancel(order_id)
        self.resting_since.pop(order_id, None)
        published.append(_own_change(order, -order.remaining, stamp))

    def _public_levels(self, side: Side) -> Levels:
        shown = self._overlay.shown(side)
        for order in self.portfolio.orders.values():
            if order.side is side:
                shown[self.market.grid.index(order.price)] += order.remaining
        prices = self.market.grid.prices
        levels = [(prices[i], Quantity(q)) for i, q in enumerate(shown) if q]
        return tuple(levels if side is Side.ASK else levels[::-1])

    def _stamp(self, at: int) -> Stamp:
        frame_no = 0 if self._last_stamp is None else self._last_stamp.frame_no
        return Stamp(frame_no, at, at, TimeSource.EXCHANGE)


def settles_at(event: MarketStatusChanged) -> Price | None:
    """Give what one YES contract is paid, once the event tells it without contradiction."""
    if event.status not in _SETTLING:
        return None
    try:
        return settlement_value(event.result, event.settlement_value)
    except SettlementError:
        return None


def _own_change(order: Order, change: int, stamp: Stamp) -> BookDelta:
    quantity = Quantity(change)
    return BookDelta(order.ticker, order.side, order.price, quantity, stamp, order.order_id)

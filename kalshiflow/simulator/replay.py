"""One market, recorded or live, with one account trading in it: what would have happened.

The object form of the flat rules, for paper trading and single runs; it has no rule of its own.
"""

from collections.abc import Sequence
from dataclasses import replace

from kalshiflow.market.book import BookCorrupt
from kalshiflow.market.events import (
    BookDelta,
    BookSnapshot,
    MarketEvent,
    MarketStatusChanged,
    PublicTrade,
    Stamp,
    TimeSource,
)
from kalshiflow.market.fees import fee_numbers
from kalshiflow.market.flat import STATUS_NUMBER, UNKNOWN
from kalshiflow.market.flatten import snapshot_body, value_paid
from kalshiflow.market.listing import GridError, Market, PriceGrid
from kalshiflow.market.orders import Fill, Order, OrderError, OrderState, TimeInForce
from kalshiflow.market.portfolio import Portfolio
from kalshiflow.market.position import Position
from kalshiflow.market.units import Cash, Quantity
from kalshiflow.simulator import state
from kalshiflow.simulator.commands import (
    in_flight,
    is_alive,
    next_arrival,
    next_number,
    send_cancel,
    send_order,
    send_taker,
    withdraw,
)
from kalshiflow.simulator.latency import Latency
from kalshiflow.simulator.matching import is_due, obey_next
from kalshiflow.simulator.overlay import FillModel
from kalshiflow.simulator.published import of_command, of_event, own_fill
from kalshiflow.simulator.recorded import (
    BELOW_ZERO,
    recorded_change,
    recorded_status,
    recorded_trade,
)
from kalshiflow.simulator.snapshots import recorded_snapshot
from kalshiflow.simulator.told import COUNT, told_size
from kalshiflow.simulator.valuation import closing_proceeds

# What of the account outlasts a change of the price grid.
_OUTLASTING = (
    state.STATUS, state.POSITION, state.COST, state.REALISED, state.FEES, state.SETTLED,
    state.SENT, state.REJECTED, state.FILLS_COUNT,
)  # fmt: skip


class Simulation:
    """Feeds on the events of one market, in order, and on one's own commands.

    `fills` are all so far. `has_trades` says that public trades are told; where they are not, the
    model says whether they are inferred.
    """

    def __init__(
        self,
        market: Market,
        cash: Cash,
        latency: Latency,
        model: FillModel = FillModel.PESSIMISTIC,
        *,
        has_trades: bool = True,
    ) -> None:
        self.market = market
        self.fills: list[Fill] = []
        self._latency = latency
        self._sent: dict[int, Order] = {}  # by number
        self._numbers: dict[str, int] = {}
        self._commands = 0
        self._frame_no = 0
        self._model, self._has_trades = model, has_trades
        self._begin(cash)

    # --- what the account has -------------------------------------------------------------------

    @property
    def is_quiet(self) -> bool:
        """Say whether no own order is resting or on its way."""
        return not in_flight(self._state) and not self._state[state.RESTING]

    @property
    def is_settled(self) -> bool:
        """Say whether the market's result was paid."""
        return bool(self._state[state.SETTLED])

    @property
    def rejected(self) -> int:
        """Give how many orders the exchange would have refused."""
        return self._state[state.REJECTED]

    @property
    def orders(self) -> dict[str, Order]:
        """Give the resting orders by id, in order of arrival."""
        resting = [self._resting(slot)[1] for slot in range(self._state[state.RESTING])]
        return {order.order_id: order for order in resting}

    @property
    def resting_since(self) -> dict[str, int]:
        """Give the market time at which each resting order came to rest."""
        resting = [self._resting(slot) for slot in range(self._state[state.RESTING])]
        return {order.order_id: since for since, order in resting}

    @property
    def position(self) -> Position:
        """Give what is held in the market."""
        held, cost, realised, fees = (
            self._state[place] for place in (state.POSITION, state.COST, state.REALISED, state.FEES)
        )
        return Position(Quantity(held), Cash(cost), Cash(realised), Cash(fees))

    @property
    def portfolio(self) -> Portfolio:
        """Give the account as a ledger of its own, which the simulation does not look at again."""
        ledger = Portfolio()
        terms = self.market.fees
        positions = {self.market.ticker: self.position} if self.fills else {}
        orders = [(order, terms) for order in self.orders.values()]
        ledger.adopt(Cash(self._state[state.CASH]), positions, orders)
        return ledger

    def closing_proceeds(self, at: int) -> Cash:
        """Give what the book would pay for the position, fees taken off."""
        return Cash(closing_proceeds(self._state, self._prices, at))

    # --- commands -------------------------------------------------------------------------------

    def send(self, order: Order, at: int) -> None:
        """Send an order at market time `at`; it trades or rests when it arrives.

        Raises `OrderError` for an order that is not simulated, and beyond `ORDER_ROOM` at a time.
        """
        if order.time_in_force is TimeInForce.FOK or order.post_only or order.reduce_only:
            raise OrderError(f"order {order.order_id}: only plain limit orders are simulated")
        accepted = order.moved_to(OrderState.RESTING)
        index = self.market.grid.index(order.price)
        send = send_order if order.time_in_force is TimeInForce.GTC else send_taker
        number = send(self._state, order.side, index, order.remaining, self._arrival(at))
        if not number:
            raise OrderError(f"order {order.order_id}: {state.ORDER_ROOM} orders are there already")
        self._sent[number] = accepted
        self._numbers[order.order_id] = number

    def cancel(self, order_id: str, at: int) -> None:
        """Send a cancel; one that arrives after the order has ended does nothing."""
        arrives_at = self._arrival(at)
        if order_id in self._numbers:
            send_cancel(self._state, self._numbers[order_id], arrives_at)

    def withdraw(self, order_id: str) -> bool:
        """Take back an order that is still on its way; gives whether there was one."""
        return withdraw(self._state, self._numbers.get(order_id, 0))

    def is_alive(self, order_id: str) -> bool:
        """Say whether an order rests or is on its way."""
        return is_alive(self._state, self._numbers.get(order_id, 0))

    def _arrival(self, at: int) -> int:
        self._commands += 1
        return self._latency.arrival(at, self._commands)

    # --- events ---------------------------------------------------------------------------------

    def receive(self, event: MarketEvent) -> Sequence[MarketEvent]:
        """Take in the next event and give what is published, in order.

        Commands that arrive before the event come first; at the same time the event does. Raises
        `BookCorrupt` for a change that cannot be true, `GridError` for a level off the price grid.
        """
        published = self._obey_before(event.stamp.market_time)
        self._frame_no = event.stamp.frame_no
        resting, fills = list(self.orders.values()), len(self.fills)
        self._told[COUNT] = 0
        self._follow(event)
        self._keep_fills()
        published += of_event(self._told, self.market, event, resting, fills)
        if isinstance(event, MarketStatusChanged) and event.grid is not None:
            self._change_grid(event.grid)
        return published

    def _obey_before(self, before: int) -> list[MarketEvent]:
        published: list[MarketEvent] = []
        while is_due(self._state, before):
            order = self._sent[next_number(self._state)]
            at, fills = next_arrival(self._state), len(self.fills)
            stamp = Stamp(self._frame_no, at, at, TimeSource.EXCHANGE)
            self._told[COUNT] = 0
            obey_next(self._state, self._prices, self._told)
            self._keep_fills()
            published += of_command(self._told, self.market, order, stamp, fills)
        return published

    def _follow(self, event: MarketEvent) -> None:
        market, prices, told = self._state, self._prices, self._told
        at, grid = event.stamp.market_time, self.market.grid
        if isinstance(event, BookDelta):
            index = grid.index(event.price)
            fault = recorded_change(market, prices, event.side, index, event.change, at, told)
            if fault == BELOW_ZERO:
                raise BookCorrupt(f"{event.ticker}: a level at {event.price} would go below zero")
        elif isinstance(event, BookSnapshot):
            try:
                body = snapshot_body(event.bids, event.asks, grid.places)
            except KeyError as price:
                raise GridError(f"{event.ticker}: {price} is not on the price grid") from None
            recorded_snapshot(market, prices, body, 0, at, told)
        elif isinstance(event, PublicTrade):
            index = grid.places.get(event.price, UNKNOWN)
            recorded_trade(market, prices, event.taker_side, index, event.quantity, at, told)
        else:
            status = UNKNOWN if event.status is None else STATUS_NUMBER[event.status]
            value = value_paid(event.status, event.result, event.settlement_value)
            recorded_status(market, prices, status, value, at, told)

    def _begin(self, cash: Cash) -> None:
        """Hold an empty book on the market's grid, and an account with nothing but cash."""
        self._prices = self.market.grid.prices
        size = len(self._prices)
        # One event fills each level and each order once at most.
        fill_room = 2 * size + 2 * state.ORDER_ROOM
        self._told = [0] * told_size(size)
        self._state = [0] * state.market_size(size, fill_room)
        fees, trades = fee_numbers(self.market.fees), int(self._has_trades)
        state.begin(self._state, size, cash, self._model, trades, *fees, fill_room)
        self._state[state.STATUS] = STATUS_NUMBER[self.market.status]

    def _change_grid(self, grid: PriceGrid) -> None:
        """Go on with another grid: the account stays, own orders are gone, the book is to come."""
        if grid == self.market.grid:
            return
        before = self._state
        self.market = replace(self.market, grid=grid)
        self._begin(Cash(before[state.CASH]))
        for place in _OUTLASTING:
            self._state[place] = before[place]

    def _keep_fills(self) -> None:
        for number in range(len(self.fills), self._state[state.FILLS_COUNT]):
            place = state.fill_at(self._state, number)
            order = self._sent[self._state[place + state.FILL_NUMBER]]
            row = self._state[place : place + state.FILL_SIZE]
            self.fills.append(own_fill(row, number + 1, order, self._prices))

    def _resting(self, slot: int) -> tuple[int, Order]:
        """Give a resting order as it is by now, and since when it rests."""
        place = state.order_at(slot)
        order = self._sent[self._state[place + state.ORDER_NUMBER]]
        filled = Quantity(order.quantity - self._state[place + state.ORDER_REMAINING])
        since = self._state[place + state.ORDER_SINCE]
        return since, order if filled == order.filled else replace(order, filled=filled)

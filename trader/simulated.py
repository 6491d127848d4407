"""Orders that leave nobody's hands: filled by the simulator's rules against the live market."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from kalshiflow.exchange.errors import NotFound, OrderRejected
from kalshiflow.exchange.records import CancelAck, OrderAck, OwnOrder
from kalshiflow.market.events import MarketEvent
from kalshiflow.market.listing import Market
from kalshiflow.market.orders import Fill, Order, OrderError, OrderState
from kalshiflow.market.units import Cash, Quantity
from kalshiflow.simulator.latency import ConstantLatency
from kalshiflow.simulator.overlay import FillModel
from kalshiflow.simulator.replay import Simulation
from trader.orders import TrackedOrder

MILLISECOND = 1_000_000
KEPT_ENDED = 500


class SimulatedExchange:
    """A `Route` that trades with nobody.

    `receive` stands between the feed and the observers: what it gives holds our own orders and what
    they took. `fill` and `told` hear of what becomes of them. `latency` is how long a command is on
    its way, in nanoseconds of market time; `model` what is assumed where the feed does not tell.
    """

    def __init__(
        self,
        run_id: UUID,
        cash: Cash,
        *,
        fill: Callable[[Fill], object],
        told: Callable[[OwnOrder], object],
        latency: int = 50 * MILLISECOND,
        model: FillModel = FillModel.PESSIMISTIC,
    ) -> None:
        self._run_id = run_id
        self._cash = cash
        self._fill = fill
        self._told = told
        self._latency = ConstantLatency(latency)
        self._model = model
        self._simulations: dict[str, Simulation] = {}
        self._orders: dict[str, dict[str, Order]] = {}
        self._ended: dict[str, Order] = {}
        self._fills_told: dict[str, int] = {}
        self._now = 0

    def follow(self, markets: Mapping[str, Market]) -> None:
        """Trade in these markets."""
        for ticker, market in markets.items():
            self._simulations[ticker] = Simulation(market, self._cash, self._latency, self._model)
            self._orders[ticker] = {}
            self._fills_told[ticker] = 0

    def receive(self, event: MarketEvent) -> Sequence[MarketEvent]:
        """Take in an event of the exchange's and give what is to be observed of it."""
        simulation = self._simulations.get(event.ticker)
        if simulation is None:
            return (event,)
        self._now = event.stamp.market_time
        published = simulation.receive(event)
        self._tell(event.ticker, simulation)
        return published

    async def create(self, order: TrackedOrder) -> OrderAck:
        """Send an order; it trades when it arrives, with the market's next event.

        Raises `OrderRejected` where there is no room for it.
        """
        key = str(order.client_order_id)
        simulated = Order(
            key, order.ticker, order.side, order.price, order.quantity, client_order_id=key
        )
        try:
            self._simulations[order.ticker].send(simulated, self._now)
        except OrderError as full:
            raise OrderRejected(409, "too_many_orders", str(full)) from None
        self._orders[order.ticker][key] = simulated
        return OrderAck(key, key, Quantity(0), order.quantity, None, None, self._now // MILLISECOND)

    async def cancel(self, order: TrackedOrder) -> CancelAck:
        """Send a cancel; it takes off what rests when it arrives.

        An order that is still on its way (its market has had no event since) never arrives.
        """
        key = str(order.client_order_id)
        simulation = self._simulations[order.ticker]
        if key not in self._orders[order.ticker]:
            raise NotFound(404, "not_found", "the order has ended")
        resting = simulation.orders.get(key)
        left = order.quantity if resting is None else resting.remaining
        if not simulation.withdraw(key):
            simulation.cancel(key, self._now)
        self._end(order.ticker, key)
        return CancelAck(key, left, self._now // MILLISECOND)

    async def search(self, order: TrackedOrder) -> OwnOrder | None:
        """Give the order that never had an answer: there is none."""
        del order
        return None

    async def read(self, order_id: str) -> OwnOrder:
        """Give how an order ended that does not rest any more; the latest of them are known."""
        order = self._ended.get(order_id)
        if order is None:
            raise NotFound(404, "not_found", order_id)
        return self._record(order, OrderState.CANCELLED)

    def _tell(self, ticker: str, simulation: Simulation) -> None:
        new = simulation.fills[self._fills_told[ticker] :]
        for fill in new:
            self._fills_told[ticker] += 1
            trade_id = f"simulated-{self._run_id}-{ticker}-{self._fills_told[ticker]}"
            self._fill(replace(fill, trade_id=trade_id, client_order_id=fill.order_id))
        for key, order in list(self._orders[ticker].items()):
            if not simulation.is_alive(key):
                self._end(ticker, key)
                self._told(self._record(order, OrderState.CANCELLED))

    def _end(self, ticker: str, key: str) -> None:
        self._ended[key] = self._orders[ticker].pop(key)
        if len(self._ended) > KEPT_ENDED:
            del self._ended[next(iter(self._ended))]

    def _record(self, order: Order, state: OrderState) -> OwnOrder:
        filled = Quantity(
            sum(
                fill.quantity
                for fill in self._simulations[order.ticker].fills
                if fill.order_id == order.order_id
            )
        )
        ended = OrderState.FILLED if filled >= order.quantity else state
        return OwnOrder(
            order.order_id,
            order.client_order_id,
            order.ticker,
            order.side,
            order.price,
            ended,
            order.quantity,
            filled,
            Quantity(0),
        )

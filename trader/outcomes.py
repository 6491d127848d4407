"""What becomes of our orders: applies answers, order frames and fills to table, ledger and journal.

These are calls, not messages: one that fails ends the process. Observers are told afterwards.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from uuid import UUID

import structlog

from kalshiflow.exchange.records import CancelAck, OrderAck, OwnOrder
from kalshiflow.market.orders import ENDED, Fill, OrderState
from kalshiflow.market.units import Cash, Price, Quantity
from kalshiflow.store.trading import FillRow
from trader.accounts import Accounts
from trader.bus import Bus
from trader.counts import Counts
from trader.events import OrderChanged, OrderFilled
from trader.journal import Journal, OrderNews
from trader.orders import OrderTable, TrackedOrder, as_order

log = structlog.get_logger()

FILL_SECONDS = 3.0
REFUSALS_IN_A_ROW = 10


class Outcomes:
    """Keeps our orders, the ledger and the journal in step. `now` is our clock, nanoseconds.

    `market_time` is set by whoever reads frames; `touched` is told which market's part of the
    account changed, `troubled` that the exchange refuses one order after the other.
    """

    def __init__(
        self,
        run_id: UUID,
        accounts: Accounts,
        journal: Journal,
        bus: Bus,
        counts: Counts,
        *,
        now: Callable[[], int],
        touched: Callable[[str], None],
        troubled: Callable[[str], None],
    ) -> None:
        self.orders = OrderTable()
        self.accounts = accounts
        self.market_time = 0
        self._run_id = run_id
        self._journal = journal
        self._bus = bus
        self._counts = counts
        self._now = now
        self._touched = touched
        self._troubled = troubled
        self._awaited: dict[UUID, float] = {}
        self._refusals = 0

    def placed(self, order: TrackedOrder) -> None:
        """Take in an order that is about to leave; raises `InsufficientCash`."""
        self.accounts.place(as_order(order), self.market_time)
        self.orders.add(order)
        self._touched(order.ticker)
        self._counts.placed += 1
        self._tell(order)

    def cancelling(self, key: UUID) -> None:
        """Take in that a cancel was decided on."""
        self._tell(self.orders.mark(key, cancelling=True))

    def not_cancelled(self, key: UUID) -> None:
        """Take in that a cancel took nothing off: the order may rest still, or have ended."""
        self._settle(self.orders.mark(key, cancelling=False))

    def not_sent(self, key: UUID, why: str, *, is_intended: bool) -> None:
        """Take in that an order was dropped before it was sent."""
        self._counts.dropped += 1
        self._refused(key, f"not sent: {why}", is_intended=is_intended)

    def rejected(self, key: UUID, why: str) -> None:
        """Take in that the exchange refused an order."""
        self._refused(key, why, is_intended=True)
        self._refusals += 1
        if self._refusals >= REFUSALS_IN_A_ROW:
            self._refusals = 0  # counted anew after a person has resumed
            self._troubled(f"{REFUSALS_IN_A_ROW} orders in a row were refused, the last: {why}")

    def unknown(self, key: UUID, why: str) -> None:
        """Take in that nobody knows whether the exchange has an order."""
        self._counts.unknown += 1
        self._record(self.orders.unknown(key, why))

    def answered(self, key: UUID, ack: OrderAck) -> None:
        """Take in the answer to a create."""
        self._refusals = 0
        self._settle(self.orders.answered(key, ack.order_id, ack.filled, ack.remaining))

    def found(self, key: UUID, record: OwnOrder) -> None:
        """Take in what a read says of one of our orders."""
        self.orders.answered(key, record.order_id, record.filled, record.remaining)
        self._settle(self.orders.told(key, record.order_id, record.state, record.filled))

    def cancel_answered(self, key: UUID, ack: CancelAck) -> None:
        """Take in the answer to a cancel."""
        self._settle(self.orders.cancelled(key, ack.reduced_by))

    def told(self, record: OwnOrder) -> None:
        """Take in an order frame; an order that is not ours is none of our business."""
        order = self.orders.find(record.order_id, record.client_order_id)
        if order is None:
            self._counts.foreign += 1
            return
        self._settle(
            self.orders.told(order.client_order_id, record.order_id, record.state, record.filled)
        )

    def fill(self, fill: Fill) -> bool:
        """Apply a fill once; gives False where it was applied before.

        Raises `OrderError` for a fill that cannot be of its order.
        """
        order = self.orders.find(fill.order_id, fill.client_order_id)
        if order is not None:
            fill = replace(fill, client_order_id=str(order.client_order_id))
        step = self.accounts.apply(fill, self.market_time)
        if step is None:
            return False
        self._counts.fills += 1
        self._journal.add_fill(self._fill_row(fill, order, step.position.quantity))
        self._bus.publish(OrderFilled(fill, step.position, self.accounts.ledger.cash))
        if order is None:
            self._touched(fill.ticker)
        else:
            self._settle(self.orders.filled(order.client_order_id, fill))
        return True

    def late_fills(self, now: float) -> list[TrackedOrder]:
        """Give the orders whose fills are overdue, at `now` by a clock in seconds."""
        awaiting = {order.client_order_id: order for order in self.orders.awaiting_fills()}
        self._awaited = {key: self._awaited.get(key, now) for key in awaiting}
        return [awaiting[key] for key, since in self._awaited.items() if now - since > FILL_SECONDS]

    def write_off(self) -> None:
        """Give up waiting for fills: what they did is in a position that was taken over."""
        for order in self.orders.awaiting_fills():
            log.error("fills never came", order=str(order.client_order_id))
            self._settle(self.orders.written_off(order.client_order_id))

    def settle(self, ticker: str, value: Price) -> None:
        """Pay a market's position at its settlement value; its orders have ended."""
        for order in self.orders.open(ticker):
            if order.state is OrderState.RESTING and order.order_id is not None:
                self.orders.told(
                    order.client_order_id, order.order_id, OrderState.CANCELLED, order.told_filled
                )
        payout = self.accounts.settle(ticker, value, self.market_time)
        log.info("market settled", ticker=ticker, value=value, payout=payout)
        self._touched(ticker)

    def adopt(self, cash: Cash, held: Mapping[str, tuple[Quantity, Cash]]) -> None:
        """Take the exchange's cash, and quantity and cost by market, for true."""
        for ticker in self.accounts.adopt(cash, held, self.market_time):
            self._touched(ticker)

    def _refused(self, key: UUID, why: str, *, is_intended: bool) -> None:
        order = self.orders.rejected(key, why)
        self.accounts.ended(order)
        if is_intended:
            self._journal.add_order(self._news(order))
        self._touched(order.ticker)
        self._tell(order)

    def _settle(self, order: TrackedOrder) -> None:
        """Bring ledger and view in line with an order that changed."""
        if order.state in ENDED:
            self.accounts.ended(order)
        elif order.state is OrderState.RESTING:
            self.accounts.rests(order, self.market_time)
        self._record(order)

    def _record(self, order: TrackedOrder) -> None:
        self._journal.add_order(self._news(order))
        self._touched(order.ticker)
        self._tell(order)

    def _tell(self, order: TrackedOrder) -> None:
        self._bus.publish(OrderChanged(order, self._now()))

    def _news(self, order: TrackedOrder) -> OrderNews:
        return OrderNews(
            order.client_order_id, order.state, self._now(), order.order_id, order.error
        )

    def _fill_row(self, fill: Fill, order: TrackedOrder | None, held: Quantity) -> FillRow:
        return FillRow(
            trade_id=fill.trade_id,
            run_id=self._run_id,
            order_id=fill.order_id,
            client_order_id=None if order is None else order.client_order_id,
            ticker=fill.ticker,
            side=fill.side,
            price=fill.price,
            quantity=fill.quantity,
            role=fill.role,
            fee=fill.fee,
            at=fill.at,
            position_after=held,
        )

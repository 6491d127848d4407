"""Squares our account with the exchange's: one path for start, reconnect, timer and stop.

Our resting orders are cancelled first, so that nothing of ours moves and nothing is reserved by
rules that are the exchange's own. Fills that we missed are applied, and then cash and positions
must agree to the last digit. Reads lag behind, so they are repeated; what differs to the end is
adopted, and told as drift.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

import structlog

from kalshiflow.exchange.client import KalshiClient
from kalshiflow.exchange.errors import NotFound, RequestRejected
from kalshiflow.exchange.records import Balance, OwnOrder, PositionRecord
from kalshiflow.market.fees import CENTICENT
from kalshiflow.market.listing import FeeTerms
from kalshiflow.market.orders import ENDED, Order, OrderState
from kalshiflow.market.portfolio import Portfolio
from kalshiflow.market.settlement import SettlementError, settlement_value
from kalshiflow.market.units import (
    Cash,
    Quantity,
    cash_to_dollars,
    floor_cash,
    quantity_to_contracts,
)
from trader.orders import TrackedOrder
from trader.outcomes import Outcomes
from trader.sending import Sender

log = structlog.get_logger()

READS = 6
READ_PAUSE = 0.5  # reads lag about 0.4 s behind what was done
DRAIN_SECONDS = 60.0
MARGIN = 5_000_000_000  # how much further back than the last squaring fills are read
SECOND = 1_000_000_000

Held = Mapping[str, Quantity]
Reserving = Iterable[tuple[Order, FeeTerms]]


@dataclass(frozen=True, slots=True)
class Squared:
    """An account that agrees with the exchange's; `drift` is what had to be corrected for it."""

    available: Cash
    drift: tuple[str, ...]
    fills_found: int
    foreign_orders: int


class Reconciler:
    """Squares one account, for one run."""

    def __init__(
        self,
        client: KalshiClient,
        outcomes: Outcomes,
        sender: Sender,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._client = client
        self._outcomes = outcomes
        self._sender = sender
        self._sleep = sleep
        self._since: int | None = None  # market time of the last squaring
        self.is_first = True

    async def square(self) -> Squared:
        """Square the account; raises the exchange's errors, and `TimeoutError` where orders stay
        without an answer. No decision may be made meanwhile.
        """
        async with asyncio.timeout(DRAIN_SECONDS):
            await self._sender.drained()
        await self._cancel_ours()
        foreign = await self._cancel_strays()
        began = self._outcomes.market_time
        found = 0
        drift: tuple[str, ...] = ()
        for reads_left in reversed(range(READS)):
            found += await self._take_fills()
            balance, positions = await self._read()
            await self._take_settlements(positions)
            if not reads_left:
                self._outcomes.write_off()  # fills that still did not come never will
            drift = differences(self._ledger, balance.available, held_of(positions), foreign)
            if not drift and not self._outcomes.orders.awaiting_fills():
                break
            if drift and (self.is_first or not reads_left):
                self._adopt(balance, positions, foreign)
            if reads_left:
                await self._sleep(READ_PAUSE)
        if drift:
            log.error("the account differed from the exchange's", drift=drift)
        self.is_first = False
        self._since = began
        return Squared(balance.available, drift, found, len(foreign))

    @property
    def _ledger(self) -> Portfolio:
        return self._outcomes.accounts.ledger

    async def _cancel_ours(self) -> None:
        await self._sender.cancel_resting()
        for order in self._outcomes.orders.open():  # what could not be cancelled has ended, or not
            if order.state is OrderState.RESTING and order.order_id is not None:
                record = await self._client.get_order(order.order_id)
                self._outcomes.found(order.client_order_id, record)

    async def _cancel_strays(self) -> list[tuple[Order, FeeTerms]]:
        """Cancel what rests though we think it ended; give what rests and is not ours."""
        foreign = []
        for record in await self._client.get_orders(status="resting"):
            order = self._outcomes.orders.find(record.order_id, record.client_order_id)
            if order is None:
                terms = self._outcomes.accounts.terms(record.ticker)
                foreign.append((resting_order(record), terms))
            elif order.state in ENDED:
                await self._cancel_stray(record, order)
        return foreign

    async def _cancel_stray(self, record: OwnOrder, order: TrackedOrder) -> None:
        log.error("an order rests that had ended for us", order=str(order.client_order_id))
        try:
            await self._client.cancel_order(record.order_id)
        except NotFound:
            pass  # the read was late: it has ended
        except RequestRejected as refused:
            log.warning("a stray order could not be cancelled", why=str(refused))

    async def _take_fills(self) -> int:
        """Apply the fills that the socket did not bring; at the start they are in the position."""
        back_to = self._outcomes.market_time if self._since is None else self._since
        fills = await self._client.get_fills(min_ts=max(0, (back_to - MARGIN) // SECOND))
        if self.is_first:
            self._outcomes.accounts.know(fills)
            return 0
        return sum(self._outcomes.fill(fill) for fill in sorted(fills, key=lambda fill: fill.at))

    async def _read(self) -> tuple[Balance, list[PositionRecord]]:
        positions = await self._client.get_positions()
        return await self._client.get_balance(), positions

    async def _take_settlements(self, positions: list[PositionRecord]) -> None:
        """Pay out what was settled while we were not listening."""
        held = held_of(positions)
        gone = {t for t, ours in self._ledger.positions.items() if ours.quantity and t not in held}
        if not gone:
            return
        for record in await self._client.get_settlements():
            if record.ticker in gone:
                gone.remove(record.ticker)
                try:
                    value = settlement_value(record.result, record.value)
                except SettlementError as unclear:
                    log.warning("a settlement is not clear", ticker=record.ticker, why=str(unclear))
                else:
                    self._outcomes.settle(record.ticker, value)

    def _adopt(self, balance: Balance, positions: list[PositionRecord], foreign: Reserving) -> None:
        ours = _with_foreign(self._ledger, foreign)
        # What is told is cut off at 0.0001 dollar; cash itself lies on that grid.
        reserved = -floor_cash(Cash(-ours.reserved), CENTICENT)
        held = {p.ticker: (p.quantity, p.exposure) for p in positions if p.quantity}
        self._outcomes.adopt(Cash(balance.available + reserved), held)


def differences(
    ledger: Portfolio, available: Cash, held: Held, foreign: Reserving = ()
) -> tuple[str, ...]:
    """Say where the exchange's free cash and holdings are not what the ledger has; empty if equal.

    Free cash is compared as the exchange tells it, cut off at 0.0001 dollar. `foreign` are resting
    orders of the account that the ledger does not know.
    """
    found = []
    ours = floor_cash(_with_foreign(ledger, foreign).available, CENTICENT)
    theirs = floor_cash(available, CENTICENT)
    if ours != theirs:
        found.append(f"cash: ours {cash_to_dollars(ours)}, exchange {cash_to_dollars(theirs)}")
    for ticker in sorted({*held, *ledger.positions}):
        our_quantity = ledger.held(ticker)
        their_quantity = held.get(ticker, Quantity(0))
        if our_quantity != their_quantity:
            found.append(
                f"{ticker}: ours {quantity_to_contracts(our_quantity)}, "
                f"exchange {quantity_to_contracts(their_quantity)}"
            )
    return tuple(found)


def held_of(positions: Iterable[PositionRecord]) -> dict[str, Quantity]:
    """Give the holdings that are not flat."""
    return {position.ticker: position.quantity for position in positions if position.quantity}


def resting_order(record: OwnOrder) -> Order:
    """Give an order of the exchange's as the ledger would reserve for it."""
    return Order(
        record.order_id,
        record.ticker,
        record.side,
        record.price,
        record.quantity,
        state=OrderState.RESTING,
        filled=record.filled,
    )


def _with_foreign(ledger: Portfolio, foreign: Reserving) -> Portfolio:
    orders = list(foreign)
    if not orders:
        return ledger
    both = Portfolio()
    both.adopt(ledger.cash, ledger.positions, orders)
    return both

"""Writes down what the trader did: each order's intent before it is sent, the rest in batches.

An outage of the database loses nothing: what could not be written waits, in order, and is written
when the database answers again. `lost` and `back` are told of it.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from kalshiflow.market.orders import OrderState
from kalshiflow.store import trading
from kalshiflow.store.database import Store
from kalshiflow.store.errors import StoreUnavailable
from kalshiflow.store.trading import Decision, FillRow, OrderRow

FLUSH_SECONDS = 0.25
RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class OrderNews:
    """The latest that is known of an order."""

    client_order_id: UUID
    state: OrderState
    at: int
    order_id: str | None
    error: str | None


class Journal:
    """The journal of one run."""

    def __init__(
        self, store: Store, run_id: UUID, lost: Callable[[str], None], back: Callable[[], None]
    ) -> None:
        self._store = store
        self._run_id = run_id
        self._lost = lost
        self._back = back
        self._decisions: list[Decision] = []
        self._fills: list[FillRow] = []
        self._orders: dict[UUID, OrderNews] = {}
        self._stored_no = 0
        self._in_doubt = False  # a batch was cut off: it may be stored, or not
        self._flushing = asyncio.Lock()
        self.is_lost = False

    @property
    def waiting(self) -> int:
        """Give the number of rows not written yet."""
        return len(self._decisions) + len(self._fills) + len(self._orders)

    async def intend(self, order: OrderRow) -> None:
        """Commit an intent; only then may its order be sent. Raises `StoreUnavailable`."""
        try:
            await trading.record_intent(self._store, order)
        except StoreUnavailable as gone:
            self.mark_lost(str(gone))
            raise

    def add_decision(self, decision: Decision) -> None:
        """Take in a decision, to be written soon."""
        self._decisions.append(decision)

    def add_fill(self, fill: FillRow) -> None:
        """Take in a fill, to be written soon."""
        self._fills.append(fill)

    def add_order(self, news: OrderNews) -> None:
        """Take in what became of an order whose intent is committed; the latest is written."""
        self._orders[news.client_order_id] = news

    async def run(self) -> None:
        """Write batches until cancelled."""
        while True:
            await asyncio.sleep(RETRY_SECONDS if self.is_lost else FLUSH_SECONDS)
            try:
                await self.flush()
            except StoreUnavailable:
                continue  # `lost` was told; the rows wait

    async def flush(self) -> None:
        """Write everything that waits; raises `StoreUnavailable`, and then it goes on waiting."""
        async with self._flushing:
            try:
                await self._write_decisions()
                await self._write_fills()
                await self._write_orders()
                if self.is_lost:
                    await self._store.check_schema()  # nothing waited: ask whether it is back
            except StoreUnavailable as gone:
                self.mark_lost(str(gone))
                raise
            if self.is_lost:
                self.is_lost = False
                self._back()

    async def _write_decisions(self) -> None:
        if self._in_doubt:
            await self._drop_stored()
        batch = list(self._decisions)
        if not batch:
            return
        self._in_doubt = True
        await trading.record_decisions(self._store, batch)
        self._in_doubt = False
        self._stored_no = batch[-1].decision_no
        del self._decisions[: len(batch)]

    async def _drop_stored(self) -> None:
        stored = await trading.decisions_of_run(self._store, self._run_id, after_no=self._stored_no)
        if stored:
            self._stored_no = stored[-1].decision_no
            self._decisions = [d for d in self._decisions if d.decision_no > self._stored_no]
        self._in_doubt = False

    async def _write_fills(self) -> None:
        while self._fills:
            await trading.record_fill(self._store, self._fills[0])
            del self._fills[0]

    async def _write_orders(self) -> None:
        # After the fills: a fill sets its order's state too, and the news is never older than it.
        for key, news in list(self._orders.items()):
            await trading.update_order(
                self._store,
                key,
                news.state,
                at=news.at,
                order_id=news.order_id,
                error=news.error,
            )
            if self._orders.get(key) is news:
                del self._orders[key]

    def mark_lost(self, why: str) -> None:
        """Take in that the database is away; it is asked again until it answers."""
        if not self.is_lost:
            self.is_lost = True
            self._lost(why)

"""Sends orders and cancels: intent to the journal, then to the exchange, then its outcome.

Jobs wait in a bounded queue, so no decision ever waits for an answer. A market has one job at a
time. An answer that does not come is no rejection: the order is looked up, and only what is certain
not to exist is sent again, under the same id.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol
from uuid import UUID

import structlog

from kalshiflow.exchange.errors import (
    ConnectionRefused,
    DuplicateClientOrderId,
    NotFound,
    ProtocolError,
    RequestRejected,
    UnknownOutcome,
)
from kalshiflow.exchange.records import CancelAck, OrderAck, OwnOrder
from kalshiflow.market.orders import ENDED, OrderState, TimeInForce
from kalshiflow.store.errors import StoreUnavailable
from kalshiflow.store.trading import OrderRow
from trader.desk import Job
from trader.journal import Journal
from trader.orders import TrackedOrder
from trader.outcomes import Outcomes

log = structlog.get_logger()

QUEUE_SIZE = 256
WORKERS = 4
LONGEST_WAIT = 2.0  # a decision older than this is not worth sending
ABSENT_SECONDS = 2.0
ABSENT_READS = 2
READ_PAUSE = 0.5
CANCEL_TRIES = 20
CREATE_TRIES = 3
CLOCK_TOLERANCE = 1_000_000_000


class IntentMismatch(RuntimeError):
    """An order stands at the exchange under our id, and is not what we intended."""


class Route(Protocol):
    """Where orders go. All methods raise the exchange's errors."""

    async def create(self, order: TrackedOrder) -> OrderAck:
        """Send an order under its client order id."""

    async def cancel(self, order: TrackedOrder) -> CancelAck:
        """Take an order off."""

    async def search(self, order: TrackedOrder) -> OwnOrder | None:
        """Read all of the market's orders since the intent, and give the one with our id."""

    async def read(self, order_id: str) -> OwnOrder:
        """Read one order."""


class Sender:
    """Works off jobs. `may_send` says why no order may leave now, `None` where it may.

    `distrust` is told where our view of an order needs squaring with the exchange's.
    """

    def __init__(
        self,
        route: Route,
        outcomes: Outcomes,
        journal: Journal,
        run_id: UUID,
        *,
        may_send: Callable[[], str | None],
        distrust: Callable[[str], None],
        now: Callable[[], int],
        monotonic: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._route = route
        self._outcomes = outcomes
        self._journal = journal
        self._run_id = run_id
        self._may_send = may_send
        self._distrust = distrust
        self._now = now
        self._monotonic = monotonic
        self._sleep = sleep
        self._jobs: asyncio.Queue[Job] = asyncio.Queue(QUEUE_SIZE)
        self._working = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def waiting(self) -> int:
        """Give the number of jobs not worked off yet."""
        return self._jobs.qsize() + self._working

    def offer(self, job: Job) -> bool:
        """Take a job in; gives False where the queue is full."""
        try:
            self._jobs.put_nowait(job)
        except asyncio.QueueFull:
            return False
        self._idle.clear()
        return True

    async def drained(self) -> None:
        """Wait until no job is left."""
        await self._idle.wait()

    async def run(self) -> None:
        """Work jobs off until cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(WORKERS):
                group.create_task(self._work(), name=f"order worker {number + 1}")

    async def _work(self) -> None:
        while True:
            job = await self._jobs.get()
            self._working += 1
            try:
                await self.do(job)
            finally:
                self._working -= 1
                if not self.waiting:
                    self._idle.set()

    async def do(self, job: Job) -> None:
        """Do one job: cancel, then place, unless what was to be replaced was filled meanwhile."""
        is_free = True
        if job.cancel is not None:
            is_free = await self._cancel(job.cancel)
        if job.place is None:
            return
        why = self._may_send()
        if not is_free:
            why = "the order it replaces was filled, or may still be"
        elif self._monotonic() - job.at > LONGEST_WAIT:
            why = f"it waited over {LONGEST_WAIT:g} s"
        await self._place(job.place, why)

    async def cancel_resting(self) -> None:
        """Cancel every order of ours that rests, outside any job."""
        for order in self._outcomes.orders.open():
            if order.state is OrderState.RESTING and not order.cancelling:
                self._outcomes.cancelling(order.client_order_id)
                await self._cancel(order)

    async def _place(self, order: TrackedOrder, why: str | None) -> None:
        key = order.client_order_id
        if why is not None:
            self._outcomes.not_sent(key, why, is_intended=False)
            return
        try:
            await self._journal.intend(self._row(order))
        except StoreUnavailable:
            self._outcomes.not_sent(key, "the database is away", is_intended=False)
            return
        why = self._may_send()
        if why is not None:
            self._outcomes.not_sent(key, why, is_intended=True)
            return
        unclear = await self._create(order)
        if unclear is not None:
            self._outcomes.unknown(key, unclear)
            await self._find_out(order)

    async def _create(self, order: TrackedOrder) -> str | None:
        """Send a create; `None` where its outcome is known, else why it is not."""
        key = order.client_order_id
        try:
            ack = await self._route.create(order)
        except (UnknownOutcome, DuplicateClientOrderId, ProtocolError) as unclear:
            log.warning("order outcome unknown", order=str(key), why=str(unclear))
            return str(unclear)
        except (RequestRejected, ConnectionRefused) as refused:
            self._outcomes.rejected(key, str(refused))
        else:
            self._outcomes.answered(key, ack)
        return None

    async def _find_out(self, order: TrackedOrder) -> None:
        """Learn what became of an order whose create was not answered, and settle it.

        Raises `IntentMismatch` where the order under our id is not the one we intended.
        """
        key = order.client_order_id
        for _ in range(CREATE_TRIES):
            found = await self._look_up(order)
            if found is not None:
                self._outcomes.found(key, found)
                return
            if self._may_send() is not None:
                break
            if await self._create(order) is None:
                return
        self._outcomes.rejected(key, "it never reached the exchange")
        # What we took for absent may land yet: the next look at the exchange's orders will tell.
        self._distrust(f"order {key} was given up on")

    async def _look_up(self, order: TrackedOrder) -> OwnOrder | None:
        began = self._monotonic()
        reads = 0
        while reads < ABSENT_READS or self._monotonic() - began < ABSENT_SECONDS:
            try:
                found = await self._route.search(order)
            except (ConnectionRefused, ProtocolError) as away:
                log.warning("orders could not be read", why=str(away))
            else:
                reads += 1
                if found is not None:
                    require_same(order, found)
                    return found
            await self._sleep(READ_PAUSE)
        return None

    async def _cancel(self, order: TrackedOrder) -> bool:
        """Cancel; gives whether the order is gone with nothing filled since it was decided."""
        key = order.client_order_id
        if order.order_id is None:
            self._outcomes.not_cancelled(key)
            return False
        for _ in range(CANCEL_TRIES):
            try:
                ack = await self._route.cancel(order)
            except NotFound:
                return await self._read_end(order)
            except RequestRejected as refused:
                log.warning("cancel refused", order=str(key), why=str(refused))
                break
            except (UnknownOutcome, ConnectionRefused, ProtocolError) as unclear:
                log.warning("cancel unanswered", order=str(key), why=str(unclear))
                await self._sleep(READ_PAUSE)
            else:
                self._outcomes.cancel_answered(key, ack)
                return ack.reduced_by >= order.remaining
        self._outcomes.not_cancelled(key)
        self._distrust(f"order {key} could not be cancelled")
        return False

    async def _read_end(self, order: TrackedOrder) -> bool:
        """Learn how an order ended that there is nothing left to cancel of."""
        key = order.client_order_id
        assert order.order_id is not None
        for _ in range(CANCEL_TRIES):
            try:
                found = await self._route.read(order.order_id)
            except (ConnectionRefused, RequestRejected, ProtocolError) as away:
                log.warning("order could not be read", order=str(key), why=str(away))
            else:
                if found.state in ENDED:
                    self._outcomes.found(key, found)
                    break
            await self._sleep(READ_PAUSE)
        else:
            self._distrust(f"order {key} cannot be cancelled and has not ended")
        self._outcomes.not_cancelled(key)
        return False

    def _row(self, order: TrackedOrder) -> OrderRow:
        return OrderRow(
            client_order_id=order.client_order_id,
            run_id=self._run_id,
            decision_id=order.decision_id,
            ticker=order.ticker,
            side=order.side,
            price=order.price,
            quantity=order.quantity,
            time_in_force=TimeInForce.GTC,
            state=order.state,
            created_at=order.created_at,
            updated_at=self._now(),
        )


def require_same(order: TrackedOrder, found: OwnOrder) -> None:
    """Raise `IntentMismatch` unless the order found is the one intended, and not older than it."""
    same = (found.ticker, found.side, found.price, found.quantity) == (
        order.ticker,
        order.side,
        order.price,
        order.quantity,
    )
    is_older = (
        found.created_at is not None and found.created_at < order.market_time - CLOCK_TOLERANCE
    )
    if not same or is_older:
        raise IntentMismatch(
            f"order {found.order_id} stands under {order.client_order_id} at the exchange: "
            f"{found} was not what we intended: {order}"
        )

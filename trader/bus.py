"""Hands facts to observers, and cuts off the observer that cannot keep up.

Publishing never waits. Each observer has its own bounded queue: market data in it is conflated (one
entry per market, the latest), facts are kept in order. An observer whose queue of facts is full,
that takes too long over one event or fails too often in a row is cut off for a while, counted and
reported; nobody else notices. What must not be lost (ledger, journal, risk) is called, never told.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from trader.events import Event, MarketData

log = structlog.get_logger()

Handler = Callable[[Event], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Breaker:
    """When an observer is cut off: a full queue of facts, a slow handler, failures in a row.

    After `pause` seconds it is tried again, with what happens from then on.
    """

    facts: int = 2_000
    seconds: float = 5.0
    failures: int = 5
    pause: float = 30.0


BREAKER = Breaker()


class Subscription:
    """One observer's queue and its breaker; `cut` says why it is cut off, if it is."""

    def __init__(self, name: str, handler: Handler, breaker: Breaker) -> None:
        self.name = name
        self.cut: str | None = None
        self.cuts = 0
        self.handled = 0
        self.failed = 0
        self._handler = handler
        self._breaker = breaker
        self._queue: dict[object, Event] = {}  # in order of arrival; market data under its ticker
        self._fact_no = 0
        self._facts = 0
        self._wake = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Give the number of events not handled yet."""
        return len(self._queue)

    def put(self, event: Event) -> None:
        """Queue an event, or cut the observer off where its queue of facts is full."""
        if self.cut is not None:
            return
        if isinstance(event, MarketData):
            self._queue[event.ticker] = event
        elif self._facts >= self._breaker.facts:
            self._cut_off(f"{self._facts} facts were waiting")
            return
        else:
            self._fact_no += 1
            self._facts += 1
            self._queue[self._fact_no] = event
        self._wake.set()

    async def run(self) -> None:
        """Handle events until cancelled."""
        in_a_row = 0
        while True:
            if self.cut is not None:
                await asyncio.sleep(self._breaker.pause)
                self.cut = None
                in_a_row = 0
            if not self._queue:
                self._wake.clear()
                await self._wake.wait()
                continue
            key = next(iter(self._queue))
            event = self._queue.pop(key)
            self._facts -= isinstance(key, int)
            in_a_row = 0 if await self._handle(event) else in_a_row + 1
            if in_a_row >= self._breaker.failures and self.cut is None:
                self._cut_off(f"it failed {in_a_row} times in a row")

    async def _handle(self, event: Event) -> bool:
        try:
            async with asyncio.timeout(self._breaker.seconds) as limit:
                await self._handler(event)
        except Exception:  # an observer's fault is its own: this is the wall around it
            if limit.expired():
                self._cut_off(f"it took over {self._breaker.seconds:g} s")
                return False
            self.failed += 1
            log.exception("an observer failed", observer=self.name)
            return False
        self.handled += 1
        return True

    def _cut_off(self, why: str) -> None:
        self.cut = why
        self.cuts += 1
        self._queue.clear()
        self._facts = 0
        self._wake.set()
        log.error("an observer was cut off", observer=self.name, why=why)


class Bus:
    """Publishes events to the observers that asked for their types."""

    def __init__(self) -> None:
        self.subscriptions: list[Subscription] = []
        self._by_type: dict[type, list[Subscription]] = {}

    def subscribe(
        self,
        name: str,
        handler: Handler,
        types: tuple[type, ...],
        breaker: Breaker = BREAKER,
    ) -> Subscription:
        """Register an observer; somebody must run its `run()`."""
        subscription = Subscription(name, handler, breaker)
        self.subscriptions.append(subscription)
        for kind in types:
            self._by_type.setdefault(kind, []).append(subscription)
        return subscription

    def publish(self, event: Event) -> None:
        """Tell the observers of this type of event; returns at once."""
        for subscription in self._by_type.get(type(event), ()):
            subscription.put(event)

    async def run(self) -> None:
        """Serve all observers until cancelled."""
        async with asyncio.TaskGroup() as group:
            for subscription in self.subscriptions:
                group.create_task(subscription.run(), name=f"observer {subscription.name}")

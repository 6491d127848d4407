"""Moves the trader through its states: start, square, act, recover, stop.

Conditions change by calls (`hold`, `release`, `want_squaring`, the link's ups and downs); one task
looks at them and makes the moves. Whatever forbids orders does so at once, through `may_send`,
whether or not the state has followed yet.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from kalshiflow.exchange.errors import (
    ConnectionRefused,
    ProtocolError,
    Unauthorised,
    UnknownOutcome,
)
from kalshiflow.market.units import cash_to_dollars
from kalshiflow.settings import OrdersTo
from trader.bus import Bus
from trader.counts import Counts
from trader.events import InitializationStep, Reconciled, StateMoved
from trader.lifecycle import Lifecycle, State, StateOverdue
from trader.policies import NO_POLICY, PolicySlot
from trader.reconcile import Squared
from trader.steps import Steps

log = structlog.get_logger()

RETRY_SECONDS = 1.0
SQUARING_SECONDS = 60.0
STOP_SECONDS = 20.0
TICK_SECONDS = 1.0
PERSON, DATABASE, RISK = "person", "database", "risk"
DRIFTS_IN_A_ROW = 3
AWAY = (ConnectionRefused, ProtocolError, UnknownOutcome, TimeoutError)


class ShutdownRequested(Exception):
    """Ends the task group after an orderly stop."""


class Conductor:
    """The one place that changes the state."""

    def __init__(
        self,
        steps: Steps,
        lifecycle: Lifecycle,
        bus: Bus,
        slot: PolicySlot,
        counts: Counts,
        orders_to: OrdersTo,
        *,
        now: Callable[[], int],
        monotonic: Callable[[], float],
    ) -> None:
        self.lifecycle = lifecycle
        self.holds: dict[str, str] = {}
        self.squared: Squared | None = None
        self.squared_at: int | None = None
        self.problem: str | None = None
        self.initialization: list[InitializationStep] = []
        self._steps = steps
        self._bus = bus
        self._slot = slot
        self._counts = counts
        self._orders_to = orders_to
        self._now = now
        self._monotonic = monotonic
        self._wanted: str | None = None
        self._due_at = 0.0
        self._drifts_in_a_row = 0
        self._stop: str | None = None
        self._wake = asyncio.Event()

    # --- conditions ------------------------------------------------------------------------

    def hold(self, name: str, why: str) -> None:
        """Forbid orders for a reason, until `release`."""
        if self.holds.get(name) != why:
            self.holds[name] = why
            self._wake.set()

    def release(self, name: str) -> None:
        """Take a reason away."""
        if self.holds.pop(name, None) is not None:
            self._wake.set()

    def want_squaring(self, why: str) -> None:
        """Ask for the account to be squared soon."""
        if self._wanted is None:
            log.info("squaring wanted", why=why)
        self._wanted = self._wanted or why
        self._wake.set()

    def look(self) -> None:
        """Tell that something outside changed: the link, the policy."""
        self._wake.set()

    def stop(self, why: str) -> None:
        """Ask for an orderly stop."""
        self._stop = self._stop or why
        self._wake.set()

    def is_acting(self) -> bool:
        """Say whether decisions may be made now."""
        return self.lifecycle.state is State.ACTING and self._obstacle() is None

    def may_send(self) -> str | None:
        """Say why no order may leave now; `None` where it may."""
        if self.lifecycle.state is not State.ACTING:
            return f"the trader is {self.lifecycle.state}"
        return self._obstacle()

    def holding_reason(self) -> str | None:
        """Say in a sentence why no decisions are made; `None` while they are."""
        state = self.lifecycle.state
        if state is State.ACTING:
            return self._obstacle()
        if state in {State.READY, State.PAUSED}:
            return self._hold_words() or self._idle_reason()
        return self.problem or f"the trader is {state}"

    def _obstacle(self) -> str | None:
        if self._stop is not None:
            return f"stopping: {self._stop}"
        if self._wanted is not None:
            return f"squaring wanted: {self._wanted}"
        if not self._steps.is_connected():
            return "not connected"
        return self._hold_words() or self._idle_reason()

    def _hold_words(self) -> str | None:
        return next((f"paused ({name}): {why}" for name, why in self.holds.items()), None)

    def _idle_reason(self) -> str | None:
        if self._orders_to is OrdersTo.NONE:
            return "orders go nowhere (RL_ACTOR_ORDERS=none): holding"
        if self._slot.current is None:
            problem = self._slot.problem
            return NO_POLICY if problem is None else f"{NO_POLICY} ({problem})"
        if not self._steps.exchange_trades():
            return "the exchange takes no orders now: holding"
        return None

    # --- the run ---------------------------------------------------------------------------

    async def run(self) -> None:
        """Go through the states; ends by raising `ShutdownRequested` after an orderly stop."""
        try:
            await self._start()
            reason = "start"
            while self._stop is None:
                if self.lifecycle.state is not State.CALIBRATING:  # doubt may come up meanwhile
                    self._move(State.CALIBRATING, reason)
                if await self._calibrate(reason):
                    reason = await self._serve()
                if self._stop is None and not self._steps.is_connected():
                    reason = await self._recover()
        except _Stopped:
            pass
        await self._shut_down()
        raise ShutdownRequested

    async def watch_time(self) -> None:
        """Raise `StateOverdue` when a state has outlasted its limit."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            try:
                self.lifecycle.check_time(self._now())
            except StateOverdue as overdue:
                raise StateOverdue(f"{overdue}: {self.problem or 'no reason is known'}") from None

    async def _start(self) -> None:
        self._move(State.INITIALIZING, "choosing markets")
        await self._step("markets", self._steps.find_markets)
        self._move(State.ORDERBOOK_CONNECT, "connecting")
        await self._step("orderbook", self._books)
        self._move(State.TRADING_CLIENT_CONNECT, "asking for the account")
        await self._step("trading_client", self._steps.check_client)

    async def _step(self, name: str, work: Callable[[], Awaitable[str]]) -> None:
        self._told(name, "started", "")
        while True:
            if self._stop is not None:
                raise _Stopped
            try:
                details = await work()
            except Unauthorised:
                raise  # waiting does not mend a key
            except AWAY as away:
                self.problem = str(away) or type(away).__name__
                self._told(name, "waiting", self.problem)
                await self._pause()
            else:
                self.problem = None
                self._told(name, "done", details)
                return

    async def _books(self) -> str:
        while not self._steps.is_connected() or not self._steps.books_ready()[0]:
            if self._stop is not None:
                raise _Stopped
            self.problem = self._steps.connection_problem() or "waiting for the first snapshots"
            await self._pause()
        ready, total = self._steps.books_ready()
        return f"{ready} of {total} books"

    async def _calibrate(self, reason: str) -> bool:
        """Square until it works; gives False where the connection was lost meanwhile."""
        self._wanted = None
        while self._stop is None:
            try:
                self.squared = await self._steps.square()
            except AWAY as away:
                self.problem = str(away) or "orders stay without an answer"
                if not self._steps.is_connected():
                    return False
                await self._pause()
                continue
            self.problem = None
            self.squared_at = self._now()
            self._due_at = self._monotonic() + SQUARING_SECONDS
            self._counts.reconciled += 1
            self._counts.drifts += bool(self.squared.drift)
            self._drifts_in_a_row = self._drifts_in_a_row + 1 if self.squared.drift else 0
            if self._drifts_in_a_row >= DRIFTS_IN_A_ROW:
                drift = "; ".join(self.squared.drift)
                self.hold(RISK, f"the account differed {DRIFTS_IN_A_ROW} times in a row: {drift}")
            self._bus.publish(Reconciled(reason, self.squared.drift, self.squared_at))
            return self._steps.is_connected()
        return False

    async def _serve(self) -> str:
        """Be ready, acting or paused until the account must be squared again; gives why."""
        while True:
            why = self._leave_reason()
            if why is not None:
                return why
            state = self.lifecycle.state
            target, context = self._target()
            if state is State.PAUSED and target is not State.PAUSED:
                return "resumed"
            if state is State.CALIBRATING and target is State.ACTING:
                target, context = State.READY, self._squared_words()
            if target is state:
                await self._pause()
                continue
            self._move(target, context)
            if target is State.PAUSED:
                await self._steps.stop_orders()

    def _target(self) -> tuple[State, str]:
        """Give the state that the conditions ask for, and why."""
        held = self._hold_words()
        if held is not None:
            return State.PAUSED, held
        idle = self._idle_reason()
        if idle is not None:
            squared = self._squared_words()
            return State.READY, f"{squared}; {idle}"
        return State.ACTING, f"policy version {self._version()}"

    def _leave_reason(self) -> str | None:
        if self._stop is not None:
            return self._stop
        if not self._steps.is_connected():
            return "connection lost"
        if self._wanted is not None:
            return self._wanted
        return "timer" if self._monotonic() >= self._due_at else None

    async def _recover(self) -> str:
        self._move(State.RECOVERING, self._steps.connection_problem() or "connection lost")
        while self._stop is None:
            if self._steps.is_connected() and self._steps.books_ready()[0]:
                return "reconnected"
            self.problem = self._steps.connection_problem()
            await self._pause()
        return self._stop

    async def _shut_down(self) -> None:
        self._move(State.SHUTDOWN, self._stop or "stopped")
        if self.squared is None:
            return  # no order can have left
        try:
            async with asyncio.timeout(STOP_SECONDS):
                self.squared = await self._steps.square()
            self.squared_at = self._now()
        except AWAY as away:
            log.warning("stopped without squaring the account", why=str(away))

    # --- moving, telling, waiting ----------------------------------------------------------

    def _move(self, to: State, context: str) -> None:
        transition = self.lifecycle.move(
            to,
            context,
            self._now(),
            decisions=self._counts.decisions,
            placed=self._counts.placed,
            fills=self._counts.fills,
            books_ready=self._steps.books_ready()[0],
        )
        log.info("state", state=to, was=transition.from_state, context=context)
        self._bus.publish(StateMoved(transition))

    def _told(self, step: str, status: str, details: str) -> None:
        event = InitializationStep(step, status, details, self._now())
        self.initialization = [*(e for e in self.initialization if e.step != step), event]
        self._bus.publish(event)

    async def _pause(self) -> None:
        """Wait until something changes, at most a second."""
        self._wake.clear()
        try:
            async with asyncio.timeout(RETRY_SECONDS):
                await self._wake.wait()
        except TimeoutError:
            return

    def _version(self) -> str:
        return "none" if self._slot.current is None else self._slot.current.version

    def _squared_words(self) -> str:
        squared = self.squared
        assert squared is not None
        drift = "; ".join(squared.drift) or "no drift"
        return f"squared: {cash_to_dollars(squared.available)} dollars available, {drift}"


class _Stopped(Exception):
    """The stop was asked for while starting."""

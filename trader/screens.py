"""Tells people's screens what happens: each message is encoded once, no screen is waited for.

Decisions, orders and fills are told as they come; the account at most ten times a second, the
status once. What a slow screen does not take in time is thrown away, and its books are sent whole
again.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence

import msgspec

from kalshiflow.market.events import Side
from trader import messages
from trader.bus import Bus
from trader.events import (
    BookChanged,
    ComponentChanged,
    DecisionMade,
    Event,
    InitializationStep,
    OrderChanged,
    OrderFilled,
    PolicyChanged,
    Reconciled,
    StateMoved,
)
from trader.messages import Message, Sides
from trader.status import Parts

QUEUE_SIZE = 1_000
STATE_SECONDS = 0.1
STATUS_SECONDS = 1.0
WATCH_LIMIT = 50
HOLD_ACTION = 0
KINDS = ("trader_action", "actor_action")


class Screen:
    """One socket's queue and wishes. `action_kind` names its decisions' message.

    `hold_every` sends only every so many HOLDs; `watched` is what was last told of each book.
    """

    def __init__(self, action_kind: str) -> None:
        self.action_kind = action_kind
        self.hold_every = 1
        self.watched: dict[str, Sides] = {}
        self.dropped = 0
        self.is_behind = False
        self._texts: deque[str] = deque()
        self._wake = asyncio.Event()

    def offer(self, text: str) -> None:
        """Queue a message; where the queue is full, what waits is thrown away first."""
        if len(self._texts) >= QUEUE_SIZE:
            self.dropped += len(self._texts)
            self._texts.clear()
            self.is_behind = True
        self._texts.append(text)
        self._wake.set()

    async def next(self) -> list[str]:
        """Wait for messages and take all there are."""
        while not self._texts:
            self._wake.clear()
            await self._wake.wait()
        texts = list(self._texts)
        self._texts.clear()
        return texts


class Screens:
    """All screens; an observer of the bus."""

    def __init__(self, parts: Parts, now: Callable[[], int]) -> None:
        self._parts = parts
        self._now = now
        self._screens: list[Screen] = []
        self._is_changed = False
        self._holds = 0

    @property
    def count(self) -> int:
        """Give the number of screens."""
        return len(self._screens)

    def subscribe(self, bus: Bus) -> None:
        """Observe everything that screens are told."""
        bus.subscribe(
            "screens",
            self.handle,
            (
                StateMoved,
                InitializationStep,
                ComponentChanged,
                BookChanged,
                DecisionMade,
                OrderChanged,
                OrderFilled,
                Reconciled,
                PolicyChanged,
            ),
        )

    def join(self, screen: Screen) -> None:
        """Greet a screen and tell it what others know already."""
        now, conductor = self._now(), self._parts.conductor
        greeting = [
            messages.connection(self._parts),
            messages.trader_state(self._parts, now),
            messages.trader_status(self._parts, now),
            *(messages.initialization(step) for step in conductor.initialization),
            *(messages.state_transition(move) for move in conductor.lifecycle.history),
        ]
        for message in greeting:
            screen.offer(encode(message))
        self._screens.append(screen)

    def leave(self, screen: Screen) -> None:
        """Forget a screen."""
        self._screens.remove(screen)

    def watch(self, screen: Screen, tickers: Sequence[str]) -> None:
        """Send these markets' books whole, and their changes from now on."""
        screen.watched = {}
        observers = self._parts.data.observers
        if unknown := [ticker for ticker in tickers if ticker not in observers]:
            screen.offer(encode(messages.problem(f"not followed: {', '.join(unknown[:5])}")))
        for ticker in [ticker for ticker in tickers if ticker in observers][:WATCH_LIMIT]:
            book = observers[ticker].book
            screen.watched[ticker] = (book.levels(Side.BID), book.levels(Side.ASK))
            screen.offer(encode(messages.book_snapshot(book, *self._place())))

    async def handle(self, event: Event) -> None:
        """Tell an event; the bus calls this."""
        self._is_changed = True
        if not self._screens:
            return
        match event:
            case BookChanged():
                self._book_changed(event.ticker)
            case DecisionMade():
                self._decided(event)
            case StateMoved():
                self._tell([messages.state_transition(event.transition)])
                self._tell([messages.trader_status(self._parts, self._now())])
            case OrderChanged():
                self._tell([messages.order(event)])
            case OrderFilled():
                self._tell([messages.fill(event), messages.position(event)])
            case ComponentChanged():
                self._tell([messages.component(event)])
            case InitializationStep():
                self._tell([messages.initialization(event)])
            case _:
                pass  # the account and the status tell the rest

    async def run(self) -> None:
        """Tell the account while it changes, and the status each second, until cancelled."""
        ticks = 0
        while True:
            await asyncio.sleep(STATE_SECONDS)
            ticks += 1
            if not self._screens:
                continue
            now = self._now()
            if self._is_changed:
                self._is_changed = False
                self._tell([messages.trader_state(self._parts, now)])
            if ticks * STATE_SECONDS >= STATUS_SECONDS:
                ticks = 0
                self._tell([messages.trader_status(self._parts, now)])
                self._tell([messages.pnl(self._parts, now)])

    def _decided(self, event: DecisionMade) -> None:
        is_hold = event.decision.step.action == HOLD_ACTION
        self._holds += is_hold
        for kind in KINDS:
            takers = [
                screen
                for screen in self._screens
                if screen.action_kind == kind and not (is_hold and self._holds % screen.hold_every)
            ]
            if takers:
                _offer(takers, [messages.decided(kind, event.decision, event.result)])

    def _book_changed(self, ticker: str) -> None:
        book = self._parts.data.observers[ticker].book
        for screen in self._screens:
            before = screen.watched.get(ticker)
            if before is not None and screen.is_behind:
                screen.is_behind = False
                self.watch(screen, list(screen.watched))
            elif before is not None:
                _offer([screen], messages.book_deltas(book, before, *self._place()))
                screen.watched[ticker] = (book.levels(Side.BID), book.levels(Side.ASK))

    def _tell(self, told: Sequence[Message]) -> None:
        _offer(self._screens, told)

    def _place(self) -> tuple[int, int]:
        return self._parts.outcomes.market_time, self._parts.data.counts.frames


def encode(message: Message) -> str:
    """Write a message as JSON text."""
    return msgspec.json.encode(message).decode()


def _offer(screens: Iterable[Screen], told: Sequence[Message]) -> None:
    texts = [encode(message) for message in told]
    for screen in screens:
        for text in texts:
            screen.offer(text)

"""The venue without its servers: a source of market events, the floor, and the clock they share."""

from dataclasses import dataclass
from enum import StrEnum
from math import inf, isinf
from typing import Protocol

from kalshiflow.market.listing import Event, Series
from kalshiflow.market.units import Quantity
from kalshiflow.venue.clock import VenueClock
from kalshiflow.venue.floor.accounts import Account, OrderRecord
from kalshiflow.venue.floor.floor import Floor, NewOrder
from kalshiflow.venue.websocket.hub import (
    Hub,
)


class Source(Protocol):
    """What moves the markets: synthetic traders, or a recording."""

    def next_at(self) -> int | None:
        """Give the market time of the next step; `None` after the last."""

    def step(self) -> None:
        """Let the next thing happen."""


class State(StrEnum):
    """What market time does."""

    HOLDING = "holding"
    RUNNING = "running"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The series and events that the markets belong to."""

    series: tuple[Series, ...]
    events: tuple[Event, ...]


class Venue:
    """One local exchange. Everything due happens before a request does."""

    def __init__(
        self, clock: VenueClock, floor: Floor, hub: Hub, source: Source, catalogue: Catalogue
    ) -> None:
        self.clock = clock
        self.floor = floor
        self.hub = hub
        self.catalogue = catalogue
        self._source = source

    @property
    def state(self) -> State:
        """Say whether market time has begun, and whether anything is still to come."""
        if self._source.next_at() is None:
            return State.FINISHED
        return State.RUNNING if self.clock.is_running else State.HOLDING

    def is_covered(self) -> bool:
        """Say whether somebody listens to the book of every market."""
        return all(
            self.hub.has_book_subscriber(listed.market.ticker) for listed in self.floor.markets()
        )

    def advance(self, limit: int) -> int:
        """Let everything happen that is due by now, at most `limit` steps; give their number."""
        if not self.clock.is_running:
            return 0
        until = inf if isinf(self.clock.speed) else self.clock.now()
        steps = 0
        while steps < limit and self._step(until):
            steps += 1
        return steps

    def seconds_to_next(self) -> float:
        """Give the real seconds until something is due."""
        times = [at for at in (self._source.next_at(), self.floor.next_timer()) if at is not None]
        return min((self.clock.seconds_until(at) for at in times), default=inf)

    def place(self, account: Account, order: NewOrder) -> OrderRecord:
        """Accept an order now; raises a `Refused`."""
        return self.floor.place(account, order, self._now())

    def cancel(self, account: Account, order_id: str) -> tuple[OrderRecord, Quantity]:
        """Cancel an order now; gives its record and what was taken off; raises a `Refused`."""
        return self.floor.cancel(account, order_id, self._now())

    def _now(self) -> int:
        now = self.clock.now()
        if self.clock.is_running and not isinf(self.clock.speed):
            while self._step(now):
                pass
        self.clock.reach(now)
        return now

    def _step(self, until: float) -> bool:
        at, timer = self._source.next_at(), self.floor.next_timer()
        if at is None and isinf(until):  # an endless clock stops with its source
            return False
        if timer is not None and timer <= until and (at is None or timer <= at):
            self.clock.reach(timer)
            self.floor.run_timers(timer)
            return True
        if at is None or at > until:
            return False
        self.clock.reach(at)
        self._source.step()
        return True

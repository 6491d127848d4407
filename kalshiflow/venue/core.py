"""The venue without its servers: a source of market events, the floor, and the clock they share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import inf, isinf
from typing import Protocol

from kalshiflow.market.listing import Event, Series
from kalshiflow.market.units import Quantity
from kalshiflow.venue.clock import VenueClock
from kalshiflow.venue.floor.accounts import Account, OrderRecord
from kalshiflow.venue.floor.floor import Floor
from kalshiflow.venue.floor.groups import OrderGroup
from kalshiflow.venue.floor.lifecycle import Lifecycle
from kalshiflow.venue.floor.requests import Amendment, NewOrder
from kalshiflow.venue.replay.tape import Line, Tape
from kalshiflow.venue.websocket.hub import Hub


class Source(Protocol):
    """What moves the markets: synthetic traders, or a recording."""

    def next_at(self) -> int | None:
        """Give the market time of the next step; `None` after the last."""

    def step(self) -> None:
        """Let the next thing happen."""

    def position(self) -> int:
        """Give the number of steps taken: of a replay, the recorded frame that was last shown."""


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
        self,
        clock: VenueClock,
        floor: Floor,
        hub: Hub,
        source: Source,
        catalogue: Catalogue,
        tape: Tape | None = None,
    ) -> None:
        self.clock = clock
        self.hub = hub
        self._floor = floor
        self._catalogue = catalogue
        self._source = source
        self._tape = tape
        # Replaced where reads are to be stale.
        self.orders_of: Callable[[Account], Mapping[str, OrderRecord]] = _all_orders

    @property
    def floor(self) -> Floor:
        """Give the floor, with its books where their subscribers are."""
        if self._tape is not None:
            self._tape.settle()
        return self._floor

    @property
    def catalogue(self) -> Catalogue:
        """Give the series and events that were there at the start, and those listed since."""
        first, since = self._catalogue, self._floor.lifecycle
        return Catalogue((*first.series, *since.series), (*first.events, *since.events))

    @property
    def state(self) -> State:
        """Say whether market time has begun, and whether anything is still to come."""
        if self._source.next_at() is None:
            return State.FINISHED
        return State.RUNNING if self.clock.is_running else State.HOLDING

    def is_covered(self) -> bool:
        """Say whether somebody listens to the book of every market."""
        return all(
            self.hub.has_book_subscriber(listed.market.ticker) for listed in self._floor.markets()
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

    @property
    def is_on_tape(self) -> bool:
        """Say whether `play` may take the place of `advance`: a replay at top speed, untouched."""
        return (
            self._tape is not None
            and self.clock.is_running
            and isinf(self.clock.speed)
            and self._source.next_at() is not None
            and self._tape.is_playable
        )

    def play(self, line: Line, limit: int) -> int:
        """Tell subscribers the next events, at most `limit`, by ready-made frames; their number.

        Only where the venue `is_on_tape`. What is not on the tape happens as in `advance`.
        """
        assert self._tape is not None
        told = self._tape.play(line, limit, self._floor.agenda.next_at())
        if not told:
            return self.advance(1)
        self.clock.reach(self._tape.reached_at)
        return told

    def settle(self, limit: int, *, lag: int = 0) -> bool:
        """Bring the books nearer to what subscribers were told, by at most `limit` events.

        Only where they lag by more than `lag` events; says whether they did. Nobody needs to call
        it, but who has time may.
        """
        if self._tape is None or self._tape.lag <= lag:
            return False
        self._tape.settle(limit)
        return True

    def seconds_to_next(self) -> float:
        """Give the real seconds until something is due."""
        times = [
            at for at in (self._source.next_at(), self._floor.agenda.next_at()) if at is not None
        ]
        return min((self.clock.seconds_until(at) for at in times), default=inf)

    def steer(self, move: Callable[[Lifecycle, int], None]) -> None:
        """Let a market, or the exchange, take a step of its life now; raises a `Refused`."""
        now = self._now()
        move(self.floor.lifecycle, now)

    def place(self, account: Account, order: NewOrder) -> OrderRecord:
        """Accept an order now; raises a `Refused`."""
        return self.floor.place(account, order, self._now())

    def cancel(self, account: Account, order_id: str) -> tuple[OrderRecord, Quantity]:
        """Cancel an order now; gives its record and what was taken off; raises a `Refused`."""
        return self.floor.cancel(account, order_id, self._now())

    def amend(self, account: Account, order_id: str, amendment: Amendment) -> OrderRecord:
        """Change a resting order's terms now; raises a `Refused`."""
        return self.floor.amend(account, order_id, amendment, self._now())

    def decrease(
        self,
        account: Account,
        order_id: str,
        *,
        by: Quantity | None = None,
        to: Quantity | None = None,
    ) -> OrderRecord:
        """Lower what remains of a resting order `by` so much, or `to` so much."""
        return self.floor.decrease(account, order_id, self._now(), by=by, to=to)

    def cancel_all(self, account: Account) -> None:
        """Cancel every resting order of an account that may be cancelled."""
        self.floor.cancel_all(account, self._now())

    def queue_position(self, account: Account, order_id: str) -> Quantity:
        """Give the contracts that stand before a resting order at its price."""
        self._now()
        return self.floor.queue_position(account, order_id)

    def catch_up(self) -> int:
        """Let everything happen that is due, and give the market time."""
        return self._now()

    def create_group(self, account: Account, limit: Quantity) -> OrderGroup:
        """Open an order group that may fill `limit` contracts in any 15 seconds."""
        return self.floor.groups.create(account, limit, self._now())

    def reset_group(self, account: Account, group_id: str) -> None:
        """Let an order group take orders again; raises a `Refused`."""
        self.floor.groups.reset(account, group_id, self._now())

    def trigger_group(self, account: Account, group_id: str) -> None:
        """Cancel what rests in an order group, and refuse new orders in it until its reset."""
        self.floor.groups.trigger(account, group_id, self._now())

    def limit_group(self, account: Account, group_id: str, limit: Quantity) -> None:
        """Set an order group's limit, which triggers it where that much is filled already."""
        self.floor.groups.set_limit(account, group_id, limit, self._now())

    def delete_group(self, account: Account, group_id: str) -> None:
        """Cancel what rests in an order group, and forget the group."""
        self.floor.groups.delete(account, group_id, self._now())

    def read_orders(self, account: Account) -> Mapping[str, OrderRecord]:
        """Give an account's orders as a read shows them, by order id, oldest first."""
        return self.orders_of(account)

    def position(self) -> int:
        """Give how far the source of market events is: the steps that its traders have taken.

        Of a replay it is the recorded frame that was shown last, by its number in the recording,
        which counts from 1 over all its frames, control frames included; 0 before the first.
        """
        return self._source.position()

    def _now(self) -> int:
        now = self.clock.now()
        if self.clock.is_running and not isinf(self.clock.speed):
            while self._step(now):
                pass
        self.clock.reach(now)
        return now

    def _step(self, until: float) -> bool:
        at, timer = self._source.next_at(), self._floor.agenda.next_at()
        if at is None and isinf(until):  # an endless clock stops with its source
            return False
        if timer is not None and timer <= until and (at is None or timer <= at):
            self.clock.reach(timer)
            self.floor.agenda.run(timer)
            return True
        if at is None or at > until:
            return False
        self.clock.reach(at)
        self._source.step()
        return True


def _all_orders(account: Account) -> Mapping[str, OrderRecord]:
    return account.orders

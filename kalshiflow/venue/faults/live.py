"""The faults of a running venue: which are on, what they have seen, and whom they strike."""

import random
from collections.abc import Callable, Iterator
from enum import StrEnum

from kalshiflow.venue.clock import SECOND
from kalshiflow.venue.faults.language import Fault, WrongFault
from kalshiflow.venue.log import NO_LOG, Log


class Phase(StrEnum):
    """Where a fault is in its time."""

    WAITING = "waiting"
    ON = "on"
    OVER = "over"


class LiveFault:
    """One fault that was given at `given` (monotonic nanoseconds), under its `number`."""

    def __init__(self, fault: Fault, number: int, given: int, seed: int) -> None:
        self.fault = fault
        self.number = number
        self.strikes = 0
        self.is_done = False
        self._begins = given + round(fault.at * SECOND)
        self._ends = None if fault.lasts is None else self._begins + round(fault.lasts * SECOND)
        self._seed = seed
        self._seen: dict[int, int] = {}
        self._dice: dict[int, random.Random] = {}

    def phase(self, now: int) -> Phase:
        """Say where in its time it is."""
        is_past = self._ends is not None and now >= self._ends
        if self.is_done or is_past or self.strikes == self.fault.count:
            return Phase.OVER
        return Phase.ON if now >= self._begins else Phase.WAITING

    def meets(self, line: int = 0, *, ahead: int = 0) -> bool:
        """Count one thing that it concerns, on one line of them; say whether it strikes.

        Each line (a connection, or all requests) has a count and dice of its own, so that what
        strikes follows from the seed and from what came along that line alone. With `ahead` 1 it
        strikes already at the thing before its own.
        """
        fault = self.fault
        if self.strikes == fault.count:
            return False
        seen = self._seen[line] = self._seen.get(line, 0) + 1
        place = seen + ahead - fault.after
        if place <= 0 or place % fault.every:
            return False
        if fault.rate < 1:
            if line not in self._dice:
                # Not for secrets: it must come out the same each time.
                self._dice[line] = random.Random(f"{self._seed}/{self.number}/{line}")  # noqa: S311
            if self._dice[line].random() >= fault.rate:
                return False
        self.strikes += 1
        return True


class Faults:
    """All faults of a venue. `monotonic` gives nanoseconds of the wall clock's pace.

    `name_of` gives an account's name by its key id. `log` hears of each strike.
    """

    def __init__(
        self,
        seed: int,
        monotonic: Callable[[], int],
        name_of: Callable[[str], str],
        log: Log = NO_LOG,
    ) -> None:
        self._seed = seed
        self._monotonic = monotonic
        self._name_of = name_of
        self._log = log
        self._live: dict[int, LiveFault] = {}
        self._last = 0
        self.on_change: list[Callable[[], None]] = []

    def __iter__(self) -> Iterator[LiveFault]:
        return iter(self._live.values())

    def now(self) -> int:
        """Give the time that faults go by."""
        return self._monotonic()

    def add(self, fault: Fault) -> LiveFault:
        """Begin a fault, or let it wait for its time."""
        self._last += 1
        live = LiveFault(fault, self._last, self.now(), self._seed)
        self._live[live.number] = live
        self._tell()
        return live

    def end(self, number: int) -> LiveFault:
        """End a fault; raises `WrongFault` where there is none of this number."""
        live = self._live.pop(number, None)
        if live is None:
            raise WrongFault(f"there is no fault {number}")
        live.is_done = True
        self._tell()
        return live

    def end_all(self) -> None:
        """End every fault."""
        self._live.clear()
        self._tell()

    def any_of(self, kinds: frozenset[str]) -> bool:
        """Say whether a fault of these kinds is on, or to come."""
        return bool(self._live) and any(
            live.fault.kind in kinds and live.phase(self.now()) is not Phase.OVER
            for live in self._live.values()
        )

    def on(self, kinds: frozenset[str]) -> list[LiveFault]:
        """Give the faults of these kinds that are on now, oldest first."""
        if not self._live:
            return []
        now = self.now()
        return [
            live
            for live in self._live.values()
            if live.fault.kind in kinds and live.phase(now) is Phase.ON
        ]

    def phase(self, live: LiveFault) -> Phase:
        """Say where in its time a fault is."""
        return live.phase(self.now())

    def concerns(self, fault: Fault, key_id: str) -> bool:
        """Say whether a fault concerns an account, by its key id."""
        return not fault.account or bool({key_id, self._name_of(key_id)} & fault.account)

    def struck(self, live: LiveFault, **told: object) -> None:
        """Note a strike, with what it struck."""
        self._log.note("fault", {"fault": live.fault.text, "number": live.number, **told})

    def skew_ms(self) -> int:
        """Give how far the venue's clock is off for signatures, in milliseconds."""
        return sum(live.fault.ms for live in self.on(_SKEW))

    def _tell(self) -> None:
        for hear in self.on_change:
            hear()


_SKEW = frozenset({"clock-skew"})

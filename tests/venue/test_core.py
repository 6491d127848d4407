"""The venue's order of things in time: what is due on the floor, and the source's steps."""

from math import inf
from typing import Any

from kalshiflow.venue.clock import VenueClock
from kalshiflow.venue.core import Catalogue, State, Venue
from kalshiflow.venue.floor.accounts import Accounts
from kalshiflow.venue.floor.floor import Floor
from kalshiflow.venue.ids import Identifiers


class Steps:
    """A source that steps at given times, and writes them down."""

    def __init__(self, times: list[int], happened: list[tuple[str, int]]) -> None:
        self.times = times
        self.happened = happened

    def next_at(self) -> int | None:
        return self.times[0] if self.times else None

    def step(self) -> None:
        self.happened.append(("step", self.times.pop(0)))

    def position(self) -> int:
        return 0


def test_what_is_due_comes_before_a_step_of_the_same_time_and_the_clock_follows_both() -> None:
    happened: list[tuple[str, int]] = []
    nobody: Any = None  # none of this is told
    floor = Floor(Identifiers(1), Accounts(), lambda fact: None)
    clock = VenueClock(0, inf)
    venue = Venue(clock, floor, nobody, Steps([3, 5, 7], happened), Catalogue((), ()))
    for at in (4, 5, 9):
        floor.agenda.add(at, lambda now: happened.append(("due", now)))
    assert venue.advance(10) == 0  # it holds
    clock.begin()

    assert venue.advance(4) == 4
    assert (clock.now(), venue.state) == (5, State.RUNNING)
    venue.advance(10)

    assert happened == [("step", 3), ("due", 4), ("due", 5), ("step", 5), ("step", 7)]
    assert venue.state is State.FINISHED

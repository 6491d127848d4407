"""The loop that lets market time pass and sends what it brings."""

import asyncio
from collections.abc import Callable
from math import isinf
from typing import Protocol
from weakref import WeakSet

from kalshiflow.venue.config import VenueConfig
from kalshiflow.venue.core import State, Venue
from kalshiflow.venue.replay.tape import Line, takes_more
from kalshiflow.venue.websocket.sessions import BOOK, TRADE, Session

TICK_SECONDS = 0.005
LONGEST_PAUSE_SECONDS = 0.05
STEPS_AT_ONCE = 500
# At top speed: the events that are told by one piece of bytes, and how often it is looked whether
# readers are still behind. The books catch up by so many events at a time once all is told, or
# while readers are behind and it would take a request half a second to wait for the books.
PASSAGE = 1_000
LOOK_SECONDS = 0.0005
SETTLED_AT_ONCE = 100
FAR_LAG = 100_000
# How long a replay at top speed waits for a reader that is behind before it goes on without it.
PATIENCE_SECONDS = 30.0


class Connections(Line, Protocol):
    """The sessions' sockets."""

    @property
    def is_clear(self) -> bool:
        """Say whether frames may go out as they are and unseen."""

    def flush(self) -> None:
        """Write what waits for each session, as far as its socket takes it."""


async def run(config: VenueConfig, venue: Venue, sockets: Connections) -> None:
    """Let market time pass, for ever."""
    waits_for_readers = config.is_replay and not config.hold
    readers = Readers(venue, sockets, config.queue_limit // 2)
    while True:
        if waits_for_readers and not venue.clock.is_running and venue.is_covered():
            venue.clock.begin()
        if sockets.is_clear and venue.is_on_tape:
            await _play(venue, sockets, readers)
            continue
        steps = venue.advance(STEPS_AT_ONCE)
        sockets.flush()
        if steps == STEPS_AT_ONCE:
            if isinf(venue.clock.speed):
                await readers.wait(readers.is_far_behind)
            await asyncio.sleep(0)
        elif venue.settle(SETTLED_AT_ONCE):
            await asyncio.sleep(LOOK_SECONDS)
        else:
            await asyncio.sleep(_pause(venue))


class Readers:
    """The sessions that hear a replay at top speed, and the patience with them.

    One that stays behind for `patience` seconds is given up: it is not waited for until it has
    caught up, and loses its subscription once its queue is full. `far_behind` is in frames.
    """

    def __init__(
        self,
        venue: Venue,
        sockets: Connections,
        far_behind: int,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._venue = venue
        self._sockets = sockets
        self._far_behind = far_behind
        self._patience = patience
        self._given_up: WeakSet[Session] = WeakSet()

    def is_far_behind(self, session: Session) -> bool:
        """Say whether much waits in a session's queue."""
        return len(session.outbox) > self._far_behind

    def is_busy(self, session: Session) -> bool:
        """Say whether a session's socket has enough to carry for now."""
        return not takes_more(self._sockets, session)

    async def wait(self, is_behind: Callable[[Session], bool]) -> None:
        """Wait while a reader is behind and not given up."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._patience
        while behind := self._behind(is_behind):
            if loop.time() > deadline:
                self._given_up.update(behind)
                return
            await asyncio.sleep(LOOK_SECONDS)
            self._venue.settle(SETTLED_AT_ONCE, lag=FAR_LAG)
            self._sockets.flush()

    def _behind(self, is_behind: Callable[[Session], bool]) -> list[Session]:
        behind = [
            session
            for session in self._venue.hub.sessions()
            if (BOOK in session.by_channel or TRADE in session.by_channel) and is_behind(session)
        ]
        self._given_up = WeakSet(session for session in behind if session in self._given_up)
        return [session for session in behind if session not in self._given_up]


async def _play(venue: Venue, sockets: Connections, readers: Readers) -> None:
    sockets.flush()
    await readers.wait(readers.is_busy)
    if sockets.is_clear and venue.is_on_tape:  # which may have changed while we waited
        venue.play(sockets, PASSAGE)
    await asyncio.sleep(0)


def _pause(venue: Venue) -> float:
    if venue.state is not State.RUNNING:
        return TICK_SECONDS if venue.state is State.HOLDING else LONGEST_PAUSE_SECONDS
    due = venue.seconds_to_next()
    return min(max(due, TICK_SECONDS), LONGEST_PAUSE_SECONDS)

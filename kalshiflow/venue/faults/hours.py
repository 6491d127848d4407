"""Faults that time alone sets off: connections cut at a moment, and the exchange's maintenance."""

import asyncio
from contextlib import suppress

from kalshiflow.venue.core import Venue
from kalshiflow.venue.faults.live import Faults, LiveFault
from kalshiflow.venue.faults.outlet import CUTS, WatchedOutlet
from kalshiflow.venue.floor.lifecycle import Lifecycle
from kalshiflow.venue.floor.refusals import ImpossibleMove

TICK_SECONDS = 0.01


class Hours:
    """Looks at the clock for the faults that no frame and no request sets off."""

    def __init__(
        self,
        faults: Faults,
        outlet: WatchedOutlet,
        venue: Venue,
    ) -> None:
        self._faults = faults
        self._outlet = outlet
        self._venue = venue
        self._begun: set[int] = set()
        self._is_paused = False
        self._has_paused = False
        self._changed = asyncio.Event()
        faults.on_change.append(self._changed.set)

    async def keep(self) -> None:
        """Do what is due, for ever; sleeps while no such fault is on or to come."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            self.tick()
            while self._is_paused or self._faults.any_of(CUTS):
                await asyncio.sleep(TICK_SECONDS)
                self.tick()

    def tick(self) -> None:
        """Do what is due now."""
        is_paused = False
        for live in self._faults.on(CUTS):
            if live.fault.kind == "maintenance":
                is_paused = True
                self._begin(live)
            elif not live.fault.waits_for_frames:
                self._end_connections(live)
        if is_paused != self._is_paused:
            self._is_paused = is_paused
            self._pause_or_resume()

    def _pause_or_resume(self) -> None:
        """Pause trading, or end that pause; one that somebody else began goes on."""
        if not self._is_paused and not self._has_paused:
            return
        self._has_paused = False
        with suppress(ImpossibleMove):  # somebody else has paused or resumed it
            self._venue.steer(_pause if self._is_paused else _resume)
            self._has_paused = self._is_paused

    def _begin(self, live: LiveFault) -> None:
        if live.number not in self._begun:
            self._begun.add(live.number)
            live.strikes += 1
            self._faults.struck(live)
            for session in self._venue.hub.sessions():
                self._outlet.cut(session)

    def _end_connections(self, live: LiveFault) -> None:
        """Cut the connections of its moment; all that are there, while it lasts."""
        for session in self._venue.hub.sessions():
            if live.strikes == live.fault.count or self._outlet.is_cut(session):
                continue
            if self._faults.concerns(live.fault, session.account.key_id):
                live.strikes += 1
                self._faults.struck(live, key_id=session.account.key_id)
                self._outlet.cut(session)
        live.is_done = live.fault.lasts is None


def _pause(lifecycle: Lifecycle, now: int) -> None:
    lifecycle.pause_trading(now)


def _resume(lifecycle: Lifecycle, now: int) -> None:
    lifecycle.resume_trading(now)

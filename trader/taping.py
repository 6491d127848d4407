"""Keeps the trader's tape running: its spool, the right to record, the rows' way to the database.

Whatever ends the recording is told, counted and begun anew by the way that a start takes; trading
goes on meanwhile. Sessions go on with the next connection.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from enum import StrEnum

import structlog

from kalshiflow.ending import ShutdownRequested, beside, ended_by
from kalshiflow.recording.closing import Closer
from kalshiflow.recording.holding import begin, give_back, keep_lease, obtain_lease
from kalshiflow.recording.ingest import Ingest, Limits
from kalshiflow.recording.recorder import Recorder
from kalshiflow.recording.repairing import repair_left
from kalshiflow.recording.spool import Spool, SpoolFull
from kalshiflow.store.database import Store
from kalshiflow.store.leases import Lease, lease_key
from kalshiflow.store.outages import last_recorded
from trader.behind import ORIGIN, Behind
from trader.plan import TapePlan
from trader.tape import Tape

SHARD = "main"
READY_SECONDS = 10.0  # trading does not wait longer for the tape to be ready
TEND_SECONDS = 0.2
RETRY_SECONDS = 5.0
CLOSING_SECONDS = 8.0
CONNECTIONS = 3  # of the tape's own, so that no order's intent ever waits for a row
LIMITS = Limits(rows_in_memory=20_000, batch_rows=5_000, slice_seconds=0.002)

log = structlog.get_logger()


class TapeState(StrEnum):
    """What the tape is doing."""

    OFF = "off"  # by the settings
    STARTING = "starting"
    WAITING = "waiting"  # ready, and there is no connection that began with it
    RECORDING = "recording"
    STOPPED = "stopped"  # something went wrong; it is tried again


class Taping:
    """Records a tape for as long as `running` lasts; without a plan it is off."""

    def __init__(
        self, tape: Tape, plan: TapePlan | None, *, clock: Callable[[], int] = time.time_ns
    ) -> None:
        self.tape = tape
        self.failures = 0
        self.closer: Closer | None = None
        self.ingest: Ingest | None = None
        self.spool: Spool | None = None
        self._plan = plan
        self._clock = clock
        self._trouble: str | None = None
        self._is_resting = False
        self._is_ready = asyncio.Event()
        self._stop = asyncio.Event()

    @property
    def state(self) -> TapeState:
        """Say what the tape is doing."""
        if self._plan is None:
            return TapeState.OFF
        if self._is_resting:
            return TapeState.STOPPED
        if self.tape.session_id is not None:
            return TapeState.RECORDING
        return TapeState.WAITING if self._is_ready.is_set() else TapeState.STARTING

    @property
    def problem(self) -> str | None:
        """Say why nothing is recorded now; `None` while it is, or where nothing is to be."""
        return None if self.state is TapeState.RECORDING else self._trouble

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Record while the block lasts; what is on the tape is then in the database, if possible.

        The block begins when the tape is ready, or after some seconds in any case.
        """
        if self._plan is None:
            yield
            return
        async with asyncio.TaskGroup() as group:
            group.create_task(self._run(self._plan), name="tape")
            with suppress(TimeoutError):
                async with asyncio.timeout(READY_SECONDS):
                    await self._is_ready.wait()
            yield
            self._stop.set()

    async def _run(self, plan: TapePlan) -> None:
        while not self._stop.is_set():
            try:
                await self._record(plan)
            except ShutdownRequested:
                return
            except Exception as failed:  # whatever it is, trading goes on
                self._rest(failed)
            with suppress(TimeoutError):
                async with asyncio.timeout(RETRY_SECONDS):
                    await self._stop.wait()

    def _rest(self, failed: Exception) -> None:
        self.failures += 1
        self._trouble = str(failed)
        self._is_resting = True
        self._is_ready.clear()
        log.error("no tape is recorded", why=self._trouble, seconds=RETRY_SECONDS)

    def _wait(self, why: str) -> None:
        if self._trouble != why:
            log.warning("the tape waits", why=why)
        self._trouble = why

    async def _record(self, plan: TapePlan) -> None:
        """Go on from what the spool holds until the stop, and then close what is recorded."""
        spool = self.spool = Spool.open(plan.folder, limit_bytes=plan.limit_bytes)
        try:
            opened = await Store.open(plan.database_url, max_connections=CONNECTIONS)
            async with opened as store:
                key = lease_key(plan.environment, ORIGIN, SHARD)
                async with ended_by(self._stop):
                    lease = await obtain_lease(store, key, spool.spool_id, ORIGIN, self._wait)
                async with beside(durable=spool.keep_durable(), lease=keep_lease(store, lease)):
                    async with ended_by(self._stop):
                        recorder = await begin(store, spool, lease, self._wait)
                    await self._record_on(plan, store, lease, recorder)
                await give_back(store, lease)
        finally:
            self.tape.take_away()
            self.spool = self.ingest = None
            _close(spool)

    async def _record_on(
        self, plan: TapePlan, store: Store, lease: Lease, recorder: Recorder
    ) -> None:
        spool, environment = self.spool, plan.environment
        assert spool is not None
        closer = self.closer = Closer(store, environment=environment, origin=ORIGIN, shard=SHARD)
        ingest = self.ingest = Ingest(
            store,
            spool,
            recorder,
            lease,
            clock=self._clock,
            ended=closer.look,
            rotate=self.tape.rotate,
            limits=LIMITS,
        )
        broken: asyncio.Queue[Exception] = asyncio.Queue()
        last = await last_recorded(store, environment=environment, origin=ORIGIN, shard=SHARD)
        try:
            async with ended_by(self._stop) as group:
                group.create_task(ingest.run(), name="tape: ingest")
                group.create_task(closer.run(), name="tape: close")
                group.create_task(self._tend(plan.session_seconds), name="tape: tend")
                group.create_task(
                    repair_left(
                        store,
                        ingest,
                        recorder.position,
                        self.tape.sessions,
                        origin=ORIGIN,
                        environment=environment,
                        shard=SHARD,
                        lease=lease,
                    ),
                    name="tape: repair",
                )
                self.tape.put_behind(
                    Behind(
                        spool,
                        recorder,
                        environment,
                        SHARD,
                        lease.epoch,
                        broken.put_nowait,
                        None if last is None else last.at,
                        () if last is None else last.markets,
                    )
                )
                self._is_resting = False
                self._is_ready.set()
                raise await broken.get()
        except ShutdownRequested:
            await _finish(ingest, closer)

    async def _tend(self, longest: float) -> None:
        while True:
            await asyncio.sleep(TEND_SECONDS)
            self.tape.tend(longest)


async def _finish(ingest: Ingest, closer: Closer) -> None:
    """Bring what was received into the database, with the certificates of what has ended."""
    try:
        async with asyncio.timeout(CLOSING_SECONDS):
            await ingest.drain()
            await closer.drain()
    except TimeoutError:
        log.warning("left in the tape's spool", records=ingest.behind, why=ingest.trouble)


def _close(spool: Spool) -> None:
    try:
        spool.close()
    except SpoolFull as full:
        log.warning("the tape's spool was closed full", why=str(full))

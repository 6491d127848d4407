"""The collector as a whole: what it needs, its tasks, and how they end together."""

import asyncio
import time
from pathlib import Path

import structlog
from starlette.applications import Starlette

from kalshiflow.ending import ShutdownRequested, beside, ended_by, unwrapped
from kalshiflow.exchange.client import KalshiClient
from kalshiflow.exchange.credentials import Credentials
from kalshiflow.exchange.environments import Endpoints, endpoints
from kalshiflow.exchange.selection import Filters
from kalshiflow.recording.closing import Closer
from kalshiflow.recording.ingest import Ingest
from kalshiflow.recording.spool import Spool, SpoolFull
from kalshiflow.running import already_running
from kalshiflow.serving import PortTaken, bind, serving, stopped_by_signals
from kalshiflow.settings import Settings
from kalshiflow.store.database import Store
from kalshiflow.store.leases import Lease, lease_key
from kalshiflow.store.outages import last_recorded
from streaming.broadcast import Hub
from streaming.choosing import Chooser, Plan
from streaming.collector import Collector, Recording
from streaming.health import Health, State, connection_message, stats_message
from streaming.housekeeping import Housekeeping
from streaming.intake import Intake
from streaming.line import LOOK_SECONDS, Surroundings
from streaming.measuring import Gauges
from streaming.results import Results
from streaming.server import application
from streaming.standing_by import begin, give_back, keep_lease, obtain_lease, take_spool

CLOSING_SECONDS = 25.0
_MEGABYTE = 10**6

log = structlog.get_logger()


async def run(settings: Settings, stop: asyncio.Event | None = None) -> None:
    """Record until SIGTERM, SIGINT or `stop`; the open session is closed with its certificate.

    Raises `SettingsError`, `StoreError`, `SpoolError` or `PortTaken`, each with one sentence, where
    it cannot begin, and `LeaseLost` where another collector has taken over: begun anew, it stands
    by.
    """
    database_url = settings.require("DATABASE_URL")
    program = Program(settings, endpoints(settings), Credentials.from_settings(settings))
    port = settings.rl_collector_port
    if running := already_running("collector", port, "/rl/health"):
        raise PortTaken(running)
    stop = stop or asyncio.Event()
    with unwrapped(), bind(port, "RL_COLLECTOR_PORT") as listener:
        async with await Store.open(database_url) as store, serving(program.pages(), listener):
            # Signals are heard while closing too, so that a second one does not cut it.
            with stopped_by_signals(stop):
                await program.work(store, stop)


class Program:
    """One collector: what is known before anything is open, and then its work."""

    def __init__(self, settings: Settings, where: Endpoints, credentials: Credentials) -> None:
        self._settings = settings
        self._where = where
        self._credentials = credentials
        self._shard: str = settings.rl_collector_shard
        self._health = Health(time.time_ns(), where.environment.value, shard=self._shard)
        self._hub = Hub(settings.rl_sample_rate)
        self._collector: Collector | None = None

    def pages(self) -> Starlette:
        """Give what is served, from the start to the end."""
        return application(self._health, self._hub, self._book, time.time_ns)

    async def work(self, store: Store, stop: asyncio.Event) -> None:
        """Wait for the right to record, record until `stop`, and leave nothing half done."""
        key = lease_key(self._where.environment.value, "collector", self._shard)
        try:
            async with ended_by(stop):
                spool = await take_spool(self._open_spool, self._health)
        except ShutdownRequested:
            return
        try:
            try:
                async with ended_by(stop):
                    lease = await obtain_lease(store, key, spool.spool_id, self._health)
            except ShutdownRequested:
                return
            await self._record(store, spool, lease, stop)
        finally:
            _close(spool)
        # Only now may another process begin: it may be one that waits for this very spool.
        await give_back(store, lease)

    async def _record(self, store: Store, spool: Spool, lease: Lease, stop: asyncio.Event) -> None:
        self._health.become(State.STARTING, "reading what the spool holds")
        async with beside(durable=spool.keep_durable(), lease=keep_lease(store, lease)):
            try:
                async with ended_by(stop):
                    known = await self._what_was_recorded(store)
                    recorder = await begin(store, spool, lease, self._health)
            except ShutdownRequested:
                return
            await self._record_on(store, Intake(spool, recorder, time.time_ns), lease, known, stop)

    async def _record_on(
        self, store: Store, intake: Intake, lease: Lease, known: Recording, stop: asyncio.Event
    ) -> None:
        environment = self._where.environment.value
        closer = Closer(store, environment=environment, origin="collector", shard=self._shard)
        spool, recorder = intake.spool, intake.recorder
        ingest = Ingest(
            store,
            spool,
            recorder,
            lease,
            clock=time.time_ns,
            ended=closer.look,
            rotate=intake.rotate,
        )
        try:
            async with (
                KalshiClient(self._where.rest, self._credentials) as client,
                ended_by(stop) as group,
            ):
                around = self._surroundings(client, intake)
                self._collector = Collector(around, self._where, self._credentials, lease, known)
                gauges = Gauges(self._health, intake, ingest, closer, client, time.time_ns)
                house = Housekeeping(
                    store,
                    environment=environment,
                    shard=self._shard,
                    retention_days=self._settings.rl_retention_days,
                    clock=time.time_ns,
                    lease=lease,
                )
                results = Results(
                    store, client, environment=environment, shard=self._shard, clock=time.time_ns
                )
                group.create_task(ingest.run(), name="ingest")
                group.create_task(closer.run(), name="close")
                group.create_task(self._tell(gauges), name="stats")
                group.create_task(house.run(ingest, intake), name="house")
                group.create_task(results.run(lambda: recorder.markets), name="results")
                await self._collector.run()
        except ShutdownRequested:
            health = self._health
            health.become(State.STOPPING, "bringing what was received into the database")
            await _finish(intake, ingest, closer)
            health.refresh()
            log.info("stopped", frames=health.frames_total, rows=health.rows_written)

    async def _what_was_recorded(self, store: Store) -> Recording:
        traded: bool = self._settings.rl_session_traded
        # The spool, new or old, knows nothing of what another one recorded.
        last = await last_recorded(
            store,
            environment=self._where.environment.value,
            origin="collector",
            shard=self._shard,
        )
        if last is None:
            return Recording(self._shard, traded)
        return Recording(self._shard, traded, last.at, last.markets)

    def _surroundings(self, client: KalshiClient, intake: Intake) -> Surroundings:
        settings = self._settings
        plan = Plan(
            mode=settings.rl_market_mode,
            tickers=settings.rl_market_tickers,
            limit=settings.rl_orderbook_market_limit,
            filters=Filters.of(settings),
        )
        return Surroundings(
            client=client,
            intake=intake,
            chooser=Chooser(client, plan, time.time_ns),
            health=self._health,
            hub=self._hub,
            clock=time.time_ns,
            session_seconds=settings.rl_session_max_minutes * 60,
            audits_each_minute=settings.rl_audit_markets,
        )

    def _open_spool(self) -> Spool:
        settings = self._settings
        name = "spool" if self._shard == "main" else f"spool-{self._shard}"
        folder: Path = settings.rl_spool_dir or settings.rl_state_dir / name
        return Spool.open(
            folder,
            limit_bytes=settings.rl_spool_limit_mb * _MEGABYTE,
            archive=settings.rl_spool_archive_dir,
        )

    def _book(self, ticker: str) -> bytes | None:
        return None if self._collector is None else self._collector.book(ticker)

    async def _tell(self, gauges: Gauges) -> None:
        health, hub, told = self._health, self._hub, None
        while True:
            await asyncio.sleep(1)
            gauges.tick()
            greeting = connection_message(health)
            if greeting != told:
                hub.tell(greeting)
                told = greeting
            hub.tell(stats_message(health, time.time_ns()))


async def _finish(intake: Intake, ingest: Ingest, closer: Closer) -> None:
    try:
        async with asyncio.timeout(CLOSING_SECONDS):
            await ingest.drain()
            while intake.is_waiting:  # in a full spool, the session's end does
                intake.retry()
                await ingest.drain()
                await asyncio.sleep(LOOK_SECONDS if intake.is_waiting else 0.0)
            await closer.drain()
    except TimeoutError:
        log.warning(
            "left_in_the_spool",
            records=ingest.behind,
            reason=ingest.trouble or f"not in the database within {CLOSING_SECONDS:.0f} s",
        )


def _close(spool: Spool) -> None:
    try:
        spool.close()
    except SpoolFull as full:
        log.warning("spool_closed_full", reason=str(full))

"""The collector as a whole: what it needs, its tasks, and how they end together."""

import asyncio
import time

import structlog

from kalshiflow.exchange.credentials import Credentials
from kalshiflow.exchange.environments import endpoints
from kalshiflow.running import already_running
from kalshiflow.serving import PortTaken, bind, serving, stopped_by_signals
from kalshiflow.settings import Settings
from kalshiflow.store.closing import repair_sessions
from kalshiflow.store.database import Store
from kalshiflow.store.lock import only_recorder
from streaming.broadcast import Hub
from streaming.collector import Collector, Plan
from streaming.committer import Committer
from streaming.health import Health, State, connection_message, stats_message
from streaming.server import application

CLOSING_SECONDS = 25.0

log = structlog.get_logger()


class ShutdownRequested(Exception):
    """A signal, or the caller, asked for the end."""


async def run(settings: Settings, stop: asyncio.Event | None = None) -> None:
    """Record until SIGTERM, SIGINT or `stop`; the open session is closed with its certificate.

    Raises `SettingsError`, `StoreError`, `PortTaken` or `AlreadyRecording`, each with one sentence,
    where it cannot begin.
    """
    database_url = settings.require("DATABASE_URL")
    where, credentials = endpoints(settings), Credentials.from_settings(settings)
    port = settings.rl_collector_port
    if running := already_running("collector", port, "/rl/health"):
        raise PortTaken(running)
    with bind(port, "RL_COLLECTOR_PORT") as listener:
        async with await Store.open(database_url) as store, only_recorder(store, "collector"):
            for repaired in await repair_sessions(store, ["collector"]):
                log.info("session_repaired", session=repaired.session_id, verdict=repaired.verdict)
            health = Health(time.time_ns(), where.environment.value)
            hub, committer = Hub(), Committer(health)
            collector = Collector(
                store,
                where,
                credentials,
                _plan(settings),
                health=health,
                hub=hub,
                committer=committer,
                clock=time.time_ns,
            )
            pages = application(health, hub, collector.book, time.time_ns)
            stop = stop or asyncio.Event()
            async with serving(pages, listener):
                # Signals are heard while closing too, so that a second one does not cut it.
                with stopped_by_signals(stop):
                    await _work(collector, committer, health, hub, stop)


async def _work(
    collector: Collector, committer: Committer, health: Health, hub: Hub, stop: asyncio.Event
) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_until(stop), name="stop")
            group.create_task(committer.commit(), name="commit")
            group.create_task(committer.close(), name="close")
            group.create_task(_tell(health, hub), name="stats")
            group.create_task(collector.run(), name="collect")
    except* ShutdownRequested:
        health.become(State.STOPPING, "closing the session")
        await _finish(committer)
        log.info("stopped", frames=health.frames_total, rows=health.rows_written)


async def _finish(committer: Committer) -> None:
    try:
        async with asyncio.timeout(CLOSING_SECONDS):
            await committer.drain()
    except TimeoutError:
        log.warning("session_left_open", reason="the database did not come back in time")


async def _until(stop: asyncio.Event) -> None:
    await stop.wait()
    raise ShutdownRequested


async def _tell(health: Health, hub: Hub) -> None:
    frames, told = health.frames_total, None
    while True:
        await asyncio.sleep(1)
        health.frames_per_second = float(health.frames_total - frames)
        frames = health.frames_total
        greeting = connection_message(health)
        if greeting != told:
            hub.tell(greeting)
            told = greeting
        hub.tell(stats_message(health, time.time_ns()))


def _plan(settings: Settings) -> Plan:
    return Plan(
        mode=settings.rl_market_mode,
        tickers=settings.rl_market_tickers,
        market_limit=settings.rl_orderbook_market_limit,
        session_seconds=settings.rl_session_max_minutes * 60,
        traded=settings.rl_session_traded,
    )

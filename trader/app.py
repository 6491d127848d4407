"""The trader as a program: what it needs, what it serves, and how it ends."""

import asyncio
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from uuid import UUID, uuid4

import httpx
import structlog

from kalshiflow.exchange.client import KalshiClient
from kalshiflow.exchange.credentials import Credentials
from kalshiflow.exchange.environments import endpoints, is_loopback
from kalshiflow.running import already_running
from kalshiflow.serving import PortTaken, bind, serving, stopped_by_signals
from kalshiflow.settings import Settings
from kalshiflow.store import trading
from kalshiflow.store.database import Store
from kalshiflow.store.errors import StoreUnavailable
from kalshiflow.store.lock import only_recorder
from trader.conductor import ShutdownRequested
from trader.plan import plan_of, tape_plan_of
from trader.policies import ANSWER_SECONDS
from trader.server import application
from trader.trader import Trader

log = structlog.get_logger()

FLUSH_SECONDS = 10.0
CONNECTIONS = 6
SECRET_WORDS = ("KEY", "URL", "CONFIRM")


async def run(settings: Settings, stop: asyncio.Event | None = None) -> None:
    """Trade until SIGTERM, SIGINT or `stop`; then cancel, square, write everything down and end.

    Raises `SettingsError`, `StoreError` or `PortTaken`, each with one sentence, where it cannot
    begin; whatever it raises later is a fault, after which it should be started again.
    """
    database_url = settings.require("DATABASE_URL")
    plan = plan_of(settings, datetime.now(UTC))
    where, credentials = endpoints(settings), Credentials.from_settings(settings)
    port = settings.rl_trader_port
    if running := await asyncio.to_thread(already_running, "trader", port, "/v3/health"):
        raise PortTaken(running)
    run_id = uuid4()
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(bind(port, "RL_TRADER_PORT"))
        opened = await Store.open(database_url, max_connections=CONNECTIONS)
        store = await stack.enter_async_context(opened)
        await stack.enter_async_context(only_recorder(store, "trader"))
        await trading.start_run(store, _run(settings, run_id, plan.orders_to.value))
        client = await stack.enter_async_context(KalshiClient(where.rest, credentials))
        registry = await stack.enter_async_context(_registry(settings.mlflow_tracking_uri))
        tape = tape_plan_of(settings)
        trader = Trader(run_id, plan, where, credentials, store, client, registry, tape=tape)
        screens = application(trader.parts, trader.screens, time.time_ns)
        async with serving(screens, listener), trader.taping.running():
            await _work(trader, store, run_id, stop or asyncio.Event())


async def _work(trader: Trader, store: Store, run_id: UUID, stop: asyncio.Event) -> None:
    reason = "failed"
    try:
        with stopped_by_signals(stop):
            async with asyncio.TaskGroup() as group:
                group.create_task(trader.run(), name="trader")
                group.create_task(_until(stop, trader), name="stop")
    except* ShutdownRequested:
        reason = "stopped"
    finally:
        await _finish(trader, store, run_id, reason)


async def _finish(trader: Trader, store: Store, run_id: UUID, reason: str) -> None:
    try:
        async with asyncio.timeout(FLUSH_SECONDS):
            await trader.journal.flush()
            await trading.end_run(store, run_id, at=time.time_ns(), reason=reason)
    except (StoreUnavailable, TimeoutError) as gone:
        log.warning(
            "the journal was left unfinished", waiting=trader.journal.waiting, why=str(gone)
        )


async def _until(stop: asyncio.Event, trader: Trader) -> None:
    await stop.wait()
    trader.conductor.stop("asked to stop")


def _registry(tracking_uri: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=tracking_uri.rstrip("/"),
        timeout=ANSWER_SECONDS,
        trust_env=not is_loopback(tracking_uri),
    )


def _run(settings: Settings, run_id: UUID, orders_to: str) -> trading.Run:
    shown = {
        name: text
        for name, text in settings.effective().items()
        if not any(word in name for word in SECRET_WORDS)
    }
    return trading.Run(run_id, settings.environment.value, orders_to, shown, time.time_ns())

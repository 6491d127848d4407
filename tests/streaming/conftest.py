"""An exchange in this process that sends what a test tells it to, and a collector in front of it."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from kalshiflow.exchange.credentials import generate_key
from kalshiflow.exchange.environments import REST_PATH
from kalshiflow.serving import bind, serving
from kalshiflow.settings import Settings, load
from kalshiflow.venue.app import Serving
from kalshiflow.venue.config import VenueConfig
from streaming.app import run

TS_MS = 1_795_000_000_000
PATIENCE_SECONDS = 20


class FakeExchange:
    """Lists `tickers`; numbers what it sends as Kalshi does; keeps a log of its book frames."""

    def __init__(self, tickers: list[str]) -> None:
        self.tickers = tickers
        self.rest = ""
        self.ws = ""
        self.sockets: list[ServerConnection] = []
        self.snapshots_asked: list[list[str]] = []
        self.sent: list[bytes] = []
        self.is_down = False
        self.refuses_subscriptions = False
        self.sends_no_books = False
        self.refuses_get_snapshot = False
        self.refuses_markets = False
        self.commands: list[tuple[str, int, list[str]]] = []  # changes of subscriptions
        self.rest_books: dict[str, dict[str, list[list[str]]]] = {}
        self._seq = 0
        self._subscribed = asyncio.Event()

    async def subscribed(self) -> None:
        """Wait for a collector's subscription to the books."""
        await self._subscribed.wait()

    async def snapshot(
        self, ticker: str, bid: str = "0.4000", ask: str = "0.6000", **more: str
    ) -> None:
        """Send a book of one level a side."""
        body = {
            **more,
            "market_ticker": ticker,
            "yes_dollars_fp": [[bid, "10.00"]],
            "no_dollars_fp": [[ask, "10.00"]],
        }
        await self._send_next({"type": "orderbook_snapshot", "msg": body})

    async def delta(
        self, ticker: str, change: str = "1.00", price: str = "0.4000", *, skip: int = 0
    ) -> None:
        """Send a change of the YES bids, after `skip` numbers that nobody gets."""
        self._seq += skip
        body = {
            "market_ticker": ticker,
            "price_dollars": price,
            "delta_fp": change,
            "side": "yes",
            "ts_ms": TS_MS + self._seq,
        }
        await self._send_next({"type": "orderbook_delta", "msg": body})

    async def life(self, ticker: str, event_type: str, seq: int) -> None:
        """Tell a step of a market's life."""
        body = {"market_ticker": ticker, "event_type": event_type}
        frame = {"type": "market_lifecycle_v2", "sid": 3, "seq": seq, "msg": body}
        await self.raw(json.dumps(frame))

    async def raw(self, text: str) -> None:
        """Send anything."""
        self.sent.append(text.encode())
        await self.sockets[-1].send(text)

    async def drop(self) -> None:
        """End the connection, as in a maintenance."""
        self._subscribed.clear()
        await self.sockets[-1].close(1001, "maintenance")

    async def _send_next(self, frame: dict[str, Any]) -> None:
        self._seq += 1
        await self.raw(json.dumps({**frame, "sid": 1, "seq": self._seq}))

    async def converse(self, socket: ServerConnection) -> None:
        """Answer one collector's commands."""
        self.sockets.append(socket)
        self._seq = 0
        sids = 0
        try:
            async for text in socket:
                command = json.loads(text)
                params = command["params"]
                if command["cmd"] == "subscribe" and self.refuses_subscriptions:
                    error = {"code": 26, "msg": "Subscription market limit exceeded"}
                    await self.raw(json.dumps({"id": command["id"], "type": "error", "msg": error}))
                elif command["cmd"] == "subscribe":
                    for channel in params["channels"]:
                        sids += 1
                        body = {"channel": channel, "sid": sids}
                        answer = {"id": command["id"], "type": "subscribed", "msg": body}
                        await self.raw(json.dumps(answer))
                        if channel == "orderbook_delta":
                            assert params["use_yes_price"] is True
                            for ticker in params["market_tickers"] * (not self.sends_no_books):
                                await self.snapshot(ticker)
                    if sids == 3:
                        self._subscribed.set()
                elif params["action"] == "get_snapshot":
                    self.snapshots_asked.append(params["market_tickers"])
                    if self.refuses_get_snapshot:
                        error = {"code": 13, "msg": "Unsupported action"}
                        answer = {"id": command["id"], "type": "error", "msg": error}
                        await self.raw(json.dumps(answer))
                        continue
                    for ticker in params["market_tickers"]:
                        await self.snapshot(ticker, bid="0.4500", ask="0.5500")
                else:
                    await self._change(command["id"], params)
        except ConnectionClosed:
            pass
        finally:
            self._subscribed.clear()

    async def _change(self, command_id: int, params: dict[str, Any]) -> None:
        """Put markets into a subscription, or take them out; a snapshot follows a book put in."""
        sid, tickers = params["sid"], params["market_tickers"]
        if self.refuses_markets and params["action"] == "add_markets":
            error = {"code": 26, "msg": "Subscription market limit exceeded"}
            await self.raw(json.dumps({"id": command_id, "type": "error", "msg": error}))
            return
        self.commands.append((params["action"], sid, tickers))
        listed = {"market_tickers": self.tickers}
        if sid != 1:
            await self.raw(json.dumps({"id": command_id, "type": "ok", "sid": sid, "msg": listed}))
            return
        await self._send_next({"id": command_id, "type": "ok", "msg": listed})
        if params["action"] == "add_markets":
            for ticker in tickers:
                await self.snapshot(ticker, bid="0.4500", ask="0.5500")

    def pages(self) -> Starlette:
        """Give the REST part."""

        async def markets(_request: Request) -> Response:
            if self.is_down:
                return JSONResponse({"code": "service_unavailable"}, 503)
            listed = [
                {"ticker": ticker, "event_ticker": "EVENT", "title": ticker, "status": "active"}
                for ticker in self.tickers
            ]
            return JSONResponse({"markets": listed, "cursor": ""})

        async def event(_request: Request) -> Response:
            body = {"event_ticker": "EVENT", "series_ticker": "SERIES"}
            return JSONResponse({"event": body, "markets": []})

        async def series(_request: Request) -> Response:
            return JSONResponse({"series": {"ticker": "SERIES"}})

        async def orderbook(request: Request) -> Response:
            book = self.rest_books.get(request.path_params["ticker"], {})
            return JSONResponse({"orderbook_fp": book})

        root = "/trade-api/v2"
        return Starlette(
            routes=[
                Route(f"{root}/markets/{{ticker}}/orderbook", orderbook),
                Route(f"{root}/markets", markets),
                Route(f"{root}/events/EVENT", event),
                Route(f"{root}/series/SERIES", series),
            ]
        )


@pytest.fixture
async def exchange() -> AsyncIterator[FakeExchange]:
    """Give a running exchange with the markets A and B."""
    fake = FakeExchange(["A", "B"])
    async with serve(fake.converse, "127.0.0.1", 0) as server:
        with bind(0, "") as listener:
            fake.rest = f"http://127.0.0.1:{listener.getsockname()[1]}/trade-api/v2"
            fake.ws = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/trade-api/ws/v2"
            async with serving(fake.pages(), listener):
                yield fake


@pytest.fixture(scope="session")
def private_key() -> str:
    """Give a private key as PEM; making one takes a moment."""
    return generate_key()[0]


class RunningCollector:
    """A collector in this process, seen as others see it."""

    def __init__(self, settings: Settings, client: httpx.AsyncClient) -> None:
        self.client = client
        self.url = f"http://127.0.0.1:{settings.rl_collector_port}"
        self.socket_url = f"ws://127.0.0.1:{settings.rl_collector_port}/rl/ws"

    async def health(self) -> dict[str, Any]:
        """Give the health as served."""
        return (await self.client.get(f"{self.url}/rl/health")).json()

    async def until(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait for a state of health; gives it, or fails with the last one seen."""
        return await eventually(self.health, condition)


async def eventually(look: Callable[[], Awaitable[Any]], condition: Callable[[Any], bool]) -> Any:
    """Look again and again until what is seen is as it should be."""
    seen: Any = None
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                try:
                    seen = await look()
                except httpx.TransportError as not_there:
                    seen = not_there
                else:
                    if condition(seen):
                        return seen
                await asyncio.sleep(0.05)
    except TimeoutError:
        pytest.fail(f"it never came; last seen: {seen}")


Starts = Callable[..., AbstractAsyncContextManager[RunningCollector]]


@pytest.fixture
def variables(
    postgres_url: str, exchange: FakeExchange, private_key: str, free_port: int, tmp_path: Path
) -> dict[str, str]:
    """Give the environment of a collector."""
    return {
        "DATABASE_URL": postgres_url,
        "KALSHI_API_URL": exchange.rest,
        "KALSHI_WS_URL": exchange.ws,
        "KALSHI_API_KEY_ID": "key",
        "KALSHI_PRIVATE_KEY_CONTENT": private_key,
        "RL_COLLECTOR_PORT": str(free_port),
        "RL_STATE_DIR": str(tmp_path / "state"),
    }


class AtVenue:
    """A collector that records the local exchange, and the hand that steers that."""

    def __init__(self, venue: Serving, running: RunningCollector) -> None:
        self.venue = venue
        self.running = running

    def url(self, path: str) -> str:
        """Give an address below the venue's own."""
        return f"{self.venue.rest.removesuffix(REST_PATH)}/venue/{path}"

    async def steer(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Ask something of the venue below /venue, or add a fault where the body is one."""
        answer = await self.running.client.post(self.url(path), json=body or {})
        answer.raise_for_status()
        return answer.json()

    async def until(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait for a state of health."""
        return await self.running.until(condition)


@pytest.fixture
def at_venue(
    serve_venue: Callable[..., Any], postgres_url: str, free_port: int, tmp_path: Path
) -> Callable[..., AbstractAsyncContextManager[AtVenue]]:
    """Give a function that runs a venue, and a collector of it, for a block."""

    @asynccontextmanager
    async def start(config: VenueConfig, **others: str) -> AsyncIterator[AtVenue]:
        async with serve_venue(config) as venue:
            variables = {
                "DATABASE_URL": postgres_url,
                "KALSHI_API_URL": venue.rest,
                "KALSHI_WS_URL": venue.ws,
                "KALSHI_API_KEY_ID": venue.key_id,
                "KALSHI_PRIVATE_KEY_PATH": str(venue.private_key_path),
                "RL_COLLECTOR_PORT": str(free_port),
                "RL_STATE_DIR": str(tmp_path / "state"),
                "RL_AUDIT_MARKETS": "0",
            }
            settings = load("streaming", variables | others, tmp_path)
            stop = asyncio.Event()
            async with httpx.AsyncClient(trust_env=False) as client, asyncio.TaskGroup() as group:
                group.create_task(run(settings, stop))
                try:
                    yield AtVenue(venue, RunningCollector(settings, client))
                finally:
                    stop.set()

    return start


@pytest.fixture
def collector(variables: dict[str, str], tmp_path: Path) -> Starts:
    """Give a function that runs a collector for a block and stops it as SIGTERM does."""

    @asynccontextmanager
    async def start(**others: str) -> AsyncIterator[RunningCollector]:
        settings = load("streaming", variables | others, tmp_path)
        stop = asyncio.Event()
        async with httpx.AsyncClient(trust_env=False) as client, asyncio.TaskGroup() as group:
            group.create_task(run(settings, stop))
            try:
                yield RunningCollector(settings, client)
            finally:
                stop.set()

    return start


@pytest.fixture
def collector_process(variables: dict[str, str], tmp_path: Path) -> Starts:
    """Give a function that runs a collector as its own process, to be killed."""

    @asynccontextmanager
    async def start() -> AsyncIterator[tuple[asyncio.subprocess.Process, RunningCollector]]:
        settings = load("streaming", variables, tmp_path)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "streaming"),
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], **variables},
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with httpx.AsyncClient(trust_env=False) as client:
                yield process, RunningCollector(settings, client)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    return start

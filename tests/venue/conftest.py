"""A key for the whole run, and a plain signed client of the venue's WebSocket."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from recorded_shapes import shape_problems
from websockets.asyncio.client import ClientConnection, connect

from kalshiflow.exchange.credentials import Credentials
from kalshiflow.exchange.environments import REST_PATH, WS_PATH
from kalshiflow.venue.app import Serving
from kalshiflow.venue.keys import client_key


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


class Wire:
    """One connection: sends commands, reads frames as JSON."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self._last_id = 0

    async def send(self, cmd: str, **params: Any) -> int:
        self._last_id += 1
        command: dict[str, Any] = {"id": self._last_id, "cmd": cmd}
        if params:
            command["params"] = params
        await self.connection.send(json.dumps(command))
        return self._last_id

    async def read(self) -> dict[str, Any]:
        async with asyncio.timeout(10):
            return json.loads(await self.connection.recv())

    async def read_many(self, count: int) -> list[dict[str, Any]]:
        return [await self.read() for _ in range(count)]

    async def until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        while True:
            frame = await self.read()
            if wanted(frame):
                return frame

    async def ask(self, cmd: str, **params: Any) -> dict[str, Any]:
        """Send a command and give the first frame that answers it."""
        command_id = await self.send(cmd, **params)
        return await self.until(lambda frame: frame.get("id") == command_id)


class Client:
    """Signed REST requests, answered as they come, and WebSocket connections."""

    def __init__(self, serving: Serving) -> None:
        self.serving = serving
        self.credentials = Credentials.from_pem(
            serving.key_id, serving.private_key_path.read_text()
        )

    async def rest(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        if headers is None:
            headers = self.credentials.headers(method, REST_PATH + path, wall_ms())
        async with httpx.AsyncClient() as http:
            return await http.request(
                method, self.serving.rest + path, json=body, headers=headers, timeout=10
            )

    async def create(self, **order: Any) -> httpx.Response:
        body = {
            "time_in_force": "good_till_canceled",
            "self_trade_prevention_type": "taker_at_cross",
            **order,
        }
        return await self.rest("POST", "/portfolio/events/orders", body)

    async def admin(self, method: str, path: str) -> dict[str, Any]:
        base = self.serving.rest.removesuffix(REST_PATH)
        async with httpx.AsyncClient() as http:
            answer = await http.request(method, base + path)
        return answer.raise_for_status().json()

    @contextlib.asynccontextmanager
    async def wire(self, **options: Any) -> AsyncIterator[Wire]:
        headers = self.credentials.headers("GET", WS_PATH, wall_ms())
        async with connect(
            self.serving.ws,
            additional_headers=headers,
            compression=None,
            max_queue=None,
            proxy=None,
            **options,
        ) as connection:
            yield Wire(connection)


@pytest.fixture(scope="session")
def key_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("venue-key")
    client_key(folder)
    return folder


Connected = Callable[[Serving], Client]


@pytest.fixture
def client_of() -> Connected:
    return Client


class SameShape:
    """Compares what the venue answered with what Kalshi's own exchange answered.

    `load` gives a recording's request, status and body by its name (one body was recorded alone,
    without request and with status 200); a call gives where ours differ in keys, types or formats,
    `without` naming the keys that are not told, each with the reason.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, name: str) -> tuple[dict[str, Any], int, Any]:
        path = self._folder / f"{name}.json"
        told = path.with_name(f"{name}.meta.json")
        meta = json.loads(told.read_text()) if told.exists() else {"status": 200}
        return meta, meta["status"], json.loads(path.read_text())

    def __call__(
        self, told: Any, recorded: Any, without: Mapping[str, str] | None = None
    ) -> list[str]:
        return shape_problems([told], [recorded], without or {})


@pytest.fixture(scope="session")
def same_shape(recorded_data: Path) -> SameShape:
    """Give the comparer of bodies with the REST bodies of the recordings."""
    return SameShape(recorded_data / "kalshi-demo-rest-2026-06")

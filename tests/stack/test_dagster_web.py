"""The guard before Dagster's web server: this machine's names only."""

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute

from kalshiflow.stack.dagster_web import guarded


async def _page(_):
    return PlainTextResponse("ok")


async def _socket(websocket):
    await websocket.accept()
    await websocket.close()


APP = guarded(Starlette(routes=[Route("/", _page), WebSocketRoute("/graphql", _socket)]))


async def status(**headers: str) -> int:
    transport = httpx.ASGITransport(APP)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:3000") as client:
        return (await client.get("/", headers=headers)).status_code


async def first_message(origin: str) -> str:
    sent: list[str] = []
    headers = [(b"host", b"127.0.0.1:3000"), (b"origin", origin.encode())]
    scope = {
        "type": "websocket",
        "path": "/graphql",
        "headers": headers,
        "query_string": b"",
        "subprotocols": [],
    }

    async def receive():
        return {"type": "websocket.connect"}

    async def send(message):
        sent.append(message["type"])

    await APP(scope, receive, send)
    return sent[0]


@pytest.mark.parametrize("host", ["127.0.0.1:3000", "localhost:3000", "localhost"])
async def test_this_machines_names_are_answered(host):
    assert await status(host=host) == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "10.0.0.1:3000"])
async def test_other_hosts_are_refused(host):
    assert await status(host=host) == 400


async def test_a_page_of_another_site_is_refused():
    assert await status(origin="http://evil.example") == 403
    assert await status(origin="http://localhost:3000") == 200


async def test_a_socket_of_another_site_is_refused():
    assert await first_message("http://127.0.0.1:3000") == "websocket.accept"
    assert await first_message("http://evil.example") == "websocket.close"

"""What the collector serves: health, figures, and books to people's screens."""

import asyncio
from collections.abc import Callable
from urllib.parse import urlsplit

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from kalshiflow.serving import ALLOWED_HOSTS
from streaming.broadcast import Hub, Screen
from streaming.health import Health, connection_message, health_report
from streaming.metrics import exposition


class _Watch(msgspec.Struct):
    cmd: str
    markets: list[str] = []


class _Left(Exception):
    """A screen has gone; ends its tasks."""


def application(
    health: Health, hub: Hub, book: Callable[[str], str | None], clock: Callable[[], int]
) -> Starlette:
    """Give the collector's web application; `book` gives a market's snapshot message."""

    async def report(_request: Request) -> Response:
        return JSONResponse(health_report(health, clock()))

    async def metrics(_request: Request) -> Response:
        return Response(exposition(health), media_type=CONTENT_TYPE_LATEST)

    async def socket(websocket: WebSocket) -> None:
        if not _is_local(websocket.headers.get("origin")):
            await websocket.close()
            return
        await websocket.accept()
        await _serve_screen(websocket, health, hub, book)

    return Starlette(
        routes=[
            Route("/rl/health", report),
            Route("/metrics", metrics),
            WebSocketRoute("/rl/ws", socket),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=ALLOWED_HOSTS)],
    )


async def _serve_screen(
    websocket: WebSocket, health: Health, hub: Hub, book: Callable[[str], str | None]
) -> None:
    screen = Screen()
    screen.offer_latest(connection_message(health))
    hub.join(screen)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_send(websocket, screen, book))
            group.create_task(_listen(websocket, screen, health, hub))
    except* _Left:
        pass
    finally:
        hub.leave(screen)


async def _send(websocket: WebSocket, screen: Screen, book: Callable[[str], str | None]) -> None:
    try:
        while True:
            for text in await screen.next(book):
                await websocket.send_text(text)
    except WebSocketDisconnect as gone:
        raise _Left from gone


async def _listen(websocket: WebSocket, screen: Screen, health: Health, hub: Hub) -> None:
    while True:
        try:
            text = await websocket.receive_text()
        except (WebSocketDisconnect, KeyError) as gone:  # KeyError: a binary message
            raise _Left from gone
        try:
            command = msgspec.json.decode(text, type=_Watch)
        except msgspec.DecodeError as wrong:
            _complain(screen, f"not a command: {wrong}")
            continue
        if command.cmd != "watch":
            _complain(screen, f"unknown command {command.cmd!r}; known is watch")
            continue
        if unknown := sorted(set(command.markets) - set(health.markets)):
            _complain(screen, f"not recorded now: {', '.join(unknown[:5])}")
        hub.watch(screen, command.markets)


def _complain(screen: Screen, message: str) -> None:
    screen.offer_latest({"type": "error", "data": {"message": message}})


def _is_local(origin: str | None) -> bool:
    # A page from elsewhere that runs in this machine's browser must not read along.
    return origin is None or urlsplit(origin).hostname in ALLOWED_HOSTS

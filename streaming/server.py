"""What the collector serves: health, figures, and books to people's screens."""

from collections.abc import Callable
from typing import Any
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


MARKETS_WATCHED = 2000  # by one screen


def application(
    health: Health, hub: Hub, book: Callable[[str], bytes | None], clock: Callable[[], int]
) -> Starlette:
    """Give the collector's web application; `book` gives a market's snapshot message.

    It is to be served by `kalshiflow.serving`, whose sockets take ready frames.
    """
    hub.whole = book

    async def report(_request: Request) -> Response:
        return JSONResponse(health_report(health, clock()))

    async def metrics(_request: Request) -> Response:
        return Response(exposition(health, hub), media_type=CONTENT_TYPE_LATEST)

    async def socket(websocket: WebSocket) -> None:
        if not _is_local(websocket.headers.get("origin")):
            await websocket.close()
            return
        await websocket.accept()
        await _serve_screen(websocket, health, hub)

    return Starlette(
        routes=[
            Route("/rl/health", report),
            Route("/metrics", metrics),
            WebSocketRoute("/rl/ws", socket),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=ALLOWED_HOSTS)],
    )


async def _serve_screen(websocket: WebSocket, health: Health, hub: Hub) -> None:
    screen = Screen(websocket.state.outlet)
    hub.join(screen)
    hub.tell_one(screen, connection_message(health))
    try:
        while True:
            _heed(await websocket.receive_text(), screen, health, hub)
    except (WebSocketDisconnect, KeyError):  # KeyError: a binary message, which no screen sends
        return
    finally:
        hub.leave(screen)


def _heed(text: str, screen: Screen, health: Health, hub: Hub) -> None:
    try:
        command = msgspec.json.decode(text, type=_Watch)
    except msgspec.DecodeError as wrong:
        hub.tell_one(screen, _problem(f"not a command: {wrong}"))
        return
    if command.cmd != "watch":
        hub.tell_one(screen, _problem(f"unknown command {command.cmd!r}; known is watch"))
        return
    if len(command.markets) > MARKETS_WATCHED:
        words = f"a screen may watch {MARKETS_WATCHED} markets, not {len(command.markets)}"
        hub.tell_one(screen, _problem(words))
        return
    if unknown := sorted(set(command.markets) - set(health.markets)):
        hub.tell_one(screen, _problem(f"not recorded now: {', '.join(unknown[:5])}"))
    hub.watch(screen, command.markets)


def _problem(message: str) -> dict[str, Any]:
    return {"type": "error", "data": {"message": message}}


def _is_local(origin: str | None) -> bool:
    # A page from elsewhere that runs in this machine's browser must not read along.
    try:
        return origin is None or urlsplit(origin).hostname in ALLOWED_HOSTS
    except ValueError:  # no address at all
        return False

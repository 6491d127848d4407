"""What the trader serves on loopback: health, status, figures, and messages to screens."""

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
from trader import messages, status
from trader.metrics import exposition
from trader.screens import Screen, Screens, encode
from trader.status import Parts


class _Wish(msgspec.Struct):
    """What a screen may ask for: `watch` markets, or `sample` every so many HOLDs."""

    cmd: str
    markets: list[str] = []
    every: int = 1


class _Left(Exception):
    """A screen has gone; ends its tasks."""


def application(parts: Parts, screens: Screens, now: Callable[[], int]) -> Starlette:
    """Give the trader's web application."""

    async def health(_request: Request) -> Response:
        return JSONResponse(status.health(parts, now()))

    async def whole_status(_request: Request) -> Response:
        return JSONResponse(status.status(parts, now()))

    async def metrics(_request: Request) -> Response:
        return Response(exposition(parts), media_type=CONTENT_TYPE_LATEST)

    def socket(action_kind: str) -> Callable[[WebSocket], object]:
        async def endpoint(websocket: WebSocket) -> None:
            if not _is_local(websocket.headers.get("origin")):
                await websocket.close()
                return
            await websocket.accept()
            await _serve(websocket, screens, Screen(action_kind))

        return endpoint

    return Starlette(
        routes=[
            Route("/v3/health", health),
            Route("/rl/actor/health", health),
            Route("/v3/status", whole_status),
            Route("/metrics", metrics),
            WebSocketRoute("/v3/ws", socket("trader_action")),
            WebSocketRoute("/rl/actor/ws", socket("actor_action")),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=ALLOWED_HOSTS)],
    )


async def _serve(websocket: WebSocket, screens: Screens, screen: Screen) -> None:
    screens.join(screen)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_send(websocket, screen))
            group.create_task(_listen(websocket, screens, screen))
    except* _Left:
        pass
    finally:
        screens.leave(screen)


async def _send(websocket: WebSocket, screen: Screen) -> None:
    try:
        while True:
            for text in await screen.next():
                await websocket.send_text(text)
    except WebSocketDisconnect as gone:
        raise _Left from gone


async def _listen(websocket: WebSocket, screens: Screens, screen: Screen) -> None:
    while True:
        try:
            text = await websocket.receive_text()
        except (WebSocketDisconnect, KeyError) as gone:  # KeyError: a binary message
            raise _Left from gone
        try:
            wish = msgspec.json.decode(text, type=_Wish)
        except msgspec.DecodeError as wrong:
            screen.offer(encode(messages.problem(f"not a command: {wrong}")))
            continue
        if wish.cmd == "watch":
            screens.watch(screen, wish.markets)
        elif wish.cmd == "sample":
            screen.hold_every = max(1, wish.every)
        else:
            known = "known are watch and sample"
            screen.offer(encode(messages.problem(f"unknown command {wish.cmd!r}; {known}")))


def _is_local(origin: str | None) -> bool:
    # A page from elsewhere that runs in this machine's browser must not read along.
    return origin is None or urlsplit(origin).hostname in ALLOWED_HOSTS

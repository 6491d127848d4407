"""Faults of REST: requests refused, answered late, or done and never answered."""

import asyncio

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kalshiflow.exchange import payloads
from kalshiflow.exchange.credentials import KEY_HEADER
from kalshiflow.exchange.environments import REST_PATH
from kalshiflow.venue.faults.language import Fault
from kalshiflow.venue.faults.live import Faults, LiveFault
from kalshiflow.venue.limits import TOO_MANY

REQUEST_KINDS = frozenset({"429", "5xx", "timeout", "slow"})
# The key in a request's scope under which the log finds the fault that struck it.
STRUCK = "kalshiflow.fault"

_ORDERS = "/portfolio"
_HTML = "<html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"


class RequestFaults:
    """Stands before the application; the venue's own endpoints pass untouched."""

    def __init__(self, app: ASGIApp, faults: Faults) -> None:
        self._app = app
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or strike it."""
        if scope["type"] == "http" and scope["path"].startswith(REST_PATH):
            for live in self._faults.on(REQUEST_KINDS):
                if self._concerns(live.fault, scope) and live.meets():
                    scope[STRUCK] = live.fault.text
                    self._faults.struck(live, method=scope["method"], path=scope["path"])
                    if await self._strike(live, scope, receive, send):
                        return
        await self._app(scope, receive, send)

    def _concerns(self, fault: Fault, scope: Scope) -> bool:
        path, method = scope["path"].removeprefix(REST_PATH), scope["method"]
        if fault.kind == "timeout" and (method == "GET" or not path.startswith(_ORDERS)):
            return False
        key_id = Headers(scope=scope).get(KEY_HEADER, "")
        return (
            path.startswith(fault.path)
            and (not fault.method or method in fault.method)
            and self._faults.concerns(fault, key_id)
        )

    async def _strike(self, live: LiveFault, scope: Scope, receive: Receive, send: Send) -> bool:
        """Do what the fault does; say whether the request has been dealt with."""
        fault = live.fault
        if fault.kind == "slow":
            await asyncio.sleep(fault.ms / 1000)
            return False
        if fault.lands:
            await self._app(scope, receive, _withhold)
        if fault.kind == "timeout" and await _is_gone_within(fault.ms / 1000, receive):
            return True
        await _answer(fault)(scope, receive, send)
        return True


def _answer(fault: Fault) -> Response:
    if fault.kind == "429":
        return Response(payloads.encode(TOO_MANY), 429, media_type="application/json")
    status = 504 if fault.kind == "timeout" else fault.status
    content = "" if fault.body == "empty" else _HTML.format(status)
    return Response(content, status, media_type="text/html")


async def _withhold(message: Message) -> None:
    """Take an answer that nobody gets."""


async def _is_gone_within(seconds: float, receive: Receive) -> bool:
    """Wait until the client has given up, at most so long; say whether it has."""
    try:
        async with asyncio.timeout(seconds):
            while (await receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return False
    return True

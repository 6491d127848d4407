"""REST exchanges in the venue's log: what was asked and what was answered, whole."""

import asyncio
from collections import deque
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kalshiflow.exchange.credentials import KEY_HEADER
from kalshiflow.exchange.times import iso_time
from kalshiflow.venue.faults.requests import STRUCK
from kalshiflow.venue.log import Log, as_text


class Logged:
    """Stands before all else that answers. `now` gives market time in nanoseconds."""

    def __init__(self, app: ASGIApp, log: Log, now: Callable[[], int]) -> None:
        self._app = app
        self._log = log
        self._now = now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, and note it; one that was never answered has no status."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        coming = await _request(receive)
        asked = b"".join(message.get("body", b"") for message in coming)
        answered, status = bytearray(), None

        async def heard() -> Message:
            return coming.popleft() if coming else await receive()

        async def said(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            answered.extend(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, heard, said)
        except asyncio.CancelledError:  # the venue ends, and nobody is answered any more
            raise
        except BaseException:
            status = status or 500
            raise
        finally:
            self._note(scope, asked, bytes(answered), status)

    def _note(self, scope: Scope, asked: bytes, answered: bytes, status: int | None) -> None:
        entry: dict[str, object] = {
            "market_time": iso_time(self._now()),
            "key_id": Headers(scope=scope).get(KEY_HEADER, ""),
            "method": scope["method"],
            "path": scope["path"],
            "query": as_text(scope["query_string"]),
            "request": as_text(asked),
            "status": status,
            "response": as_text(answered),
        }
        if STRUCK in scope:
            entry["fault"] = scope[STRUCK]
        self._log.note("rest", entry)


async def _request(receive: Receive) -> deque[Message]:
    """Read a request to its end, whatever will be made of it."""
    messages = deque([await receive()])
    while messages[-1].get("more_body"):
        messages.append(await receive())
    return messages

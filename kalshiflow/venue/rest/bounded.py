"""No request may be longer than any real one: what is longer is refused before it is read whole."""

from collections import deque

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kalshiflow.exchange.payloads import ErrorDetail, NestedError
from kalshiflow.venue.rest import answers

# A batch of the most orders is some ten thousand bytes.
LARGEST_BODY = 2**20


class Bounded:
    """Stands before all else, the log too: a request that it refuses is none."""

    def __init__(self, app: ASGIApp, largest: int = LARGEST_BODY) -> None:
        self._app = app
        self._largest = largest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read a request whole, and serve it; one that is too long is answered 413."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        coming: deque[Message] = deque()
        size, more = 0, True
        while more and size <= self._largest:
            coming.append(await receive())
            size += len(coming[-1].get("body", b""))
            more = coming[-1].get("more_body", False)
        if size > self._largest:
            await _refusal()(scope, receive, send)
            return

        async def heard() -> Message:
            return coming.popleft() if coming else await receive()

        await self._app(scope, heard, send)


def _refusal() -> Response:
    detail = ErrorDetail("request_too_large", "request too large")
    answer = answers.body(NestedError(detail), 413)
    answer.headers["Connection"] = "close"  # the rest of the body is not read
    return answer

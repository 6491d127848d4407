"""The REST application: Kalshi's paths and ours, who may call them, and how errors are answered."""

from collections.abc import Callable, Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Router
from starlette.types import Receive, Scope, Send

from kalshiflow.exchange.environments import REST_PATH
from kalshiflow.exchange.payloads import ErrorDetail, NestedError
from kalshiflow.venue.auth import Gate, Unauthenticated
from kalshiflow.venue.core import Venue
from kalshiflow.venue.floor.refusals import Refused
from kalshiflow.venue.limits import TOO_MANY, Limits, TooManyRequests
from kalshiflow.venue.rest import admin, admin_markets, answers, own, public
from kalshiflow.venue.rest.callers import Callers, charged

_WORDS = {404: "not_found", 405: "method_not_allowed"}


class _NoAnswer(Response):
    """For a client that left before it had said all: nothing goes out, and nothing went wrong."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send nothing."""


def rest_app(
    venue: Venue,
    gate: Gate,
    *,
    hosts: Sequence[str],
    frames_sent: Callable[[], int],
    flush: Callable[[], None],
    limits: Limits | None = None,
    strict_v1: bool = False,
    compat: bool = False,
    admin_routes: Sequence[BaseRoute] = (),
    middleware: Sequence[Middleware] = (),
) -> Starlette:
    """Build the application.

    `hosts` are the names under which it may be called; `flush` sends the frames that a request
    has made. `limits` are those of the accounts' tiers; `strict_v1` answers 410 to the old order
    endpoints, and `compat` tells markets in the former API's words. `admin_routes` are further
    ones of the venue's own; `middleware` stands before all.
    """
    callers = Callers(gate, limits or Limits())

    async def dispatch(request: Request, error: Exception) -> Response:
        del request
        return _answer(error)

    return Starlette(
        routes=[
            Mount(
                REST_PATH,
                Router(
                    [
                        *charged(public.routes(venue, compat=compat), callers),
                        *own.routes(venue, callers, flush, strict_v1=strict_v1),
                    ],
                    redirect_slashes=False,  # a path of nobody's is a 404
                ),
            ),
            Mount(
                "/venue",
                routes=[
                    *admin.routes(venue, frames_sent),
                    *admin_markets.routes(venue, flush),
                    *admin_routes,
                ],
            ),
        ],
        middleware=[*middleware, Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))],
        exception_handlers={
            Refused: dispatch,
            Unauthenticated: dispatch,
            TooManyRequests: dispatch,
            answers.BadParameter: dispatch,
            answers.BadBody: dispatch,
            HTTPException: dispatch,
            ClientDisconnect: dispatch,
        },
    )


def _answer(error: Exception) -> Response:
    match error:
        case Refused():
            return answers.refusal(error)
        case Unauthenticated():
            return answers.body(error.body, error.status)
        case TooManyRequests():
            return answers.body(TOO_MANY, 429)
        case answers.BadParameter():
            return answers.bad_parameter(error)
        case answers.BadBody():
            return answers.bad_body(error)
        case ClientDisconnect():
            return _NoAnswer()
        case HTTPException(status_code=status):
            code = _WORDS.get(status, "bad_request")
            return answers.body(NestedError(ErrorDetail(code, code.replace("_", " "))), status)
    raise error

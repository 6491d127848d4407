"""The REST application: Kalshi's paths and ours, who may call them, and how errors are answered."""

from collections.abc import Callable, Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount

from kalshiflow.exchange.environments import REST_PATH
from kalshiflow.exchange.payloads import ErrorDetail, NestedError
from kalshiflow.venue.auth import Gate, Unauthenticated
from kalshiflow.venue.core import Venue
from kalshiflow.venue.floor.accounts import Account
from kalshiflow.venue.floor.refusals import Refused
from kalshiflow.venue.rest import admin, answers, orders, portfolio, public

_WORDS = {404: "not_found", 405: "method_not_allowed"}


def rest_app(
    venue: Venue,
    gate: Gate,
    *,
    hosts: Sequence[str],
    frames_sent: Callable[[], int],
    flush: Callable[[], None],
) -> Starlette:
    """Build the application.

    `hosts` are the names under which it may be called; `flush` sends the frames that a request
    has made.
    """

    def signed(request: Request) -> Account:
        return gate.account_of(request.headers, request.method, request.url.path)

    async def dispatch(request: Request, error: Exception) -> Response:
        del request
        return _answer(error)

    return Starlette(
        routes=[
            Mount(
                REST_PATH,
                routes=[
                    *public.routes(venue),
                    *orders.routes(venue, signed, flush),
                    *portfolio.routes(venue, signed),
                ],
            ),
            Mount("/venue", routes=admin.routes(venue, frames_sent)),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))],
        exception_handlers={
            Refused: dispatch,
            Unauthenticated: dispatch,
            answers.BadParameter: dispatch,
            answers.BadBody: dispatch,
            HTTPException: dispatch,
        },
    )


def _answer(error: Exception) -> Response:
    match error:
        case Refused():
            return answers.refusal(error)
        case Unauthenticated():
            return answers.body(error.body, error.status)
        case answers.BadParameter():
            return answers.bad_parameter(error)
        case answers.BadBody():
            return answers.bad_body(error)
        case HTTPException(status_code=status):
            code = _WORDS.get(status, "bad_request")
            return answers.body(NestedError(ErrorDetail(code, code.replace("_", " "))), status)
    raise error

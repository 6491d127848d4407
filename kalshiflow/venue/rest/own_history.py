"""REST of what one did before the live window: here nothing, as all since the start is live."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from kalshiflow.venue.rest import answers
from kalshiflow.venue.rest.callers import Callers
from kalshiflow.venue.rest.order_reads import LEAST_AND_MOST, OrdersPage
from kalshiflow.venue.rest.portfolio import FillsPage, PositionsPage


def routes(callers: Callers) -> list[BaseRoute]:
    """Give the routes of one's own history."""
    return [
        _empty(callers, "fills", "GetFillsHistorical", FillsPage([], "")),
        _empty(callers, "orders", "GetHistoricalOrders", OrdersPage([], "")),
        _empty(callers, "positions", "GetHistoricalPositions", PositionsPage([], [], "")),
    ]


def _empty(callers: Callers, name: str, operation: str, page: msgspec.Struct) -> Route:
    async def endpoint(request: Request) -> Response:
        callers.account(request)
        query = request.query_params
        answers.limit_of(query, operation, words=LEAST_AND_MOST)
        answers.whole(query, "max_ts", operation)
        return answers.body(page)

    return Route(f"/historical/{name}", endpoint)

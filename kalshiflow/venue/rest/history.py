"""Public REST of what is older than the live window: of this venue nothing ever is.

Everything since the venue began is served live, so the border between live and historical is the
venue's beginning, and behind it there is nothing. Requests are checked as they are for live ones.
"""

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from kalshiflow.exchange.times import iso_time
from kalshiflow.venue.core import Venue
from kalshiflow.venue.rest import answers, market_bodies
from kalshiflow.venue.rest.candles import wanted_of
from kalshiflow.venue.rest.listings import NotFound
from kalshiflow.venue.rest.trades import TradesPage


class Cutoff(msgspec.Struct):
    market_settled_ts: str
    trades_created_ts: str
    orders_updated_ts: str
    market_positions_last_updated_ts: str


def routes(venue: Venue) -> list[BaseRoute]:
    """Give the routes of what is historical and nobody's own."""

    async def cutoff(request: Request) -> Response:
        del request
        begun = iso_time(venue.clock.start)
        return answers.body(Cutoff(begun, begun, begun, begun))

    async def markets(request: Request) -> Response:
        query = request.query_params
        answers.limit_of(query, "GetHistoricalMarkets")
        answers.choice(query, "mve_filter", "GetHistoricalMarkets", ("exclude",))
        return answers.body(market_bodies.MarketsPage([], ""))

    async def market(request: Request) -> Response:
        raise NotFound(details=request.path_params["ticker"])

    async def candlesticks(request: Request) -> Response:
        wanted_of(request.query_params, "GetMarketCandlesticksHistorical")
        raise NotFound(details=request.path_params["ticker"])

    async def trades(request: Request) -> Response:
        query = request.query_params
        answers.limit_of(query, "GetTradesHistorical")
        answers.whole(query, "min_ts", "GetTradesHistorical")
        answers.whole(query, "max_ts", "GetTradesHistorical")
        answers.flag(query, "is_block_trade", "GetTradesHistorical")
        return answers.body(TradesPage([], ""))

    return [
        Route("/historical/cutoff", cutoff),
        Route("/historical/markets", markets),
        Route("/historical/markets/{ticker}", market),
        Route("/historical/markets/{ticker}/candlesticks", candlesticks),
        Route("/historical/trades", trades),
    ]

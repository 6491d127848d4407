"""Public REST of markets and their books."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from kalshiflow.venue.core import Venue
from kalshiflow.venue.floor.listed import ListedMarket
from kalshiflow.venue.rest import answers, market_bodies, pages
from kalshiflow.venue.rest.market_bodies import MarketWriter
from kalshiflow.venue.rest.market_filters import market_filter

DEEPEST = 100  # levels of a book that one request may ask for; 0 is all
MOST_BOOKS = 100
LONGEST_TICKER = 200


def routes(venue: Venue, writer: MarketWriter) -> list[BaseRoute]:
    """Give the routes of markets; those with a word of their own come before any ticker."""
    markets = _Markets(venue, writer)
    return [
        Route("/markets", markets.markets),
        Route("/markets/orderbooks", markets.orderbooks),
        Route("/markets/{ticker}", markets.market),
        Route("/markets/{ticker}/orderbook", markets.orderbook),
    ]


class _Markets:
    def __init__(self, venue: Venue, writer: MarketWriter) -> None:
        self._venue = venue
        self._writer = writer

    async def markets(self, request: Request) -> Response:
        """List markets as Kalshi does: the latest made first, then by falling ticker."""
        query = request.query_params
        limit = answers.limit_of(query, "GetMarkets")
        wanted = market_filter(query, "GetMarkets")
        begun = self._venue.clock.start
        found = [one for one in self._venue.floor.markets() if wanted.admits(one, begun)]
        found.sort(key=self._place, reverse=True)
        part, cursor = pages.page(found, query.get("cursor"), limit, self._place, is_falling=True)
        bodies = self._writer.bodies(part, self._venue.clock.now())
        return answers.body(market_bodies.MarketsPage(bodies, cursor))

    async def market(self, request: Request) -> Response:
        listed = self._venue.floor.market(request.path_params["ticker"])
        body = self._writer.body(listed, self._venue.clock.now())
        return answers.body(market_bodies.MarketAnswer(body))

    async def orderbook(self, request: Request) -> Response:
        depth = answers.whole(request.query_params, "depth", "GetMarketOrderbook") or 0
        if not 0 <= depth <= DEEPEST:
            raise answers.BadParameter("GetMarketOrderbook", "Depth", "max" if depth > 0 else "min")
        listed = self._venue.floor.market(request.path_params["ticker"])
        levels = market_bodies.orderbook(listed, depth or None)
        return answers.body(market_bodies.OrderbookAnswer(levels, levels))

    async def orderbooks(self, request: Request) -> Response:
        """Give the book of each market that is named and known, in the order of the names."""
        named = request.query_params.getlist("tickers")
        tickers = [ticker for names in named for ticker in names.split(",") if ticker]
        if not tickers:
            raise answers.BadParameter("GetMarketOrderbooks", "Tickers", "required")
        if len(tickers) > MOST_BOOKS or max(map(len, tickers)) > LONGEST_TICKER:
            raise answers.BadParameter("GetMarketOrderbooks", "Tickers", "max")
        found = [self._venue.floor.find_market(ticker) for ticker in dict.fromkeys(tickers)]
        return answers.body(
            market_bodies.OrderbooksAnswer(
                [
                    market_bodies.NamedOrderbook(
                        listed.market.ticker, market_bodies.orderbook(listed)
                    )
                    for listed in found
                    if listed is not None
                ]
            )
        )

    def _place(self, listed: ListedMarket) -> pages.Place:
        return market_bodies.made(listed, self._venue.clock.start), listed.market.ticker

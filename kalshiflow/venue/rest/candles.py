"""Public REST of candlesticks: of one market, of several, of an event."""

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from kalshiflow.venue.core import Venue
from kalshiflow.venue.floor.listed import ListedMarket
from kalshiflow.venue.rest import answers, candle_bodies
from kalshiflow.venue.rest.candle_bodies import CandleBody
from kalshiflow.venue.rest.listings import Listings, NotFound

MINUTES = {1: 60, 60: 3_600, 1440: 86_400}
MOST_MARKETS = 100
MOST_CANDLES = 10_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which periods are asked for: their ends in Unix seconds, their length in seconds."""

    begin: int
    end: int
    length: int
    with_latest_before: bool

    def of(self, listed: ListedMarket) -> list[CandleBody]:
        """Write a market's periods."""
        found = candle_bodies.asked_for(
            listed.candles.of(self.length),
            self.begin,
            self.end,
            self.length,
            with_latest_before=self.with_latest_before,
        )
        return [candle_bodies.candle(one) for one in found]


def wanted_of(query: Mapping[str, str], operation: str) -> Wanted:
    """Read which periods a query asks for; raises `BadParameter`."""
    begin = answers.needed(query, "start_ts", operation)
    end = answers.needed(query, "end_ts", operation)
    length = MINUTES.get(answers.needed(query, "period_interval", operation))
    if length is None:
        raise answers.BadParameter(operation, "PeriodInterval", "oneof")
    with_latest_before = answers.flag(query, "include_latest_before_start", operation)
    return Wanted(begin, end, length, bool(with_latest_before))


def routes(venue: Venue, listings: Listings) -> list[BaseRoute]:
    """Give the routes of candlesticks; they come before that of a market, whose ticker is free."""
    candles = _Candles(venue, listings)
    return [
        Route("/markets/candlesticks", candles.of_markets),
        Route("/series/{series}/markets/{ticker}/candlesticks", candles.of_market),
        Route("/series/{series}/events/{ticker}/candlesticks", candles.of_event),
    ]


class _Candles:
    def __init__(self, venue: Venue, listings: Listings) -> None:
        self._venue = venue
        self._listings = listings

    async def of_market(self, request: Request) -> Response:
        wanted = wanted_of(request.query_params, "GetMarketCandlesticks")
        listed = self._venue.floor.market(request.path_params["ticker"])
        if listed.market.series_ticker != request.path_params["series"]:
            raise NotFound(details=request.path_params["series"])
        answer = candle_bodies.CandlesAnswer(listed.market.ticker, wanted.of(listed))
        return answers.body(answer)

    async def of_markets(self, request: Request) -> Response:
        """Give the candlesticks of each market that is named and known; too many are refused."""
        operation = "BatchGetMarketCandlesticks"
        tickers = request.query_params.get("market_tickers", "").split(",")
        if tickers == [""]:
            raise answers.BadParameter(operation, "MarketTickers", "required")
        if len(tickers) > MOST_MARKETS:
            raise answers.BadParameter(operation, "MarketTickers", "max")
        wanted = wanted_of(request.query_params, operation)
        found = [self._venue.floor.find_market(ticker) for ticker in dict.fromkeys(tickers)]
        markets = [
            candle_bodies.MarketCandles(listed.market.ticker, wanted.of(listed))
            for listed in found
            if listed is not None
        ]
        if sum(len(one.candlesticks) for one in markets) > MOST_CANDLES:
            raise answers.InvalidParameters(details=f"more than {MOST_CANDLES} candlesticks")
        return answers.body(candle_bodies.BatchAnswer(markets))

    async def of_event(self, request: Request) -> Response:
        wanted = wanted_of(request.query_params, "GetMarketCandlesticksByEvent")
        event = self._listings.event(request.path_params["ticker"])
        if event.series_ticker != request.path_params["series"]:
            raise NotFound(details=request.path_params["series"])
        markets = self._listings.markets_by_event().get(event.ticker, [])
        return answers.body(
            candle_bodies.EventAnswer(
                [listed.market.ticker for listed in markets],
                [wanted.of(listed) for listed in markets],
                wanted.end,
            )
        )

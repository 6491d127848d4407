"""Public REST: the exchange, its series, events and markets, books and trades."""

from collections.abc import Iterable, Mapping
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from kalshiflow.exchange import payloads, translate, translate_bodies
from kalshiflow.exchange.records import TradeRecord
from kalshiflow.market.events import Side
from kalshiflow.market.listing import CENT_GRID, Event, MarketStatus, PriceGrid, Series
from kalshiflow.venue.clock import SECOND
from kalshiflow.venue.core import Venue
from kalshiflow.venue.floor.facts import Traded
from kalshiflow.venue.floor.listed import ListedMarket
from kalshiflow.venue.floor.refusals import Refused
from kalshiflow.venue.rest import answers
from kalshiflow.venue.websocket import bodies

DEEPEST = 100  # levels of a book that one request may ask for; 0 is all

ListedT = TypeVar("ListedT", Series, Event)

_STATUSES: dict[str, frozenset[MarketStatus]] = {
    "unopened": frozenset({MarketStatus.INITIALIZED}),
    "open": frozenset({MarketStatus.ACTIVE}),
    "paused": frozenset({MarketStatus.INACTIVE}),
    "closed": frozenset(
        {
            MarketStatus.CLOSED,
            MarketStatus.DETERMINED,
            MarketStatus.DISPUTED,
            MarketStatus.AMENDED,
        }
    ),
    "settled": frozenset({MarketStatus.FINALIZED}),
}


class NotFound(Refused):
    """No such thing."""

    status = 404
    code = "not_found"


def routes(venue: Venue) -> list[BaseRoute]:
    """Give the public routes, below /trade-api/v2."""
    public = _Public(venue)
    return [
        Route("/exchange/status", public.status),
        Route("/markets", public.markets),
        Route("/markets/trades", public.trades),
        Route("/markets/{ticker}", public.market),
        Route("/markets/{ticker}/orderbook", public.orderbook),
        Route("/series", public.all_series),
        Route("/series/{ticker}", public.series),
        Route("/events", public.events),
        Route("/events/{ticker}", public.event),
    ]


class _Public:
    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    async def status(self, request: Request) -> Response:
        del request
        return answers.body(payloads.ExchangeStatusBody(True, True))

    async def markets(self, request: Request) -> Response:
        query = request.query_params
        limit = answers.limit_of(query, "GetMarkets")
        found = [listed for listed in self._venue.floor.markets() if _is_asked_for(listed, query)]
        part, cursor = answers.page(found, query.get("cursor"), limit)
        return answers.body(payloads.MarketsPage(self._bodies(part), cursor))

    async def market(self, request: Request) -> Response:
        listed = self._venue.floor.market(request.path_params["ticker"])
        return answers.body(payloads.MarketAnswer(self._body(listed)))

    async def orderbook(self, request: Request) -> Response:
        listed = self._venue.floor.market(request.path_params["ticker"])
        depth = answers.whole(request.query_params, "depth", "GetMarketOrderbook") or None
        if depth is not None and not 0 < depth <= DEEPEST:
            raise answers.BadParameter("GetMarketOrderbook", "Depth", "lte" if depth > 0 else "gte")
        book = listed.matching.book
        yes, no = translate.wire_levels(book.levels(Side.BID, depth), book.levels(Side.ASK, depth))
        return answers.body(payloads.OrderbookAnswer(payloads.OrderbookLevels(yes, no)))

    async def trades(self, request: Request) -> Response:
        query = request.query_params
        limit = answers.limit_of(query, "GetTrades")
        earliest = answers.whole(query, "min_ts", "GetTrades")
        latest = answers.whole(query, "max_ts", "GetTrades")
        ticker = query.get("ticker")
        listed = [self._venue.floor.market(ticker)] if ticker else self._venue.floor.markets()
        found = [
            trade for one in listed for trade in one.trades if within(trade.at, earliest, latest)
        ]
        found.sort(key=lambda trade: trade.at)
        found.reverse()
        part, cursor = answers.page(found, query.get("cursor"), limit)
        return answers.body(payloads.TradesPage([_trade(trade) for trade in part], cursor))

    async def all_series(self, request: Request) -> Response:
        del request
        listed = [translate_bodies.series_body(one) for one in self._venue.catalogue.series]
        return answers.body(_SeriesList(listed))

    async def series(self, request: Request) -> Response:
        series = _named(self._venue.catalogue.series, request.path_params["ticker"])
        return answers.body(payloads.SeriesAnswer(translate_bodies.series_body(series)))

    async def events(self, request: Request) -> Response:
        query = request.query_params
        limit = answers.limit_of(query, "GetEvents", most=200)
        series = query.get("series_ticker")
        found = [
            event
            for event in self._venue.catalogue.events
            if not series or event.series_ticker == series
        ]
        part, cursor = answers.page(found, query.get("cursor"), limit)
        return answers.body(_EventsPage([translate_bodies.event_body(e) for e in part], cursor))

    async def event(self, request: Request) -> Response:
        event = _named(self._venue.catalogue.events, request.path_params["ticker"])
        answer = payloads.EventAnswer(translate_bodies.event_body(event), self._of_event(event))
        return answers.body(answer)

    def _of_event(self, event: Event) -> list[payloads.MarketBody]:
        return self._bodies(
            listed
            for listed in self._venue.floor.markets()
            if listed.market.event_ticker == event.ticker
        )

    def _bodies(self, listed: Iterable[ListedMarket]) -> list[payloads.MarketBody]:
        return [self._body(one) for one in listed]

    def _body(self, listed: ListedMarket) -> payloads.MarketBody:
        market = listed.market
        made_at = market.open_time or self._venue.clock.start
        body = translate_bodies.market_body(
            market, bodies.quote(listed), made_at=made_at, now=listed.updated_at or made_at
        )
        return msgspec.structs.replace(body, price_level_structure=structure_name(market.grid))


class _SeriesList(msgspec.Struct):
    series: list[payloads.SeriesBody]


class _EventsPage(msgspec.Struct):
    events: list[payloads.EventBody]
    cursor: str


def structure_name(grid: PriceGrid) -> str:
    """Give Kalshi's name for a grid's steps."""
    steps = [band.step for band in grid.bands]
    if grid == CENT_GRID:
        return "linear_cent"
    if steps == [10]:
        return "deci_cent"
    if steps == [10, 100, 10]:
        return "tapered_deci_cent"
    return "banded_centi_cent"


def within(at: int, earliest: int | None, latest: int | None) -> bool:
    """Say whether a time lies within bounds in Unix seconds."""
    if earliest is not None and at < earliest * SECOND:
        return False
    return latest is None or at < (latest + 1) * SECOND


def _is_asked_for(listed: ListedMarket, query: Mapping[str, str]) -> bool:
    market = listed.market
    status = query.get("status")
    if status:
        if status not in _STATUSES:
            raise answers.BadParameter("GetMarkets", "Status", "oneof")
        if market.status not in _STATUSES[status]:
            return False
    tickers = query.get("tickers")
    return (
        (not tickers or market.ticker in tickers.split(","))
        and query.get("event_ticker") in {None, "", market.event_ticker}
        and query.get("series_ticker") in {None, "", market.series_ticker}
    )


def _trade(trade: Traded) -> payloads.TradeBody:
    record = TradeRecord(
        trade.ticker, trade.trade_id, trade.price, trade.quantity, trade.taker_side, trade.at
    )
    return translate_bodies.trade_body(record)


def _named(listed: tuple[ListedT, ...], ticker: str) -> ListedT:
    for one in listed:
        if one.ticker == ticker:
            return one
    raise NotFound

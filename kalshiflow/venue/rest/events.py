"""Public REST of events."""

from collections.abc import Mapping

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from kalshiflow.exchange import payloads
from kalshiflow.exchange.times import iso_time
from kalshiflow.market.listing import Event, MarketStatus
from kalshiflow.venue.clock import SECOND
from kalshiflow.venue.core import Venue
from kalshiflow.venue.floor.listed import ListedMarket
from kalshiflow.venue.rest import answers, pages
from kalshiflow.venue.rest.listings import Listings
from kalshiflow.venue.rest.market_bodies import MarketBody, MarketWriter

MOST_EVENTS = 200
STATUSES = ("unopened", "open", "closed", "settled")

MarketsByEvent = Mapping[str, list[ListedMarket]]
Numbered = tuple[int, Event]


class EventBody(payloads.EventBody, frozen=True, kw_only=True):
    """One event; `markets` only where they were asked for."""

    strike_date: str | None = None
    strike_period: str | None = None
    product_metadata: dict[str, str]
    last_updated_ts: str
    exchange_index: int
    markets: list[MarketBody] | msgspec.UnsetType = msgspec.UNSET


class EventAnswer(msgspec.Struct):
    event: EventBody
    markets: list[MarketBody]


class EventsPage(msgspec.Struct):
    events: list[EventBody]
    cursor: str
    milestones: list[str] | msgspec.UnsetType = msgspec.UNSET


class EventFeeChanges(msgspec.Struct):
    event_fee_changes: list[str]
    cursor: str


class MarketPicture(msgspec.Struct):
    market_ticker: str
    image_url: str
    color_code: str


class EventMetadata(msgspec.Struct):
    image_url: str
    market_details: list[MarketPicture]
    settlement_sources: list[str]


def routes(venue: Venue, listings: Listings, writer: MarketWriter) -> list[BaseRoute]:
    """Give the routes of events; those with a word of their own come before any ticker."""
    events = _Events(venue, listings, writer)
    return [
        Route("/events", events.events),
        Route("/events/fee_changes", events.fee_changes),
        Route("/events/multivariate", events.multivariate),
        Route("/events/{ticker}", events.event),
        Route("/events/{ticker}/metadata", events.metadata),
    ]


class _Events:
    def __init__(self, venue: Venue, listings: Listings, writer: MarketWriter) -> None:
        self._venue = venue
        self._listings = listings
        self._writer = writer

    async def events(self, request: Request) -> Response:
        query = request.query_params
        limit = answers.limit_of(
            query, "GetEvents", MOST_EVENTS, usual=MOST_EVENTS, words=("min", "max")
        )
        is_nested = answers.flag(query, "with_nested_markets", "GetEvents")
        with_milestones = answers.flag(query, "with_milestones", "GetEvents")
        markets = self._listings.markets_by_event()
        wanted = self._wanted(query, markets)
        part, cursor = pages.page(wanted, query.get("cursor"), limit, _place)
        bodies = [self._body(one, markets if is_nested else None) for _, one in part]
        return answers.body(EventsPage(bodies, cursor, [] if with_milestones else msgspec.UNSET))

    async def multivariate(self, request: Request) -> Response:
        """Give no events: the venue lists no combos."""
        query = request.query_params
        answers.limit_of(query, "GetMultivariateEvents", MOST_EVENTS, words=("min", "max"))
        answers.flag(query, "with_nested_markets", "GetMultivariateEvents")
        return answers.body(EventsPage([], ""))

    async def fee_changes(self, request: Request) -> Response:
        """Give no changes: the venue's fees stay what they are."""
        answers.limit_of(request.query_params, "GetEventFeeChanges", words=("min", "max"))
        return answers.body(EventFeeChanges([], ""))

    async def event(self, request: Request) -> Response:
        is_nested = answers.flag(request.query_params, "with_nested_markets", "GetEvent")
        event = self._listings.event(request.path_params["ticker"])
        markets = self._listings.markets_by_event()
        body = self._body(event, markets if is_nested else None)
        return answers.body(EventAnswer(body, self._markets_of(event, markets)))

    async def metadata(self, request: Request) -> Response:
        event = self._listings.event(request.path_params["ticker"])
        of_event = self._listings.markets_by_event().get(event.ticker, [])
        pictures = [MarketPicture(listed.market.ticker, "", "") for listed in of_event]
        return answers.body(EventMetadata("", pictures, []))

    def _wanted(self, query: Mapping[str, str], markets: MarketsByEvent) -> list[Numbered]:
        status = answers.choice(query, "status", "GetEvents", STATUSES)
        close_after = answers.whole(query, "min_close_ts", "GetEvents")
        updated_after = answers.whole(query, "min_updated_ts", "GetEvents")
        series_ticker, tickers = query.get("series_ticker"), answers.names(query, "tickers")
        return [
            (number, event)
            for number, event in enumerate(self._listings.events())
            if (not series_ticker or event.series_ticker == series_ticker)
            and (not tickers or event.ticker in tickers)
            and (not status or status_of(markets.get(event.ticker, [])) == status)
            and (close_after is None or _closes_after(markets.get(event.ticker, []), close_after))
            and (updated_after is None or self._venue.clock.start > updated_after * SECOND)
        ]

    def _body(self, event: Event, markets: MarketsByEvent | None) -> EventBody:
        return EventBody(
            event_ticker=event.ticker,
            series_ticker=event.series_ticker,
            title=event.title,
            sub_title="",
            collateral_return_type="binary",
            mutually_exclusive=False,
            category=self._listings.category_of(event.series_ticker),
            available_on_brokers=False,
            settlement_sources=[],
            product_metadata={},
            last_updated_ts=iso_time(self._venue.clock.start),
            exchange_index=0,
            markets=msgspec.UNSET if markets is None else self._markets_of(event, markets),
        )

    def _markets_of(self, event: Event, markets: MarketsByEvent) -> list[MarketBody]:
        return self._writer.bodies(markets.get(event.ticker, []), self._venue.clock.now())


def status_of(markets: list[ListedMarket]) -> str:
    """Give an event's status: open while a market is, and settled once all of them are."""
    statuses = {listed.market.status for listed in markets}
    if statuses & {MarketStatus.ACTIVE, MarketStatus.INACTIVE}:
        return "open"
    if not statuses or MarketStatus.INITIALIZED in statuses:
        return "unopened"
    return "closed" if statuses - {MarketStatus.FINALIZED} else "settled"


def _closes_after(markets: list[ListedMarket], seconds: int) -> bool:
    return any(
        listed.market.close_time is None or listed.market.close_time > seconds * SECOND
        for listed in markets
    )


def _place(numbered: Numbered) -> pages.Place:
    number, event = numbered
    return number, event.ticker

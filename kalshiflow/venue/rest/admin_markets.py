"""The venue's own endpoints that steer it, for this machine only: markets' lives, and pauses.

All lie below /venue, take POST with a small JSON body (none where nothing need be said; `steering`
tells the fields) and answer with the market, or the exchange, as it then is. What a step makes is
sent to subscribers before its answer. Times are ISO 8601 with a zone, prices dollars as text.
Refusals are `{"error": {code, message}}`: 400 for what cannot be read, 404 for a market that is not
listed, 409 for a step that cannot be taken now.

/markets                      list a market, and its event and series where they are new (201)
/markets/{ticker}/open        open one that is initialized, ahead of its open time
/markets/{ticker}/pause       active -> inactive
/markets/{ticker}/resume      inactive -> active; cancels what rests
/markets/{ticker}/close       close now, or move the close with `close_time`; a closed one reopens
/markets/{ticker}/determine   set the `result` (and its `value`); closes an open market first
/markets/{ticker}/dispute     determined -> disputed: its settlement waits for another result
/markets/{ticker}/settle      pay now, without waiting for the settlement timer
/markets/{ticker}/grid        change the prices, by `price_level_structure` or `price_ranges`
/markets/{ticker}/details     change what is told of it: strikes, subtitles, rules, timer
/exchange/pause-trading       no placing and no amending, until `resumes_at` or for good
/exchange/resume-trading      end that
/exchange/pause               no changes at all, cancels included, until `resumes_at` or for good
/exchange/resume              end that, and trading's pause with it
"""

from collections.abc import Callable
from dataclasses import replace

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from kalshiflow.exchange.times import iso_time
from kalshiflow.market.listing import Event, Market, Series
from kalshiflow.market.units import price_to_dollars
from kalshiflow.venue.core import Venue
from kalshiflow.venue.floor.lifecycle import Lifecycle
from kalshiflow.venue.floor.listed import NO_DETAILS
from kalshiflow.venue.rest import answers
from kalshiflow.venue.rest.admin import NoSuchThing, only_from_here
from kalshiflow.venue.rest.steering import (
    EXCHANGE_STEPS,
    MARKET_STEPS,
    Changes,
    Move,
    NewMarket,
    read,
)


class SteeredMarket(msgspec.Struct):
    """A market as it is after a step."""

    ticker: str
    event_ticker: str
    status: str
    result: str
    settlement_value: str | None
    open_time: str | None
    close_time: str | None
    settlement_timer_seconds: int
    resting_orders: int


class SteeredExchange(msgspec.Struct):
    """The exchange as it is after a step."""

    exchange_active: bool
    trading_active: bool
    resumes_at: str | None


def routes(venue: Venue, flush: Callable[[], None]) -> list[BaseRoute]:
    """Give the routes, below /venue; `flush` sends the frames that a step has made."""
    steering = _Steering(venue, flush)
    handlers = {
        "/markets": steering.list_market,
        "/markets/{ticker}/details": steering.details,
        "/markets/{ticker}/{step}": steering.market,
        "/exchange/{step}": steering.exchange,
    }
    return [Route(path, handler, methods=["POST"]) for path, handler in handlers.items()]


class _Steering:
    def __init__(self, venue: Venue, flush: Callable[[], None]) -> None:
        self._venue = venue
        self._flush = flush

    async def market(self, request: Request) -> Response:
        only_from_here(request)
        ticker, name = request.path_params["ticker"], request.path_params["step"]
        step = MARKET_STEPS.get(name)
        if step is None:
            raise NoSuchThing(f"{name!r} is none of {', '.join(MARKET_STEPS)}, details")
        self._steer(step.move(ticker, read(await request.body(), step.asked)))
        return answers.body(self._shown(ticker))

    async def exchange(self, request: Request) -> Response:
        only_from_here(request)
        name = request.path_params["step"]
        step = EXCHANGE_STEPS.get(name)
        if step is None:
            raise NoSuchThing(f"{name!r} is none of {', '.join(EXCHANGE_STEPS)}")
        self._steer(step.move(read(await request.body(), step.asked)))
        state = self._venue.floor.exchange
        return answers.body(
            SteeredExchange(state.is_active, state.is_trading, _told_time(state.resumes_at))
        )

    async def details(self, request: Request) -> Response:
        only_from_here(request)
        ticker = request.path_params["ticker"]
        told = read(await request.body(), Changes).told()

        def describe(lifecycle: Lifecycle, now: int) -> None:
            details = replace(self._venue.floor.market(ticker).details, **told)
            lifecycle.change_details(ticker, details, now)

        self._steer(describe)
        return answers.body(self._shown(ticker))

    async def list_market(self, request: Request) -> Response:
        only_from_here(request)
        new = read(await request.body(), NewMarket)
        market, event, series = self._placed(new)
        details = replace(NO_DETAILS, **new.details.told())

        def list_all(lifecycle: Lifecycle, now: int) -> None:
            lifecycle.check_listing(market, now)
            if event is not None:
                lifecycle.list_event(event, now, series)
            lifecycle.list_market(market, now, details)

        self._steer(list_all)
        return answers.body(self._shown(market.ticker), 201)

    def _placed(self, new: NewMarket) -> tuple[Market, Event | None, Series | None]:
        """Give a new market with its series' fees, and its event and series where not listed."""
        catalogue, market = self._venue.catalogue, new.market()
        events = {event.ticker: event for event in catalogue.events}
        all_series = {series.ticker: series for series in catalogue.series}
        event = events.get(market.event_ticker)
        named = market.series_ticker if event is None else event.series_ticker
        series = all_series.get(named) or Series(named, named, "Steered")
        market = replace(market, series_ticker=named, fees=series.fees)
        if event is not None:
            return market, None, None
        event = Event(market.event_ticker, named, new.event_title or market.event_ticker)
        return market, event, None if named in all_series else series

    def _steer(self, move: Move) -> None:
        self._venue.steer(move)
        self._flush()

    def _shown(self, ticker: str) -> SteeredMarket:
        floor = self._venue.floor
        listed = floor.market(ticker)
        market, value = listed.market, listed.market.settlement_value
        return SteeredMarket(
            ticker=market.ticker,
            event_ticker=market.event_ticker,
            status=market.status.value,
            result=market.result.value,
            settlement_value=None if value is None else price_to_dollars(value),
            open_time=_told_time(market.open_time),
            close_time=_told_time(market.close_time),
            settlement_timer_seconds=listed.details.settlement_timer_seconds,
            resting_orders=len(floor.resting(ticker)),
        )


def _told_time(at: int | None) -> str | None:
    return None if at is None else iso_time(at)

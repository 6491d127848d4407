"""What the exchange lists, by REST: its status, series, events, markets, books and trades."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar
from urllib.parse import quote

import structlog

from kalshiflow.exchange import payloads
from kalshiflow.exchange import translate_bodies as bodies
from kalshiflow.exchange.errors import NotFound, ProtocolError
from kalshiflow.exchange.pages import each_page, translated, whole_list
from kalshiflow.exchange.records import ActiveMarket, ExchangeStatus, TradeRecord
from kalshiflow.exchange.rest import Params, RestSession
from kalshiflow.exchange.translate import book_levels
from kalshiflow.exchange.translate_own import maybe_time
from kalshiflow.market.events import Levels
from kalshiflow.market.listing import Event, FeeTerms, Market, Series

_NAMES_PER_REQUEST = 100  # an address must stay within what servers accept
_EVENTS_PER_PAGE = 200
_FEW_EVENTS = 3  # are asked for one by one

_log = structlog.get_logger(__name__)

BodyT = TypeVar("BodyT")
ValueT = TypeVar("ValueT")


class Listings:
    """The reads that anybody may make; an order book alone wants a signature."""

    def __init__(self, rest: RestSession) -> None:
        self._rest = rest

    async def get_exchange_status(self) -> ExchangeStatus:
        """Say whether the exchange is up and takes orders."""
        path = "/exchange/status"
        body = await self._rest.get(path, payloads.ExchangeStatusBody)
        resumes_at = translated(maybe_time, body.exchange_estimated_resume_time, path)
        return ExchangeStatus(body.exchange_active, body.trading_active, resumes_at)

    # --- markets ---------------------------------------------------------------------------

    async def get_markets(
        self,
        *,
        status: str | None = None,
        series_ticker: str | None = None,
        event_ticker: str | None = None,
        tickers: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> list[Market]:
        """List markets, all pages; `status` is one of Kalshi's filters: open, closed, settled, ...

        A market that cannot be translated is left out, and logged.
        """
        listed: list[payloads.MarketBody] = []
        for names in [None] if tickers is None else map(",".join, _chunks(tickers)):
            params: Params = {
                "status": status,
                "series_ticker": series_ticker,
                "event_ticker": event_ticker,
                "tickers": names,
            }
            listed += await whole_list(
                self._rest, "/markets", payloads.MarketsPage, _markets, params, limit
            )
        return _kept(bodies.market_of, listed, "market")[:limit]

    async def open_markets(
        self, *, series_ticker: str | None = None
    ) -> AsyncIterator[list[ActiveMarket]]:
        """Give all open markets with their activity, page by page: there may be very many.

        Combinations of other markets are not among them: they are made on request, by the
        thousand, and have no book worth following. A market that cannot be translated is left out,
        and logged.
        """
        params: Params = {
            "status": "open",
            "series_ticker": series_ticker,
            "mve_filter": "exclude",
        }
        async for page in each_page(self._rest, "/markets", payloads.MarketsPage, params):
            yield _kept(bodies.active_market_of, page.markets, "market")

    async def get_market(self, ticker: str) -> Market:
        """Give one market; raises `NotFound` where there is none."""
        path = f"/markets/{quoted(ticker)}"
        answer = await self._rest.get(path, payloads.MarketAnswer)
        return translated(bodies.market_of, answer.market, path)

    # --- events and series -----------------------------------------------------------------

    async def get_event(self, ticker: str) -> Event:
        """Give one event."""
        return bodies.event_of(await self._event(ticker))

    async def open_events(self) -> AsyncIterator[list[Event]]:
        """Give all events with open markets, page by page, but for combinations of others."""
        pages = each_page(
            self._rest, "/events", payloads.EventsPage, {"status": "open"}, _EVENTS_PER_PAGE
        )
        async for page in pages:
            yield [bodies.event_of(body) for body in page.events]

    async def get_series(self, ticker: str) -> Series:
        """Give one series, with its fee terms."""
        path = f"/series/{quoted(ticker)}"
        answer = await self._rest.get(path, payloads.SeriesAnswer)
        return translated(bodies.series_of, answer.series, path)

    async def list_series(self, category: str) -> list[Series]:
        """List the series of a category, by the exchange's own spelling.

        A series that cannot be translated is left out, and logged.
        """
        answer = await self._rest.get("/series", payloads.SeriesList, {"category": category})
        return _kept(bodies.series_of, answer.series or (), "series")

    async def add_fee_terms(self, markets: Iterable[Market]) -> list[Market]:
        """Fill in each market's series and fee terms; an event's override beats its series.

        Asks for each event and series once. A market whose terms cannot be learnt is left out, and
        logged: at unknown fees nothing can be decided.
        """
        markets = list(markets)
        tickers = list(dict.fromkeys(market.event_ticker for market in markets))
        known = await self._events(tickers)
        series: dict[str, Series] = {}
        terms: dict[str, tuple[str, FeeTerms]] = {}
        for ticker in tickers:
            try:
                event = known.get(ticker) or await self._event(ticker)
                name = event.series_ticker
                if name not in series:
                    series[name] = await self.get_series(name)
                read = partial(bodies.fees_of, series[name])
                terms[ticker] = (name, translated(read, event, f"/events/{ticker}"))
            except (NotFound, ProtocolError) as unknown:
                _log.warning("event_left_out", event_ticker=ticker, reason=str(unknown))
        return [
            _with_terms(market, *terms[market.event_ticker])
            for market in markets
            if market.event_ticker in terms
        ]

    async def _event(self, ticker: str) -> payloads.EventBody:
        answer = await self._rest.get(f"/events/{quoted(ticker)}", payloads.EventAnswer)
        return answer.event

    async def _events(self, tickers: Sequence[str]) -> Mapping[str, payloads.EventBody]:
        """Give the events of a long list together; those not among them must be asked for."""
        found: dict[str, payloads.EventBody] = {}
        if len(tickers) <= _FEW_EVENTS:
            return found
        for names in _chunks(tickers):
            params: Params = {"tickers": ",".join(names)}
            pages = each_page(self._rest, "/events", payloads.EventsPage, params, _EVENTS_PER_PAGE)
            try:
                async for page in pages:
                    found.update((body.event_ticker, body) for body in page.events)
            except ProtocolError as unreadable:  # one by one, the others can be read
                _log.warning("events_unreadable", reason=str(unreadable))
        return found

    # --- books and trades ------------------------------------------------------------------

    async def get_orderbook(self, ticker: str) -> tuple[Levels, Levels]:
        """Give a market's whole book: bids and asks on the YES scale, best first."""
        path = f"/markets/{quoted(ticker)}/orderbook"
        answer = await self._rest.get(path, payloads.OrderbookAnswer)
        return translated(_book, answer.orderbook_fp, path)

    async def get_orderbooks(self, tickers: Sequence[str]) -> dict[str, tuple[Levels, Levels]]:
        """Give the whole books of many markets, a hundred a request; unknown ones are absent.

        A book that cannot be translated is left out, and logged.
        """
        path = "/markets/orderbooks"
        found: dict[str, tuple[Levels, Levels]] = {}
        for names in _chunks(tickers):
            answer = await self._rest.get(path, payloads.OrderbooksAnswer, {"tickers": names})
            found.update(_kept(_named_book, answer.orderbooks, "book"))
        return found

    async def get_trades(
        self,
        *,
        ticker: str | None = None,
        min_ts: int | None = None,
        max_ts: int | None = None,
        limit: int | None = None,
    ) -> list[TradeRecord]:
        """List public trades, newest first; bounds are Unix seconds."""
        params: Params = {"ticker": ticker, "min_ts": min_ts, "max_ts": max_ts}
        path = "/markets/trades"
        found = await whole_list(
            self._rest, path, payloads.TradesPage, lambda page: page.trades, params, limit
        )
        return [translated(bodies.trade_of, body, path) for body in found[:limit]]


def quoted(name: str) -> str:
    """Write a name as a part of a path."""
    return quote(name, safe="")


def _kept(read: Callable[[BodyT], ValueT], listed: Iterable[BodyT], kind: str) -> list[ValueT]:
    found: list[ValueT] = []
    for body in listed:
        try:
            found.append(read(body))
        except ValueError as untranslatable:
            ticker = getattr(body, "ticker", "")
            _log.warning(f"{kind}_left_out", ticker=ticker, reason=str(untranslatable))
    return found


def _markets(page: payloads.MarketsPage) -> list[payloads.MarketBody]:
    return page.markets


def _named_book(body: payloads.NamedOrderbook) -> tuple[str, tuple[Levels, Levels]]:
    return body.ticker, _book(body.orderbook_fp)


def _book(levels: payloads.OrderbookLevels) -> tuple[Levels, Levels]:
    return book_levels(levels.yes_dollars, levels.no_dollars)


def _with_terms(market: Market, series_ticker: str, fees: FeeTerms) -> Market:
    return replace(market, series_ticker=series_ticker, fees=fees)


def _chunks(names: Sequence[str]) -> list[Sequence[str]]:
    size = _NAMES_PER_REQUEST
    return [names[start : start + size] for start in range(0, len(names), size)]

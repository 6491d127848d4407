"""The exchange by REST, in market types: markets, orders, the portfolio."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Protocol, Self, TypeVar
from urllib.parse import quote

import httpx
import structlog

from kalshiflow.exchange import payloads
from kalshiflow.exchange import translate_bodies as bodies
from kalshiflow.exchange.credentials import Credentials
from kalshiflow.exchange.errors import NotFound, ProtocolError, UnknownOutcome
from kalshiflow.exchange.records import (
    Balance,
    CancelAck,
    ExchangeStatus,
    OrderAck,
    OwnOrder,
    PositionRecord,
    SettlementRecord,
    TradeRecord,
)
from kalshiflow.exchange.rest import (
    BASIC_TIER,
    CHEAP_COST,
    DEFAULT_COST,
    FOUR_ATTEMPTS,
    Limits,
    Params,
    RestSession,
    Retries,
    decoded,
    unix_milliseconds,
)
from kalshiflow.exchange.translate import book_levels, quantity_of
from kalshiflow.market.events import Levels, Side
from kalshiflow.market.listing import Event, FeeTerms, Market, Series
from kalshiflow.market.orders import Fill, Order, TimeInForce
from kalshiflow.market.units import Price, Quantity

__all__ = ["KalshiClient", "Limits", "Retries"]

_PAGE = 1000  # what one page of any list may hold
_TICKERS_PER_REQUEST = 100  # an address must stay within what servers accept
_ORDERS = "/portfolio/events/orders"

_log = structlog.get_logger(__name__)

BodyT = TypeVar("BodyT")
ValueT = TypeVar("ValueT")


class _Page(Protocol):
    @property
    def cursor(self) -> str | None: ...


PageT = TypeVar("PageT", bound=_Page)


class KalshiClient:
    """The exchange's REST address, as an asynchronous context manager.

    Reads are retried, mutations never: a mutation raises `UnknownOutcome` where it may or may not
    have been done, and any other `ExchangeError` where it certainly was not. Without credentials
    only public reads work. `now_ms` is the wall clock that requests are signed with.
    """

    def __init__(
        self,
        rest_url: str,
        credentials: Credentials | None,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        now_ms: Callable[[], int] = unix_milliseconds,
        limits: Limits = BASIC_TIER,
        retries: Retries = FOUR_ATTEMPTS,
        timeout: float = 10,
    ) -> None:
        self._rest = RestSession(
            rest_url,
            credentials,
            transport=transport,
            now_ms=now_ms,
            limits=limits,
            retries=retries,
            timeout=timeout,
        )

    async def __aenter__(self) -> Self:
        await self._rest.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._rest.__aexit__(kind, error, trace)

    # --- what is listed ---

    async def get_exchange_status(self) -> ExchangeStatus:
        """Say whether the exchange is up and takes orders."""
        body = await self._rest.get("/exchange/status", payloads.ExchangeStatusBody)
        return ExchangeStatus(body.exchange_active, body.trading_active)

    async def get_markets(
        self,
        *,
        status: str | None = None,
        series_ticker: str | None = None,
        event_ticker: str | None = None,
        tickers: Sequence[str] | None = None,
        by_volume: bool = False,
        limit: int | None = None,
    ) -> list[Market]:
        """List markets, all pages; `status` is one of Kalshi's filters: open, closed, settled, ...

        `by_volume` puts the most traded of the last day first; `limit` then cuts the list. A market
        that cannot be translated is left out, and logged.
        """
        listed: list[payloads.MarketBody] = []
        for names in _chunks(tickers):
            params: Params = {
                "status": status,
                "series_ticker": series_ticker,
                "event_ticker": event_ticker,
                "tickers": names,
            }
            enough = None if by_volume else limit
            pages = self._pages("/markets", payloads.MarketsPage, _markets, params, enough)
            listed.extend(await pages)
        markets = [(body, market) for body in listed if (market := _market(body)) is not None]
        if by_volume:
            markets.sort(key=lambda pair: _volume(pair[0]), reverse=True)
        return [market for _, market in markets[:limit]]

    async def get_market(self, ticker: str) -> Market:
        """Give one market; raises `NotFound` where there is none."""
        path = f"/markets/{_quoted(ticker)}"
        answer = await self._rest.get(path, payloads.MarketAnswer)
        return _translated(bodies.market_of, answer.market, path)

    async def get_event(self, ticker: str) -> Event:
        """Give one event."""
        return bodies.event_of(await self._event(ticker))

    async def get_series(self, ticker: str) -> Series:
        """Give one series, with its fee terms."""
        path = f"/series/{_quoted(ticker)}"
        answer = await self._rest.get(path, payloads.SeriesAnswer)
        return _translated(bodies.series_of, answer.series, path)

    async def add_fee_terms(self, markets: Iterable[Market]) -> list[Market]:
        """Fill in each market's series and fee terms; an event's override beats its series.

        Asks for each event and series once. A market whose terms cannot be learnt is left out, and
        logged: at unknown fees nothing can be decided.
        """
        markets = list(markets)
        series: dict[str, Series] = {}
        terms: dict[str, tuple[str, FeeTerms]] = {}
        for ticker in dict.fromkeys(market.event_ticker for market in markets):
            try:
                event = await self._event(ticker)
                name = event.series_ticker
                if name not in series:
                    series[name] = await self.get_series(name)
                read = partial(bodies.fees_of, series[name])
                terms[ticker] = (name, _translated(read, event, f"/events/{ticker}"))
            except (NotFound, ProtocolError) as unknown:
                _log.warning("event_left_out", event_ticker=ticker, reason=str(unknown))
        return [
            _with_terms(market, *terms[market.event_ticker])
            for market in markets
            if market.event_ticker in terms
        ]

    async def get_orderbook(self, ticker: str) -> tuple[Levels, Levels]:
        """Give a market's whole book: bids and asks on the YES scale, best first."""
        path = f"/markets/{_quoted(ticker)}/orderbook"
        answer = await self._rest.get(path, payloads.OrderbookAnswer)
        return _translated(_book, answer.orderbook_fp, path)

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
        found = await self._pages(
            path, payloads.TradesPage, lambda page: page.trades, params, limit
        )
        return [_translated(bodies.trade_of, body, path) for body in found[:limit]]

    # --- orders ---

    async def create_order(
        self,
        ticker: str,
        side: Side,
        price: Price,
        quantity: Quantity,
        client_order_id: str,
        time_in_force: TimeInForce = TimeInForce.GTC,
        *,
        post_only: bool = False,
        reduce_only: bool = False,
        expiration: int | None = None,
    ) -> OrderAck:
        """Send a limit order on the YES book, once; `expiration` is in UTC nanoseconds.

        Raises `OrderRejected` (or a kind of it) where the exchange refused it, `UnknownOutcome`
        where it may stand: look it up by its client order id before doing anything else.
        """
        order = Order(
            order_id="",
            ticker=ticker,
            side=side,
            price=price,
            quantity=quantity,
            time_in_force=time_in_force,
            client_order_id=client_order_id,
            post_only=post_only,
            reduce_only=reduce_only,
        )
        raw = await self._rest.mutate("POST", _ORDERS, bodies.create_order(order, expiration))
        return _answered(bodies.order_ack, raw, payloads.CreateOrderAnswer, "POST " + _ORDERS)

    async def cancel_order(self, order_id: str) -> CancelAck:
        """Cancel what rests of an order; raises `NotFound` where nothing does any more."""
        path = f"{_ORDERS}/{_quoted(order_id)}"
        raw = await self._rest.mutate("DELETE", path, cost=CHEAP_COST)
        return _answered(bodies.cancel_ack, raw, payloads.CancelOrderAnswer, "DELETE " + path)

    async def cancel_all(self) -> None:
        """Cancel every resting order of the account."""
        await self._rest.mutate("DELETE", _ORDERS)

    async def get_orders(
        self,
        *,
        ticker: str | None = None,
        status: str | None = None,
        min_ts: int | None = None,
    ) -> list[OwnOrder]:
        """List one's own orders, all pages; `status` is resting, canceled or executed.

        `min_ts` is in Unix seconds. Reads lag mutations by up to half a second.
        """
        params: Params = {"ticker": ticker, "status": status, "min_ts": min_ts}
        path = "/portfolio/orders"
        found = await self._pages(path, payloads.OrdersPage, lambda page: page.orders, params)
        return [_translated(bodies.order_of, body, path) for body in found]

    async def get_order(self, order_id: str) -> OwnOrder:
        """Give one of one's own orders; raises `NotFound` where there is none."""
        path = f"/portfolio/orders/{_quoted(order_id)}"
        answer = await self._rest.get(path, payloads.OrderAnswer, cost=CHEAP_COST)
        return _translated(bodies.order_of, answer.order, path)

    # --- the portfolio ---

    async def get_fills(
        self,
        *,
        ticker: str | None = None,
        order_id: str | None = None,
        min_ts: int | None = None,
        max_ts: int | None = None,
    ) -> list[Fill]:
        """List one's own fills, all pages, newest first; bounds are Unix seconds."""
        params: Params = {
            "ticker": ticker,
            "order_id": order_id,
            "min_ts": min_ts,
            "max_ts": max_ts,
        }
        path = "/portfolio/fills"
        found = await self._pages(path, payloads.FillsPage, lambda page: page.fills, params)
        return [_translated(bodies.fill_of, body, path) for body in found]

    async def get_positions(self, *, ticker: str | None = None) -> list[PositionRecord]:
        """List one's own positions by market, all pages; closed ones may be among them."""
        path = "/portfolio/positions"
        found = await self._pages(
            path, payloads.PositionsPage, lambda page: page.market_positions, {"ticker": ticker}
        )
        return [_translated(bodies.position_of, body, path) for body in found]

    async def get_balance(self) -> Balance:
        """Give the account's available cash."""
        path = "/portfolio/balance"
        body = await self._rest.get(path, payloads.BalanceBody)
        return _translated(bodies.balance_of, body, path)

    async def get_settlements(self, *, ticker: str | None = None) -> list[SettlementRecord]:
        """List one's own settled markets, all pages."""
        path = "/portfolio/settlements"
        found = await self._pages(
            path, payloads.SettlementsPage, lambda page: page.settlements, {"ticker": ticker}
        )
        return [_translated(bodies.settlement_of, body, path) for body in found]

    async def _event(self, ticker: str) -> payloads.EventBody:
        answer = await self._rest.get(f"/events/{_quoted(ticker)}", payloads.EventAnswer)
        return answer.event

    async def _pages(
        self,
        path: str,
        page_type: type[PageT],
        items: Callable[[PageT], Sequence[BodyT]],
        params: Params,
        enough: int | None = None,
    ) -> list[BodyT]:
        found: list[BodyT] = []
        seen: set[str] = set()
        size = _PAGE if enough is None else min(enough, _PAGE)
        cursor: str | None = None
        while True:
            query = {**params, "limit": size, "cursor": cursor}
            page = await self._rest.get(path, page_type, query, DEFAULT_COST)
            found.extend(items(page))
            cursor = page.cursor
            if not cursor or (enough is not None and len(found) >= enough):
                return found
            if cursor in seen:
                raise ProtocolError(f"{path}: the cursor {cursor!r} came twice")
            seen.add(cursor)


def _translated(read: Callable[[BodyT], ValueT], body: BodyT, path: str) -> ValueT:
    try:
        return read(body)
    except ValueError as untranslatable:
        raise ProtocolError(f"{path}: {untranslatable}") from untranslatable


def _answered(
    read: Callable[[BodyT], ValueT], raw: bytes, body: type[BodyT], request: str
) -> ValueT:
    try:
        return _translated(read, decoded(raw, body, request), request)
    except ProtocolError as unreadable:
        # It was taken, but what became of it cannot be read.
        raise UnknownOutcome(str(unreadable)) from unreadable


def _market(body: payloads.MarketBody) -> Market | None:
    try:
        return bodies.market_of(body)
    except ValueError as untranslatable:
        _log.warning("market_left_out", ticker=body.ticker, reason=str(untranslatable))
        return None


def _volume(body: payloads.MarketBody) -> int:
    try:
        return quantity_of(body.volume_24h_fp or body.volume_fp or "0")
    except ValueError:
        return 0


def _markets(page: payloads.MarketsPage) -> list[payloads.MarketBody]:
    return page.markets


def _book(levels: payloads.OrderbookLevels) -> tuple[Levels, Levels]:
    return book_levels(levels.yes_dollars, levels.no_dollars)


def _with_terms(market: Market, series_ticker: str, fees: FeeTerms) -> Market:
    return replace(market, series_ticker=series_ticker, fees=fees)


def _chunks(tickers: Sequence[str] | None) -> list[str | None]:
    if tickers is None:
        return [None]
    size = _TICKERS_PER_REQUEST
    return [",".join(tickers[start : start + size]) for start in range(0, len(tickers), size)]


def _quoted(name: str) -> str:
    return quote(name, safe="")

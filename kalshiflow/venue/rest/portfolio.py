"""REST of one's own account: balance, fills, positions, settlements."""

from collections.abc import Callable

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from kalshiflow.exchange import payloads, translate_bodies
from kalshiflow.exchange.records import Balance, PositionRecord
from kalshiflow.market.units import (
    Cash,
    Price,
    Quantity,
    cash_to_dollars,
    quantity_to_contracts,
)
from kalshiflow.venue.core import Venue
from kalshiflow.venue.floor.accounts import Account, Activity
from kalshiflow.venue.rest import answers
from kalshiflow.venue.rest.public import within

Signed = Callable[[Request], Account]


def routes(venue: Venue, signed: Signed) -> list[BaseRoute]:
    """Give the account's routes; `signed` gives whose request it is, or raises."""
    portfolio = _Portfolio(venue, signed)
    return [
        Route("/portfolio/balance", portfolio.balance),
        Route("/portfolio/fills", portfolio.fills),
        Route("/portfolio/positions", portfolio.positions),
        Route("/portfolio/settlements", portfolio.settlements),
    ]


class _Portfolio:
    def __init__(self, venue: Venue, signed: Signed) -> None:
        self._venue = venue
        self._signed = signed

    async def balance(self, request: Request) -> Response:
        account = self._signed(request)
        portfolio = account.portfolio
        value = sum(
            portfolio.market_value(ticker, *self._touch(ticker)) for ticker in portfolio.positions
        )
        balance = Balance(portfolio.available, Cash(value))
        return answers.body(translate_bodies.balance_body(balance, self._venue.clock.now()))

    async def fills(self, request: Request) -> Response:
        account = self._signed(request)
        query = request.query_params
        limit = answers.limit_of(query, "GetFills")
        earliest = answers.whole(query, "min_ts", "GetFills")
        latest = answers.whole(query, "max_ts", "GetFills")
        found = [
            fill
            for fill in reversed(account.fills)
            if query.get("ticker") in {None, "", fill.ticker}
            and query.get("order_id") in {None, "", fill.order_id}
            and within(fill.at, earliest, latest)
        ]
        part, cursor = answers.page(found, query.get("cursor"), limit)
        page = payloads.FillsPage([translate_bodies.fill_body(fill) for fill in part], cursor)
        return answers.body(page)

    async def positions(self, request: Request) -> Response:
        account = self._signed(request)
        query = request.query_params
        limit = answers.limit_of(query, "GetPositions")
        tickers = [
            ticker
            for ticker in account.portfolio.positions
            if query.get("ticker") in {None, "", ticker}
            and query.get("event_ticker") in {None, "", self._event_of(ticker)}
        ]
        part, cursor = answers.page(tickers, query.get("cursor"), limit)
        markets = [self._position(account, ticker) for ticker in part]
        events = _by_event(self._event_of, markets)
        return answers.body(payloads.PositionsPage(markets, events, cursor))

    async def settlements(self, request: Request) -> Response:
        self._signed(request)
        return answers.body(payloads.SettlementsPage([]))

    def _touch(self, ticker: str) -> tuple[Price | None, Price | None]:
        book = self._venue.floor.market(ticker).matching.book
        return book.best_bid, book.best_ask

    def _event_of(self, ticker: str) -> str:
        return self._venue.floor.market(ticker).market.event_ticker

    def _position(self, account: Account, ticker: str) -> payloads.MarketPositionBody:
        held = account.portfolio.positions[ticker]
        activity = account.activity.get(ticker, Activity())
        record = PositionRecord(
            ticker, held.quantity, held.cost, held.realised, held.fees, activity.traded
        )
        body = translate_bodies.position_body(record, activity.updated_at)
        resting = sum(1 for o in account.portfolio.orders.values() if o.ticker == ticker)
        return msgspec.structs.replace(body, resting_orders_count=resting)


def _by_event(
    event_of: Callable[[str], str], markets: list[payloads.MarketPositionBody]
) -> list[payloads.EventPositionBody]:
    grouped: dict[str, list[payloads.MarketPositionBody]] = {}
    for market in markets:
        grouped.setdefault(event_of(market.ticker), []).append(market)
    return [_event_position(event, parts) for event, parts in grouped.items()]


def _event_position(
    event: str, parts: list[payloads.MarketPositionBody]
) -> payloads.EventPositionBody:
    records = [translate_bodies.position_of(part) for part in parts]
    shares = sum(abs(record.quantity) for record in records)
    return payloads.EventPositionBody(
        event_ticker=event,
        total_cost_dollars=cash_to_dollars(Cash(sum(r.total_traded for r in records))),
        total_cost_shares_fp=quantity_to_contracts(Quantity(shares)),
        event_exposure_dollars=cash_to_dollars(Cash(sum(r.exposure for r in records))),
        realized_pnl_dollars=cash_to_dollars(Cash(sum(r.realised for r in records))),
        fees_paid_dollars=cash_to_dollars(Cash(sum(r.fees for r in records))),
    )

"""REST of one's own orders as they are: lists, single ones, and their places in the queues."""

from collections.abc import Mapping
from contextlib import suppress

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from kalshiflow.market.events import Side
from kalshiflow.market.orders import Order
from kalshiflow.market.units import Cash, Price, cash_to_dollars, complement, quantity_to_contracts
from kalshiflow.venue.core import Venue
from kalshiflow.venue.floor.accounts import Account, OrderRecord
from kalshiflow.venue.floor.refusals import OrderNotFound
from kalshiflow.venue.rest import answers, order_requests, pages
from kalshiflow.venue.rest.callers import Callers
from kalshiflow.venue.rest.former import cents, contracts
from kalshiflow.venue.rest.own_bodies import OrderBodies, OrderBody

STATUSES = frozenset({"resting", "canceled", "executed"})
EVENTS = 10  # that one request may ask for
LEAST_AND_MOST = ("min", "max")  # what these endpoints' validator calls a limit's bounds


class OrderAnswer(msgspec.Struct):
    """One order."""

    order: OrderBody


class OrdersPage(msgspec.Struct):
    """Orders, the newest first."""

    orders: list[OrderBody]
    cursor: str


class QueueAnswer(msgspec.Struct):
    """The contracts before an order, as text and, rounded, as of old."""

    queue_position_fp: str
    queue_position: int


class QueuePlace(msgspec.Struct):
    """The contracts before one order of several."""

    order_id: str
    market_ticker: str
    queue_position_fp: str
    queue_position: int


class QueuePlaces(msgspec.Struct):
    """The places of all resting orders that were asked for."""

    queue_positions: list[QueuePlace]


class RestingValue(msgspec.Struct):
    """What resting orders are worth at their limits: cents, and dollars by exchange shard."""

    total_resting_order_value: int
    resting_order_value_breakdown: list[dict[str, int | str]]


def routes(venue: Venue, callers: Callers, bodies: OrderBodies) -> list[BaseRoute]:
    """Give the routes that read orders."""
    reads = _OrderReads(venue, callers, bodies)
    return [
        Route("/portfolio/orders", reads.all_orders),
        Route("/portfolio/orders/queue_positions", reads.queue_positions),
        Route("/portfolio/orders/{order_id}", reads.order),
        Route("/portfolio/orders/{order_id}/queue_position", reads.queue_position),
        Route("/portfolio/summary/total_resting_order_value", reads.resting_value),
    ]


class _OrderReads:
    def __init__(self, venue: Venue, callers: Callers, bodies: OrderBodies) -> None:
        self._venue = venue
        self._callers = callers
        self._bodies = bodies

    async def order(self, request: Request) -> Response:
        account = self._callers.account(request)
        self._venue.catch_up()
        record = self._venue.read_orders(account).get(request.path_params["order_id"])
        if record is None:
            raise OrderNotFound
        return answers.body(OrderAnswer(self._bodies.body(record)))

    async def all_orders(self, request: Request) -> Response:
        account = self._callers.account(request)
        query, operation = request.query_params, "GetOrders"
        limit = answers.limit_of(query, operation, words=LEAST_AND_MOST)
        earliest = answers.whole(query, "min_ts", operation)
        latest = answers.whole(query, "max_ts", operation)
        status, ticker = answers.choice(query, "status", operation, STATUSES), query.get("ticker")
        events = answers.names(query, "event_ticker")
        if len(events) > EVENTS:
            raise answers.BadParameter(operation, "EventTicker", "max")
        here = is_here(query, operation)
        self._venue.catch_up()

        def is_asked_for(record: OrderRecord) -> bool:
            return (
                here
                and (not ticker or ticker == record.order.ticker)
                and (not status or status == record.status)
                and (not events or event_of(self._venue, record.order.ticker) in events)
                and answers.within(record.created_at, earliest, latest)
            )

        listed = list(self._venue.read_orders(account).values())
        found, cursor = pages.newest_first(listed, is_asked_for, query.get("cursor"), limit)
        return answers.body(OrdersPage([self._bodies.body(record) for record in found], cursor))

    async def queue_position(self, request: Request) -> Response:
        account = self._callers.account(request)
        ahead = self._venue.queue_position(account, request.path_params["order_id"])
        return answers.body(QueueAnswer(quantity_to_contracts(ahead), contracts(ahead)))

    async def queue_positions(self, request: Request) -> Response:
        account = self._callers.account(request)
        query = request.query_params
        tickers = answers.names(query, "market_tickers")
        events = answers.names(query, "event_ticker")
        here = is_here(query, "GetOrderQueuePositions")
        self._venue.catch_up()
        asked = [
            order
            for order in account.portfolio.orders.values()
            if here
            and (not tickers or order.ticker in tickers)
            and (not events or event_of(self._venue, order.ticker) in events)
        ]
        return answers.body(QueuePlaces(self._places(account, asked)))

    async def resting_value(self, request: Request) -> Response:
        account = self._callers.account(request)
        self._venue.catch_up()
        total = Cash(sum(_worth(order) for order in account.portfolio.orders.values()))
        shard: dict[str, int | str] = {"exchange_index": 0, "balance": cash_to_dollars(total)}
        return answers.body(RestingValue(cents(total), [shard]))

    def _places(self, account: Account, orders: list[Order]) -> list[QueuePlace]:
        places = []
        for order in orders:
            with suppress(OrderNotFound):  # it may end while the others are looked up
                ahead = self._venue.queue_position(account, order.order_id)
                text = quantity_to_contracts(ahead)
                places.append(QueuePlace(order.order_id, order.ticker, text, contracts(ahead)))
        return places


def is_here(query: Mapping[str, str], operation: str) -> bool:
    """Say whether a query asks for what is on this exchange: all of it lies in one place."""
    shard = answers.whole(query, "exchange_index", operation)
    if shard is not None and shard < 0:
        raise answers.BadParameter(operation, "ExchangeIndex", "gte")
    return not order_requests.subaccount_of(query, operation) and not shard


def event_of(venue: Venue, ticker: str) -> str:
    """Give the event that a market belongs to."""
    return venue.floor.market(ticker).market.event_ticker


def _worth(order: Order) -> int:
    unit: Price = order.price if order.side == Side.BID else complement(order.price)
    return unit * order.remaining

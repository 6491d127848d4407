"""REST of one's own orders: created, cancelled, read."""

import re
from collections.abc import Callable
from contextlib import suppress

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from kalshiflow.exchange import payloads, translate_bodies
from kalshiflow.exchange.translate import TranslationError, positive_quantity_of, side_of
from kalshiflow.market.events import Side
from kalshiflow.market.orders import TimeInForce
from kalshiflow.market.units import (
    Cash,
    Price,
    Quantity,
    UnitError,
    cash_to_dollars,
    floor_cash,
    price_from_dollars,
    price_to_dollars,
    quantity_to_contracts,
)
from kalshiflow.venue.clock import MILLISECOND, SECOND
from kalshiflow.venue.core import Venue
from kalshiflow.venue.floor.accounts import Account, OrderRecord
from kalshiflow.venue.floor.floor import NewOrder
from kalshiflow.venue.floor.refusals import (
    InvalidOrder,
    InvalidOrderSize,
    InvalidPrice,
    MarketInactive,
    OrderNotFound,
)
from kalshiflow.venue.matching.messages import (
    SelfTrade,
)
from kalshiflow.venue.rest import answers
from kalshiflow.venue.rest.public import within
from kalshiflow.venue.websocket import bodies

CENTICENT = Cash(100)
LATEST_EXPIRY = 9_000_000_000  # Unix seconds: what nanoseconds of 64 bits can hold
# What the exchange's own decoder calls the types of JSON.
_JSON_TYPES = {"int": "number", "float": "number", "str": "string", "object": "object"}
_MISMATCH = re.compile(r"Expected `(\w+)[^`]*`, got `(\w+)` - at `\$\.(\w+)`")
_MISSING = re.compile(r"missing required field `(\w+)`")

Signed = Callable[[Request], Account]


def routes(venue: Venue, signed: Signed, flush: Callable[[], None]) -> list[BaseRoute]:
    """Give the routes of orders.

    `signed` gives whose request it is, or raises; `flush` sends the frames that an order made.
    """
    orders = _Orders(venue, signed, flush)
    return [
        Route("/portfolio/events/orders", orders.create, methods=["POST"]),
        Route("/portfolio/events/orders", orders.cancel_all, methods=["DELETE"]),
        Route("/portfolio/events/orders/{order_id}", orders.cancel, methods=["DELETE"]),
        Route("/portfolio/orders", orders.all_orders),
        Route("/portfolio/orders/{order_id}", orders.order),
    ]


class _Orders:
    def __init__(self, venue: Venue, signed: Signed, flush: Callable[[], None]) -> None:
        self._venue = venue
        self._signed = signed
        self._flush = flush

    async def create(self, request: Request) -> Response:
        account = self._signed(request)
        order = self._read(await request.body())
        record = self._venue.place(account, order)
        self._flush()
        return answers.body(_create_answer(record), 201)

    async def cancel(self, request: Request) -> Response:
        account = self._signed(request)
        record, left = self._venue.cancel(account, request.path_params["order_id"])
        self._flush()
        answer = payloads.CancelOrderAnswer(
            record.order.order_id,
            quantity_to_contracts(left),
            record.updated_at // MILLISECOND,
            record.order.client_order_id or None,
        )
        return answers.body(answer)

    async def cancel_all(self, request: Request) -> Response:
        account = self._signed(request)
        for order_id in [o for o, record in account.orders.items() if record.remaining]:
            # What is due happens first: an order may be filled, or its market close, by then.
            with suppress(OrderNotFound, MarketInactive):
                self._venue.cancel(account, order_id)
        self._flush()
        return Response(status_code=204)

    async def order(self, request: Request) -> Response:
        account = self._signed(request)
        record = account.orders.get(request.path_params["order_id"])
        if record is None:
            raise OrderNotFound
        return answers.body(payloads.OrderAnswer(_order_body(record)))

    async def all_orders(self, request: Request) -> Response:
        account = self._signed(request)
        query = request.query_params
        limit = answers.limit_of(query, "GetOrders")
        earliest = answers.whole(query, "min_ts", "GetOrders")
        latest = answers.whole(query, "max_ts", "GetOrders")
        events = set(filter(None, query.get("event_ticker", "").split(",")))
        found = [
            record
            for record in account.orders.values()
            if query.get("ticker") in {None, "", record.order.ticker}
            and query.get("status") in {None, "", record.status}
            and (not events or self._event_of(record) in events)
            and within(record.created_at, earliest, latest)
        ]
        found.reverse()
        part, cursor = answers.page(found, query.get("cursor"), limit)
        return answers.body(payloads.OrdersPage([_order_body(r) for r in part], cursor))

    def _event_of(self, record: OrderRecord) -> str:
        return self._venue.floor.market(record.order.ticker).market.event_ticker

    def _read(self, raw: bytes) -> NewOrder:
        try:
            body = payloads.decode(raw, payloads.CreateOrder)
        except (ValueError, RecursionError) as unreadable:
            raise answers.BadBody(_as_the_exchange_says(str(unreadable))) from None
        time_in_force = _time_in_force(body)
        return NewOrder(
            ticker=body.ticker,
            side=_side(body),
            price=_price(body),
            quantity=_quantity(body),
            time_in_force=time_in_force,
            client_order_id=body.client_order_id or "",
            post_only=bool(body.post_only),
            reduce_only=bool(body.reduce_only),
            self_trade=_self_trade(body),
            expires_at=self._expiry(body, time_in_force),
        )

    def _expiry(self, body: payloads.CreateOrder, time_in_force: TimeInForce) -> int | None:
        if body.expiration_time is None:
            return None
        if time_in_force is not TimeInForce.GTC:
            raise InvalidOrder(details="only good_till_canceled orders may have an expiration")
        if body.expiration_time > LATEST_EXPIRY:
            raise InvalidOrder(details="Expiration timestamp is out of range")
        at = body.expiration_time * SECOND
        if at <= self._venue.clock.now():
            raise InvalidOrder(details="Expiration timestamp must be in the future")
        return at


def _create_answer(record: OrderRecord) -> payloads.CreateOrderAnswer:
    order, filled = record.order, record.filled
    price = fee = None
    if filled:
        price, fee = record.average_price(), record.average_fee()
    return payloads.CreateOrderAnswer(
        order_id=order.order_id,
        fill_count=quantity_to_contracts(filled),
        remaining_count=quantity_to_contracts(record.remaining),
        ts_ms=record.created_at // MILLISECOND,
        client_order_id=order.client_order_id or None,
        average_fill_price=None if price is None else price_to_dollars(price),
        average_fee_paid=None if fee is None else cash_to_dollars(floor_cash(fee, CENTICENT), 4),
    )


def _order_body(record: OrderRecord) -> payloads.OrderBody:
    body = translate_bodies.order_body(bodies.own_order(record), record.owner.user_id)
    return msgspec.structs.replace(body, self_trade_prevention_type=record.self_trade.value)


def _as_the_exchange_says(problem: str) -> str:
    mismatch = _MISMATCH.search(problem)
    if mismatch:
        wanted, got, field = mismatch.groups()
        return (
            f"json: cannot unmarshal {_JSON_TYPES.get(got, got)} into Go struct field "
            f"CreateOrderV2Request.{field} of type {_go_type(wanted)}"
        )
    missing = _MISSING.search(problem)
    return f"missing required field {missing.group(1)}" if missing else "invalid request body"


def _go_type(name: str) -> str:
    return {"str": "string", "int": "int64", "bool": "bool"}.get(name, name)


def _side(body: payloads.CreateOrder) -> Side:
    try:
        return side_of(body.side, None)
    except TranslationError:
        raise answers.BadBody(f"side {body.side!r} is neither bid nor ask") from None


def _price(body: payloads.CreateOrder) -> Price:
    try:
        return price_from_dollars(body.price)
    except UnitError:
        raise InvalidPrice from None


def _quantity(body: payloads.CreateOrder) -> Quantity:
    try:
        return positive_quantity_of(body.count)
    except ValueError:
        raise InvalidOrderSize from None


def _time_in_force(body: payloads.CreateOrder) -> TimeInForce:
    try:
        return TimeInForce(body.time_in_force)
    except ValueError:
        raise answers.BadBody(f"time_in_force {body.time_in_force!r} is not known") from None


def _self_trade(body: payloads.CreateOrder) -> SelfTrade:
    try:
        return SelfTrade(body.self_trade_prevention_type)
    except ValueError:
        raise answers.BadBody(
            f"self_trade_prevention_type {body.self_trade_prevention_type!r} is not known"
        ) from None

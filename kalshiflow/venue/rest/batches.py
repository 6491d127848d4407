"""REST of several orders at once: each is taken or refused by itself, in the order of the request.

What cannot be read at all refuses the whole batch, and so does a batch that the account's limits
do not cover.
"""

from collections.abc import Callable

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from kalshiflow.exchange.payloads import CreateOrder, ErrorDetail
from kalshiflow.market.units import Quantity, quantity_to_contracts
from kalshiflow.venue.core import Venue
from kalshiflow.venue.floor.accounts import Account
from kalshiflow.venue.floor.refusals import Refused
from kalshiflow.venue.rest import answers, order_requests, orders
from kalshiflow.venue.rest.callers import Callers

NOTHING = quantity_to_contracts(Quantity(0))


class CreatedItem(msgspec.Struct):
    """What became of one new order: figures, or nothing but an error."""

    order_id: str | msgspec.UnsetType = msgspec.UNSET
    client_order_id: str | None = None
    fill_count: str | None = None
    remaining_count: str | None = None
    average_fill_price: str | None = None
    average_fee_paid: str | None = None
    ts_ms: int | None = None
    error: ErrorDetail | msgspec.UnsetType = msgspec.UNSET


class CreatedBatch(msgspec.Struct):
    """What became of new orders, in the order in which they were asked for."""

    orders: list[CreatedItem]


class CancelledItem(msgspec.Struct):
    """What was taken off by one cancel: nothing where it was refused."""

    order_id: str
    reduced_by: str
    client_order_id: str | None = None
    ts_ms: int | None = None
    error: ErrorDetail | msgspec.UnsetType = msgspec.UNSET


class CancelledBatch(msgspec.Struct):
    """What became of cancels, in the order in which they were asked for."""

    orders: list[CancelledItem]


def routes(venue: Venue, callers: Callers, flush: Callable[[], None]) -> list[BaseRoute]:
    """Give the routes of batches; they come before those of single orders."""
    batches = _Batches(venue, callers, flush)
    path = "/portfolio/events/orders/batched"
    return [
        Route(path, batches.create, methods=["POST"]),
        Route(path, batches.cancel, methods=["DELETE"]),
    ]


class _Batches:
    def __init__(self, venue: Venue, callers: Callers, flush: Callable[[], None]) -> None:
        self._venue = venue
        self._callers = callers
        self._flush = flush

    async def create(self, request: Request) -> Response:
        account = self._callers.account(request, items=0)
        raw = await request.body()
        forms = self._callers.read_batch(request, account, lambda: _new_orders(raw))
        items = [self._create(account, form) for form in forms]
        self._flush()
        return answers.body(CreatedBatch(items), 201)

    async def cancel(self, request: Request) -> Response:
        account = self._callers.account(request, items=0)
        raw = await request.body()
        forms = self._callers.read_batch(request, account, lambda: _cancels(raw))
        items = [self._cancel(account, form) for form in forms]
        self._flush()
        return answers.body(CancelledBatch(items))

    def _create(self, account: Account, form: CreateOrder) -> CreatedItem:
        client_order_id = form.client_order_id or None
        try:
            order = order_requests.new_order(form, self._venue.clock.now())
            answer = orders.created(self._venue.place(account, order))
        except Refused as refused:
            return CreatedItem(client_order_id=client_order_id, error=answers.error_of(refused))
        return CreatedItem(
            answer.order_id,
            client_order_id,
            answer.fill_count,
            answer.remaining_count,
            answer.average_fill_price,
            answer.average_fee_paid,
            answer.ts_ms,
        )

    def _cancel(self, account: Account, form: order_requests.CancelForm) -> CancelledItem:
        try:
            order_requests.route(form.subaccount, form.exchange_index, form.market_ticker)
            answer = orders.cancelled(*self._venue.cancel(account, form.order_id))
        except Refused as refused:
            return CancelledItem(form.order_id, NOTHING, error=answers.error_of(refused))
        return CancelledItem(
            answer.order_id, answer.reduced_by, answer.client_order_id, answer.ts_ms
        )


def _new_orders(raw: bytes) -> list[CreateOrder]:
    form = order_requests.read(
        raw, order_requests.BatchCreateForm, "BatchCreateOrdersV2Request", "CreateOrderV2Request"
    )
    for order in form.orders:
        order_requests.check_words(order)
    return form.orders


def _cancels(raw: bytes) -> list[order_requests.CancelForm]:
    return order_requests.read(
        raw, order_requests.BatchCancelForm, "BatchCancelOrdersV2Request"
    ).orders

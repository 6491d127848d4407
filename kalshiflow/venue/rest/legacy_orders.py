"""REST of orders as it was before the YES book: served for older clients, or gone (HTTP 410)."""

from collections.abc import Callable

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from kalshiflow.exchange.payloads import ErrorDetail
from kalshiflow.market.units import quantity_to_contracts
from kalshiflow.venue.core import Venue
from kalshiflow.venue.floor.accounts import Account, OrderRecord
from kalshiflow.venue.floor.refusals import NotFilled, OrderNotFound, Refused
from kalshiflow.venue.rest import answers, batches, legacy_requests, order_requests
from kalshiflow.venue.rest.callers import Callers
from kalshiflow.venue.rest.former import contracts
from kalshiflow.venue.rest.own_bodies import OrderBodies, OrderBody, Wording

_PATH = "/portfolio/orders"
# method, path below, name of the handler: what a strict venue answers 410 to.
_ENDPOINTS = (
    ("POST", "/batched", "create_batch"),
    ("DELETE", "/batched", "cancel_batch"),
    ("POST", "", "create"),
    ("DELETE", "/{order_id}", "cancel"),
    ("POST", "/{order_id}/amend", "amend"),
    ("POST", "/{order_id}/decrease", "decrease"),
)


class DeprecatedEndpoint(Refused):
    """An order endpoint that is no more."""

    status = 410
    code = "deprecated_v1_order_endpoint"


class OrderAnswer(msgspec.Struct):
    """An order as it is now."""

    order: OrderBody


class CancelAnswer(msgspec.Struct):
    """An order after its cancel, and what was taken off."""

    order: OrderBody
    reduced_by: int
    reduced_by_fp: str


class AmendAnswer(msgspec.Struct):
    """An order before and after it was amended."""

    old_order: OrderBody
    order: OrderBody


class CreatedItem(msgspec.Struct):
    """What became of one order of a batch: the order, or an error."""

    client_order_id: str | None
    order: OrderBody | None = None
    error: ErrorDetail | None = None


class CreatedBatch(msgspec.Struct):
    """What became of a batch of orders."""

    orders: list[CreatedItem]


class CancelledItem(msgspec.Struct):
    """What became of one cancel of a batch."""

    order_id: str
    order: OrderBody | None = None
    reduced_by: int = 0
    reduced_by_fp: str = batches.NOTHING
    error: ErrorDetail | None = None


class CancelledBatch(msgspec.Struct):
    """What became of a batch of cancels."""

    orders: list[CancelledItem]


def routes(
    venue: Venue,
    callers: Callers,
    flush: Callable[[], None],
    bodies: OrderBodies,
    *,
    strict: bool,
) -> list[BaseRoute]:
    """Give the routes of the old endpoints; `strict` answers all of them that they are gone."""
    legacy = _LegacyOrders(venue, callers, flush, bodies)
    return [
        Route(_PATH + below, legacy.gone if strict else getattr(legacy, name), methods=[method])
        for method, below, name in _ENDPOINTS
    ]


class _LegacyOrders:
    def __init__(
        self, venue: Venue, callers: Callers, flush: Callable[[], None], bodies: OrderBodies
    ) -> None:
        self._venue = venue
        self._callers = callers
        self._flush = flush
        self._bodies = bodies

    async def gone(self, request: Request) -> Response:
        self._callers.account(request)
        raise DeprecatedEndpoint(
            "Please switch to the V2 endpoints",
            "https://docs.kalshi.com/api-reference/orders/create-order-v2",
        )

    async def create(self, request: Request) -> Response:
        account = self._callers.account(request)
        raw = await request.body()
        form = order_requests.read(raw, legacy_requests.CreateForm, "CreateOrderRequest")
        record = self._place(account, form)
        self._flush()
        return answers.body(OrderAnswer(self._bodies.body(record)), 201)

    async def cancel(self, request: Request) -> Response:
        account = self._callers.account(request)
        order_requests.routed_by(request.query_params, "CancelOrder")
        record, left = self._venue.cancel(account, request.path_params["order_id"])
        self._flush()
        answer = CancelAnswer(
            self._bodies.body(record), contracts(left), quantity_to_contracts(left)
        )
        return answers.body(answer)

    async def amend(self, request: Request) -> Response:
        account = self._callers.account(request)
        raw = await request.body()
        form = order_requests.read(raw, legacy_requests.AmendForm, "AmendOrderRequest")
        self._venue.catch_up()
        order_id = request.path_params["order_id"]
        record = account.orders.get(order_id)
        if record is None:
            raise OrderNotFound
        amendment = legacy_requests.amendment(form, record)
        before = self._bodies.body(record)
        record = self._venue.amend(account, order_id, amendment)
        self._flush()
        return answers.body(AmendAnswer(before, self._bodies.body(record)))

    async def decrease(self, request: Request) -> Response:
        account = self._callers.account(request)
        raw = await request.body()
        form = order_requests.read(raw, legacy_requests.DecreaseForm, "DecreaseOrderRequest")
        by, to = legacy_requests.reduction(form)
        record = self._venue.decrease(account, request.path_params["order_id"], by=by, to=to)
        self._flush()
        return answers.body(OrderAnswer(self._bodies.body(record)))

    async def create_batch(self, request: Request) -> Response:
        account = self._callers.account(request, items=0)
        raw = await request.body()
        forms = self._callers.read_batch(request, account, lambda: _new_orders(raw))
        items = [self._create_item(account, form) for form in forms]
        self._flush()
        return answers.body(CreatedBatch(items), 201)

    async def cancel_batch(self, request: Request) -> Response:
        account = self._callers.account(request, items=0)
        raw = await request.body()
        forms = self._callers.read_batch(request, account, lambda: _cancels(raw))
        items = [self._cancel_item(account, form) for form in forms]
        self._flush()
        return answers.body(CancelledBatch(items))

    def _create_item(self, account: Account, form: legacy_requests.CreateForm) -> CreatedItem:
        item = CreatedItem(form.client_order_id)
        try:
            item.order = self._bodies.body(self._place(account, form))
        except Refused as refused:
            item.error = answers.error_of(refused)
        return item

    def _cancel_item(self, account: Account, form: order_requests.CancelForm) -> CancelledItem:
        try:
            order_requests.route(form.subaccount, form.exchange_index, form.market_ticker)
            record, left = self._venue.cancel(account, form.order_id)
        except Refused as refused:
            return CancelledItem(form.order_id, error=answers.error_of(refused))
        return CancelledItem(
            form.order_id, self._bodies.body(record), contracts(left), quantity_to_contracts(left)
        )

    def _place(self, account: Account, form: legacy_requests.CreateForm) -> OrderRecord:
        order = legacy_requests.new_order(form, self._venue.catch_up())
        if form.buy_max_cost is not None:
            book = self._venue.floor.market(order.ticker).matching.book
            if not legacy_requests.is_within(
                order, form.buy_max_cost, book.levels(order.side.other)
            ):
                raise NotFilled("buy_max_cost does not cover the order")
        record = self._venue.place(account, order)
        told = form.self_trade_prevention_type is not None
        self._bodies.remember(record, Wording(form.side, form.action, told))
        return record


def _new_orders(raw: bytes) -> list[legacy_requests.CreateForm]:
    form = order_requests.read(
        raw, legacy_requests.BatchCreateForm, "BatchCreateOrdersRequest", "CreateOrderRequest"
    )
    for order in form.orders:
        legacy_requests.check_words(order)
    return form.orders


def _cancels(raw: bytes) -> list[order_requests.CancelForm]:
    form = order_requests.read(raw, legacy_requests.BatchCancelForm, "BatchCancelOrdersRequest")
    return list(legacy_requests.cancels(form))

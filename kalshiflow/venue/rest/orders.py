"""REST of one's own orders: created, changed, cancelled and read."""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from kalshiflow.exchange import payloads
from kalshiflow.market.events import Side
from kalshiflow.market.fees import CENTICENT
from kalshiflow.market.units import (
    Cash,
    Price,
    Quantity,
    cash_to_dollars,
    complement,
    floor_cash,
    price_to_dollars,
    quantity_to_contracts,
)
from kalshiflow.venue.clock import MILLISECOND
from kalshiflow.venue.core import Venue
from kalshiflow.venue.floor.accounts import OrderRecord
from kalshiflow.venue.floor.refusals import OrderNotFound
from kalshiflow.venue.rest import answers, order_requests
from kalshiflow.venue.rest.callers import Callers


class AmendOrderAnswer(msgspec.Struct):
    """What an amendment did. What it did not change or fill is told as nothing."""

    order_id: str
    ts_ms: int
    client_order_id: str | msgspec.UnsetType
    remaining_count: str | None
    fill_count: str | None
    average_fill_price: str | None
    average_fee_paid: str | None


class DecreaseOrderAnswer(msgspec.Struct):
    """What remains of an order."""

    order_id: str
    remaining_count: str
    ts_ms: int
    client_order_id: str | msgspec.UnsetType


def routes(venue: Venue, callers: Callers, flush: Callable[[], None]) -> list[BaseRoute]:
    """Give the routes that change orders.

    `flush` sends the frames that an order made.
    """
    orders = _Orders(venue, callers, flush)
    path = "/portfolio/events/orders"
    return [
        Route(path, orders.create, methods=["POST"]),
        Route(path, orders.cancel_all, methods=["DELETE"]),
        Route(path + "/{order_id}", orders.cancel, methods=["DELETE"]),
        Route(path + "/{order_id}/amend", orders.amend, methods=["POST"]),
        Route(path + "/{order_id}/decrease", orders.decrease, methods=["POST"]),
    ]


class _Orders:
    def __init__(self, venue: Venue, callers: Callers, flush: Callable[[], None]) -> None:
        self._venue = venue
        self._callers = callers
        self._flush = flush

    async def create(self, request: Request) -> Response:
        account = self._callers.account(request)
        raw = await request.body()
        form = order_requests.read(raw, payloads.CreateOrder, "CreateOrderV2Request")
        order = order_requests.new_order(form, self._venue.clock.now())
        record = self._venue.place(account, order)
        self._flush()
        return answers.body(created(record), 201)

    async def cancel(self, request: Request) -> Response:
        account = self._callers.account(request)
        order_requests.routed_by(request.query_params, "CancelOrderV2")
        record, left = self._venue.cancel(account, request.path_params["order_id"])
        self._flush()
        return answers.body(cancelled(record, left))

    async def cancel_all(self, request: Request) -> Response:
        account = self._callers.account(request)
        order_requests.routed_by(request.query_params, "CancelOrdersV2")
        self._venue.cancel_all(account)
        self._flush()
        return Response(status_code=204)

    async def amend(self, request: Request) -> Response:
        account = self._callers.account(request)
        order_requests.routed_by(request.query_params, "AmendOrderV2")
        raw = await request.body()
        form = order_requests.read(raw, order_requests.AmendForm, "AmendOrderV2Request")
        order_id = request.path_params["order_id"]
        amendment = order_requests.amendment(form, self._venue.catch_up())
        before = Figures.of(account.orders.get(order_id))
        record = self._venue.amend(account, order_id, amendment)
        self._flush()
        return answers.body(amended(record, before))

    async def decrease(self, request: Request) -> Response:
        account = self._callers.account(request)
        order_requests.routed_by(request.query_params, "DecreaseOrderV2")
        raw = await request.body()
        form = order_requests.read(raw, order_requests.DecreaseForm, "DecreaseOrderV2Request")
        order_requests.route(None, form.exchange_index, form.market_ticker)
        by, to = order_requests.reduction(form.reduce_by, form.reduce_to)
        record = self._venue.decrease(account, request.path_params["order_id"], by=by, to=to)
        self._flush()
        answer = DecreaseOrderAnswer(
            record.order.order_id,
            quantity_to_contracts(record.remaining),
            record.updated_at // MILLISECOND,
            record.order.client_order_id or msgspec.UNSET,
        )
        return answers.body(answer)


@dataclass(frozen=True, slots=True)
class Figures:
    """What had become of an order by some time; costs are those of its own outcome."""

    remaining: int
    filled: int
    cost: int
    fees: int

    @staticmethod
    def of(record: OrderRecord | None) -> "Figures":
        """Take down an order's figures; raises `OrderNotFound` where there is none."""
        if record is None:
            raise OrderNotFound
        return Figures(
            record.remaining,
            record.filled,
            record.taker_cost + record.maker_cost,
            record.taker_fees + record.maker_fees,
        )


def created(record: OrderRecord) -> payloads.CreateOrderAnswer:
    """Tell what became of a new order at once."""
    order = record.order
    price = fee = None
    if record.filled:
        price = price_to_dollars(record.average_price())
        fee = _fee_text(record.average_fee())
    return payloads.CreateOrderAnswer(
        order_id=order.order_id,
        fill_count=quantity_to_contracts(record.filled),
        remaining_count=quantity_to_contracts(record.remaining),
        ts_ms=record.created_at // MILLISECOND,
        client_order_id=order.client_order_id or None,
        average_fill_price=price,
        average_fee_paid=fee,
    )


def cancelled(record: OrderRecord, left: Quantity) -> payloads.CancelOrderAnswer:
    """Tell what was left of an order that was cancelled."""
    return payloads.CancelOrderAnswer(
        record.order.order_id,
        quantity_to_contracts(left),
        record.updated_at // MILLISECOND,
        record.order.client_order_id or None,
    )


def amended(record: OrderRecord, before: Figures) -> AmendOrderAnswer:
    """Tell what an amendment changed of an order, and filled of it."""
    after = Figures.of(record)
    filled = after.filled - before.filled
    answer = AmendOrderAnswer(
        order_id=record.order.order_id,
        ts_ms=record.updated_at // MILLISECOND,
        client_order_id=record.order.client_order_id or msgspec.UNSET,
        remaining_count=None,
        fill_count=None,
        average_fill_price=None,
        average_fee_paid=None,
    )
    if filled or after.remaining != before.remaining:
        answer.remaining_count = quantity_to_contracts(record.remaining)
        answer.fill_count = quantity_to_contracts(Quantity(filled))
    if filled:
        average = Price((2 * (after.cost - before.cost) + filled) // (2 * filled))
        is_bid = record.order.side == Side.BID
        answer.average_fill_price = price_to_dollars(average if is_bid else complement(average))
        answer.average_fee_paid = _fee_text(Cash((after.fees - before.fees) * 100 // filled))
    return answer


def _fee_text(fee: Cash) -> str:
    return cash_to_dollars(floor_cash(fee, CENTICENT), 4)

"""Bodies of the old order endpoints, read: yes and no, buy and sell, whole cents and contracts."""

from collections.abc import Sequence

import msgspec

from kalshiflow.exchange.translate import TranslationError, side_of
from kalshiflow.market.events import Levels, Side
from kalshiflow.market.orders import TimeInForce
from kalshiflow.market.units import (
    Cash,
    Price,
    Quantity,
    cash_from_cents,
    complement,
    price_from_cents,
)
from kalshiflow.venue.floor.accounts import OrderRecord
from kalshiflow.venue.floor.refusals import InvalidOrder, InvalidPrice
from kalshiflow.venue.floor.requests import Amendment, NewOrder
from kalshiflow.venue.matching.messages import SelfTrade
from kalshiflow.venue.rest import answers, order_requests
from kalshiflow.venue.rest.order_requests import missing

_ONE_PRICE = (
    "exactly one of yes_price, no_price, yes_price_dollars, or no_price_dollars should be provided"
)


class _Priced(msgspec.Struct, frozen=True, kw_only=True):
    """A price said in one of four ways: an outcome's, in cents or in dollars."""

    yes_price: int | None = None
    no_price: int | None = None
    yes_price_dollars: str | None = None
    no_price_dollars: str | None = None


class CreateForm(_Priced, frozen=True, kw_only=True):
    """A new order."""

    ticker: str
    side: str
    action: str
    count: int | None = None
    count_fp: str | None = None
    client_order_id: str | None = None
    time_in_force: str | None = None
    expiration_ts: int | None = None
    post_only: bool | None = None
    reduce_only: bool | None = None
    buy_max_cost: int | None = None
    sell_position_floor: int | None = None
    self_trade_prevention_type: str | None = None
    order_group_id: str | None = None
    cancel_order_on_pause: bool | None = None
    subaccount: int | None = None
    exchange_index: int | None = None


class BatchCreateForm(msgspec.Struct, frozen=True):
    """Several new orders."""

    orders: list[CreateForm]


class AmendForm(_Priced, frozen=True, kw_only=True):
    """New terms of a resting order; `count` is the new total, and stays where it is not told."""

    ticker: str
    side: str
    action: str
    client_order_id: str | None = None
    updated_client_order_id: str | None = None
    count: int | None = None
    count_fp: str | None = None
    subaccount: int | None = None
    exchange_index: int | None = None


class DecreaseForm(msgspec.Struct, frozen=True):
    """How much to take off a resting order, or to leave of it."""

    reduce_by: int | None = None
    reduce_by_fp: str | None = None
    reduce_to: int | None = None
    reduce_to_fp: str | None = None
    subaccount: int | None = None
    exchange_index: int | None = None


class BatchCancelForm(msgspec.Struct, frozen=True):
    """Several orders to cancel, by their ids or, with where they are, as things."""

    ids: list[str] | None = None
    orders: list[order_requests.CancelForm] | None = None


def check_words(form: CreateForm) -> None:
    """Check the words of a new order that are a choice; raises `BadBody`, `MissingParameters`."""
    if not form.ticker:
        raise missing("CreateOrderRequest.ticker")
    _side(form.side, form.action, "CreateOrderRequest")
    if form.time_in_force:
        order_requests.time_in_force(form.time_in_force)
    if form.self_trade_prevention_type:
        order_requests.self_trade(form.self_trade_prevention_type)


def new_order(form: CreateForm, now: int) -> NewOrder:
    """Read a new order at a market time; raises `BadBody` or a `Refused`."""
    check_words(form)
    order_requests.route(form.subaccount, form.exchange_index, form.ticker)
    if form.sell_position_floor:
        raise InvalidOrder(details="sell_position_floor can only be 0")
    lasting = TimeInForce(form.time_in_force or TimeInForce.GTC)
    if form.buy_max_cost is not None:
        lasting = TimeInForce.FOK
    return NewOrder(
        ticker=form.ticker,
        side=_side(form.side, form.action, "CreateOrderRequest"),
        price=_price(form),
        quantity=_quantity(form.count, form.count_fp, "CreateOrderRequest.count"),
        time_in_force=lasting,
        client_order_id=form.client_order_id or "",
        post_only=bool(form.post_only),
        reduce_only=bool(form.reduce_only) or form.sell_position_floor == 0,
        self_trade=SelfTrade(form.self_trade_prevention_type or SelfTrade.TAKER),
        expires_at=order_requests.expiry(form.expiration_ts, lasting, now),
        group_id=form.order_group_id or "",
        cancel_on_pause=bool(form.cancel_order_on_pause),
    )


def amendment(form: AmendForm, record: OrderRecord) -> Amendment:
    """Read new terms of a resting order."""
    if not form.ticker:
        raise missing("AmendOrderRequest.ticker")
    order_requests.route(form.subaccount, form.exchange_index, form.ticker)
    stays = form.count is None and form.count_fp is None
    return Amendment(
        ticker=form.ticker,
        side=_side(form.side, form.action, "AmendOrderRequest"),
        price=_price(form),
        quantity=Quantity(record.filled + record.remaining)
        if stays
        else _quantity(form.count, form.count_fp, "AmendOrderRequest.count"),
        client_order_id=form.client_order_id or "",
        updated_client_order_id=form.updated_client_order_id or "",
    )


def reduction(form: DecreaseForm) -> tuple[Quantity | None, Quantity | None]:
    """Read what to take off, or what to leave; the other one is `None`."""
    order_requests.route(form.subaccount, form.exchange_index, None)
    return order_requests.reduction(
        order_requests.counted(form.reduce_by, form.reduce_by_fp, "reduce_by"),
        order_requests.counted(form.reduce_to, form.reduce_to_fp, "reduce_to"),
    )


def cancels(form: BatchCancelForm) -> Sequence[order_requests.CancelForm]:
    """Give the cancels of a batch."""
    if form.orders is not None:
        return form.orders
    if form.ids is None:
        raise missing("BatchCancelOrdersRequest.orders")
    return [order_requests.CancelForm(order_id) for order_id in form.ids]


def is_within(order: NewOrder, most: int, levels: Levels) -> bool:
    """Say whether filling an order at once costs at most so many cents, before fees.

    `levels` are those it would meet, best first.
    """
    cost, left = 0, order.quantity
    for price, quantity in levels:
        taken = min(left, quantity)
        cost += taken * (price if order.side == Side.BID else complement(price))
        left = Quantity(left - taken)
        if not left:
            break
    return Cash(cost) <= cash_from_cents(most)


def _side(side: str, action: str, name: str) -> Side:
    for field, text in (("side", side), ("action", action)):
        if not text:
            raise missing(f"{name}.{field}")
    try:
        return side_of(None, None, side, action)
    except TranslationError:
        raise answers.BadBody(f"there is no side {side!r} with action {action!r}") from None


def _price(form: _Priced) -> Price:
    """Give the YES price: one dollar less the price of NO."""
    told = (form.yes_price, form.no_price, form.yes_price_dollars, form.no_price_dollars)
    if sum(price is not None for price in told) != 1:
        raise InvalidOrder(details=_ONE_PRICE)
    if form.yes_price is not None:
        return _from_cents(form.yes_price)
    if form.no_price is not None:
        return complement(_from_cents(form.no_price))
    if form.yes_price_dollars is not None:
        return order_requests.price(form.yes_price_dollars)
    return complement(order_requests.price(form.no_price_dollars or ""))


def _from_cents(cents: int) -> Price:
    if not 1 <= cents <= 99:
        raise InvalidPrice
    return price_from_cents(cents)


def _quantity(count: int | None, count_fp: str | None, path: str) -> Quantity:
    text = order_requests.counted(count, count_fp, path.rpartition(".")[2])
    if text is None:
        raise missing(path)
    return order_requests.quantity(text)

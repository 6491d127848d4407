"""What an order, or new terms for one, must be before a book sees it: decisions without effects."""

from dataclasses import replace

from kalshiflow.market.events import Side
from kalshiflow.market.listing import PriceGrid
from kalshiflow.market.orders import Order, OrderState
from kalshiflow.market.units import Quantity
from kalshiflow.venue.floor.accounts import Account, OrderRecord
from kalshiflow.venue.floor.refusals import (
    ClientIdMismatch,
    InvalidOrder,
    InvalidOrderSize,
    InvalidPrice,
    OrderAlreadyExists,
    SideMismatch,
    TickerMismatch,
)
from kalshiflow.venue.floor.requests import Amendment, NewOrder
from kalshiflow.venue.matching.messages import Incoming


def new_order(order_id: str, account: Account, new: NewOrder, grid: PriceGrid, now: int) -> Order:
    """Give the order that an account asks for; a reduce-only one is cut to what it closes.

    Raises a `Refused` for what can be seen without the book, the ledger and the groups.
    """
    _check_unused(account, new.client_order_id)
    _check_expiry(new.expires_at, now)
    if new.price not in grid:
        raise InvalidPrice
    if new.quantity <= 0:
        raise InvalidOrderSize
    quantity = new.quantity
    if new.reduce_only:
        quantity = Quantity(min(quantity, closable(account, new.ticker, new.side)))
        if not quantity:
            raise InvalidOrder(details="reduce only order would not reduce the position")
    return Order(
        order_id,
        new.ticker,
        new.side,
        new.price,
        quantity,
        new.time_in_force,
        new.client_order_id,
        new.post_only,
        new.reduce_only,
        OrderState.RESTING,
    )


def record_of(order: Order, account: Account, new: NewOrder, now: int) -> OrderRecord:
    """Give the record of a new order, with nothing of it filled."""
    return OrderRecord(
        order,
        account,
        now,
        now,
        new.self_trade,
        new.expires_at,
        group_id=new.group_id,
        cancel_on_pause=new.cancel_on_pause,
    )


def amended_order(record: OrderRecord, amendment: Amendment, grid: PriceGrid, now: int) -> Order:
    """Give a resting order on its new terms; a reduce-only one is cut to what it closes.

    Raises a `Refused` where the amendment is of another order, or asks for what cannot be.
    """
    order, account = record.order, record.owner
    if amendment.ticker != order.ticker:
        raise TickerMismatch
    if amendment.side != order.side:
        raise SideMismatch
    if amendment.client_order_id not in {"", order.client_order_id}:
        raise ClientIdMismatch
    _check_unused(account, amendment.updated_client_order_id)
    _check_expiry(amendment.expires_at, now)
    if amendment.price not in grid:
        raise InvalidPrice
    if amendment.quantity <= record.filled:
        raise InvalidOrderSize(details="the new total must be above what has been filled")
    quantity = amendment.quantity
    if order.reduce_only:
        most = record.filled + closable(account, order.ticker, order.side)
        quantity = Quantity(min(quantity, most))
    return replace(
        order,
        price=amendment.price,
        quantity=quantity,
        client_order_id=amendment.updated_client_order_id or order.client_order_id,
    )


def incoming_of(record: OrderRecord, order: Order) -> Incoming:
    """Give an order, on these terms, as the book takes it: what of it may still be filled."""
    return Incoming(
        order.order_id,
        record.owner.user_id,
        order.side,
        order.price,
        Quantity(order.quantity - record.filled),
        order.time_in_force,
        order.post_only,
        record.self_trade,
        order.reduce_only,
    )


def closable(account: Account, ticker: str, side: Side) -> int:
    """Give how much of an account's position an order of this side can close."""
    held = account.portfolio.held(ticker)
    return max(-held if side == Side.BID else held, 0)


def decreased_to(record: OrderRecord, by: Quantity | None, to: Quantity | None) -> Quantity:
    """Give what is to remain of an order that is decreased `by` so much, or `to` so much.

    One of them must be given. To what remains already is no error: a repeated request finds its
    work done.
    """
    if (by is None) == (to is None):
        raise InvalidOrder(details="one of reduce_by and reduce_to must be given")
    if by is not None:
        if not 0 < by <= record.remaining:
            raise InvalidOrderSize(details="reduce_by must be above zero and within what remains")
        return Quantity(record.remaining - by)
    if to is None or not 0 <= to <= record.remaining:
        raise InvalidOrderSize(details="reduce_to must not be above what remains")
    return to


def _check_unused(account: Account, client_order_id: str) -> None:
    if client_order_id and client_order_id in account.client_order_ids:
        raise OrderAlreadyExists


def _check_expiry(expires_at: int | None, now: int) -> None:
    if expires_at is not None and expires_at <= now:
        raise InvalidOrder(details="Expiration timestamp must be in the future")

"""One's own fills, orders and positions: frames to records and back."""

from kalshiflow.exchange.messages import FillBody, MarketPositionBody, UserOrderBody
from kalshiflow.exchange.records import OwnFill, OwnOrder, OwnPosition
from kalshiflow.exchange.times import NANOSECONDS, PER_MILLISECOND, iso_time, nanoseconds
from kalshiflow.exchange.translate import (
    BOOK_SIDES,
    OUTCOMES,
    TranslationError,
    cash_of,
    positive_quantity_of,
    quantity_of,
    side_of,
    stamped_time,
)
from kalshiflow.market.events import Side
from kalshiflow.market.orders import Fill, OrderState, Role
from kalshiflow.market.units import (
    cash_to_dollars,
    price_from_dollars,
    price_to_dollars,
    quantity_to_contracts,
)

EXPIRED = "ExpiryCancel"
_STATES = {
    "resting": OrderState.RESTING,
    "canceled": OrderState.CANCELLED,
    "executed": OrderState.FILLED,
    "unknown": OrderState.UNKNOWN,
}
_STATUSES = {
    OrderState.PENDING: "resting",
    OrderState.RESTING: "resting",
    OrderState.FILLED: "executed",
    OrderState.CANCELLED: "canceled",
    OrderState.EXPIRED: "canceled",
    OrderState.REJECTED: "canceled",
    OrderState.UNKNOWN: "unknown",
}


def state_of(status: str, reason: str | None = None) -> OrderState:
    """Read an order's status; an order that expired says so only in the reason."""
    try:
        state = _STATES[status]
    except KeyError:
        raise TranslationError(f"order status {status!r} is none of {', '.join(_STATES)}") from None
    expired = state is OrderState.CANCELLED and reason == EXPIRED
    return OrderState.EXPIRED if expired else state


def status_of(state: OrderState) -> str:
    """Write an order's state as a status."""
    return _STATUSES[state]


def fill_time(body: FillBody) -> int | None:
    """Give a fill's exchange time."""
    return stamped_time(body.ts_ms, body.ts)


def order_time(body: UserOrderBody) -> int | None:
    """Give when an order changed last, else when it was made."""
    if body.last_update_time:
        return nanoseconds(body.last_update_time)
    if body.last_updated_ts_ms is not None:
        return body.last_updated_ts_ms * PER_MILLISECOND
    return _created(body)


def own_fill(body: FillBody, at: int) -> OwnFill:
    """Translate a fill; `at` stands in where it tells no time. A NO fill still has a YES price."""
    told = fill_time(body)
    fill = Fill(
        trade_id=body.trade_id,
        order_id=body.order_id,
        ticker=body.market_ticker,
        side=side_of(body.book_side, body.outcome_side, body.side, body.action),
        price=price_from_dollars(body.yes_price_dollars),
        quantity=positive_quantity_of(body.count_fp),
        role=Role.TAKER if body.is_taker else Role.MAKER,
        fee=cash_of(body.fee_cost),
        at=at if told is None else told,
        client_order_id=body.client_order_id or "",
    )
    after = body.post_position_fp
    return OwnFill(fill, None if after is None else quantity_of(after))


def fill_body(own: OwnFill) -> FillBody:
    """Write a fill, with the deprecated words that say the same as `book_side`."""
    fill = own.fill
    outcome = OUTCOMES[fill.side]
    return FillBody(
        trade_id=fill.trade_id,
        order_id=fill.order_id,
        market_ticker=fill.ticker,
        yes_price_dollars=price_to_dollars(fill.price),
        count_fp=quantity_to_contracts(fill.quantity),
        is_taker=fill.role is Role.TAKER,
        fee_cost=cash_to_dollars(fill.fee),
        client_order_id=fill.client_order_id or None,
        exchange_index=0,
        side=outcome,
        action="buy",
        purchased_side=outcome,
        outcome_side=outcome,
        book_side=BOOK_SIDES[fill.side],
        post_position_fp=(
            None if own.post_position is None else quantity_to_contracts(own.post_position)
        ),
        subaccount=0,
        ts=fill.at // NANOSECONDS,
        ts_ms=fill.at // PER_MILLISECOND,
    )


def own_order(body: UserOrderBody) -> OwnOrder:
    """Translate an order's new state."""
    side = body.side if body.is_yes is None else ("yes" if body.is_yes else "no")
    expires = body.expiration_ts_ms
    return OwnOrder(
        order_id=body.order_id,
        client_order_id=body.client_order_id or "",
        ticker=body.ticker,
        side=side_of(body.book_side, body.outcome_side or side),
        price=price_from_dollars(body.yes_price_dollars),
        state=state_of(body.status, body.last_update_reason),
        quantity=quantity_of(body.initial_count_fp),
        filled=quantity_of(body.fill_count_fp),
        remaining=quantity_of(body.remaining_count_fp),
        reason=body.last_update_reason,
        taker_cost=cash_of(body.taker_fill_cost_dollars),
        maker_cost=cash_of(body.maker_fill_cost_dollars),
        taker_fees=cash_of(body.taker_fees_dollars),
        maker_fees=cash_of(body.maker_fees_dollars),
        created_at=_created(body),
        updated_at=order_time(body),
        expires_at=(
            expires * PER_MILLISECOND if expires is not None else maybe_time(body.expiration_time)
        ),
    )


def user_order_body(own: OwnOrder, user_id: str) -> UserOrderBody:
    """Write an order's new state."""
    return UserOrderBody(
        order_id=own.order_id,
        ticker=own.ticker,
        status=status_of(own.state),
        yes_price_dollars=price_to_dollars(own.price),
        fill_count_fp=quantity_to_contracts(own.filled),
        remaining_count_fp=quantity_to_contracts(own.remaining),
        initial_count_fp=quantity_to_contracts(own.quantity),
        client_order_id=own.client_order_id,
        user_id=user_id,
        exchange_index=0,
        side=OUTCOMES[own.side],
        is_yes=own.side is Side.BID,
        outcome_side=OUTCOMES[own.side],
        book_side=BOOK_SIDES[own.side],
        taker_fill_cost_dollars=cash_to_dollars(own.taker_cost),
        maker_fill_cost_dollars=cash_to_dollars(own.maker_cost),
        taker_fees_dollars=cash_to_dollars(own.taker_fees),
        maker_fees_dollars=cash_to_dollars(own.maker_fees),
        self_trade_prevention_type="taker_at_cross",
        created_time=None if own.created_at is None else iso_time(own.created_at),
        created_ts_ms=_milliseconds(own.created_at),
        expiration_time=None if own.expires_at is None else iso_time(own.expires_at),
        expiration_ts_ms=_milliseconds(own.expires_at),
        last_update_time=None if own.updated_at is None else iso_time(own.updated_at),
        last_updated_ts_ms=_milliseconds(own.updated_at),
        last_update_reason=own.reason,
        subaccount_number=0,
    )


def own_position(body: MarketPositionBody) -> OwnPosition:
    """Translate a position's new state."""
    return OwnPosition(
        ticker=body.market_ticker,
        quantity=quantity_of(body.position_fp),
        cost=cash_of(body.position_cost_dollars),
        realised=cash_of(body.realized_pnl_dollars),
        fees=cash_of(body.fees_paid_dollars),
        fee_cost=cash_of(body.position_fee_cost_dollars),
        volume=quantity_of(body.volume_fp or "0.00"),
    )


def market_position_body(own: OwnPosition, user_id: str) -> MarketPositionBody:
    """Write a position's new state."""
    return MarketPositionBody(
        market_ticker=own.ticker,
        position_fp=quantity_to_contracts(own.quantity),
        position_cost_dollars=cash_to_dollars(own.cost),
        realized_pnl_dollars=cash_to_dollars(own.realised),
        fees_paid_dollars=cash_to_dollars(own.fees),
        user_id=user_id,
        position_fee_cost_dollars=cash_to_dollars(own.fee_cost),
        volume_fp=quantity_to_contracts(own.volume),
        subaccount=0,
    )


def maybe_time(text: str | None) -> int | None:
    """Read a time that may be absent or empty."""
    return nanoseconds(text) if text else None


def _created(body: UserOrderBody) -> int | None:
    if body.created_time:
        return nanoseconds(body.created_time)
    return None if body.created_ts_ms is None else body.created_ts_ms * PER_MILLISECOND


def _milliseconds(at: int | None) -> int | None:
    return None if at is None else at // PER_MILLISECOND

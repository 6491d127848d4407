"""Facts and markets as the bodies of WebSocket frames, encoded once for all who read them."""

import msgspec

from kalshiflow.exchange import translate, translate_own
from kalshiflow.exchange.records import OwnFill, OwnOrder, OwnPosition, TickerUpdate
from kalshiflow.exchange.times import PER_MILLISECOND
from kalshiflow.market.events import PublicTrade, Side, Stamp, TimeSource
from kalshiflow.market.orders import OrderState
from kalshiflow.market.portfolio import FLAT
from kalshiflow.market.units import Quantity, quantity_to_contracts
from kalshiflow.venue.floor.accounts import Activity, OrderRecord
from kalshiflow.venue.floor.facts import (
    Filled,
    GroupStep,
    OrderGroupChanged,
    PositionChanged,
    Traded,
)
from kalshiflow.venue.floor.listed import ListedMarket
from kalshiflow.venue.matching.messages import (
    LevelChanged,
    Removal,
)

_encode = msgspec.json.Encoder().encode


def snapshot(listed: ListedMarket, *, uses_yes_price: bool) -> bytes:
    """Write a market's whole book as it stands."""
    book = listed.matching.book
    body = translate.snapshot_body(
        listed.market.ticker,
        book.levels(Side.BID),
        book.levels(Side.ASK),
        uses_yes_price=uses_yes_price,
        market_id=listed.market_id,
    )
    return _encode(body)


def delta(
    fact: LevelChanged, listed: ListedMarket, *, uses_yes_price: bool, client_order_id: str = ""
) -> bytes:
    """Write a change of one level; `client_order_id` is for the connection of its owner only."""
    body = translate.level_body(
        fact.ticker,
        fact.side,
        fact.price,
        Quantity(fact.change),
        fact.at,
        uses_yes_price=uses_yes_price,
        market_id=listed.market_id,
        client_order_id=client_order_id or None,
    )
    return _encode(body)


def trade(fact: Traded) -> bytes:
    """Write anyone's trade."""
    event = PublicTrade(
        fact.ticker,
        fact.trade_id,
        fact.price,
        fact.quantity,
        fact.taker_side,
        _stamp(fact.at),
    )
    return _encode(translate.trade_body(event))


def quote(listed: ListedMarket) -> TickerUpdate:
    """Give a market's touch and totals."""
    bid, bid_quantity, ask, ask_quantity = listed.touch()
    return TickerUpdate(
        ticker=listed.market.ticker,
        last=listed.last_price or None,
        bid=bid,
        ask=ask,
        bid_quantity=Quantity(bid_quantity),
        ask_quantity=Quantity(ask_quantity),
        volume=listed.volume,
        open_interest=listed.open_interest,
        last_quantity=listed.last_quantity,
    )


def ticker(listed: ListedMarket, at: int) -> bytes:
    """Write a market's touch and totals."""
    return _encode(translate.ticker_body(quote(listed), at, listed.market_id))


def fill(fact: Filled) -> bytes:
    """Write an account's part of a trade."""
    return _encode(translate_own.fill_body(OwnFill(fact.fill, fact.position)))


def own_order(record: OrderRecord) -> OwnOrder:
    """Give an order as its owner is told of it."""
    order = record.order
    return OwnOrder(
        order_id=order.order_id,
        client_order_id=order.client_order_id,
        ticker=order.ticker,
        side=order.side,
        price=order.price,
        state=_state(record),
        quantity=order.quantity,
        filled=record.filled,
        remaining=record.remaining,
        reason=record.reason or None,
        taker_cost=record.taker_cost,
        maker_cost=record.maker_cost,
        taker_fees=record.taker_fees,
        maker_fees=record.maker_fees,
        created_at=record.created_at,
        updated_at=record.updated_at,
        expires_at=record.expires_at,
    )


def user_order(record: OrderRecord) -> bytes:
    """Write an order's new state."""
    body = translate_own.user_order_body(own_order(record), record.owner.user_id)
    return _encode(
        msgspec.structs.replace(
            body,
            self_trade_prevention_type=record.self_trade.value,
            order_group_id=record.group_id or None,
        )
    )


def position(fact: PositionChanged) -> bytes:
    """Write an account's position in a market."""
    held = fact.account.portfolio.positions.get(fact.ticker, FLAT)
    activity = fact.account.activity.get(fact.ticker, Activity())
    own = OwnPosition(
        ticker=fact.ticker,
        quantity=held.quantity,
        cost=held.cost,
        realised=held.realised,
        fees=held.fees,
        volume=activity.quantity,
    )
    return _encode(translate_own.market_position_body(own, fact.account.user_id))


def order_group(fact: OrderGroupChanged) -> bytes:
    """Write what happened to an order group; its limit only where that is new."""
    body: dict[str, str | int] = {
        "event_type": fact.step.value,
        "order_group_id": fact.group_id,
        "ts_ms": fact.at // PER_MILLISECOND,
    }
    if fact.step in _TELLS_LIMIT:
        body["contracts_limit_fp"] = quantity_to_contracts(fact.limit)
    return _encode(body)


_TELLS_LIMIT = frozenset({GroupStep.CREATED, GroupStep.LIMIT_UPDATED})
_STATES = {
    "resting": OrderState.RESTING,
    "executed": OrderState.FILLED,
    "canceled": OrderState.CANCELLED,
}


def _state(record: OrderRecord) -> OrderState:
    has_expired = record.status == "canceled" and record.reason == Removal.EXPIRY.value
    return OrderState.EXPIRED if has_expired else _STATES[record.status]


def _stamp(at: int) -> Stamp:
    return Stamp(0, at, at, TimeSource.EXCHANGE, at)

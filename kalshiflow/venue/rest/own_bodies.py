"""One's own orders, fills, positions and settlements as REST tells them.

Each body has the fields of today, as text, and beside them the whole numbers of former days that
older clients insist on (see `former`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec

from kalshiflow.exchange import payloads, records, translate_bodies
from kalshiflow.market.events import Side
from kalshiflow.market.orders import Fill
from kalshiflow.market.portfolio import FLAT
from kalshiflow.market.units import (
    Cash,
    Quantity,
    cash_to_dollars,
    complement,
    price_to_dollars,
    quantity_to_contracts,
)
from kalshiflow.venue.floor.accounts import Account, Activity, OrderRecord, SettlementRecord
from kalshiflow.venue.rest.former import cents, cents_of_both, contracts
from kalshiflow.venue.websocket import bodies


class OrderBody(payloads.OrderBody, frozen=True, kw_only=True):
    """An order, with its figures of old."""

    yes_price: int
    no_price: int
    fill_count: int
    remaining_count: int
    initial_count: int
    taker_fees: int
    maker_fees: int
    taker_fill_cost: int
    maker_fill_cost: int
    queue_position: int


class FillBody(payloads.FillBody, frozen=True, kw_only=True):
    """A fill, with its figures of old; `price` is YES in dollars."""

    count: int
    price: Decimal
    yes_price: int
    no_price: int
    yes_price_fixed: str
    no_price_fixed: str


class MarketPositionBody(payloads.MarketPositionBody, frozen=True, kw_only=True):
    """A position in a market, with its figures of old."""

    total_traded: int
    position: int
    market_exposure: int
    realized_pnl: int
    fees_paid: int


class EventPositionBody(payloads.EventPositionBody, frozen=True, kw_only=True):
    """The positions in an event's markets together, with their figures of old."""

    total_cost: int
    total_cost_shares: int
    event_exposure: int
    realized_pnl: int
    fees_paid: int


class SettlementBody(payloads.SettlementBody, frozen=True, kw_only=True):
    """A settled market, with its figures of old."""

    yes_count: int
    no_count: int
    yes_total_cost: int
    no_total_cost: int


@dataclass(frozen=True, slots=True)
class Wording:
    """How an order was put: its outcome, what was to be done, and whether self-trades were told."""

    side: str
    action: str
    tells_self_trade: bool = True


# An order on the YES book buys or sells YES; only an old endpoint's order can name NO.
_BOOK_WORDS = {Side.BID: Wording("yes", "buy"), Side.ASK: Wording("yes", "sell")}


class OrderBodies:
    """Writes orders, each in the words in which it came."""

    def __init__(self) -> None:
        self._worded: dict[str, Wording] = {}

    def remember(self, record: OrderRecord, wording: Wording) -> None:
        """Keep the words of an order that came through an old endpoint."""
        self._worded[record.order.order_id] = wording

    def body(self, record: OrderRecord) -> OrderBody:
        """Write an order as it is now."""
        order = record.order
        body = translate_bodies.order_body(bodies.own_order(record), record.owner.user_id)
        wording = self._worded.get(order.order_id, _BOOK_WORDS[order.side])
        told = record.self_trade.value if wording.tells_self_trade else None
        yes_price, no_price = cents_of_both(order.price)
        fields = _fields(body) | {
            "side": wording.side,
            "action": wording.action,
            "self_trade_prevention_type": told,
            "order_group_id": record.group_id,
            "cancel_order_on_pause": record.cancel_on_pause,
        }
        return OrderBody(
            **fields,
            yes_price=yes_price,
            no_price=no_price,
            fill_count=contracts(record.filled),
            remaining_count=contracts(record.remaining),
            initial_count=contracts(order.quantity),
            taker_fees=cents(record.taker_fees),
            maker_fees=cents(record.maker_fees),
            taker_fill_cost=cents(record.taker_cost),
            maker_fill_cost=cents(record.maker_cost),
            queue_position=0,
        )


def fill_body(fill: Fill) -> FillBody:
    """Write a fill."""
    yes, (yes_price, no_price) = price_to_dollars(fill.price), cents_of_both(fill.price)
    return FillBody(
        **_fields(translate_bodies.fill_body(fill)),
        count=contracts(fill.quantity),
        price=Decimal(yes),
        yes_price=yes_price,
        no_price=no_price,
        yes_price_fixed=yes,
        no_price_fixed=price_to_dollars(complement(fill.price)),
    )


def position_body(account: Account, ticker: str) -> MarketPositionBody:
    """Write an account's position in a market, a closed one too."""
    held = account.portfolio.positions.get(ticker, FLAT)
    activity = account.activity.get(ticker, Activity())
    record = records.PositionRecord(
        ticker, held.quantity, held.cost, held.realised, held.fees, activity.traded
    )
    resting = sum(1 for order in account.portfolio.orders.values() if order.ticker == ticker)
    body = translate_bodies.position_body(record, activity.updated_at)
    return MarketPositionBody(
        **_fields(body) | {"resting_orders_count": resting},
        total_traded=cents(activity.traded),
        position=contracts(held.quantity),
        market_exposure=cents(held.cost),
        realized_pnl=cents(held.realised),
        fees_paid=cents(held.fees),
    )


def event_body(account: Account, event_ticker: str, tickers: Iterable[str]) -> EventPositionBody:
    """Write an account's positions in an event's markets together."""
    listed = list(tickers)
    positions = [account.portfolio.positions.get(ticker, FLAT) for ticker in listed]
    activities = [account.activity.get(ticker, Activity()) for ticker in listed]
    traded = Cash(sum(activity.traded for activity in activities))
    shares = Quantity(sum(activity.quantity for activity in activities))
    exposure = Cash(sum(held.cost for held in positions))
    realised = Cash(sum(held.realised for held in positions))
    fees = Cash(sum(held.fees for held in positions))
    return EventPositionBody(
        event_ticker=event_ticker,
        total_cost_dollars=cash_to_dollars(traded),
        total_cost_shares_fp=quantity_to_contracts(shares),
        event_exposure_dollars=cash_to_dollars(exposure),
        realized_pnl_dollars=cash_to_dollars(realised),
        fees_paid_dollars=cash_to_dollars(fees),
        total_cost=cents(traded),
        total_cost_shares=contracts(shares),
        event_exposure=cents(exposure),
        realized_pnl=cents(realised),
        fees_paid=cents(fees),
    )


def settlement_body(settlement: SettlementRecord) -> SettlementBody:
    """Write a settlement."""
    record = records.SettlementRecord(
        ticker=settlement.ticker,
        result=settlement.result,
        value=settlement.value,
        yes_quantity=settlement.yes_quantity,
        no_quantity=settlement.no_quantity,
        yes_cost=settlement.yes_cost,
        no_cost=settlement.no_cost,
        revenue=settlement.revenue,
        fees=settlement.fees,
        at=settlement.at,
    )
    return SettlementBody(
        **_fields(translate_bodies.settlement_body(record, settlement.event_ticker)),
        yes_count=contracts(settlement.yes_quantity),
        no_count=contracts(settlement.no_quantity),
        yes_total_cost=cents(settlement.yes_cost),
        no_total_cost=cents(settlement.no_cost),
    )


def _fields(body: msgspec.Struct) -> dict[str, Any]:
    return {name: getattr(body, name) for name in body.__struct_fields__}

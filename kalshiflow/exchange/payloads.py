"""REST bodies as they stand on the wire: the client decodes what the venue encodes.

Prices, quantities and money stay text, times stay ISO 8601 text; `translate_bodies` reads and
writes them. Only what we cannot do without is required, so that a field that Kalshi drops or adds
breaks nothing.
"""

from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from kalshiflow.exchange.messages import Level, PriceRange

BodyT = TypeVar("BodyT")


class _Body(msgspec.Struct, frozen=True):
    """A body whose fields are always written, as Kalshi writes them."""


class _Sparse(msgspec.Struct, frozen=True, omit_defaults=True):
    """A body whose absent fields are not written."""


# --- exchange, markets, series, events -------------------------------------------------------


class ExchangeStatusBody(_Sparse, frozen=True):
    exchange_active: bool
    trading_active: bool
    exchange_estimated_resume_time: str | None = None


class MarketBody(_Sparse, frozen=True):
    """One market. Sizes, not prices, say whether a side is empty."""

    ticker: str
    event_ticker: str
    market_type: str | None = None
    title: str | None = None
    subtitle: str | None = None
    yes_sub_title: str | None = None
    no_sub_title: str | None = None
    created_time: str | None = None
    updated_time: str | None = None
    open_time: str | None = None
    close_time: str | None = None
    expected_expiration_time: str | None = None
    expiration_time: str | None = None
    latest_expiration_time: str | None = None
    settlement_timer_seconds: int | None = None
    status: str = "active"
    yes_bid_dollars: str | None = None
    yes_bid_size_fp: str | None = None
    yes_ask_dollars: str | None = None
    yes_ask_size_fp: str | None = None
    no_bid_dollars: str | None = None
    no_ask_dollars: str | None = None
    last_price_dollars: str | None = None
    previous_yes_bid_dollars: str | None = None
    previous_yes_ask_dollars: str | None = None
    previous_price_dollars: str | None = None
    volume_fp: str | None = None
    volume_24h_fp: str | None = None
    open_interest_fp: str | None = None
    notional_value_dollars: str | None = None
    liquidity_dollars: str | None = None
    result: str | None = None
    expiration_value: str | None = None
    settlement_value_dollars: str | None = None
    settlement_ts: str | None = None
    can_close_early: bool | None = None
    rules_primary: str | None = None
    rules_secondary: str | None = None
    price_level_structure: str | None = None
    price_ranges: list[PriceRange] | None = None
    strike_type: str | None = None
    exchange_index: int | None = None
    fee_waiver_expiration_time: str | None = None


class MarketAnswer(_Body, frozen=True):
    market: MarketBody


class MarketsPage(_Body, frozen=True):
    markets: list[MarketBody]
    cursor: str | None = ""


class SeriesBody(_Body, frozen=True):
    """One series; `fee_multiplier` is read from its decimal text, never through a float."""

    ticker: str
    title: str = ""
    frequency: str = ""
    category: str = ""
    tags: list[str] | None = None
    settlement_sources: list[dict[str, Any]] | None = None
    contract_url: str = ""
    contract_terms_url: str = ""
    fee_type: str = "quadratic"
    fee_multiplier: Decimal = Decimal(1)
    additional_prohibitions: list[str] | None = None


class SeriesAnswer(_Body, frozen=True):
    series: SeriesBody


class SeriesList(_Body, frozen=True):
    series: list[SeriesBody] | None = None


class EventBody(_Body, frozen=True):
    event_ticker: str
    series_ticker: str
    title: str = ""
    sub_title: str = ""
    collateral_return_type: str = ""
    mutually_exclusive: bool = False
    category: str = ""
    available_on_brokers: bool = False
    settlement_sources: list[dict[str, Any]] | None = None
    fee_type_override: str | None = None
    fee_multiplier_override: Decimal | None = None


class EventAnswer(_Body, frozen=True):
    event: EventBody
    markets: list[MarketBody] = []


class EventsPage(_Body, frozen=True):
    events: list[EventBody]
    cursor: str | None = ""


class OrderbookLevels(_Body, frozen=True):
    """Bids of both sides at their own prices, ascending: the best is the last."""

    yes_dollars: list[Level] | None = None
    no_dollars: list[Level] | None = None


class OrderbookAnswer(_Body, frozen=True):
    orderbook_fp: OrderbookLevels


class NamedOrderbook(_Body, frozen=True):
    ticker: str
    orderbook_fp: OrderbookLevels


class OrderbooksAnswer(_Body, frozen=True):
    orderbooks: list[NamedOrderbook]


class TradeBody(_Sparse, frozen=True):
    trade_id: str
    ticker: str
    count_fp: str
    yes_price_dollars: str
    created_time: str
    no_price_dollars: str | None = None
    taker_side: str | None = None
    taker_outcome_side: str | None = None
    taker_book_side: str | None = None
    is_block_trade: bool | None = None


class TradesPage(_Body, frozen=True):
    trades: list[TradeBody]
    cursor: str | None = ""


# --- orders ----------------------------------------------------------------------------------


class CreateOrder(_Sparse, frozen=True):
    """A new order on the YES book: `side` is bid or ask, `price` the YES price."""

    ticker: str
    side: str
    count: str
    price: str
    time_in_force: str
    self_trade_prevention_type: str
    client_order_id: str | None = None
    expiration_time: int | None = None
    post_only: bool | None = None
    reduce_only: bool | None = None
    cancel_order_on_pause: bool | None = None
    subaccount: int | None = None
    order_group_id: str | None = None
    exchange_index: int | None = None


class CreateOrderAnswer(_Sparse, frozen=True):
    order_id: str
    fill_count: str
    remaining_count: str
    ts_ms: int
    client_order_id: str | None = None
    average_fill_price: str | None = None
    average_fee_paid: str | None = None


class CancelOrderAnswer(_Sparse, frozen=True):
    order_id: str
    reduced_by: str
    ts_ms: int
    client_order_id: str | None = None


class OrderBody(_Sparse, frozen=True):
    """One order; `yes_price_dollars` is its limit, not what it was filled at."""

    order_id: str
    ticker: str
    status: str
    yes_price_dollars: str
    fill_count_fp: str
    remaining_count_fp: str
    initial_count_fp: str
    user_id: str | None = None
    client_order_id: str | None = None
    side: str | None = None
    action: str | None = None
    outcome_side: str | None = None
    book_side: str | None = None
    type: str | None = None
    no_price_dollars: str | None = None
    taker_fill_cost_dollars: str | None = None
    maker_fill_cost_dollars: str | None = None
    taker_fees_dollars: str | None = None
    maker_fees_dollars: str | None = None
    created_time: str | None = None
    last_update_time: str | None = None
    expiration_time: str | None = None
    self_trade_prevention_type: str | None = None
    order_group_id: str | None = None
    cancel_order_on_pause: bool | None = None
    subaccount_number: int | None = None
    exchange_index: int | None = None


class OrderAnswer(_Body, frozen=True):
    order: OrderBody


class OrdersPage(_Body, frozen=True):
    orders: list[OrderBody]
    cursor: str | None = ""


# --- portfolio -------------------------------------------------------------------------------


class BalanceBody(_Sparse, frozen=True):
    """`balance` and `portfolio_value` are whole cents, cut off; `balance_dollars` is exact."""

    balance: int
    portfolio_value: int = 0
    balance_dollars: str | None = None
    updated_ts: int | None = None
    balance_breakdown: list[dict[str, Any]] | None = None


class FillBody(_Sparse, frozen=True):
    trade_id: str
    order_id: str
    ticker: str
    count_fp: str
    yes_price_dollars: str
    is_taker: bool
    fee_cost: str
    fill_id: str | None = None
    market_ticker: str | None = None
    exchange_index: int | None = None
    side: str | None = None
    action: str | None = None
    outcome_side: str | None = None
    book_side: str | None = None
    no_price_dollars: str | None = None
    created_time: str | None = None
    client_order_id: str | None = None
    subaccount_number: int | None = None
    ts: int | None = None


class FillsPage(_Body, frozen=True):
    fills: list[FillBody]
    cursor: str | None = ""


class MarketPositionBody(_Sparse, frozen=True):
    ticker: str
    position_fp: str
    market_exposure_dollars: str
    realized_pnl_dollars: str
    fees_paid_dollars: str
    total_traded_dollars: str
    exchange_index: int | None = None
    resting_orders_count: int | None = None
    last_updated_ts: str | None = None


class EventPositionBody(_Sparse, frozen=True):
    event_ticker: str
    total_cost_dollars: str
    total_cost_shares_fp: str
    event_exposure_dollars: str
    realized_pnl_dollars: str
    fees_paid_dollars: str


class PositionsPage(_Body, frozen=True):
    market_positions: list[MarketPositionBody]
    event_positions: list[EventPositionBody] = []
    cursor: str | None = ""


class SettlementBody(_Sparse, frozen=True):
    """One settled market; `revenue` and `value` are whole cents."""

    ticker: str
    market_result: str
    yes_count_fp: str
    no_count_fp: str
    revenue: int
    settled_time: str
    event_ticker: str | None = None
    yes_total_cost_dollars: str | None = None
    no_total_cost_dollars: str | None = None
    fee_cost: str | None = None
    value: int | None = None
    exchange_index: int | None = None


class SettlementsPage(_Body, frozen=True):
    settlements: list[SettlementBody]
    cursor: str | None = ""


# --- errors ----------------------------------------------------------------------------------


class ErrorDetail(_Sparse, frozen=True):
    code: str = ""
    message: str = ""
    details: str | None = None
    service: str | None = None


class NestedError(_Sparse, frozen=True):
    """Business and authentication errors: `{"error": {"code", "message"}}`; 429: a bare text."""

    error: ErrorDetail | str


class FlatError(_Sparse, frozen=True):
    """A request that could not be read: `{"code", "message", "details"}`."""

    code: str
    message: str
    details: str | None = None


class ParameterError(_Sparse, frozen=True):
    """A query that failed validation: `{"msg"}`."""

    msg: str


# Money and multipliers are decimal text or exact numbers: no float is made on the way.
_encoder = msgspec.json.Encoder(decimal_format="number")


def encode(body: msgspec.Struct) -> bytes:
    """Write a body as JSON."""
    return _encoder.encode(body)


def decode(raw: bytes, body: type[BodyT]) -> BodyT:
    """Read a body; raises `msgspec.DecodeError` or `UnicodeDecodeError` for what is none."""
    return msgspec.json.decode(raw, type=body)

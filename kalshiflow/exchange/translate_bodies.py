"""REST bodies to market types and records, and back."""

from decimal import Decimal
from fractions import Fraction

from kalshiflow.exchange.payloads import (
    BalanceBody,
    CancelOrderAnswer,
    CreateOrder,
    CreateOrderAnswer,
    EventBody,
    FillBody,
    MarketBody,
    MarketPositionBody,
    OrderBody,
    SeriesBody,
    SettlementBody,
    TradeBody,
)
from kalshiflow.exchange.records import (
    ActiveMarket,
    Balance,
    CancelAck,
    OrderAck,
    OwnOrder,
    PositionRecord,
    SettlementRecord,
    TickerUpdate,
    TradeRecord,
)
from kalshiflow.exchange.times import NANOSECONDS, iso_time, nanoseconds
from kalshiflow.exchange.translate import (
    BOOK_SIDES,
    OUTCOMES,
    TranslationError,
    cash_of,
    grid_of,
    positive_quantity_of,
    quantity_of,
    ranges_of,
    side_of,
    stamped_time,
)
from kalshiflow.exchange.translate_own import maybe_time, state_of, status_of
from kalshiflow.market.listing import (
    Event,
    FeeTerms,
    FeeType,
    Market,
    MarketResult,
    MarketStatus,
    Series,
)
from kalshiflow.market.orders import Fill, Order, Role, TimeInForce
from kalshiflow.market.units import (
    CASH_PER_CENT,
    CENT,
    DOLLAR,
    Cash,
    Price,
    Quantity,
    cash_from_cents,
    cash_to_dollars,
    complement,
    floor_cash,
    price_from_cents,
    price_from_dollars,
    price_to_dollars,
    quantity_to_contracts,
)

_CENTICENT = Cash(100)
# No fee is a thousand times the usual one; the bounds keep what is stored within 64 bits.
_LARGEST_MULTIPLIER = 1000
_MULTIPLIER_PLACES = 18

# --- what is listed --------------------------------------------------------------------------


def market_of(body: MarketBody) -> Market:
    """Translate a market. Its series and fee terms are the event's and series' to tell."""
    if "\x00" in body.ticker:
        raise TranslationError(f"ticker {body.ticker!r} holds a NUL character")
    value = body.settlement_value_dollars
    return Market(
        ticker=body.ticker,
        event_ticker=body.event_ticker,
        title=body.title or body.yes_sub_title or "",
        grid=grid_of(body.price_ranges),
        status=MarketStatus(body.status),
        open_time=maybe_time(body.open_time),
        close_time=maybe_time(body.close_time),
        result=MarketResult(body.result or ""),
        settlement_value=price_from_dollars(value) if value else None,
    )


def active_market_of(body: MarketBody) -> ActiveMarket:
    """Translate a market with its activity; a figure that is absent is none, as is an odd one."""
    return ActiveMarket(
        market_of(body),
        _activity(body.volume_24h_fp),
        _activity(body.volume_fp),
        _activity(body.open_interest_fp),
    )


def _activity(text: str | None) -> Quantity:
    try:
        return quantity_of(text) if text else Quantity(0)
    except ValueError:  # it ranks the market, and is no reason to leave it out
        return Quantity(0)


def market_body(market: Market, quote: TickerUpdate, *, made_at: int, now: int) -> MarketBody:
    """Write a market with its touch and totals; an empty side is 0 and 1 dollar, without size."""
    bid, ask = quote.bid or Price(0), quote.ask or DOLLAR
    closes = market.close_time
    end = None if closes is None else iso_time(closes)
    value = market.settlement_value
    volume = quantity_to_contracts(quote.volume or Quantity(0))
    return MarketBody(
        ticker=market.ticker,
        event_ticker=market.event_ticker,
        market_type="binary",
        title=market.title,
        yes_sub_title=market.title,
        no_sub_title=market.title,
        created_time=iso_time(made_at),
        updated_time=iso_time(now),
        open_time=None if market.open_time is None else iso_time(market.open_time),
        close_time=end,
        expiration_time=end,
        latest_expiration_time=end,
        settlement_timer_seconds=0,
        status=market.status.value,
        yes_bid_dollars=price_to_dollars(bid),
        yes_bid_size_fp=quantity_to_contracts(quote.bid_quantity or Quantity(0)),
        yes_ask_dollars=price_to_dollars(ask),
        yes_ask_size_fp=quantity_to_contracts(quote.ask_quantity or Quantity(0)),
        no_bid_dollars=price_to_dollars(complement(ask)),
        no_ask_dollars=price_to_dollars(complement(bid)),
        last_price_dollars=price_to_dollars(quote.last or Price(0)),
        previous_yes_bid_dollars="0.0000",
        previous_yes_ask_dollars="0.0000",
        previous_price_dollars="0.0000",
        volume_fp=volume,
        volume_24h_fp=volume,
        open_interest_fp=quantity_to_contracts(quote.open_interest or Quantity(0)),
        notional_value_dollars="1.0000",
        liquidity_dollars="0.0000",
        result=market.result.value,
        expiration_value="",
        settlement_value_dollars=None if value is None else price_to_dollars(value),
        can_close_early=True,
        rules_primary="",
        rules_secondary="",
        price_level_structure="linear_cent" if len(market.grid.bands) == 1 else "banded",
        price_ranges=ranges_of(market.grid),
        exchange_index=0,
    )


def fee_terms(fee_type: str, multiplier: Decimal) -> FeeTerms:
    """Read fee terms; the multiplier becomes the exact ratio that its decimal text says."""
    if not (multiplier.is_finite() and 0 <= multiplier <= _LARGEST_MULTIPLIER):
        raise TranslationError(
            f"fee multiplier {multiplier} is not from 0 to {_LARGEST_MULTIPLIER}"
        )
    if int(multiplier.as_tuple().exponent) >= -_MULTIPLIER_PLACES:
        ratio = Fraction(multiplier)
        if max(ratio.numerator, ratio.denominator) < 2**63:
            return FeeTerms(FeeType(fee_type), ratio)
    raise TranslationError(f"fee multiplier {multiplier} has more decimals than 64 bits can hold")


def series_of(body: SeriesBody) -> Series:
    """Translate a series."""
    terms = fee_terms(body.fee_type, body.fee_multiplier)
    return Series(body.ticker, body.title, body.category, terms)


def series_body(series: Series) -> SeriesBody:
    """Write a series; raises `TranslationError` for a multiplier that no decimal can say."""
    ratio = series.fees.multiplier
    multiplier = Decimal(ratio.numerator) / Decimal(ratio.denominator)
    if Fraction(multiplier) != ratio:
        raise TranslationError(f"fee multiplier {ratio} has no exact decimal")
    return SeriesBody(
        series.ticker,
        series.title,
        frequency="custom",
        category=series.category,
        fee_type=series.fees.fee_type.value,
        fee_multiplier=multiplier,
    )


def event_of(body: EventBody) -> Event:
    """Translate an event."""
    return Event(body.event_ticker, body.series_ticker, body.title)


def event_body(event: Event) -> EventBody:
    """Write an event."""
    return EventBody(event.ticker, event.series_ticker, event.title)


def fees_of(series: Series, event: EventBody) -> FeeTerms:
    """Give the terms of an event's markets: an override of the event beats the series."""
    fee_type, multiplier = event.fee_type_override, event.fee_multiplier_override
    base = series.fees
    if multiplier is None:
        return base if fee_type is None else FeeTerms(FeeType(fee_type), base.multiplier)
    return fee_terms(base.fee_type.value if fee_type is None else fee_type, multiplier)


def trade_of(body: TradeBody) -> TradeRecord:
    """Translate a public trade."""
    return TradeRecord(
        ticker=body.ticker,
        trade_id=body.trade_id,
        price=price_from_dollars(body.yes_price_dollars),
        quantity=positive_quantity_of(body.count_fp),
        taker_side=side_of(body.taker_book_side, body.taker_outcome_side or body.taker_side),
        at=nanoseconds(body.created_time),
    )


def trade_body(trade: TradeRecord) -> TradeBody:
    """Write a public trade."""
    outcome = OUTCOMES[trade.taker_side]
    return TradeBody(
        trade_id=trade.trade_id,
        ticker=trade.ticker,
        count_fp=quantity_to_contracts(trade.quantity),
        yes_price_dollars=price_to_dollars(trade.price),
        created_time=iso_time(trade.at),
        no_price_dollars=price_to_dollars(complement(trade.price)),
        taker_side=outcome,
        taker_outcome_side=outcome,
        taker_book_side=BOOK_SIDES[trade.taker_side],
        is_block_trade=False,
    )


# --- orders ----------------------------------------------------------------------------------


def create_order(order: Order, expires_at: int | None = None) -> CreateOrder:
    """Write a new order; an expiry is cut to whole seconds."""
    return CreateOrder(
        ticker=order.ticker,
        side=BOOK_SIDES[order.side],
        count=quantity_to_contracts(order.quantity),
        price=price_to_dollars(order.price),
        time_in_force=order.time_in_force.value,
        self_trade_prevention_type="taker_at_cross",
        client_order_id=order.client_order_id or None,
        expiration_time=None if expires_at is None else expires_at // NANOSECONDS,
        post_only=order.post_only or None,
        reduce_only=order.reduce_only or None,
    )


def new_order(body: CreateOrder, order_id: str) -> Order:
    """Read a new order; raises a `ValueError` that says which word is wrong."""
    return Order(
        order_id=order_id,
        ticker=body.ticker,
        side=side_of(body.side, None),
        price=price_from_dollars(body.price),
        quantity=positive_quantity_of(body.count),
        time_in_force=TimeInForce(body.time_in_force),
        client_order_id=body.client_order_id or "",
        post_only=bool(body.post_only),
        reduce_only=bool(body.reduce_only),
    )


def order_ack(body: CreateOrderAnswer) -> OrderAck:
    """Translate the answer to a new order."""
    price, fee = body.average_fill_price, body.average_fee_paid
    return OrderAck(
        order_id=body.order_id,
        client_order_id=body.client_order_id or "",
        filled=quantity_of(body.fill_count),
        remaining=quantity_of(body.remaining_count),
        average_price=price_from_dollars(price) if price else None,
        average_fee=cash_of(fee) if fee else None,
        ts_ms=body.ts_ms,
    )


def cancel_ack(body: CancelOrderAnswer) -> CancelAck:
    """Translate the answer to a cancel."""
    return CancelAck(body.order_id, quantity_of(body.reduced_by), body.ts_ms)


def order_of(body: OrderBody) -> OwnOrder:
    """Translate an order. REST does not tell why one was cancelled."""
    return OwnOrder(
        order_id=body.order_id,
        client_order_id=body.client_order_id or "",
        ticker=body.ticker,
        side=side_of(body.book_side, body.outcome_side, body.side, body.action),
        price=price_from_dollars(body.yes_price_dollars),
        state=state_of(body.status),
        quantity=quantity_of(body.initial_count_fp),
        filled=quantity_of(body.fill_count_fp),
        remaining=quantity_of(body.remaining_count_fp),
        taker_cost=cash_of(body.taker_fill_cost_dollars),
        maker_cost=cash_of(body.maker_fill_cost_dollars),
        taker_fees=cash_of(body.taker_fees_dollars),
        maker_fees=cash_of(body.maker_fees_dollars),
        created_at=maybe_time(body.created_time),
        updated_at=maybe_time(body.last_update_time),
        expires_at=maybe_time(body.expiration_time),
    )


def order_body(own: OwnOrder, user_id: str) -> OrderBody:
    """Write an order."""
    outcome = OUTCOMES[own.side]
    return OrderBody(
        order_id=own.order_id,
        ticker=own.ticker,
        status=status_of(own.state),
        yes_price_dollars=price_to_dollars(own.price),
        fill_count_fp=quantity_to_contracts(own.filled),
        remaining_count_fp=quantity_to_contracts(own.remaining),
        initial_count_fp=quantity_to_contracts(own.quantity),
        user_id=user_id,
        client_order_id=own.client_order_id,
        side=outcome,
        action="buy",
        outcome_side=outcome,
        book_side=BOOK_SIDES[own.side],
        type="limit",
        no_price_dollars=price_to_dollars(complement(own.price)),
        taker_fill_cost_dollars=cash_to_dollars(own.taker_cost),
        maker_fill_cost_dollars=cash_to_dollars(own.maker_cost),
        taker_fees_dollars=cash_to_dollars(own.taker_fees),
        maker_fees_dollars=cash_to_dollars(own.maker_fees),
        created_time=None if own.created_at is None else iso_time(own.created_at),
        last_update_time=None if own.updated_at is None else iso_time(own.updated_at),
        expiration_time=None if own.expires_at is None else iso_time(own.expires_at),
        self_trade_prevention_type="taker_at_cross",
        order_group_id="",
        cancel_order_on_pause=False,
        subaccount_number=0,
        exchange_index=0,
    )


# --- portfolio -------------------------------------------------------------------------------


def fill_of(body: FillBody) -> Fill:
    """Translate a fill."""
    at = nanoseconds(body.created_time) if body.created_time else stamped_time(None, body.ts)
    if at is None:
        raise TranslationError(f"fill {body.trade_id} tells no time")
    return Fill(
        trade_id=body.trade_id,
        order_id=body.order_id,
        ticker=body.ticker,
        side=side_of(body.book_side, body.outcome_side, body.side, body.action),
        price=price_from_dollars(body.yes_price_dollars),
        quantity=positive_quantity_of(body.count_fp),
        role=Role.TAKER if body.is_taker else Role.MAKER,
        fee=cash_of(body.fee_cost),
        at=at,
        client_order_id=body.client_order_id or "",
    )


def fill_body(fill: Fill) -> FillBody:
    """Write a fill."""
    outcome = OUTCOMES[fill.side]
    return FillBody(
        trade_id=fill.trade_id,
        order_id=fill.order_id,
        ticker=fill.ticker,
        count_fp=quantity_to_contracts(fill.quantity),
        yes_price_dollars=price_to_dollars(fill.price),
        is_taker=fill.role is Role.TAKER,
        fee_cost=cash_to_dollars(fill.fee),
        fill_id=fill.trade_id,
        market_ticker=fill.ticker,
        exchange_index=0,
        side=outcome,
        action="buy",
        outcome_side=outcome,
        book_side=BOOK_SIDES[fill.side],
        no_price_dollars=price_to_dollars(complement(fill.price)),
        created_time=iso_time(fill.at),
        client_order_id=fill.client_order_id or None,
        subaccount_number=0,
        ts=fill.at // NANOSECONDS,
    )


def position_of(body: MarketPositionBody) -> PositionRecord:
    """Translate a position."""
    return PositionRecord(
        ticker=body.ticker,
        quantity=quantity_of(body.position_fp),
        exposure=cash_of(body.market_exposure_dollars),
        realised=cash_of(body.realized_pnl_dollars),
        fees=cash_of(body.fees_paid_dollars),
        total_traded=cash_of(body.total_traded_dollars),
    )


def position_body(position: PositionRecord, updated_at: int) -> MarketPositionBody:
    """Write a position."""
    return MarketPositionBody(
        ticker=position.ticker,
        position_fp=quantity_to_contracts(position.quantity),
        market_exposure_dollars=cash_to_dollars(position.exposure),
        realized_pnl_dollars=cash_to_dollars(position.realised),
        fees_paid_dollars=cash_to_dollars(position.fees),
        total_traded_dollars=cash_to_dollars(position.total_traded),
        exchange_index=0,
        resting_orders_count=0,
        last_updated_ts=iso_time(updated_at),
    )


def balance_of(body: BalanceBody) -> Balance:
    """Translate a balance: exact where the exchange tells it exactly, else its whole cents."""
    exact = body.balance_dollars
    available = cash_of(exact) if exact is not None else cash_from_cents(body.balance)
    return Balance(available, cash_from_cents(body.portfolio_value))


def balance_body(balance: Balance, now: int) -> BalanceBody:
    """Write a balance. Cash below a hundredth of a cent is cut off, as the wire cannot say it."""
    shown = cash_to_dollars(floor_cash(balance.available, _CENTICENT), 4)
    return BalanceBody(
        balance=balance.available // CASH_PER_CENT,
        portfolio_value=balance.portfolio_value // CASH_PER_CENT,
        balance_dollars=shown,
        updated_ts=now // NANOSECONDS,
        balance_breakdown=[{"exchange_index": 0, "balance": shown}],
    )


def settlement_of(body: SettlementBody) -> SettlementRecord:
    """Translate a settlement."""
    return SettlementRecord(
        ticker=body.ticker,
        result=MarketResult(body.market_result),
        value=None if body.value is None else price_from_cents(body.value),
        yes_quantity=quantity_of(body.yes_count_fp),
        no_quantity=quantity_of(body.no_count_fp),
        yes_cost=cash_of(body.yes_total_cost_dollars),
        no_cost=cash_of(body.no_total_cost_dollars),
        revenue=cash_from_cents(body.revenue),
        fees=cash_of(body.fee_cost),
        at=nanoseconds(body.settled_time),
    )


def settlement_body(settlement: SettlementRecord, event_ticker: str) -> SettlementBody:
    """Write a settlement; revenue and value are cut to whole cents, as Kalshi writes them."""
    value = settlement.value
    return SettlementBody(
        ticker=settlement.ticker,
        event_ticker=event_ticker,
        exchange_index=0,
        market_result=settlement.result.value,
        yes_count_fp=quantity_to_contracts(settlement.yes_quantity),
        yes_total_cost_dollars=cash_to_dollars(settlement.yes_cost),
        no_count_fp=quantity_to_contracts(settlement.no_quantity),
        no_total_cost_dollars=cash_to_dollars(settlement.no_cost),
        revenue=settlement.revenue // CASH_PER_CENT,
        settled_time=iso_time(settlement.at),
        fee_cost=cash_to_dollars(settlement.fees),
        value=None if value is None else value // CENT,
    )

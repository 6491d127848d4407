"""REST bodies to market types and records, and back."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshiflow.exchange import payloads
from kalshiflow.exchange import translate_bodies as bodies
from kalshiflow.exchange.records import (
    Balance,
    OwnOrder,
    PositionRecord,
    SettlementRecord,
    TickerUpdate,
    TradeRecord,
)
from kalshiflow.exchange.translate import TranslationError
from kalshiflow.market.events import Side
from kalshiflow.market.listing import (
    Event,
    FeeTerms,
    FeeType,
    Market,
    MarketResult,
    MarketStatus,
    PriceBand,
    PriceGrid,
    Series,
)
from kalshiflow.market.orders import Fill, Order, OrderState, Role, TimeInForce
from kalshiflow.market.units import DOLLAR, Cash, Price, Quantity

AT = 1_795_165_200_123_456_000
DECI = PriceGrid((PriceBand(Price(0), DOLLAR, Price(10)),))
prices = st.integers(1, 9999).map(Price)
quantities = st.integers(1, 10**9).map(Quantity)
signed = st.integers(-(10**9), 10**9)
cash = st.integers(0, 10**12).map(Cash)


def over_the_wire(body):
    return payloads.decode(payloads.encode(body), type(body))


@pytest.mark.parametrize("grid", [DECI, Market("M", "E", "").grid])
@pytest.mark.parametrize(
    ("status", "result", "value"),
    [
        (MarketStatus.ACTIVE, MarketResult.UNKNOWN, None),
        (MarketStatus.FINALIZED, MarketResult.SCALAR, Price(2500)),
    ],
)
def test_a_market_survives_the_wire(grid, status, result, value):
    market = Market("M", "E", "A title", grid, status, AT, AT + 1, result, value)

    body = bodies.market_body(market, TickerUpdate("M"), made_at=AT, now=AT)

    assert bodies.market_of(over_the_wire(body)) == market


def test_an_empty_side_of_a_market_is_an_edge_without_size():
    quote = TickerUpdate("M", ask=Price(5200), ask_quantity=Quantity(200))

    body = bodies.market_body(Market("M", "E", ""), quote, made_at=AT, now=AT)

    assert (body.yes_bid_dollars, body.yes_bid_size_fp) == ("0.0000", "0.00")
    assert (body.yes_ask_dollars, body.yes_ask_size_fp) == ("0.5200", "2.00")
    assert (body.no_bid_dollars, body.no_ask_dollars) == ("0.4800", "1.0000")


@pytest.mark.parametrize("text", ["0.1", "1", "0.07", "0.5", "1.1", "0.30000000000000004"])
def test_a_fee_multiplier_is_exactly_what_its_text_says(text):
    raw = b'{"series":{"ticker":"S","fee_type":"quadratic","fee_multiplier":%s}}' % text.encode()

    series = bodies.series_of(payloads.decode(raw, payloads.SeriesAnswer).series)

    assert series.fees == FeeTerms(FeeType.QUADRATIC, Fraction(text))


@pytest.mark.parametrize(
    "text", ["-0.5", "1e30", "1e-999999999", '"Infinity"', '"NaN"', "0." + "1" * 19]
)
def test_a_fee_multiplier_that_cannot_be_kept_is_refused(text):
    raw = b'{"series":{"ticker":"S","fee_multiplier":%s}}' % text.encode()

    with pytest.raises(TranslationError, match="fee multiplier"):
        bodies.series_of(payloads.decode(raw, payloads.SeriesAnswer).series)


def test_a_market_whose_ticker_no_database_can_hold_is_refused():
    with pytest.raises(TranslationError, match="NUL"):
        bodies.market_of(payloads.MarketBody(ticker="A\x00", event_ticker="E"))


@pytest.mark.parametrize("multiplier", [Fraction(1), Fraction(1, 2), Fraction(7, 4), Fraction(0)])
def test_a_series_survives_the_wire(multiplier):
    series = Series("S", "t", "c", FeeTerms(FeeType.QUADRATIC_WITH_MAKER_FEES, multiplier))
    body = bodies.series_body(series)

    assert bodies.series_of(over_the_wire(body)) == series
    assert b'"fee_multiplier":"' not in payloads.encode(body)


def test_a_multiplier_that_no_decimal_can_say_is_refused():
    with pytest.raises(TranslationError, match="1/3"):
        bodies.series_body(Series("S", "", "", FeeTerms(multiplier=Fraction(1, 3))))


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ({}, FeeTerms(FeeType.QUADRATIC, Fraction(1, 2))),
        ({"fee_multiplier_override": Decimal("0.1")}, FeeTerms(FeeType.QUADRATIC, Fraction(1, 10))),
        (
            {"fee_type_override": "quadratic_with_maker_fees"},
            FeeTerms(FeeType.QUADRATIC_WITH_MAKER_FEES, Fraction(1, 2)),
        ),
        (
            {"fee_type_override": "flat", "fee_multiplier_override": Decimal(0)},
            FeeTerms(FeeType.FLAT, Fraction(0)),
        ),
    ],
)
def test_an_events_override_beats_its_series(override, expected):
    series = Series("S", "", "", FeeTerms(FeeType.QUADRATIC, Fraction(1, 2)))
    event = payloads.EventBody("E", "S", **override)

    assert bodies.fees_of(series, event) == expected


def test_an_event_survives_the_wire():
    event = Event("E", "S", "A title")

    assert bodies.event_of(over_the_wire(bodies.event_body(event))) == event


@given(prices, quantities, st.sampled_from(Side), st.sampled_from(TimeInForce), st.booleans())
def test_a_new_order_survives_the_wire(price, quantity, side, time_in_force, flag):
    order = Order("o", "M", side, price, quantity, time_in_force, "mine", flag, not flag)

    body = over_the_wire(bodies.create_order(order))

    assert bodies.new_order(body, "o") == order


def test_an_expiry_is_cut_to_whole_seconds():
    order = Order("", "M", Side.BID, Price(1), Quantity(1))

    assert bodies.create_order(order, AT).expiration_time == 1_795_165_200
    assert bodies.create_order(order).expiration_time is None


@pytest.mark.parametrize(
    "wrong",
    [{"side": "yes"}, {"price": "1.5"}, {"count": "0.00"}, {"time_in_force": "for_ever"}],
)
def test_a_new_order_with_a_wrong_word_is_refused(wrong):
    words = {
        "ticker": "M",
        "side": "bid",
        "count": "1.00",
        "price": "0.5000",
        "time_in_force": "good_till_canceled",
        "self_trade_prevention_type": "taker_at_cross",
    }

    with pytest.raises(ValueError):
        bodies.new_order(payloads.CreateOrder(**(words | wrong)), "o")


@given(
    st.builds(
        OwnOrder,
        order_id=st.just("o"),
        client_order_id=st.just("mine"),
        ticker=st.just("M"),
        side=st.sampled_from(Side),
        price=prices,
        state=st.sampled_from([OrderState.RESTING, OrderState.FILLED, OrderState.CANCELLED]),
        quantity=quantities,
        filled=quantities,
        remaining=quantities,
        taker_cost=cash,
        maker_cost=cash,
        taker_fees=cash,
        maker_fees=cash,
        created_at=st.just(AT),
        updated_at=st.just(AT + 1),
        expires_at=st.none() | st.just(AT + 2),
    )
)
def test_an_order_survives_the_wire(own):
    assert bodies.order_of(over_the_wire(bodies.order_body(own, "u"))) == own


@given(
    st.builds(
        Fill,
        trade_id=st.just("t"),
        order_id=st.just("o"),
        ticker=st.just("M"),
        side=st.sampled_from(Side),
        price=prices,
        quantity=quantities,
        role=st.sampled_from(Role),
        fee=cash,
        at=st.just(AT),
        client_order_id=st.sampled_from(["", "mine"]),
    )
)
def test_a_fill_survives_the_wire(fill):
    assert bodies.fill_of(over_the_wire(bodies.fill_body(fill))) == fill


def test_a_fill_without_any_time_is_refused():
    body = payloads.FillBody("t", "o", "M", "1.00", "0.5", True, "0.0", book_side="bid")

    with pytest.raises(TranslationError, match="tells no time"):
        bodies.fill_of(body)


@given(prices, quantities, st.sampled_from(Side))
def test_a_trade_survives_the_wire(price, quantity, side):
    trade = TradeRecord("M", "t", price, quantity, side, AT)

    assert bodies.trade_of(over_the_wire(bodies.trade_body(trade))) == trade


@given(signed.map(Quantity), cash, signed.map(Cash), cash, cash)
def test_a_position_survives_the_wire(quantity, exposure, realised, fees, total):
    position = PositionRecord("M", quantity, exposure, realised, fees, total)

    assert bodies.position_of(over_the_wire(bodies.position_body(position, AT))) == position


@given(st.integers(0, 10**14).map(Cash), st.integers(0, 10**9))
def test_a_balance_on_the_wire_is_cut_to_a_hundredth_of_a_cent(available, cents):
    body = bodies.balance_body(Balance(available, Cash(cents * 10_000)), AT)

    read = bodies.balance_of(over_the_wire(body))

    assert read == Balance(Cash(available // 100 * 100), Cash(cents * 10_000))
    assert body.balance == available // 10_000


def test_a_balance_without_exact_dollars_is_its_whole_cents():
    assert bodies.balance_of(payloads.BalanceBody(9801, 198)) == Balance(
        Cash(98_010_000), Cash(1_980_000)
    )


@pytest.mark.parametrize("value", [None, Price(0), Price(10_000), Price(2500)])
def test_a_settlement_survives_the_wire(value):
    settlement = SettlementRecord(
        "M",
        MarketResult.YES,
        value,
        Quantity(300),
        Quantity(0),
        Cash(1_560_000),
        Cash(0),
        Cash(3_000_000),
        Cash(18_900),
        AT,
    )

    body = bodies.settlement_body(settlement, "E")

    assert bodies.settlement_of(over_the_wire(body)) == settlement

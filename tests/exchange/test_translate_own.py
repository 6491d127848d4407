"""One's own fills, orders and positions: frames to records and back."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshiflow.exchange import translate_own
from kalshiflow.exchange.messages import FillFrame, UserOrderBody, decode_frame, encode
from kalshiflow.exchange.records import OwnFill, OwnOrder, OwnPosition
from kalshiflow.exchange.translate import TranslationError
from kalshiflow.market.events import Side
from kalshiflow.market.orders import Fill, OrderState, Role
from kalshiflow.market.units import Cash, Price, Quantity

MILLISECONDS = st.integers(0, 4 * 10**12).map(lambda ms: ms * 10**6)
prices = st.integers(1, 9999).map(Price)
quantities = st.integers(1, 10**9).map(Quantity)
signed = st.integers(-(10**9), 10**9).map(Quantity)
cash = st.integers(0, 10**12).map(Cash)


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
        at=MILLISECONDS,
        client_order_id=st.sampled_from(["", "mine"]),
    ),
    st.none() | signed,
)
def test_a_fill_survives_the_wire(fill, position):
    body = translate_own.fill_body(OwnFill(fill, position))
    frame = decode_frame(encode(FillFrame(sid=4, msg=body)))

    assert translate_own.own_fill(frame.msg, at=0) == OwnFill(fill, position)


@given(
    st.builds(
        OwnOrder,
        order_id=st.just("o"),
        client_order_id=st.just("mine"),
        ticker=st.just("M"),
        side=st.sampled_from(Side),
        price=prices,
        state=st.sampled_from(
            [OrderState.RESTING, OrderState.FILLED, OrderState.CANCELLED, OrderState.UNKNOWN]
        ),
        quantity=quantities,
        filled=quantities,
        remaining=quantities,
        reason=st.none() | st.sampled_from(["Trade", "Decrease"]),
        taker_cost=cash,
        maker_cost=cash,
        taker_fees=cash,
        maker_fees=cash,
        created_at=MILLISECONDS,
        updated_at=MILLISECONDS,
        expires_at=st.none() | MILLISECONDS,
    )
)
def test_an_order_survives_the_wire(own):
    assert translate_own.own_order(translate_own.user_order_body(own, "u")) == own


def test_an_order_that_expired_says_so_in_its_reason_only():
    own = OwnOrder(
        "o",
        "mine",
        "M",
        Side.BID,
        Price(1),
        OrderState.EXPIRED,
        Quantity(1),
        Quantity(0),
        Quantity(0),
        reason=translate_own.EXPIRED,
        created_at=0,
        updated_at=0,
    )
    body = translate_own.user_order_body(own, "u")

    assert body.status == "canceled"
    assert translate_own.own_order(body) == own


@given(
    st.builds(
        OwnPosition,
        ticker=st.just("M"),
        quantity=signed,
        cost=cash,
        realised=st.integers(-(10**12), 10**12).map(Cash),
        fees=cash,
        fee_cost=cash,
        volume=quantities,
    )
)
def test_a_position_survives_the_wire(own):
    assert translate_own.own_position(translate_own.market_position_body(own, "u")) == own


def test_a_status_we_do_not_know_is_refused():
    body = UserOrderBody("o", "M", "dreaming", "0.5000", "0.00", "1.00", "1.00", book_side="bid")

    with pytest.raises(TranslationError, match="dreaming"):
        translate_own.own_order(body)


def test_a_fill_that_tells_no_time_takes_the_given_one():
    fill = Fill("t", "o", "M", Side.BID, Price(1), Quantity(1), Role.MAKER, Cash(0), 77)
    body = translate_own.fill_body(OwnFill(fill))
    timeless = type(body)(
        **{
            name: value
            for name in body.__struct_fields__
            if (value := getattr(body, name)) is not None and name not in {"ts", "ts_ms"}
        }
    )

    assert translate_own.own_fill(timeless, at=77).fill == dataclasses.replace(fill, at=77)


@pytest.mark.parametrize(
    ("field", "value", "at"),
    [
        ("last_update_time", "1970-01-01T00:00:02Z", 2 * 10**9),
        ("last_updated_ts_ms", 3000, 3 * 10**9),
        ("created_ts_ms", 4000, 4 * 10**9),
        ("created_time", "1970-01-01T00:00:05Z", 5 * 10**9),
    ],
)
def test_an_orders_time_is_its_last_change_else_its_creation(field, value, at):
    body = UserOrderBody(
        "o", "M", "resting", "0.5", "0", "1", "1", book_side="bid", **{field: value}
    )

    assert translate_own.order_time(body) == at

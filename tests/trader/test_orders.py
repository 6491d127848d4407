"""What is known of our orders, in whatever order answers, frames and fills arrive."""

from uuid import UUID, uuid4

import pytest

from kalshiflow.market.events import Side
from kalshiflow.market.orders import Fill, OrderState, Role
from kalshiflow.market.units import Cash, Price, Quantity
from trader.orders import OrderTable, TrackedOrder

TEN = Quantity(1_000)


@pytest.fixture
def table():
    return OrderTable()


@pytest.fixture
def key(table):
    order = TrackedOrder(uuid4(), uuid4(), "T", Side.BID, Price(5_000), TEN, 0, 0)
    table.add(order)
    return order.client_order_id


def fill(key, quantity):
    return Fill(
        f"trade-{uuid4()}", "X1", "T", Side.BID, Price(5_000), Quantity(quantity), Role.TAKER,
        Cash(0), 0, str(key),
    )  # fmt: skip


def test_a_market_waits_from_the_decision_to_the_answer(table, key):
    assert table.must_wait("T")

    table.answered(key, "X1", Quantity(0), TEN)

    assert not table.must_wait("T")
    assert table.resting("T").remaining == TEN


def test_a_market_waits_for_fills_that_the_answer_told_of(table, key):
    table.answered(key, "X1", Quantity(400), Quantity(600))
    assert table.must_wait("T")

    table.filled(key, fill(key, 400))

    assert not table.must_wait("T")
    assert table.resting("T").remaining == 600


def test_fills_may_come_before_the_answer(table, key):
    table.filled(key, fill(key, 1_000))
    after = table.answered(key, "X1", TEN, Quantity(0))

    assert after.state is OrderState.FILLED
    assert table.open() == []


def test_an_end_that_a_frame_told_before_the_answer_stands(table, key):
    table.told(key, "X1", OrderState.CANCELLED, Quantity(0))
    assert table.must_wait("T")

    after = table.answered(key, "X1", Quantity(0), TEN)

    assert after.state is OrderState.CANCELLED
    assert table.open() == []


def test_an_order_that_ended_stays_ended_whatever_a_late_frame_says(table, key):
    table.answered(key, "X1", Quantity(0), TEN)
    table.mark(key, cancelling=True)
    table.cancelled(key, TEN)

    after = table.told(key, "X1", OrderState.RESTING, Quantity(0))

    assert after.state is OrderState.CANCELLED


def test_what_a_cancel_did_not_take_off_was_filled(table, key):
    table.answered(key, "X1", Quantity(0), TEN)
    table.mark(key, cancelling=True)

    after = table.cancelled(key, Quantity(700))

    assert (after.state, after.told_filled) == (OrderState.CANCELLED, 300)
    assert table.must_wait("T")
    assert table.filled(key, fill(key, 300)).is_over


def test_an_answer_that_leaves_nothing_and_filled_nothing_is_a_cancel(table, key):
    after = table.answered(key, "X1", Quantity(0), Quantity(0))

    assert after.state is OrderState.CANCELLED


def test_an_order_is_found_by_either_id(table, key):
    assert table.find("unheard", str(key)).client_order_id == key
    table.answered(key, "X1", Quantity(0), TEN)

    assert table.find("X1").client_order_id == key
    assert table.find("X2", "somebody-else's") is None


def test_ends_are_counted_once_each(table, key):
    table.answered(key, "X1", Quantity(0), TEN)
    table.cancelled(key, TEN)
    table.told(key, "X1", OrderState.CANCELLED, Quantity(0))

    assert table.ends == {OrderState.CANCELLED: 1}


def test_old_orders_are_forgotten_and_open_ones_never(table, key):
    for number in range(1_000):
        order = TrackedOrder(UUID(int=number), uuid4(), "U", Side.BID, Price(100), TEN, 0, 0)
        table.add(order)
        table.rejected(order.client_order_id, "no")

    assert len(list(table)) <= 501
    assert key in table
    assert table.ends[OrderState.REJECTED] == 1_000

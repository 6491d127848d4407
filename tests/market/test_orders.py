"""Orders: what can be one, how fills lower it, and which moves its states allow."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshiflow.market.events import Side
from kalshiflow.market.orders import ENDED, TRANSITIONS, Order, OrderError, OrderState
from kalshiflow.market.units import Price, Quantity


def order(quantity: int = 1_000, state: OrderState = OrderState.PENDING, filled: int = 0) -> Order:
    return Order(
        "o", "KX", Side.BID, Price(5_000), Quantity(quantity), state=state, filled=Quantity(filled)
    )


@pytest.mark.parametrize(("quantity", "filled"), [(0, 0), (-1, 0), (10, 11), (10, -1)])
def test_quantities_that_cannot_be_are_refused(quantity: int, filled: int) -> None:
    with pytest.raises(OrderError, match=f"quantity {quantity} with {filled} filled"):
        order(quantity, filled=filled)


@pytest.mark.parametrize(("before", "after"), list(product(OrderState, OrderState)))
def test_an_order_makes_the_moves_of_the_table_and_no_others(
    before: OrderState, after: OrderState
) -> None:
    made = order(state=before)

    if after in TRANSITIONS[before]:
        assert made.moved_to(after).state == after
    else:
        with pytest.raises(OrderError, match=f"cannot go from {before} to {after}"):
            made.moved_to(after)


def test_an_ended_order_makes_no_move_and_has_nothing_remaining() -> None:
    assert {
        OrderState.FILLED,
        OrderState.CANCELLED,
        OrderState.REJECTED,
        OrderState.EXPIRED,
    } == ENDED
    for state in ENDED:
        assert order(state=state).remaining == 0


def test_an_order_whose_outcome_is_unknown_may_turn_out_any_way() -> None:
    reachable = TRANSITIONS[OrderState.UNKNOWN]

    assert reachable == TRANSITIONS[OrderState.PENDING] - {OrderState.UNKNOWN}


@given(st.lists(st.integers(1, 50), min_size=1, max_size=20))
def test_fills_lower_what_remains_and_the_last_one_ends_the_order(fills: list[int]) -> None:
    made = order(sum(fills), OrderState.RESTING)
    for done, quantity in enumerate(fills):
        assert made.state == OrderState.RESTING
        assert made.remaining == sum(fills[done:])
        made = made.filled_by(Quantity(quantity))

    assert made.state == OrderState.FILLED
    assert made.filled == made.quantity == sum(fills)


@pytest.mark.parametrize("quantity", [0, -1, 601])
def test_a_fill_of_nothing_or_more_than_remains_is_refused(quantity: int) -> None:
    with pytest.raises(OrderError, match=f"a fill of {quantity} exceeds 600 remaining"):
        order(filled=400).filled_by(Quantity(quantity))


@pytest.mark.parametrize("state", sorted(ENDED))
def test_an_ended_order_takes_no_fill(state: OrderState) -> None:
    with pytest.raises(OrderError, match=state):
        order(state=state).filled_by(Quantity(1))


def test_the_sides_are_each_others_other() -> None:
    assert Side.BID.other is Side.ASK
    assert Side.ASK.other is Side.BID

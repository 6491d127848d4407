"""One position: buying, closing, flipping through zero, settling; money adds up exactly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshiflow.market.events import Side
from kalshiflow.market.position import (
    FLAT,
    Position,
    fill_position,
    fill_step,
    settle_position,
)
from kalshiflow.market.units import DOLLAR, Cash, Price, Quantity, cash_from_dollars, complement

BID, ASK = Side.BID, Side.ASK
PRICES = st.integers(0, DOLLAR).map(Price)
QUANTITIES = st.integers(1, 100_000).map(Quantity)
FILLS = st.lists(st.tuples(st.sampled_from(Side), PRICES, QUANTITIES), max_size=30)
PER_CONTRACT_HUNDREDTH = int(DOLLAR)  # a dollar per contract, in cash per 1/100 contract


def position(quantity: int, cost: int) -> Position:
    return Position(Quantity(quantity), Cash(cost))


def test_buying_from_flat_costs_the_price() -> None:
    step = fill_position(FLAT, BID, Price(4_000), Quantity(1_000))

    assert step.cash_change == -cash_from_dollars("4.00")
    assert step.position == Position(Quantity(1_000), cash_from_dollars("4.00"))
    assert (step.opened, step.closed, step.realised) == (1_000, 0, 0)


@given(PRICES, QUANTITIES)
def test_selling_from_flat_costs_one_minus_the_price(price: Price, quantity: Quantity) -> None:
    step = fill_position(FLAT, ASK, price, quantity)

    assert step.cash_change == -complement(price) * quantity
    assert step.position == Position(Quantity(-quantity), Cash(-step.cash_change))
    assert (step.opened, step.closed, step.realised) == (quantity, 0, 0)


@given(PRICES, PRICES, QUANTITIES, st.sampled_from(Side))
def test_a_yes_no_pair_is_worth_exactly_one_dollar(
    bought: Price, sold: Price, quantity: Quantity, first: Side
) -> None:
    """Buying YES at p and NO at 1 - s leaves nothing but s - p: the pair paid its dollar."""
    prices = {BID: bought, ASK: sold}
    one = fill_position(FLAT, first, prices[first], quantity)
    two = fill_position(one.position, first.other, prices[first.other], quantity)

    outlay = bought * quantity + complement(sold) * quantity
    dollar_each = PER_CONTRACT_HUNDREDTH * quantity
    assert one.cash_change + two.cash_change == dollar_each - outlay
    assert two.position == Position(realised=Cash(dollar_each - outlay))
    assert (two.closed, two.opened) == (quantity, 0)


def test_closing_no_by_a_bid_is_paid_one_minus_the_price() -> None:
    held = fill_position(FLAT, ASK, Price(7_000), Quantity(1_000)).position

    step = fill_position(held, BID, Price(6_000), Quantity(1_000))

    assert step.cash_change == cash_from_dollars("4.00")
    assert step.realised == cash_from_dollars("1.00")
    assert step.position.quantity == step.position.cost == 0


def test_a_partial_close_releases_its_share_of_the_cost_rounded_down() -> None:
    step = fill_position(position(300, 1_000), ASK, Price(5_000), Quantity(100))

    assert step.position.cost == 667
    assert step.realised == 500_000 - 333


@given(st.integers(0, 10**14), st.integers(1, 10**10), st.data())
def test_the_released_share_is_exact_at_any_size(cost: int, held: int, data: st.DataObject) -> None:
    closed = data.draw(st.integers(1, held))

    _, left, _, _, _ = fill_step(held, cost, Side.ASK, Price(5_000), closed)

    assert cost - left == cost * closed // held


def test_a_fill_larger_than_what_is_held_flips_through_zero() -> None:
    held = fill_position(FLAT, BID, Price(4_000), Quantity(500)).position

    step = fill_position(held, ASK, Price(6_000), Quantity(800))

    assert (step.closed, step.opened) == (500, 300)
    assert step.realised == cash_from_dollars("1.00")
    assert step.cash_change == cash_from_dollars("3.00") - cash_from_dollars("1.20")
    assert step.position.quantity == -300
    assert step.position.cost == cash_from_dollars("1.20")


@given(st.integers(-1_000, 1_000), st.integers(1, 10**7), st.sampled_from(Side), PRICES, QUANTITIES)
def test_one_fill_equals_its_close_followed_by_its_open(
    held: int, cost: int, side: Side, price: Price, quantity: Quantity
) -> None:
    before = position(held, cost if held else 0)
    whole = fill_position(before, side, price, quantity)

    parts = []
    after = before
    for part in (whole.closed, whole.opened):
        if part:
            parts.append(fill_position(after, side, price, part))
            after = parts[-1].position

    assert after == whole.position
    assert sum(step.cash_change for step in parts) == whole.cash_change


@given(FILLS)
def test_profit_adds_up_to_the_change_of_cash_and_the_cost_of_what_is_held(
    fills: list[tuple[Side, Price, Quantity]],
) -> None:
    held, cash, realised = FLAT, 0, 0
    for side, price, quantity in fills:
        step = fill_position(held, side, price, quantity)
        held = step.position
        cash += step.cash_change
        realised += step.realised

        assert step.closed + step.opened == quantity
        assert held.cost >= 0
        assert held.quantity or not held.cost
        assert held.realised == realised
        assert cash + held.cost == realised


@given(FILLS, PRICES)
def test_the_other_side_of_every_fill_has_the_mirrored_position(
    fills: list[tuple[Side, Price, Quantity]], value: Price
) -> None:
    """Buying YES at p is buying NO at p in the market where both names are exchanged."""
    held, mirrored = FLAT, FLAT
    for side, price, quantity in fills:
        step = fill_position(held, side, price, quantity)
        twin = fill_position(mirrored, side.other, complement(price), quantity)
        held, mirrored = step.position, twin.position

        assert twin.cash_change == step.cash_change
        assert mirrored.quantity == -held.quantity
        assert (mirrored.cost, mirrored.realised) == (held.cost, held.realised)
    assert (
        settle_position(held, value).cash_change
        == settle_position(mirrored, complement(value)).cash_change
    )


def test_the_fee_is_added_to_the_positions_fees_and_not_to_the_cash() -> None:
    one = fill_position(FLAT, BID, Price(5_000), Quantity(100), Cash(17_500))
    two = fill_position(one.position, ASK, Price(5_000), Quantity(100), Cash(500))

    assert one.cash_change == -500_000
    assert two.position == Position(fees=Cash(18_000))


@given(st.integers(-100_000, 100_000), st.integers(0, 10**9), PRICES)
def test_settlement_pays_yes_the_value_and_no_the_rest_of_the_dollar(
    held: int, cost: int, value: Price
) -> None:
    step = settle_position(position(held, cost), value)

    each = value if held > 0 else complement(value)
    assert step.cash_change == abs(held) * each
    assert step.realised == step.cash_change - cost
    assert step.position == Position(realised=step.realised)
    assert (step.closed, step.opened) == (abs(held), 0)


@given(st.integers(1, 100_000), PRICES)
def test_both_holders_of_a_pair_are_paid_one_dollar_together(quantity: int, value: Price) -> None:
    yes = settle_position(position(quantity, 0), value)
    no = settle_position(position(-quantity, 0), value)

    assert yes.cash_change + no.cash_change == PER_CONTRACT_HUNDREDTH * quantity


@pytest.mark.parametrize("value", [-1, 10_001])
def test_a_settlement_value_outside_the_dollar_is_refused(value: int) -> None:
    with pytest.raises(ValueError, match=f"settlement value {value} is outside"):
        settle_position(FLAT, Price(value))

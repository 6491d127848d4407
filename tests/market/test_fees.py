"""Fees: the exchange's worked examples, real fills, and what holds for every fill."""

import json
from decimal import ROUND_CEILING, Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshiflow.market.events import Side
from kalshiflow.market.fees import (
    CENTICENT,
    CENTICENTS_SINCE,
    ORDER_CUSHION,
    WHOLE_CENT,
    FillCost,
    balance_precision,
    fee_numbers,
    fill_cost,
    quadratic_fee,
    rounding_step,
    trade_fee,
    worst_case_fee,
)
from kalshiflow.market.listing import FeeTerms, FeeType
from kalshiflow.market.orders import Role
from kalshiflow.market.units import (
    DOLLAR,
    Cash,
    Price,
    Quantity,
    cash_from_dollars,
    notional,
    price_from_dollars,
    quantity_from_contracts,
)

PLAIN = FeeTerms()
WITH_MAKER = FeeTerms(FeeType.QUADRATIC_WITH_MAKER_FEES)
COMBO = FeeTerms(FeeType.QUADRATIC_WITH_COMBO_MAKER_FEES)
FLAT = FeeTerms(FeeType.FLAT)

PRICES = st.integers(1, DOLLAR - 1).map(Price)
QUANTITIES = st.integers(1, 1_000_000).map(Quantity)
MULTIPLIERS = st.fractions(0, 3, max_denominator=100)
TERMS = st.builds(FeeTerms, st.sampled_from(FeeType), MULTIPLIERS)
ROLES = st.sampled_from(Role)
SIDES = st.sampled_from(Side)
PRECISIONS = st.sampled_from([CENTICENT, WHOLE_CENT])


def fee_of(contracts: str, dollars: str, role: Role = Role.TAKER, terms: FeeTerms = PLAIN) -> Cash:
    quantity = quantity_from_contracts(contracts)
    return trade_fee(terms, role, price_from_dollars(dollars), quantity)


@pytest.mark.parametrize(
    ("contracts", "price", "fee"),
    [
        ("1.00", "0.5200", "0.0175"),
        ("1.00", "0.9900", "0.0007"),
        ("5.52", "0.1700", "0.0546"),
        ("1.16", "0.1600", "0.0110"),
    ],
)
def test_real_takers_paid_what_the_fee_model_says(contracts: str, price: str, fee: str) -> None:
    assert fee_of(contracts, price) == cash_from_dollars(fee)


@pytest.mark.recorded
def test_the_fills_of_a_recorded_session_cost_what_was_charged(recorded_data: Path) -> None:
    fills = list(_recorded_fills(recorded_data / "kalshi-demo-ws-2026-07" / "session.jsonl"))

    assert len(fills) == 2
    for fill in fills:
        assert _cost_of(fill).net == cash_from_dollars(fill["fee_cost"])


@pytest.mark.recorded
def test_the_fills_of_a_recorded_account_cost_what_was_charged(recorded_data: Path) -> None:
    body = recorded_data / "kalshi-demo-rest-2026-06" / "fills__after_taker.json"
    fills = json.loads(body.read_text())["fills"]

    assert len(fills) == 3
    for fill in fills:
        assert _cost_of(fill).net == cash_from_dollars(fill["fee_cost"])


def _recorded_fills(path: Path) -> list[dict[str, Any]]:
    frames = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    return [frame["msg"] for frame in frames if frame["type"] == "fill"]


def _cost_of(fill: dict[str, Any]) -> FillCost:
    return fill_cost(
        Cash(0),
        PLAIN,
        Role.TAKER if fill["is_taker"] else Role.MAKER,
        Side.BID if fill["book_side"] == "bid" else Side.ASK,
        price_from_dollars(fill["yes_price_dollars"]),
        quantity_from_contracts(fill["count_fp"]),
    )


# The exchange's own examples: a buyer whose balance is kept in whole cents, three equal fills.
# Columns: contracts, price, trade fee (given); then rounding, accumulated, rebate, net of each.
EXAMPLES = {
    "subcent price": (
        ("1.00", "0.0550", "0.0085"),
        ("0.0065", "0.0065", "0", "0.0150"),
        ("0.0065", "0.0030", "0.01", "0.0050"),
        ("0.0065", "0.0095", "0", "0.0150"),
    ),
    "fractional contracts": (
        ("0.30", "0.5000", "0.0041"),
        ("0.0059", "0.0059", "0", "0.0100"),
        ("0.0059", "0.0018", "0.01", "0.0000"),
        ("0.0059", "0.0077", "0", "0.0100"),
    ),
    "both": (
        ("0.03", "0.3301", "0.0005"),
        ("0.009597", "0.009597", "0", "0.010097"),
        ("0.009597", "0.009194", "0.01", "0.000097"),
        ("0.009597", "0.008791", "0.01", "0.000097"),
    ),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_worked_examples_of_rounding_come_out_as_documented(name: str) -> None:
    (contracts, price, given_fee), *fills = EXAMPLES[name]
    paid = notional(price_from_dollars(price), quantity_from_contracts(contracts))
    fee = cash_from_dollars(given_fee)
    accumulated = 0
    for fill in fills:
        rounding, rebate, accumulated = rounding_step(accumulated, -paid, fee, WHOLE_CENT)

        found = (rounding, accumulated, rebate, fee + rounding - rebate)
        assert found == tuple(cash_from_dollars(text) for text in fill)


def test_a_fill_whose_fee_the_example_gives_comes_out_whole() -> None:
    price, quantity = price_from_dollars("0.3301"), quantity_from_contracts("0.03")
    accumulated = Cash(0)
    nets = []
    for _ in range(3):
        cost = fill_cost(
            accumulated, PLAIN, Role.TAKER, Side.BID, price, quantity, precision=WHOLE_CENT
        )
        accumulated = cost.accumulated
        nets.append(cost.net)

    assert nets == [10_097, 97, 97]


def test_a_direct_members_fill_is_rounded_to_a_hundredth_of_a_cent() -> None:
    cost = fill_cost(
        Cash(0), PLAIN, Role.TAKER, Side.BID, price_from_dollars("0.3301"), Quantity(3)
    )

    assert cost == FillCost(Cash(500), Cash(97), Cash(0), Cash(97))


def test_makers_pay_by_their_series_fee_type() -> None:
    assert fee_of("100", "0.5000", Role.TAKER) == cash_from_dollars("1.75")
    assert fee_of("100", "0.5000", Role.MAKER) == 0
    assert fee_of("100", "0.5000", Role.MAKER, WITH_MAKER) == cash_from_dollars("0.4375")
    assert fee_of("100", "0.5000", Role.MAKER, COMBO) == cash_from_dollars("0.875")
    assert fee_of("100", "0.5000", Role.MAKER, FLAT) == cash_from_dollars("1.75")


def test_takers_pay_alike_under_every_fee_type() -> None:
    fees = {fee_of("100", "0.3000", terms=terms) for terms in (PLAIN, WITH_MAKER, COMBO, FLAT)}

    assert fees == {cash_from_dollars("1.47")}


@given(TERMS, ROLES, PRICES, QUANTITIES, st.sampled_from([Cash(1), CENTICENT, WHOLE_CENT]))
def test_the_trade_fee_is_the_formula_rounded_up(
    terms: FeeTerms, role: Role, price: Price, quantity: Quantity, quantum: Cash
) -> None:
    share = Fraction(1)
    if role is Role.MAKER:
        quarters = {"quadratic": 0, "quadratic_with_maker_fees": 1, "flat": 4}
        share = Fraction(quarters.get(terms.fee_type, 2), 4)
    p, contracts = Fraction(price, 10_000), Fraction(quantity, 100)
    dollars = Fraction(7, 100) * share * terms.multiplier * contracts * p * (1 - p)

    fee = Fraction(trade_fee(terms, role, price, quantity, quantum), 1_000_000)

    assert dollars <= fee < dollars + Fraction(quantum, 1_000_000)
    assert fee % Fraction(quantum, 1_000_000) == 0


@given(TERMS, ROLES, PRICES, QUANTITIES)
def test_yes_and_no_pay_the_same_trade_fee(
    terms: FeeTerms, role: Role, price: Price, quantity: Quantity
) -> None:
    other = Price(DOLLAR - price)

    assert trade_fee(terms, role, price, quantity) == trade_fee(terms, role, other, quantity)


def test_a_multiplier_is_an_exact_ratio() -> None:
    tenth = FeeTerms(multiplier=Fraction("0.1"))
    # 0.07 x 0.1 x 100 x 0.25 is 0.175 exactly; as a binary fraction 0.1 it would be above it.
    assert fee_of("100", "0.5000", terms=tenth) == cash_from_dollars("0.175")
    assert fee_of("1", "0.5000", terms=FeeTerms(multiplier=Fraction(1, 3))) == 5_900


@given(PRICES, QUANTITIES, st.integers(0, 8), st.integers(1, 100))
def test_the_plain_integer_fee_equals_decimal_arithmetic(
    price: Price, quantity: Quantity, quarters: int, denominator: int
) -> None:
    p = Decimal(price) / 10_000
    exact = Decimal("0.07") * quarters * quantity * p * (1 - p) / 400
    centicents = (exact * 10_000 / denominator).to_integral_value(ROUND_CEILING)

    assert quadratic_fee(price, quantity, quarters, denominator, CENTICENT) == centicents * 100


FILLS = st.lists(st.tuples(ROLES, st.integers(1, DOLLAR - 1), st.integers(1, 5_000)), max_size=30)


@given(TERMS, SIDES, PRECISIONS, FILLS)
def test_the_balance_stays_on_its_precision_and_no_fill_has_a_negative_fee(
    terms: FeeTerms, side: Side, precision: Cash, fills: list[tuple[Role, int, int]]
) -> None:
    accumulated = Cash(0)
    sign = -1 if side is Side.BID else 1
    for role, price, quantity in fills:
        cost = fill_cost(
            accumulated, terms, role, side, Price(price), Quantity(quantity), precision=precision
        )

        assert cost.net >= 0
        assert (sign * price * quantity - cost.net) % precision == 0
        assert 0 <= cost.rounding_fee < precision
        assert cost.rebate % WHOLE_CENT == 0
        assert cost.accumulated == accumulated + cost.rounding_fee - cost.rebate
        accumulated = cost.accumulated


@given(TERMS, SIDES, PRECISIONS, FILLS)
def test_all_rounding_is_either_rebated_or_still_accumulated(
    terms: FeeTerms, side: Side, precision: Cash, fills: list[tuple[Role, int, int]]
) -> None:
    accumulated = Cash(0)
    net = trade = 0
    for role, price, quantity in fills:
        cost = fill_cost(
            accumulated, terms, role, side, Price(price), Quantity(quantity), precision=precision
        )
        accumulated = cost.accumulated
        net += cost.net
        trade += cost.trade_fee

    assert net == trade + accumulated


@given(TERMS, PRICES, QUANTITIES, PRECISIONS)
def test_selling_what_is_held_rounds_like_buying_the_other_side(
    terms: FeeTerms, price: Price, quantity: Quantity, precision: Cash
) -> None:
    charged = trade_fee(terms, Role.TAKER, price, quantity)
    sold = notional(price, quantity)
    bought = -notional(Price(DOLLAR - price), quantity)

    assert rounding_step(0, sold, charged, precision) == rounding_step(
        0, bought, charged, precision
    )


def test_a_cent_of_rounding_is_not_yet_rebated() -> None:
    assert rounding_step(5_000, -5_000, 0, WHOLE_CENT) == (5_000, 0, 10_000)
    assert rounding_step(5_001, -5_000, 5_000, WHOLE_CENT) == (0, 0, 5_001)
    assert rounding_step(10_001, -5_000, 15_000, WHOLE_CENT) == (0, 10_000, 1)


def test_what_does_not_exceed_another_cent_stays_accumulated() -> None:
    assert rounding_step(20_000, -10_000, 40_000, WHOLE_CENT) == (0, 10_000, 10_000)


def test_a_rebate_that_would_make_the_fee_negative_waits_for_a_later_fill() -> None:
    rounding, rebate, accumulated = rounding_step(9_000, -5_000, 0, WHOLE_CENT)
    assert (rounding, rebate, accumulated) == (5_000, 0, 14_000)

    assert rounding_step(accumulated, -10_000, 10_000, WHOLE_CENT) == (0, 10_000, 4_000)


def test_several_cents_that_waited_are_rebated_together() -> None:
    assert rounding_step(35_000, -10_000, 40_000, WHOLE_CENT) == (0, 30_000, 5_000)


@given(
    TERMS,
    PRICES,
    st.lists(st.tuples(ROLES, st.integers(1, 2_000)), min_size=1, max_size=100),
    SIDES,
)
def test_no_direct_member_pays_more_than_the_worst_case(
    terms: FeeTerms, price: Price, fills: list[tuple[Role, int]], side: Side
) -> None:
    total = sum(quantity for _, quantity in fills)
    accumulated = Cash(0)
    paid = 0
    for role, quantity in fills:
        cost = fill_cost(accumulated, terms, role, side, price, Quantity(quantity))
        accumulated = cost.accumulated
        paid += cost.net

    assert paid <= worst_case_fee(terms, price, Quantity(total))


@given(TERMS, PRICES, PRICES, QUANTITIES)
def test_a_better_price_never_costs_more_with_its_fee(
    terms: FeeTerms, one: Price, other: Price, quantity: Quantity
) -> None:
    better, limit = min(one, other), max(one, other)

    def whole(price: Price) -> int:
        return notional(price, quantity) + trade_fee(terms, Role.TAKER, price, quantity, Cash(1))

    assert whole(better) <= whole(limit) + 1


def test_the_worst_case_is_the_takers_fee_and_two_cents() -> None:
    assert cash_from_dollars("0.02") == ORDER_CUSHION
    assert worst_case_fee(PLAIN, Price(5_000), Quantity(100)) == cash_from_dollars("0.0375")


@pytest.mark.parametrize(
    ("terms", "numbers"),
    [
        (PLAIN, (4, 0, 1)),
        (FeeTerms(FeeType.QUADRATIC_WITH_MAKER_FEES, Fraction(1, 2)), (4, 1, 2)),
        (FeeTerms(FeeType.QUADRATIC_WITH_COMBO_MAKER_FEES, Fraction(3)), (12, 6, 1)),
    ],
)
def test_terms_are_three_whole_numbers(terms: FeeTerms, numbers: tuple[int, int, int]) -> None:
    assert fee_numbers(terms) == numbers


@given(
    st.integers(1, 99),
    st.lists(st.integers(1, 40), min_size=1, max_size=12),
    st.sampled_from(list(Side)),
)
def test_before_centicents_an_order_paid_its_fee_rounded_up_to_a_cent(
    cents: int, contracts: list[int], side: Side
) -> None:
    """Or a cent more: a rebate comes when more than a cent was rounded, not with the last fill."""
    assert balance_precision(CENTICENTS_SINCE) == CENTICENT
    precision = Cash(balance_precision(CENTICENTS_SINCE - 1))
    accumulated, paid = Cash(0), 0
    for count in contracts:
        quantity = Quantity(100 * count)
        cost = fill_cost(
            accumulated, PLAIN, Role.TAKER, side, Price(100 * cents), quantity, precision=precision
        )
        accumulated, paid = cost.accumulated, paid + cost.net
    exact = Fraction(7 * sum(contracts) * cents * (100 - cents), 100)  # in 1/10000 dollar
    rounded_up = -(-exact // 100) * WHOLE_CENT
    assert paid in {rounded_up, rounded_up + WHOLE_CENT}

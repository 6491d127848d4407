"""New terms of a resting order in the ledger: what they reserve, and when they can be afforded."""

from dataclasses import dataclass

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kalshiflow.market.events import Side
from kalshiflow.market.fees import ORDER_CUSHION, trade_fee
from kalshiflow.market.listing import FeeTerms
from kalshiflow.market.orders import Fill, Order, OrderError, Role
from kalshiflow.market.portfolio import InsufficientCash, Portfolio, Position
from kalshiflow.market.units import Cash, Price, Quantity, complement

BID, ASK = Side.BID, Side.ASK
TERMS = FeeTerms()
PLENTY = Cash(10**12)


def order(order_id: str, side: Side, price: int, quantity: int, filled: int = 0) -> Order:
    return Order(order_id, "KX", side, Price(price), Quantity(quantity), filled=Quantity(filled))


def account(held: int, orders: list[Order], cash: int = PLENTY) -> Portfolio:
    portfolio = Portfolio()
    portfolio.adopt(Cash(cash), {"KX": Position(Quantity(held))}, [(one, TERMS) for one in orders])
    return portfolio


def full_reserve(held: int, orders: list[Order]) -> int:
    return account(held, orders).reserved


def own_reserve(held: int, orders: list[Order], order_id: str) -> int:
    """What one order of several reserves: its own opening part, and its cushion."""
    closable = {BID: max(-held, 0), ASK: max(held, 0)}
    for one in orders:
        closing = min(closable[one.side], one.remaining)
        closable[one.side] -= closing
        opening = Quantity(one.remaining - closing)
        if one.order_id == order_id and opening:
            unit = one.price if one.side is BID else complement(one.price)
            fee = trade_fee(TERMS, Role.TAKER, one.price, opening)
            return unit * opening + fee + ORDER_CUSHION
    return 0


def in_line(orders: list[Order], new: Order) -> list[Order]:
    """The orders with one replaced: in its place, or last with more remaining."""
    old = next(one for one in orders if one.order_id == new.order_id)
    if new.remaining > old.remaining:
        return [*(one for one in orders if one is not old), new]
    return [new if one is old else one for one in orders]


@dataclass(frozen=True)
class Case:
    held: int
    orders: list[Order]
    new: Order

    @property
    def after(self) -> list[Order]:
        return in_line(self.orders, self.new)


terms = st.tuples(st.sampled_from(Side), st.integers(1, 9_999), st.integers(1, 3_000))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    placed = draw(st.lists(terms, min_size=1, max_size=5))
    orders = [order(f"o{n}", *each) for n, each in enumerate(placed)]
    old = draw(st.sampled_from(orders))
    price = draw(st.one_of(st.just(int(old.price)), st.integers(1, 9_999)))
    quantity = draw(st.one_of(st.just(int(old.quantity)), st.integers(1, 6_000)))
    return Case(
        draw(st.integers(-4_000, 4_000)), orders, order(old.order_id, old.side, price, quantity)
    )


@given(case=cases())
def test_the_reserve_is_as_if_the_orders_had_been_placed_on_their_new_terms(case: Case) -> None:
    portfolio = account(case.held, case.orders)

    portfolio.replace(case.new, TERMS)

    assert portfolio.reserved == full_reserve(case.held, case.after)
    assert list(portfolio.orders.values()) == case.after
    assert portfolio.cash == PLENTY


@given(case=cases(), missing=st.integers(1, 10**8))
def test_less_or_equal_reserve_is_never_refused_however_little_cash_there_is(
    case: Case, missing: int
) -> None:
    name = case.new.order_id
    after, before = (own_reserve(case.held, line, name) for line in (case.after, case.orders))
    assume(after <= before)
    portfolio = account(case.held, case.orders, full_reserve(case.held, case.orders) - missing)

    portfolio.replace(case.new, TERMS)

    assert list(portfolio.orders.values()) == case.after


@given(case=cases(), spare=st.integers(-1, 1))
def test_more_is_afforded_to_the_last_unit_with_the_old_reserve_released(
    case: Case, spare: int
) -> None:
    before, after = (full_reserve(case.held, line) for line in (case.orders, case.after))
    assume(after > before)
    portfolio = account(case.held, case.orders, after + spare)

    if spare >= 0:
        portfolio.replace(case.new, TERMS)
        assert portfolio.available == spare
    else:
        with pytest.raises(InsufficientCash):
            portfolio.replace(case.new, TERMS)
        assert portfolio.reserved == before
        assert list(portfolio.orders.values()) == case.orders


def test_what_is_filled_of_an_order_reserves_nothing_on_new_terms_either() -> None:
    portfolio = account(0, [order("o", BID, 4_000, 1_000)])
    fill = Fill("t", "o", "KX", BID, Price(4_000), Quantity(300), Role.MAKER, Cash(0), 0)
    portfolio.apply_fill(fill)

    portfolio.replace(order("o", BID, 5_000, 800, filled=300), TERMS)

    assert portfolio.reserved == full_reserve(0, [order("o", BID, 5_000, 500)])
    assert portfolio.orders["o"].remaining == 500


def test_more_of_an_order_leaves_the_closing_quantity_to_those_after_it() -> None:
    portfolio = account(1_000, [order("a", ASK, 6_000, 1_000), order("b", ASK, 7_000, 1_000)])

    portfolio.replace(order("a", ASK, 6_000, 1_100), TERMS)

    assert list(portfolio.orders) == ["b", "a"]
    assert portfolio.reserved == full_reserve(0, [order("a", ASK, 6_000, 1_100)])


@pytest.mark.parametrize(
    "new",
    [
        order("gone", BID, 4_000, 100),
        order("o", ASK, 4_000, 100),
        Order("o", "KXOTHER", BID, Price(4_000), Quantity(100)),
        order("o", BID, 4_000, 100, filled=100),
    ],
)
def test_another_order_or_none_at_all_is_no_new_terms(new: Order) -> None:
    portfolio = account(0, [order("o", BID, 4_000, 1_000)])
    before = portfolio.reserved

    with pytest.raises(OrderError):
        portfolio.replace(new, TERMS)

    assert portfolio.reserved == before


lines = st.lists(terms, max_size=12)


@given(
    placed=lines,
    moves=st.lists(st.tuples(st.integers(0, 11), st.integers(-4_000, 4_000)), max_size=30),
)
def test_a_long_line_reserves_what_it_would_if_it_were_placed_anew(
    placed: list, moves: list[tuple[int, int]]
) -> None:
    orders = [order(f"o{n}", *each) for n, each in enumerate(placed)]
    portfolio = account(0, orders)

    for which, change in moves:
        fill = Fill(
            "t",
            "elsewhere",
            "KX",
            BID if change > 0 else ASK,
            Price(5_000),
            Quantity(abs(change) or 1),
            Role.MAKER,
            Cash(0),
            0,
        )
        portfolio.apply_fill(fill)
        if f"o{which}" in portfolio.orders:
            portfolio.reduce(f"o{which}", Quantity(1))
        rest = [order(o.order_id, o.side, o.price, o.remaining) for o in portfolio.orders.values()]
        assert portfolio.reserved == full_reserve(portfolio.held("KX"), rest)

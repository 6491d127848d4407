"""What a policy knows of its own affairs in a market."""

from hypothesis import given
from hypothesis import strategies as st

from kalshiflow.agent.account import MarketAccount, OwnOrder
from kalshiflow.market.events import Side
from kalshiflow.market.listing import FeeTerms
from kalshiflow.market.orders import Fill, Order, Role
from kalshiflow.market.portfolio import FLAT, Portfolio, Position
from kalshiflow.market.units import Cash, Price, Quantity

BUDGET = Cash(100_000_000)


def position(quantity):
    return Position(Quantity(quantity), Cash(abs(quantity) * 50))


def test_holding_time_begins_when_a_side_is_first_held():
    account = MarketAccount(BUDGET)
    account.hold(position(100), 5)
    account.hold(position(300), 6)
    assert account.held_since == 5
    account.hold(position(-100), 7)
    assert account.held_since == 7
    account.hold(position(0), 8)
    assert account.held_since == -1


def test_the_filled_share_is_that_of_the_last_order():
    account = MarketAccount(BUDGET)
    account.order_sent(Quantity(1000), 1)
    account.order_filled(Quantity(400), position(400), 2)
    account.order_filled(Quantity(200), position(600), 3)
    assert account.numbers()[-3:] == [1, 1000, 600]
    account.order_sent(Quantity(500), 4)
    assert account.numbers()[-3:] == [4, 500, 0]


def test_own_orders_come_and_go_by_side():
    account = MarketAccount(BUDGET)
    bid = OwnOrder(Side.BID, Price(4000), Quantity(100), 1)
    ask = OwnOrder(Side.ASK, Price(6000), Quantity(100), 2)
    account.order_rests(bid)
    account.order_rests(ask)
    assert account.own_orders == (bid, ask)
    account.order_ended(Side.BID)
    assert account.own_orders == (ask,)
    account.order_ended(Side.ASK)
    assert account.own_orders == ()


fills = st.lists(
    st.tuples(
        st.sampled_from(list(Side)), st.integers(1, 99), st.integers(1, 1000), st.integers(0, 999)
    ),
    max_size=12,
)


@given(fills, st.integers(0, 500))
def test_free_cash_is_the_ledgers_where_the_budget_is_all_its_cash(steps, resting):
    portfolio, account = Portfolio(BUDGET), MarketAccount(BUDGET)
    for number, (side, cents, quantity, fee) in enumerate(steps):
        price = Price(cents * 100)
        fill = Fill(
            f"t{number}", f"o{number}", "T", side, price, Quantity(quantity), Role.TAKER,
            Cash(fee), number,
        )  # fmt: skip
        portfolio.apply_fill(fill)
        account.hold(portfolio.positions["T"], number)
    if resting:
        order = Order("rest", "T", Side.BID, Price(100), Quantity(resting))
        if portfolio.can_place(order, FeeTerms()):
            portfolio.place(order, FeeTerms())
    account.reserved = portfolio.reserved
    assert account.spendable == portfolio.cash
    assert account.cash_left == portfolio.available
    assert account.position == portfolio.positions.get("T", FLAT)

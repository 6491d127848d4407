"""What a policy knows of its own affairs in a market."""

from hypothesis import given
from hypothesis import strategies as st
from seen_market import PRICES, market

from kalshiflow.agent import layout
from kalshiflow.agent.account import MarketAccount, OwnOrder
from kalshiflow.agent.layout import HELD_SINCE
from kalshiflow.agent.seen import hold, order_filled, order_sent, see_account
from kalshiflow.market.events import Side
from kalshiflow.market.flat import ACCOUNT_WIDTH
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
    assert account.numbers()[7:10] == [1, 1000, 600]
    account.order_sent(Quantity(500), 4)
    assert account.numbers()[7:10] == [4, 500, 0]


def test_own_orders_come_and_go_by_side():
    account = MarketAccount(BUDGET)
    bid = OwnOrder(Side.BID, Price(4000), Quantity(100), 1)
    ask = OwnOrder(Side.ASK, Price(6000), Quantity(100), 2)
    account.order_rests(bid)
    account.order_rests(ask)
    assert account.own_orders == (bid, ask)
    assert account.numbers()[10:] == [4000, 100, 1, 6000, 100, 2]
    account.order_ended(Side.BID)
    assert account.own_orders == (ask,)
    account.order_ended(Side.ASK)
    assert account.own_orders == ()
    assert account.numbers()[10:] == [-1, 0, -1, -1, 0, -1]
    assert len(account.numbers()) == ACCOUNT_WIDTH


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


def test_the_last_order_is_filled_by_no_more_than_it_asked_for():
    seen, _ = market()
    told = []
    for quantity in (400, 500, 900):
        order_sent(seen, 1_000, quantity)
        order_filled(seen, quantity)
        order_filled(seen, 300)
        told.append(seen[layout.ORDERED_AT : layout.FILLED + 1])
    assert told == [[400, 1_000, 700], [500, 1_000, 800], [900, 1_000, 1_000]]


def test_what_the_ledger_says_is_held():
    seen, _ = market()
    hold(seen, 1, 2, 3, 4, 5, 6)
    names = ("POSITION", "COST", "REALISED", "FEES", "RESERVED", "HELD_SINCE")
    assert [seen[getattr(layout, name)] for name in names] == [1, 2, 3, 4, 5, 6]


def test_in_what_is_seen_too_holding_time_begins_when_a_side_is_first_held():
    seen, _ = market()
    told = []
    for at, held in enumerate((100, 300, -100, -200, 0), start=5):
        hold(seen, held, 1, 0, 0, 0, at)
        told.append(seen[HELD_SINCE])
    assert told == [5, 5, 7, 7, -1]


def test_a_row_of_the_account_table_tells_all_of_ones_own():
    seen, _ = market()
    row = [10**8, 300, 9, -4, 5, 6, 7, 8, 1_000, 400]
    see_account(seen, PRICES, [0, *row, 4_700, 200, 3, -1, 0, -1], 1)
    assert seen[layout.BUDGET : layout.BUDGET + len(row)] == row
    assert seen[layout.OWN_BID : layout.OWN_BID + 3] == [46, 200, 3]
    assert seen[layout.OWN_ASK] == -1
    see_account(seen, PRICES, [*row, -1, 0, -1, 5_100, 300, 4], 0)
    assert seen[layout.OWN_BID] == -1
    assert seen[layout.OWN_ASK : layout.OWN_ASK + 3] == [50, 300, 4]

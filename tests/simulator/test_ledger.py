"""The flat ledger does what the live account's ledger does, to the microdollar, in any sequence."""

import random
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from kalshiflow.market.events import Side
from kalshiflow.market.fees import balance_precision, fee_numbers, fill_cost
from kalshiflow.market.listing import CENT_GRID, FeeTerms, FeeType, PriceBand, PriceGrid
from kalshiflow.market.orders import Fill, Order, Role
from kalshiflow.market.portfolio import Portfolio
from kalshiflow.market.position import FLAT
from kalshiflow.market.units import Price, Quantity
from kalshiflow.simulator import state
from kalshiflow.simulator.fills import fill_order, take_off
from kalshiflow.simulator.ledger import can_place, reserve_anew, settle
from kalshiflow.simulator.own_orders import add_order, slot_of
from kalshiflow.simulator.told import told_size

FINE_GRID = PriceGrid((PriceBand(Price(0), Price(10_000), Price(10)),))
TERMS = (
    FeeTerms(),
    FeeTerms(FeeType.QUADRATIC_WITH_MAKER_FEES, Fraction(1, 2)),
    FeeTerms(FeeType.QUADRATIC_WITH_COMBO_MAKER_FEES, Fraction(2)),
)
OLD, NEW = 0, 1_800_000_000_000_000_000  # before and after balances were kept in centicents


class BothLedgers:
    """Does the same to both, and compares them after each step."""

    def __init__(self, rng, grid, terms):
        self.rng, self.grid, self.terms = rng, grid, terms
        cash = rng.choice((2_000_000, 20_000_000, 10**9))
        self.account = Portfolio(cash)
        self.flat = [0] * state.market_size(len(grid), 8)
        self.told = [0] * told_size(len(grid))
        state.begin(self.flat, len(grid), cash, 0, 1, *fee_numbers(terms), 8)
        self.number = 0
        self.accumulated = {}
        self.placed = 0

    def place(self):
        side, index = self.rng.choice(list(Side)), self.rng.randrange(len(self.grid))
        quantity = self.rng.randint(1, 3_000)
        self.number += 1
        order = Order(str(self.number), "T", side, self.grid.prices[index], Quantity(quantity))
        is_free = self.flat[state.RESTING] < state.ORDER_ROOM
        may = can_place(self.flat, self.grid.prices, side, index, quantity)
        assert may == self.account.can_place(order, self.terms)
        if may and is_free:
            self.placed += 1
            self.account.place(order, self.terms)
            add_order(self.flat, self.number, side, index, quantity, 0)
            reserve_anew(self.flat, self.grid.prices)

    def fill(self):
        """Fill an order, at its price or at a better one."""
        order = self._any_order()
        if order is None:
            return
        role = self.rng.choice(list(Role))
        limit = index = self.grid.index(order.price)
        if role is Role.TAKER:
            index = self.rng.randint(0, limit) if order.side == Side.BID else limit
        quantity = Quantity(
            self.rng.choice((order.remaining, self.rng.randint(1, order.remaining)))
        )
        at, price = self.rng.choice((OLD, NEW)), self.grid.prices[index]
        cost = fill_cost(
            self.accumulated.get(order.order_id, 0),
            self.terms,
            role,
            order.side,
            price,
            quantity,
            precision=balance_precision(at),
        )
        self.accumulated[order.order_id] = cost.accumulated
        self.account.apply_fill(
            Fill("f", order.order_id, "T", order.side, price, quantity, role, cost.net, at)
        )
        slot = slot_of(self.flat, int(order.order_id))
        flat_role = state.TAKER if role is Role.TAKER else state.MAKER
        fill_order(self.flat, self.grid.prices, slot, index, quantity, flat_role, 0, at)

    def cancel(self):
        order = self._any_order()
        if order is not None:
            self.account.cancel(order.order_id)
            slot = slot_of(self.flat, int(order.order_id))
            take_off(self.flat, self.grid.prices, slot, 0, self.told)
            self.told[0] = 0

    def settle(self):
        value = self.rng.choice((0, 3_700, 10_000))
        while self.account.orders:
            self.cancel()
        self.account.settle("T", Price(value))
        settle(self.flat, Price(value))

    def compare(self):
        position = self.account.positions.get("T", FLAT)
        assert self.flat[state.CASH] == self.account.cash
        assert self.flat[state.RESERVED] == self.account.reserved
        assert self.flat[state.POSITION] == position.quantity
        assert self.flat[state.COST] == position.cost
        assert self.flat[state.REALISED] == position.realised == self.account.realised
        assert self.flat[state.FEES] == position.fees == self.account.fees_paid
        assert self.flat[state.RESTING] == len(self.account.orders)

    def _any_order(self):
        orders = list(self.account.orders.values())
        return self.rng.choice(orders) if orders else None


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**9), st.sampled_from((CENT_GRID, FINE_GRID)), st.sampled_from(TERMS))
def test_both_ledgers_are_equal_after_any_sequence(seed, grid, terms):
    rng = random.Random(seed)
    ledgers = BothLedgers(rng, grid, terms)
    for _ in range(60):
        move = rng.choices(
            (ledgers.place, ledgers.fill, ledgers.cancel, ledgers.settle), (6, 6, 2, 0.2)
        )[0]
        move()
        ledgers.compare()


def test_the_walk_goes_somewhere():
    ledgers = BothLedgers(random.Random(4), CENT_GRID, FeeTerms())
    for _ in range(40):
        ledgers.place()
        ledgers.fill()
    assert ledgers.placed > 5
    assert ledgers.account.fees_paid > 0
    assert ledgers.account.realised

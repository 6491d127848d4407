"""What is true of several accounts' ledgers after any sequence of orders, fills and settlements."""

from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from kalshiflow.market.events import Side
from kalshiflow.market.fees import (
    CENTICENT,
    ORDER_CUSHION,
    WHOLE_CENT,
    FillCost,
    fill_cost,
    trade_fee,
)
from kalshiflow.market.listing import FeeTerms, FeeType, MarketResult
from kalshiflow.market.orders import Fill, Order, Role
from kalshiflow.market.portfolio import InsufficientCash, Portfolio
from kalshiflow.market.settlement import settlement_value
from kalshiflow.market.units import DOLLAR, NO_CASH, Cash, Price, Quantity

DIRECT_MEMBERS = ("ann", "bob", "cas")
NAMES = (*DIRECT_MEMBERS, "dee")  # dee's balance is kept in whole cents
TERMS = {
    "CENT-1": FeeTerms(),
    "CENT-2": FeeTerms(FeeType.QUADRATIC_WITH_MAKER_FEES, Fraction(1, 2)),
    "TENTH": FeeTerms(FeeType.QUADRATIC_WITH_COMBO_MAKER_FEES, Fraction(2)),
}
STEP = {"CENT-1": 100, "CENT-2": 100, "TENTH": 10}
# The smallest trade is worth a hundredth of a cent, as any is on a grid of whole cents. Below that,
# closing may bring less than its fee.
LOT = {"CENT-1": 1, "CENT-2": 1, "TENTH": 10}

TICKERS = st.sampled_from(sorted(TERMS))
ACCOUNTS = st.sampled_from(NAMES)
SIDES = st.sampled_from(Side)
SIZES = st.one_of(st.integers(1, 9), st.integers(100, 3_000))


@dataclass
class Account:
    """A ledger, and what the test counts beside it."""

    precision: Cash
    ledger: Portfolio = field(default_factory=Portfolio)
    deposited: int = 0
    traded: int = 0  # signed notional on the YES scale: buying above zero, selling below
    paid_out: int = 0  # signed holdings at settlement, each at the settlement value
    fees: int = 0
    rounding: int = 0
    placed: dict[str, Order] = field(default_factory=dict)
    accumulated: dict[str, Cash] = field(default_factory=dict)

    def short(self) -> int:
        return sum(max(-position.quantity, 0) for position in self.ledger.positions.values())

    def long(self) -> int:
        return sum(max(position.quantity, 0) for position in self.ledger.positions.values())


class Accounts(RuleBasedStateMachine):
    """Several accounts that trade with each other on three markets, in any order.

    Orders are matched in no order of price or time, so that every sequence of fills is reached.
    """

    def __init__(self) -> None:
        super().__init__()
        self.number = 0
        self.accounts = {
            name: Account(CENTICENT if name in DIRECT_MEMBERS else WHOLE_CENT) for name in NAMES
        }

    @initialize(cents=st.lists(st.integers(0, 3_000), min_size=len(NAMES), max_size=len(NAMES)))
    def fund(self, cents: list[int]) -> None:
        for name, amount in zip(NAMES, cents, strict=True):
            self._deposit(name, amount)

    @rule(name=ACCOUNTS, cents=st.integers(0, 500))
    def deposit(self, name: str, cents: int) -> None:
        self._deposit(name, cents)

    @rule(name=ACCOUNTS, ticker=TICKERS, side=SIDES, price=st.integers(1, 99), size=SIZES)
    def place(self, name: str, ticker: str, side: Side, price: int, size: int) -> None:
        self._place(name, ticker, side, price, size * LOT[ticker])

    @rule(ticker=TICKERS, side=SIDES, price=st.integers(20, 80), size=SIZES, data=st.data())
    def trade(self, ticker: str, side: Side, price: int, size: int, data: st.DataObject) -> None:
        maker, taker = data.draw(st.permutations(NAMES))[:2]
        if self._place(maker, ticker, side.other, price, size * LOT[ticker]):
            resting = self._last_order(maker)
            if self._place(taker, ticker, side, price, size * LOT[ticker]):
                self._match(maker, resting, taker, self._last_order(taker), resting.quantity)

    @rule(
        ticker=TICKERS,
        side=SIDES,
        price=st.integers(1, 99),
        bites=st.lists(SIZES, max_size=8),
        data=st.data(),
    )
    def place_with_all_that_is_free(
        self, ticker: str, side: Side, price: int, bites: list[int], data: st.DataObject
    ) -> None:
        """Place the largest order that free cash covers, which is then filled bite by bite."""
        name, other = data.draw(st.permutations(NAMES))[:2]
        size = self._largest(name, ticker, side, price)
        if not size:
            return
        assert self._place(name, ticker, side, price, size)
        order_id = self._last_order(name).order_id
        for bite in bites:
            resting = self.accounts[name].ledger.orders.get(order_id)
            quantity = bite * LOT[ticker]
            if resting is None or quantity > resting.remaining:
                return
            if self._place(other, ticker, side.other, price, quantity):
                self._match(name, resting, other, self._last_order(other), quantity)

    @precondition(lambda self: self._crossing())
    @rule(data=st.data())
    def match(self, data: st.DataObject) -> None:
        buyer, bid, seller, ask = data.draw(st.sampled_from(self._crossing()))
        lot = LOT[bid.ticker]
        most = min(bid.remaining, ask.remaining) // lot
        size = data.draw(st.one_of(st.integers(1, most), st.just(most))) * lot
        if data.draw(st.booleans()):
            self._match(buyer, bid, seller, ask, size)
        else:
            self._match(seller, ask, buyer, bid, size)

    @precondition(lambda self: self._resting())
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        name, order = data.draw(st.sampled_from(self._resting()))
        self.accounts[name].ledger.cancel(order.order_id)

    @precondition(lambda self: self._resting())
    @rule(data=st.data())
    def reduce(self, data: st.DataObject) -> None:
        name, order = data.draw(st.sampled_from(self._resting()))
        lots = order.remaining // LOT[order.ticker]
        quantity = data.draw(st.integers(1, lots)) * LOT[order.ticker]
        self.accounts[name].ledger.reduce(order.order_id, Quantity(quantity))

    @rule(
        ticker=TICKERS,
        result=st.sampled_from([r for r in MarketResult if r != MarketResult.UNKNOWN]),
        told=st.integers(0, DOLLAR),
    )
    def settle(self, ticker: str, result: MarketResult, told: int) -> None:
        """Settle a market: yes, no, or at one value (scalar, void); it may then be traded anew."""
        one_value = result in {MarketResult.SCALAR, MarketResult.VOID}
        value = settlement_value(result, Price(told) if one_value else None)
        for account in self.accounts.values():
            account.paid_out += account.ledger.held(ticker) * value
            account.ledger.settle(ticker, value)

    @invariant()
    def no_money_appears_or_vanishes_over_all_accounts(self) -> None:
        accounts = self.accounts.values()
        pairs = sum(account.long() for account in accounts)
        assert pairs == sum(account.short() for account in accounts)
        available = sum(account.ledger.available for account in accounts)
        reserved = sum(account.ledger.reserved for account in accounts)
        collected = sum(account.fees for account in accounts)
        deposited = sum(account.deposited for account in accounts)
        assert available + reserved + pairs * DOLLAR + collected == deposited

    @invariant()
    def cash_changes_by_notional_fees_and_payouts_only(self) -> None:
        """On the YES scale each NO contract held has put up a dollar, which its payout returns."""
        for account in self.accounts.values():
            put_up = account.short() * DOLLAR
            change = -account.traded - account.fees + account.paid_out - put_up
            assert account.ledger.cash == account.deposited + change

    @invariant()
    def profit_less_fees_is_what_cash_and_cost_have_gained(self) -> None:
        for account in self.accounts.values():
            ledger = account.ledger
            cost = sum(position.cost for position in ledger.positions.values())
            assert ledger.cash + cost - account.deposited == ledger.realised - ledger.fees_paid
            assert ledger.realised == sum(p.realised for p in ledger.positions.values())
            assert ledger.fees_paid == sum(p.fees for p in ledger.positions.values())
            assert ledger.fees_paid == account.fees

    @invariant()
    def every_position_costs_between_nothing_and_its_payout_at_best(self) -> None:
        for account in self.accounts.values():
            for position in account.ledger.positions.values():
                assert 0 <= position.cost <= abs(position.quantity) * DOLLAR

    @invariant()
    def orders_reserve_what_they_would_open(self) -> None:
        for account in self.accounts.values():
            base, cushions = _reserved_by_hand(account.ledger)
            assert base <= account.ledger.reserved <= base + cushions
            assert not account.ledger.orders or account.ledger.reserved >= 0

    @invariant()
    def free_cash_is_never_negative(self) -> None:
        for name, account in self.accounts.items():
            # An account in whole cents may lose up to a cent of each fill to rounding.
            spared = 0 if name in DIRECT_MEMBERS else account.rounding
            assert account.ledger.available + spared >= 0

    @invariant()
    def orders_stand_in_order_of_arrival_with_what_remains(self) -> None:
        for account in self.accounts.values():
            ids = [int(order_id) for order_id in account.ledger.orders]
            assert ids == sorted(ids)
            assert all(order.remaining > 0 for order in account.ledger.orders.values())

    def _deposit(self, name: str, cents: int) -> None:
        self.accounts[name].ledger.deposit(Cash(cents * WHOLE_CENT))
        self.accounts[name].deposited += cents * WHOLE_CENT

    def _order(self, name: str, ticker: str, side: Side, steps: int, quantity: int) -> Order:
        price = Price(steps * STEP[ticker])
        return Order(str(self.number), ticker, side, price, Quantity(quantity))

    def _place(self, name: str, ticker: str, side: Side, steps: int, quantity: int) -> bool:
        """Place an order where that is legal, expect a refusal where it is not."""
        self.number += 1
        order = self._order(name, ticker, side, steps, quantity)
        ledger = self.accounts[name].ledger
        before = (ledger.available, ledger.reserved, ledger.reserve_needed(order, TERMS[ticker]))
        if not ledger.can_place(order, TERMS[ticker]):
            with pytest.raises(InsufficientCash):
                ledger.place(order, TERMS[ticker])
            assert (ledger.available, ledger.reserved) == before[:2]
            return False
        ledger.place(order, TERMS[ticker])
        assert ledger.reserved >= before[1] + before[2]
        return True

    def _largest(self, name: str, ticker: str, side: Side, steps: int) -> int:
        size, step = 0, 4_096
        while step:
            bigger = self._order(name, ticker, side, steps, (size + step) * LOT[ticker])
            if self.accounts[name].ledger.can_place(bigger, TERMS[ticker]):
                size += step
            step //= 2
        return size * LOT[ticker]

    def _last_order(self, name: str) -> Order:
        return list(self.accounts[name].ledger.orders.values())[-1]

    def _resting(self) -> list[tuple[str, Order]]:
        return [
            (name, order)
            for name, account in self.accounts.items()
            for order in account.ledger.orders.values()
        ]

    def _crossing(self) -> list[tuple[str, Order, str, Order]]:
        """Pair every bid with every ask of another account that it could trade with."""
        resting = self._resting()
        return [
            (buyer, bid, seller, ask)
            for buyer, bid in resting
            for seller, ask in resting
            if bid.side == Side.BID
            and ask.side == Side.ASK
            and buyer != seller
            and bid.ticker == ask.ticker
            and bid.price >= ask.price
        ]

    def _match(self, maker: str, resting: Order, taker: str, taking: Order, size: int) -> None:
        """Trade at the resting order's price."""
        for name, order, role in ((maker, resting, Role.MAKER), (taker, taking, Role.TAKER)):
            self._fill(name, order, resting.price, Quantity(size), role)

    def _fill(self, name: str, order: Order, price: Price, size: Quantity, role: Role) -> None:
        account = self.accounts[name]
        cost = self._cost(account, order, price, size, role)
        before = account.ledger.cash
        fill = Fill(
            "t", order.order_id, order.ticker, order.side, price, size, role, cost.net, at=0
        )
        step = account.ledger.apply_fill(fill)

        assert account.ledger.cash == before + step.cash_change - cost.net
        assert (step.cash_change - cost.net) % account.precision == 0
        account.traded += price * size * (1 if order.side == Side.BID else -1)
        account.fees += cost.net
        account.rounding += cost.net - cost.trade_fee + CENTICENT

    def _cost(
        self, account: Account, order: Order, price: Price, size: Quantity, role: Role
    ) -> FillCost:
        cost = fill_cost(
            account.accumulated.get(order.order_id, NO_CASH),
            TERMS[order.ticker],
            role,
            order.side,
            price,
            size,
            precision=account.precision,
        )
        account.accumulated[order.order_id] = cost.accumulated
        return cost


def _reserved_by_hand(ledger: Portfolio) -> tuple[int, int]:
    """Grant closing quantity in order of arrival; give base reservations and cushions."""
    left = Counter(
        {
            (ticker, Side.ASK if position.quantity > 0 else Side.BID): abs(position.quantity)
            for ticker, position in ledger.positions.items()
        }
    )
    base = cushions = 0
    for order in ledger.orders.values():
        key = (order.ticker, order.side)
        closing = min(left[key], order.remaining)
        left[key] -= closing
        opening = Quantity(order.remaining - closing)
        if opening:
            unit = order.price if order.side == Side.BID else DOLLAR - order.price
            fee = trade_fee(TERMS[order.ticker], Role.TAKER, order.price, opening)
            base += unit * opening + fee
            cushions += ORDER_CUSHION
    return base, cushions


Accounts.TestCase.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
TestAccounts = Accounts.TestCase

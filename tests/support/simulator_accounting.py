"""What must be true of the simulator's money: run on the true rules and on copies with a fault."""

import ast
import time
from fractions import Fraction
from unittest.mock import patch

from plain_account import PlainAccount
from random_play import random_play
from simulated_play import ASK, BID, CASH, LATENCY, PRICES, Play, cents

from kalshiflow.market.events import Side
from kalshiflow.market.flat import STATUS_NUMBER
from kalshiflow.market.listing import FeeTerms, MarketStatus
from kalshiflow.market.orders import Order
from kalshiflow.market.portfolio import Portfolio
from kalshiflow.market.position import Position

DETERMINED = STATUS_NUMBER[MarketStatus.DETERMINED]
FORBIDDEN = {"time", "datetime", "random", "os", "secrets", "uuid"}


def accounting(rules, seeds=range(6)):
    """Check all of it; raises `AssertionError` for the first that is not true."""
    for check in CHECKS:
        check(rules)
    for seed in seeds:
        has_trades = seed % 2
        play = random_play(rules, seed, model=seed % 3, has_trades=has_trades)
        money_adds_up(play)


def money_adds_up(play):
    """Check that the ledger is what an account has that had these fills and nothing else."""
    plain = PlainAccount(
        play.cash,
        taker=Fraction(play.terms[0], 4 * play.terms[2]),
        maker=Fraction(play.terms[1], 4 * play.terms[2]),
    )
    for side, index, quantity, role, fee, at, _, order in play.fills():
        assert dollars(fee) == plain.fill(side, PRICES[index], quantity, role, at, order)
    position, cost = play.number("POSITION"), play.number("COST")
    assert dollars(play.number("CASH")) == plain.cash
    assert dollars(play.number("FEES")) == plain.fees
    assert Fraction(position, 100) == plain.yes - plain.no
    assert play.number("CASH") == play.cash - cost + play.number("REALISED") - play.number("FEES")
    assert 0 <= cost <= abs(position) * 10_000
    assert bool(cost) == bool(position), "what is held has cost something"
    reserved = _reserved(play)
    assert play.number("RESERVED") == reserved
    assert play.number("CASH") >= reserved or play.number("CASH") < 0 == reserved


def dollars(cash):
    return Fraction(cash, 1_000_000)


def _reserved(play):
    """Give what the account's resting orders reserve, by the ledger of the live account."""
    ledger = Portfolio()
    terms = FeeTerms(multiplier=Fraction(play.terms[0], 4 * play.terms[2]))
    orders = [
        (Order(str(number), "T", Side(side), PRICES[index], remaining), terms)
        for number, side, index, remaining in play.resting()
    ]
    ledger.adopt(play.number("CASH"), {"T": Position(play.number("POSITION"))}, orders)
    return ledger.reserved


# --- one thing at a time -------------------------------------------------------------------------


def _market(rules, bids, asks, **terms):
    play = Play(rules, **terms)
    play.snapshot(
        {cents(price): quantity for price, quantity in bids.items()},
        {cents(price): quantity for price, quantity in asks.items()},
    )
    return play


def _buy(play, price, quantity):
    return _take(play, BID, price, quantity)


def _sell(play, price, quantity):
    return _take(play, ASK, price, quantity)


def _take(play, side, price, quantity):
    play.send(side, cents(price), quantity, rests=False)
    play.pass_time(play.now + LATENCY + 1)
    money_adds_up(play)


def selling_from_flat_is_buying_the_other_side(rules):
    """At p and at 1 - p: the same cost, the same cash, and nothing gained."""
    for price in (1, 20, 54, 80, 99):
        seller = _market(rules, {price: 2000}, {})
        _sell(seller, price, 2000)
        buyer = _market(rules, {}, {100 - price: 2000})
        _buy(buyer, 100 - price, 2000)
        assert seller.number("POSITION") == -buyer.number("POSITION") == -2000
        for name in ("CASH", "COST", "FEES", "REALISED"):
            assert seller.number(name) == buyer.number(name)
        assert seller.number("COST") == 2000 * 100 * (100 - price)
        assert seller.number("CASH") < CASH


def a_pair_is_worth_a_dollar(rules):
    """Buying the other side against a holding pays the pair out, less what both have cost."""
    for first, second in ((_buy, _sell), (_sell, _buy)):
        play = _market(rules, {54: 2000}, {56: 2000})
        first(play, 56 if first is _buy else 54, 2000)
        second(play, 54 if first is _buy else 56, 2000)
        assert play.number("POSITION") == play.number("COST") == 0
        assert play.number("REALISED") == -2000 * 200, "two cents of spread, on twenty contracts"
        assert play.number("CASH") == CASH - 2000 * 200 - play.number("FEES")


def a_flip_through_zero_has_the_cost_of_what_is_left(rules):
    play = _market(rules, {54: 5000}, {56: 2000})
    _buy(play, 56, 2000)
    _sell(play, 54, 5000)
    assert play.number("POSITION") == -3000
    assert play.number("COST") == 3000 * 4600
    assert play.number("REALISED") == -2000 * 200


def prices_of_the_other_side_add_up_to_a_dollar(rules):
    for price in range(1, 100):
        assert rules.units.complement(price * 100) == 10_000 - price * 100
    for quantity in (500, 2000):
        play = _market(rules, {54: 3000}, {56: 3000})
        _sell(play, 54, quantity)
        assert play.number("POSITION") == -quantity


def resting_orders_are_filled(rules):
    """By a trade that gets past the queue, by the touch, and no order stays crossed."""
    play = _market(rules, {40: 300}, {60: 300})
    number = play.send(BID, cents(40), 500)
    play.pass_time(100)
    assert play.ahead(number) == 300, "it stands behind what its level shows"
    play.trade(ASK, cents(40), 250, 200)
    play.change(BID, cents(40), -250, 201)
    assert not play.fills()
    play.trade(ASK, cents(40), 150, 300)
    assert [fill[2] for fill in play.fills()] == [100], "50 stood ahead of it"
    play.change(ASK, cents(39), 150, 400)
    assert [fill[1:3] for fill in play.fills()] == [(cents(40), 100), (cents(40), 150)]
    play.trade(ASK, cents(35), 1000, 500)
    assert [fill[2] for fill in play.fills()] == [100, 150, 250]
    assert not play.resting()
    money_adds_up(play)


def what_is_taken_is_gone(rules):
    play = _market(rules, {}, {50: 300})
    _buy(play, 50, 200)
    _buy(play, 50, 200)
    _buy(play, 50, 200)
    assert [fill[2] for fill in play.fills()] == [200, 100]
    play.snapshot({}, {cents(50): 300})
    _buy(play, 50, 200)
    assert len(play.fills()) == 2, "a snapshot brings nothing back"


def orders_need_their_cash_and_their_time(rules):
    play = _market(rules, {}, {50: 100_000}, cash=10_000_000)
    _buy(play, 50, 2100)
    assert not play.fills()
    assert play.number("REJECTED") == 1
    play.send(BID, cents(50), 1000)
    play.pass_time(play.now + LATENCY)
    assert not play.fills(), "at the time of its arrival whatever else happens comes first"
    play.pass_time(play.now + 1)
    assert play.fills()[0][5] == play.sent[2][3]


def positions_are_paid_at_the_result(rules):
    for value in (0, 3_700, 10_000):
        for take, price in ((_buy, 56), (_sell, 54)):
            play = _market(rules, {54: 2000}, {56: 2000})
            take(play, price, 2000)
            play.send(BID, cents(20), 100)
            play.pass_time(play.now + 100)
            before, held = play.number("CASH"), play.number("POSITION")
            for _ in range(2):
                play.status(DETERMINED, value)
            paid = held * value if held > 0 else -held * (10_000 - value)
            assert play.number("CASH") == before + paid
            assert play.number("POSITION") == play.number("RESERVED") == play.number("COST") == 0
            assert play.number("CASH") == CASH + play.number("REALISED") - play.number("FEES")


def an_open_position_is_worth_what_the_book_pays(rules):
    """What closing would bring is what closing brings."""
    for take, price, other in ((_buy, 56, _sell), (_sell, 54, _buy)):
        play = _market(rules, {54: 700, 53: 900, 40: 300}, {56: 700, 57: 900, 70: 300})
        take(play, price, 700)
        worth = rules.valuation.closing_proceeds(play.market, PRICES, play.now)
        before = play.number("CASH")
        other(play, 1 if other is _sell else 99, 700)
        assert play.number("POSITION") == 0
        assert play.number("CASH") == before + worth
        assert worth > 0


def fees_are_exact(rules):
    fee = rules.fees.quadratic_fee
    for price in range(1, 100):
        for quantity in (1, 29, 100, 552, 1_000_003):
            exact = (
                Fraction(7, 100) * Fraction(quantity, 100) * Fraction(price * (100 - price), 10**4)
            )
            charged = dollars(fee(price * 100, quantity, 4, 1, 100))
            assert exact <= charged < exact + Fraction(1, 10_000)
    assert fee(4400, 1_000_000_000_100, 4, 1, 100) == 172_480_000_017_300


def the_same_happens_again(rules):
    """Whatever the clock says, and without anything that could ask it."""
    for name, source in rules.sources.items():
        for node in ast.walk(ast.parse(source)):
            names = {alias.name for alias in getattr(node, "names", ())} | {
                getattr(node, "module", None) or ""
            }
            if isinstance(node, ast.Import | ast.ImportFrom):
                assert not FORBIDDEN & {one.partition(".")[0] for one in names}, name
    first = random_play(rules, 1, model=1)
    for clock in (0, 1, 10**18):
        with (
            patch.object(time, "time", return_value=float(clock)),
            patch.object(time, "time_ns", return_value=clock),
        ):
            assert random_play(rules, 1, model=1).market == first.market
    drawn = [rules.latency.drawn(7, command) for command in range(5)]
    assert drawn == [rules.latency.drawn(7, command) for command in range(5)]


CHECKS = (
    selling_from_flat_is_buying_the_other_side,
    a_pair_is_worth_a_dollar,
    a_flip_through_zero_has_the_cost_of_what_is_left,
    prices_of_the_other_side_add_up_to_a_dollar,
    resting_orders_are_filled,
    what_is_taken_is_gone,
    orders_need_their_cash_and_their_time,
    positions_are_paid_at_the_result,
    an_open_position_is_worth_what_the_book_pays,
    fees_are_exact,
    the_same_happens_again,
)

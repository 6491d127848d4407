"""The account of anyone who does anything in any recording."""

import random
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_play import HIGH, LONG, LOW, others_do_something, random_play
from simulated_play import ASK, BID, CASH, PRICES, Play
from simulator_accounting import dollars, money_adds_up
from simulator_rules import copy_of_rules

from kalshiflow.market.events import Side
from kalshiflow.market.flat import STATUS_NUMBER
from kalshiflow.market.listing import MarketStatus
from kalshiflow.market.orders import Fill, Role
from kalshiflow.market.portfolio import Portfolio
from kalshiflow.market.position import FLAT
from kalshiflow.market.units import Cash, Quantity

RULES = copy_of_rules()
SEEDS = st.integers(0, 10**9)
MODELS = st.sampled_from((0, 1, 2))
TERMS = st.sampled_from(((4, 0, 1), (4, 1, 1), (4, 1, 2), (8, 4, 1)))
# Before and after balances were kept in centicents.
BEGINS = st.sampled_from((0, 1_800_000_000_000_000_000))
DETERMINED = STATUS_NUMBER[MarketStatus.DETERMINED]


@settings(max_examples=40, deadline=None)
@given(SEEDS, MODELS, st.sampled_from((0, 1)), st.sampled_from((CASH, 5_000_000)), BEGINS)
def test_the_books_hold_and_the_money_adds_up_in_any_play(seed, model, has_trades, cash, begins):
    play = random_play(RULES, seed, model=model, has_trades=has_trades, cash=cash, begins=begins)
    money_adds_up(play)


@settings(max_examples=25, deadline=None)
@given(SEEDS, MODELS, TERMS, st.sampled_from((0, 2_500, 10_000)))
def test_the_final_ledger_is_that_of_a_replay_of_the_fills(seed, model, terms, value):
    play = random_play(RULES, seed, model=model, terms=terms)
    account = Portfolio(Cash(CASH))
    for side, index, quantity, role, fee, at, _, order in play.fills():
        account.apply_fill(
            Fill(
                "f",
                str(order),
                "T",
                Side(side),
                PRICES[index],
                Quantity(quantity),
                Role.TAKER if role == 0 else Role.MAKER,
                Cash(fee),
                at,
            )
        )
    held = account.positions.get("T", FLAT)
    assert (play.number("POSITION"), play.number("COST")) == (held.quantity, held.cost)
    account.settle("T", value)
    play.status(DETERMINED, value)
    assert play.number("CASH") == account.cash
    assert play.number("REALISED") == account.realised
    assert play.number("FEES") == account.fees_paid
    assert play.number("SETTLED") == 1


@settings(max_examples=20, deadline=None)
@given(SEEDS, MODELS)
def test_what_is_gained_is_what_others_lose_but_for_the_fees(seed, model):
    """A pair of YES and NO that somebody holds is a dollar: the other side's ledger mirrors ours."""
    play = random_play(RULES, seed, model=model)
    other = Portfolio(Cash(CASH))
    for side, index, quantity, *_ in play.fills():
        other.apply_fill(
            Fill(
                "f",
                "o",
                "T",
                Side(1 - side),
                PRICES[index],
                Quantity(quantity),
                Role.MAKER,
                Cash(0),
                0,
            )
        )
    assert other.held("T") == -play.number("POSITION")
    pairs = abs(play.number("POSITION")) * 10_000
    assert play.number("CASH") + play.number("FEES") + other.cash + pairs == 2 * CASH


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.sampled_from((0, 1)))
def test_a_resting_order_is_filled_the_more_the_kinder_the_model(seed, has_trades):
    """At each moment, where no two things happen within the time in which they may be paired."""
    filled = [_fills_of_one_order(seed, model, has_trades) for model in (0, 1, 2)]
    for pessimistic, realistic, optimistic in zip(*filled, strict=True):
        assert pessimistic <= realistic <= optimistic


def _fills_of_one_order(seed, model, has_trades):
    rng = random.Random(seed)
    play = Play(RULES, model=model, has_trades=has_trades)
    play.snapshot(
        {index: rng.randrange(100, 900) for index in range(LOW, 49)},
        {index: rng.randrange(100, 900) for index in range(51, HIGH + 1)},
    )
    side = rng.choice((BID, ASK))
    index = rng.randint(46, 49) if side == BID else rng.randint(50, 53)
    play.send(side, index, rng.randrange(1, 900))
    filled = []
    for _ in range(40):
        others_do_something(play, rng, gaps=(LONG,))
        filled.append(sum(fill[2] for fill in play.fills()))
    return filled


def test_the_same_orders_in_the_same_recording_are_the_same_run():
    first, again, other = (random_play(RULES, seed) for seed in (3, 3, 4))
    assert (first.market, first.rows) == (again.market, again.rows)
    assert first.market != other.market


@pytest.mark.parametrize(
    ("at", "fee"), [(1_780_271_999_999_999_999, 2), (1_780_272_000_000_000_000, 1.75)]
)
def test_fees_are_those_of_the_day(at, fee):
    """One contract at 50 cents: a whole cent's rounding until balances were kept in centicents."""
    play = Play(RULES)
    play.snapshot({}, {49: 100}, at=at - 60)
    play.send(BID, 49, 100, latency=60)
    play.pass_time(at + 1)
    assert dollars(play.fills()[0][4]) == Fraction(fee) / 100


def test_no_more_fills_are_kept_than_there_is_room_for_and_all_are_counted():
    play = Play(RULES)
    state = RULES.state
    market = [0] * state.market_size(99, 2)
    state.begin(market, 99, CASH, 0, 1, 4, 0, 1, 2)
    play.market = market
    play.snapshot({}, {40: 100, 41: 100, 42: 100})
    RULES.commands.send_order(market, BID, 42, 300, 10)
    RULES.matching.obey_due(market, PRICES, 11, [0] * len(play.told))
    assert market[state.FILLS_COUNT] == 3
    assert [market[state.fill_at(market, fill) + state.FILL_INDEX] for fill in (1, 2)] == [41, 42]

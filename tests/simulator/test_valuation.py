"""What a position is worth where its result is not known: what the book would pay for it."""

import pytest
from simulated_play import BID, PRICES, Play, cents
from simulator_rules import copy_of_rules

RULES = copy_of_rules()
OLD, NEW = 0, 1_800_000_000_000_000_000  # before and after balances were kept in centicents


def worth_of_ten_contracts(bids, begins):
    play = Play(RULES, begins=begins)
    play.snapshot({cents(price): quantity for price, quantity in bids.items()}, {cents(60): 1000})
    play.send(BID, cents(60), 1000)
    play.pass_time(play.now + 100)
    assert play.number("POSITION") == 1000
    return RULES.valuation.closing_proceeds(play.market, PRICES, play.now)


@pytest.mark.parametrize("begins", [OLD, NEW])
def test_a_level_that_brings_nothing_after_its_fee_does_not_hide_those_behind_it(begins):
    """A hundredth of a contract at 50 is rounded away in whole cents; a thousand stand at 49."""
    without = worth_of_ten_contracts({49: 100_000}, begins)
    assert without == 4_900_000 - 175_000 - (5_000 if begins == OLD else 0)
    assert abs(worth_of_ten_contracts({50: 1, 49: 100_000}, begins) - without) <= 10_000


@pytest.mark.parametrize(("begins", "worth"), [(OLD, 0), (NEW, 4_800)])
def test_a_position_is_never_worth_less_than_nothing(begins, worth):
    assert worth_of_ten_contracts({50: 1}, begins) == worth
    assert worth_of_ten_contracts({}, begins) == 0

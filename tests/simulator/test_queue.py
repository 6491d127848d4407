"""How far back an order stands: what trades, cancels and new orders of others do to it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshiflow.simulator.queue import (
    PAIRING,
    QUEUE_SIZE,
    ahead,
    join,
    on_decrease,
    on_increase,
    on_trade,
)

PESSIMISTIC, REALISTIC, OPTIMISTIC = 0, 1, 2
MODELS = (PESSIMISTIC, REALISTIC, OPTIMISTIC)


def stand_behind(level):
    queue = [7] * (QUEUE_SIZE + 2)  # it stands in a longer list
    join(queue, 1, level, at=0)
    return queue


def decrease(queue, level, lost, model=PESSIMISTIC, *, is_trade=False, at=0):
    return on_decrease(queue, 1, level, lost, model, is_trade, at)


def trade(queue, level, quantity, at=0):
    return on_trade(queue, 1, level, quantity, quantity, at)


def test_an_order_joins_behind_its_level_and_touches_nothing_else():
    queue = stand_behind(300)
    assert ahead(queue, 1, 300) == 300
    assert queue[0] == queue[-1] == 7


@pytest.mark.parametrize(("model", "left"), [(0, 300), (1, 240), (2, 200)])
def test_who_leaves_is_the_models_assumption(model, left):
    """100 of 500 leave: from behind, from anywhere, from ahead."""
    queue = stand_behind(300)
    on_increase(queue, 1, 300)
    decrease(queue, 500, 100, model)
    assert ahead(queue, 1, 400) == left


def test_no_more_stands_ahead_than_the_level_holds():
    queue = stand_behind(300)
    decrease(queue, 300, 200)
    assert ahead(queue, 1, 100) == 100
    on_increase(queue, 1, 100)
    assert ahead(queue, 1, 900) == 100


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("is_trade_first", [True, False])
def test_a_trade_and_its_decrease_count_once_in_either_order(model, is_trade_first):
    queue = stand_behind(300)
    if is_trade_first:
        assert trade(queue, 300, 200) == 0
        decrease(queue, 300, 200, model)
    else:
        decrease(queue, 300, 200, model)
        assert trade(queue, 100, 200) == 0
    assert ahead(queue, 1, 100) == 100
    assert trade(queue, 100, 130) == 30


@pytest.mark.parametrize("model", MODELS)
def test_a_trade_that_is_told_after_others_joined_again_gets_no_further(model):
    queue = stand_behind(300)
    decrease(queue, 300, 300, model)
    on_increase(queue, 1, 0)
    assert ahead(queue, 1, 50) == 0
    assert trade(queue, 50, 300) == 0


def test_what_is_not_paired_in_time_is_forgotten():
    queue = stand_behind(300)
    trade(queue, 300, 100, at=0)
    decrease(queue, 300, 100, OPTIMISTIC, at=PAIRING + 1)
    assert ahead(queue, 1, 200) == 100, "it was a cancel of its own"


@pytest.mark.parametrize(("model", "past", "left"), [(0, 0, 300), (1, 0, 67), (2, 100, 0)])
def test_a_decrease_that_may_be_a_trade_is_one_as_far_as_the_model_says(model, past, left):
    """400 of 800 go, 300 ahead: none traded; 200, and 67 of the 100 ahead leave; all of it."""
    queue = stand_behind(300)
    assert decrease(queue, 800, 400, model, is_trade=True) == past
    assert ahead(queue, 1, 400) == left


@settings(max_examples=50)
@given(st.integers(0, 10**6), st.sampled_from(MODELS), st.data())
def test_the_numbers_stay_true_whatever_happens(level, model, data):
    queue = stand_behind(level)
    for _ in range(20):
        at = data.draw(st.integers(0, 3)) * PAIRING
        move = data.draw(st.sampled_from(("trade", "decrease", "inferred", "increase")))
        some = data.draw(st.integers(0, 1000))
        if move == "trade":
            assert 0 <= trade(queue, level, some, at) <= some
        elif move == "increase":
            on_increase(queue, 1, level)
            level += some
        else:
            lost = min(some, level)
            past = decrease(queue, level, lost, model, is_trade=move == "inferred", at=at)
            assert 0 <= past <= (lost if move == "inferred" else 0)
            level -= lost
        assert all(number >= 0 for number in queue)
        assert 0 <= ahead(queue, 1, level) <= level


def split(draw, whole):
    """Give parts that add up to a whole, in the order in which they come."""
    parts = []
    while whole:
        parts.append(draw(st.integers(1, whole)))
        whole -= parts[-1]
    return parts


@pytest.mark.parametrize("model", MODELS)
def test_trades_that_one_decrease_told_together_count_once(model):
    """Of 20, 15 stand ahead; a taker takes 18, told as one decrease and then as two trades."""
    queue = stand_behind(15)
    on_increase(queue, 1, 15)
    decrease(queue, 20, 18, model)
    assert trade(queue, 2, 9) == 0
    assert trade(queue, 2, 9) == 3


@settings(max_examples=120)
@given(st.integers(5, 50), st.integers(0, 9), st.data())
def test_trades_get_no_further_than_they_trade_however_they_and_their_decreases_come(
    before, behind, data
):
    """All that leaves is traded; the parts of both come in any order."""
    traded = data.draw(st.integers(before, before + behind))
    moves = [("trade", part) for part in split(data.draw, traded)]
    moves += [("decrease", part) for part in split(data.draw, traded)]
    queue, level = stand_behind(before), before + behind
    on_increase(queue, 1, before)
    told = past = 0
    for move, part in data.draw(st.permutations(moves)):
        if move == "decrease":
            decrease(queue, level, part)
            level -= part
        else:
            past += trade(queue, level, part)
            told += part
        assert past <= max(told - before, 0)
    assert past == max(traded - before, 0)

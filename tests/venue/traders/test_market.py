"""The traders of one market: who learns what when, and when they rest."""

import random
from dataclasses import replace

import pytest

from kalshiflow.market.listing import MarketResult
from kalshiflow.venue.clock import SECOND
from kalshiflow.venue.floor.facts import Traded
from kalshiflow.venue.traders.habits import LIVELY, REAL, habits_named
from kalshiflow.venue.traders.market import MarketTraders

AT = 1_767_621_600 * SECOND
# Nothing happens by itself but what a jump sets off.
STILL = replace(
    LIVELY,
    makers=tuple(
        replace(maker, refresh_every=1e9, think_every=1e9, noise=0.0) for maker in LIVELY.makers
    ),
    takers=replace(LIVELY.takers, noise_every=1e9, informed_every=1e9),
    jump_every=100.0,
    drift_every=1e9,
    overreaction=0.0,
    differences=replace(LIVELY.differences, pace=0.0),
)


def opened(stage, habits=STILL, seed="market"):
    traders = MarketTraders(stage.floor, "M", habits, random.Random(seed), stage.schedule)
    traders.open(AT)
    return traders


def mid(stage):
    bid, _, ask, _ = stage.touch()
    return (bid + ask) / 2


def next_jump(stage, traders):
    """Run until the value jumps; give when."""
    before = traders.value.now
    while traders.value.now == before:
        at = min(item[0] for item in stage.agenda)
        stage.run(at)
    return at


def test_they_quote_around_the_value_at_once(stage):
    traders = opened(stage)

    assert abs(mid(stage) - traders.value.now) <= 100


def test_after_a_jump_the_late_makers_stand_for_the_lag_and_then_follow(stage):
    traders = opened(stage)
    before = mid(stage)
    at = next_jump(stage, traders)
    stage.run(at + 3 * SECOND)
    assert abs(mid(stage) - before) < 300
    assert abs(mid(stage) - traders.value.now) > 200

    stage.run(at + 4 * SECOND)
    assert abs(mid(stage) - traders.value.now) <= 100


def test_informed_takers_come_after_a_jump_and_late(stage):
    traders = opened(stage)
    at = next_jump(stage, traders)
    assert not any(isinstance(fact, Traded) for fact in stage.facts)

    stage.run(at + 4 * SECOND)
    times = [fact.at for fact in stage.facts if isinstance(fact, Traded)]
    assert times
    assert min(times) > at


def test_makers_overreact_to_a_jump_and_give_it_back(stage):
    habits = replace(STILL, lag=0.0, overreaction=0.8, calming=0.5, drift_size=0.0)
    traders = opened(stage, replace(habits, drift_every=8.0, jump_every=60.0))
    before = traders.value.now
    at = next_jump(stage, traders)
    jump = traders.value.now - before
    assert (mid(stage) - before) / jump == pytest.approx(1.8, abs=0.3)

    stage.agenda[:] = [item for item in stage.agenda if item[0] < at + 50 * SECOND]
    value = traders.value.now
    stage.run(at + 50 * SECOND)
    if traders.value.now == value:  # no other jump
        assert abs(mid(stage) - value) <= 150


def test_a_paused_market_and_a_closed_one_are_left_alone(stage):
    traders = opened(stage, habits_named("lively", lag=4.0))
    stage.floor.lifecycle.deactivate("M", AT)
    stage.facts.clear()
    stage.run(AT + 100 * SECOND)
    assert stage.facts == []

    stage.floor.lifecycle.reactivate("M", AT + 100 * SECOND)
    stage.run(AT + 200 * SECOND)
    assert abs(mid(stage) - traders.value.now) <= 800  # they quote again

    stage.floor.lifecycle.close("M", AT + 200 * SECOND)
    last = traders.value.now
    stage.facts.clear()
    stage.run(AT + 300 * SECOND)
    assert stage.facts == []
    assert traders.value.now == last


def test_they_stop_once_the_market_is_determined(stage):
    opened(stage, habits_named("lively", lag=4.0))
    stage.floor.lifecycle.determine("M", MarketResult.YES, AT)
    stage.run(AT + 1_000 * SECOND)

    assert stage.agenda == []


def test_decided_real_markets_are_quoted_on_one_side_and_hardly_change(stage):
    decided = replace(
        REAL, differences=replace(REAL.differences, decided=1.0, abandoned=0.0, pace=0.0)
    )
    traders = opened(stage, decided)
    bid, _, ask, _ = stage.touch()

    assert (bid is None) != (ask is None)
    assert traders.changes < 0.2


def test_an_abandoned_market_has_no_makers(stage):
    abandoned = replace(REAL, differences=replace(REAL.differences, abandoned=1.0))
    traders = opened(stage, abandoned)

    assert stage.touch() == (None, 0, None, 0)
    assert traders.changes == 0


def test_there_are_no_habits_of_another_name():
    assert habits_named("real", lag=2.5).lag == 2.5
    with pytest.raises(ValueError, match="no habits 'wild'; there are lively, real"):
        habits_named("wild", lag=4.0)

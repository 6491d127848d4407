"""When commands arrive, and that nothing acts before."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from random_play import random_play
from simulated_play import BID, Play, cents
from simulator_rules import copy_of_rules

from kalshiflow.simulator.latency import (
    ConstantLatency,
    MeasuredLatency,
    drawn,
    drawn_latency,
)

RULES = copy_of_rules()


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**62))
def test_what_is_drawn_is_whole_and_in_its_range(seed, counter):
    assert 0 <= drawn(seed, counter) < 2**31 - 1
    assert drawn(seed, counter) == drawn(seed, counter)


def test_what_is_drawn_looks_like_chance_and_goes_by_the_seed():
    """Chi squared over 64 classes: the 99.9% quantile with 63 degrees of freedom is 103.4."""
    for seed in (0, 1, 10**15):
        counts = Counter(drawn(seed, command) % 64 for command in range(6_400))
        assert sum((counts[part] - 100) ** 2 / 100 for part in range(64)) < 103.4
    equal = sum(drawn(1, command) % 2 == drawn(2, command) % 2 for command in range(2_000))
    assert 900 < equal < 1100


def test_a_measured_latency_is_one_of_those_measured():
    measured = (10, 20, 400)
    latency = MeasuredLatency(measured, seed=3)
    arrivals = [latency.arrival(1_000, command) - 1_000 for command in range(60)]
    assert set(arrivals) == set(measured)
    assert arrivals[7] == drawn_latency(measured, 3, 3, 7)
    assert ConstantLatency(50).arrival(1_000) == 1_050


def test_commands_do_not_overtake_each_other():
    play = Play(RULES)
    play.snapshot({cents(40): 100}, {cents(60): 100})
    number = play.send(BID, cents(40), 100, latency=500)
    play.cancel(number, latency=10)
    play.pass_time(500)
    assert play.resting() == []
    assert play.number("COMMANDS") == 2
    play.pass_time(501)
    assert play.number("COMMANDS") == 0
    assert play.resting() == []
    assert play.number("RESERVED") == 0


def test_an_event_at_the_time_of_an_arrival_comes_first():
    play = Play(RULES)
    play.snapshot({}, {cents(50): 300})
    play.send(BID, cents(50), 100, latency=50)
    play.change(1, cents(50), -300, at=50)
    play.pass_time(51)
    assert play.fills() == []


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6))
def test_no_order_acts_before_it_arrives(seed):
    play = random_play(RULES, seed)
    arrivals = {number: order[3] for number, order in play.sent.items()}
    assert all(fill[5] >= arrivals[fill[7]] for fill in play.fills())

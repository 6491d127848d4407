"""A market's recent past: sums that decay, and a ring of past mids that forgets nothing too soon."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshiflow.agent import layout, rolling

SECOND = 1_000_000_000


def fresh(now=0, mid2=10_000):
    seen, flows = [0] * layout.seen_size(9), [0.0] * layout.FLOWS_SIZE
    layout.forget(seen, flows, 9, -1)
    seen[layout.MID2] = mid2
    rolling.begin(seen, flows, now)
    return seen, flows


def mid_before(seen, now, elapsed):
    return rolling.mid_before(seen, (now - elapsed) // rolling.BUCKET_NS)


def test_a_sum_halves_after_one_tau_and_time_that_runs_back_counts_as_none():
    assert rolling.remaining(5 * SECOND, 5e9) == 0.5
    assert rolling.remaining(0, 5e9) == rolling.remaining(-3, 5e9) == 1.0


def test_the_mid_of_the_past_is_read_from_the_bucket_it_was_in():
    seen, flows = fresh(now=100 * SECOND)
    rolling.on_mid(seen, flows, 103 * SECOND, 10_200)
    rolling.on_mid(seen, flows, 110 * SECOND, 10_600)
    now = 111 * SECOND
    assert mid_before(seen, now, SECOND // 2) == 10_600
    assert mid_before(seen, now, 5 * SECOND) == 10_200
    assert mid_before(seen, now, 9 * SECOND) == 10_000
    assert mid_before(seen, now, 30 * SECOND) == 10_000


def test_a_long_silence_leaves_the_last_mid_everywhere_in_the_past():
    seen, flows = fresh()
    rolling.on_mid(seen, flows, SECOND, 10_400)
    rolling.on_mid(seen, flows, 3_600 * SECOND, 9_000)
    assert {mid_before(seen, 3_600 * SECOND, back * SECOND) for back in range(32)} == {10_400}
    assert mid_before(seen, 3_700 * SECOND, SECOND) == 9_000


@settings(max_examples=50)
@given(
    st.lists(
        st.tuples(st.integers(0, 5 * SECOND), st.integers(0, 20_000)), min_size=1, max_size=60
    ),
    st.integers(0, 31 * SECOND),
    st.integers(0, 10 * SECOND),
)
def test_the_ring_agrees_with_the_whole_history(steps, back, later):
    seen, flows = fresh()
    history, now = [(0, 10_000)], 0
    for wait, mid2 in steps:
        now += wait
        rolling.on_mid(seen, flows, now, mid2)
        history.append((now, mid2))
    now += later
    bucket_start = (now - back) // rolling.BUCKET_NS * rolling.BUCKET_NS
    before = [mid2 for at, mid2 in history if at < bucket_start]
    assert mid_before(seen, now, back) == (before[-1] if before else 10_000)


def test_trades_add_up_signed_and_whole_and_the_last_is_remembered():
    seen, flows = fresh()
    rolling.on_trade(seen, flows, SECOND, 5_000, 500)
    rolling.on_trade(seen, flows, 31 * SECOND, 4_900, -100)
    assert flows[layout.FLOW] == pytest.approx(5 / 2 - 1)
    assert flows[layout.VOLUME] == pytest.approx(5 / 2 + 1)
    assert (seen[layout.LAST_PRICE], seen[layout.LAST_SIGNED]) == (4_900, -100)


def test_pressure_is_kept_by_side_and_only_near_the_best_price():
    seen, flows = fresh()
    rolling.on_change(seen, flows, SECOND, 1, 300, 0)
    rolling.on_change(seen, flows, SECOND, 0, -200, rolling.NEAR)
    rolling.on_change(seen, flows, SECOND, 0, 9_900, rolling.NEAR + 1)
    assert flows[layout.ASK_PRESSURE] == pytest.approx(3)
    assert flows[layout.BID_PRESSURE] == pytest.approx(-2)
    assert flows[layout.ACTIVITY] == pytest.approx(3)


def test_the_mean_mid_follows_slowly():
    seen, flows = fresh()
    rolling.on_mid(seen, flows, 0, 11_000)
    assert flows[layout.MEAN] == 10_000
    rolling.on_mid(seen, flows, 300 * SECOND, 12_000)
    assert flows[layout.MEAN] == pytest.approx(10_500)

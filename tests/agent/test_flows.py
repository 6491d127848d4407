"""What takers, makers and the clock tell of late, worked by hand."""

from math import sqrt

import pytest
from seen_market import ASK, BID, NAMES, PRICES, SECOND, body_of, change, market, observed, trade

from kalshiflow.agent.seen import see_snapshot


def told(one, now):
    return dict(zip(NAMES, observed(one, now), strict=True))


def near(value):
    return pytest.approx(value, abs=1e-12)


def s(value):
    return near(value / (1 + abs(value)))


def test_trades_worked_by_hand():
    one = market({46: 500}, {50: 700})  # 47 and 51 cents: the mid is 49
    trade(one, BID, 50, 6_000, 10 * SECOND)
    trade(one, ASK, 46, 2_000, 40 * SECOND)
    seen = told(one, 70 * SECOND)
    assert seen["last_trade"] == s(-2 / 2)
    assert seen["last_trade_size"] == near(-20 / 70)
    assert seen["trade_flow"] == s((60 / 2 - 20) / 2 / 50)
    volume = (60 / 2 + 20) / 2
    assert seen["trade_volume"] == near(volume / (volume + 200))
    assert seen["since_trade"] == near(0.5)


def test_a_trade_at_the_lowest_price_is_a_trade_at_a_known_price():
    one = market({0: 500}, {50: 700})
    trade(one, ASK, 0, 100)
    assert told(one, SECOND)["last_trade"] == s((1 - 26) / 2)


def test_before_any_trade_there_is_none():
    seen = told(market(), 70 * SECOND)
    names = ("last_trade", "last_trade_size", "trade_flow", "trade_volume")
    assert {seen[name] for name in names} == {0.0}
    assert seen["since_trade"] == 1.0


def test_changes_of_the_book_worked_by_hand():
    one = market({46: 50_000}, {50: 70_000})
    change(one, BID, 46, -20_000, SECOND)
    change(one, ASK, 50, 30_000, SECOND)
    change(one, ASK, 55, 10_000, SECOND)  # five cents behind still counts
    change(one, BID, 41, 5_000, SECOND)
    change(one, ASK, 56, 90_000, 6 * SECOND)  # six do not
    change(one, BID, 40, 90_000, 6 * SECOND)
    seen = told(one, 11 * SECOND)
    assert seen["bid_pressure"] == s(-150 / 2 / 2 / 500)
    assert seen["ask_pressure"] == s(400 / 2 / 2 / 500)
    activity = (4 / 2 + 2) / 2
    assert seen["activity"] == near(activity / (activity + 10))


def test_pressure_of_a_side_that_was_empty_counts_from_its_first_level():
    one = market({}, {50: 700})
    change(one, BID, 3, 20_000)
    assert told(one, SECOND)["bid_pressure"] == s(200 / 500)


def test_the_mids_past_worked_by_hand():
    one = market({46: 500}, {50: 700})
    change(one, BID, 48, 100, 10 * SECOND)  # up a cent
    change(one, ASK, 50, -700, 30 * SECOND)
    change(one, ASK, 52, 100, 30 * SECOND)
    # The ask side was empty for a moment: up to the dollar's end and back to 53 cents.
    up, back = (100 - 51) / 2, (53 - 100) / 2
    now = 31 * SECOND
    seen = told(one, now)
    mid = (49 + 53) / 2
    assert seen["mid"] == near(2 * mid / 100 - 1)
    assert seen["mid_change_1s"] == s((mid - 50) / 2)
    assert seen["mid_change_5s"] == s((mid - 50) / 2)
    assert seen["mid_change_30s"] == s((mid - 49) / 4)
    assert seen["since_mid_change"] == near(1 / 6)
    spread = sqrt((1.0 / 2 + up**2 + back**2) * 20 / 21)
    assert seen["volatility"] == near(spread / (spread + 4))
    mean = 50 + (49 - 50) * 300 / 320
    assert seen["mid_trend"] == s((mid - mean) * 300 / 301 / 4)
    assert told(one, 33 * SECOND)["mid_change_1s"] == 0.0


def test_a_snapshot_moves_the_mid_as_a_change_does():
    one, other = market({46: 500}, {50: 700}), market({46: 500}, {50: 700})
    change(one, BID, 48, 100, 9 * SECOND)
    see_snapshot(*other, PRICES, body_of({48: 100, 46: 500}, {50: 700}), 0, 9 * SECOND)
    one, other = told(one, 10 * SECOND), told(other, 10 * SECOND)
    names = ("mid", "mid_change_1s", "mid_trend", "volatility", "since_mid_change")
    assert [one[name] for name in names] == [other[name] for name in names]

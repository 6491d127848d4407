"""Evaluations: figures by market, their doubt, and comparisons that are fair."""

import json

import pytest

from kalshiflow.learning.baselines import hold, random_chooser
from kalshiflow.learning.evaluate import (
    Evaluation,
    SegmentResult,
    bootstrap,
    evaluate,
    evaluate_baselines,
    evaluation_from_json,
    evaluation_to_json,
    paired,
)
from kalshiflow.learning.world import WorldConfig
from kalshiflow.market.units import Cash

CONFIG = WorldConfig()


def result(ticker, profit, starts_at=0):
    return SegmentResult(ticker, "s", starts_at, starts_at + 1, Cash(profit), Cash(0), 1, 10, 0)


def evaluation(profits, name="x", actions=(5, 5, 0, 0, 0)):
    results = tuple(result(f"T{n}", p) for n, p in enumerate(profits))
    return Evaluation(name, results, actions)


def test_a_markets_segments_count_as_one():
    results = (result("A", 2_000_000), result("A", -500_000, 5), result("B", 1_000_000))
    one = Evaluation("x", results, (1, 0, 0, 0, 0))
    assert one.by_market == {"A": 1.5, "B": 1.0}
    assert one.profit == 2_500_000


def test_a_few_markets_give_no_interval():
    few = bootstrap([1.0, 2.0, 3.0], 0.95)
    assert (few.mean, few.low, few.high) == (2.0, None, None)
    assert not few.is_above_zero
    assert "no interval from 3 markets" in str(few)


def test_the_interval_covers_the_mean_and_widens_with_confidence():
    values = [float(v) for v in range(-5, 20)]
    narrow, wide = bootstrap(values, 0.9), bootstrap(values, 0.99)
    assert wide.low < narrow.low < narrow.mean < narrow.high < wide.high


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    import numpy as np

    random = np.random.default_rng(1)
    hits = 0
    for _ in range(100):
        interval = bootstrap(random.normal(3.0, 2.0, 24).tolist(), 0.95)
        hits += interval.low <= 3.0 <= interval.high
    assert 85 <= hits <= 100


def test_pairing_takes_away_what_both_share():
    shared = [a * 1_000_000 for a in (-50, 40, -30, 60, -20, 10, 5, -8)]
    better = evaluation([p + 1_000_000 for p in shared])
    other = evaluation(shared)
    assert not better.interval().is_above_zero
    assert paired(better, other).low == pytest.approx(1.0)


def test_different_segments_cannot_be_compared():
    with pytest.raises(ValueError, match="same segments"):
        paired(evaluation([1, 2]), evaluation([1, 2, 3]))


def test_baselines_are_played_under_the_same_masks(segments):
    still, chance = evaluate_baselines(segments, CONFIG, seed=1)
    assert still.profit == still.fees == still.fills == 0
    assert still.actions[1:] == (0, 0, 0, 0)
    assert chance.interval().high < 0
    assert sum(r.forbidden for r in chance.results) == 0
    assert all(count > 0 for count in chance.actions)


def test_random_trades_as_often_as_it_is_told(segments):
    seldom = evaluate("r", random_chooser(1, trade_share=0.1), segments, CONFIG)
    assert 0.02 < 1 - seldom.actions[0] / seldom.steps < 0.12


def test_the_same_choices_give_the_same_evaluation(segments):
    runs = [evaluate("r", random_chooser(3), segments[:3], CONFIG) for _ in range(2)]
    assert runs[0] == runs[1]


def test_an_evaluation_survives_json_and_its_summary_is_plain(segments):
    one = evaluate("hold", hold, segments[:2], CONFIG)
    assert evaluation_from_json(json.loads(json.dumps(evaluation_to_json(one)))) == one
    summary = json.loads(json.dumps(one.summary()))
    assert summary["actions"]["HOLD"] == summary["steps"] == one.steps
    assert summary["profit_low"] is None

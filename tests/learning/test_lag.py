"""The synthetic market's one inefficiency: with the lag it pays to know it, without it does not."""

import pytest

from kalshiflow.agent.features import FEATURES
from kalshiflow.learning.baselines import hold, lag_rule
from kalshiflow.learning.evaluate import evaluate, paired
from kalshiflow.learning.world import WorldConfig
from kalshiflow.venue.traders.synthetic import record

CONFIG = WorldConfig()
AT = {feature.name: position for position, feature in enumerate(FEATURES)}


@pytest.mark.parametrize(("lag", "pays"), [(4.0, True), (0.0, False)])
def test_a_rule_that_knows_the_lag_beats_holding_after_fees_only_where_there_is_one(
    segments_of, lag, pays
):
    segments = segments_of(record(markets=16, seconds=300.0, seed=23, lag=lag))
    rule = evaluate("lag rule", lag_rule(), segments, CONFIG)
    difference = paired(rule, evaluate("hold", hold, segments, CONFIG), confidence=0.99)
    assert difference.markets == 16
    assert difference.is_above_zero == pays
    if pays:
        assert rule.fees > 0
        assert rule.fills > 100


def test_trading_on_leaning_touches_alone_loses_where_there_is_no_lag(segments_of):
    """The rule without its sign of a jump trades at lag zero too, and pays for it."""

    def leaning(world, mask):
        if world.position.quantity:
            return 2 if mask[2] else 4 if mask[4] else 0
        leans = world.observation()[AT["imbalance_1"]]  # a third: twice as many bids as asks
        return 1 if leans > 1 / 3 and mask[1] else 3 if leans < -1 / 3 and mask[3] else 0

    segments = segments_of(record(markets=16, seconds=120.0, seed=23, lag=0.0))
    blind = evaluate("leaning", leaning, segments, CONFIG)
    interval = blind.interval()
    assert blind.fills > 100
    assert interval.high is not None
    assert interval.high < 0


def test_fading_a_jump_does_not_pay_where_there_is_no_lag(segments_of):
    """Makers overreact to jumps, by less than it costs to take twice."""
    segments = segments_of(record(markets=16, seconds=300.0, seed=23, lag=0.0))
    for seconds in (30.0, 90.0):
        faded = evaluate("fade", fade(seconds), segments, CONFIG)
        interval = faded.interval()
        assert faded.fills > 50
        assert interval.mean < 0.5
        assert not interval.is_above_zero


def fade(seconds):
    """Take against a move of six cents and more within five seconds, and close after a while."""

    def choose(world, mask):
        seen = world.observation()
        if seen[AT["position"]]:
            is_early = seen[AT["holding_time"]] < seconds / (seconds + 30.0)
            return 0 if is_early else 2 if mask[2] else 4 if mask[4] else 0
        moved = seen[AT["mid_change_5s"]]
        return 3 if moved > 0.75 and mask[3] else 1 if moved < -0.75 and mask[1] else 0

    return choose

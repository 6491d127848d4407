"""How features lie in a dataset, and which of them a dataset may not have."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kalshiflow.agent.features import FEATURES
from kalshiflow.learning.datasets.coverage import HOUR
from kalshiflow.learning.datasets.soundness import FAR, LEAST_DECISIONS, SOURCES, findings
from kalshiflow.learning.datasets.statistics import Alike, Sources, Statistics, measure, observed
from kalshiflow.learning.episodes.segments import Events
from kalshiflow.learning.world import WorldConfig
from kalshiflow.market.flat import TRADE
from kalshiflow.market.units import Quantity

CONFIG = WorldConfig()


@pytest.fixture(scope="module")
def parts(segments):
    """Learn from six markets and evaluate on the other two."""
    return [(segment, None) for segment in segments[:6]] + [(None, s) for s in segments[6:]]


@pytest.fixture(scope="module")
def measured(parts):
    return measure(parts, CONFIG, seed=7)


def without_trades(segment, *, recorded):
    """Give a segment with no public trade in it."""
    kept = segment.events.kinds != TRADE
    columns = {
        name: getattr(segment.events, name)[kept]
        for name in ("kinds", "sides", "indices", "quantities", "times", "frames")
    }
    events = Events(**columns, bodies=segment.events.bodies)
    return replace(segment, events=events, has_trades=recorded)


def faults(statistics):
    return {one.feature: one for one in findings(statistics)}


def test_every_feature_of_a_synthetic_exchange_is_sound(measured):
    assert findings(measured.statistics) == ()
    assert [one.name for one in measured.statistics.features] == [one.name for one in FEATURES]


def test_the_same_dataset_and_seed_give_the_same_bytes_and_another_seed_others(parts, measured):
    again = measure(parts, CONFIG, seed=7).statistics.to_json()

    assert again == measured.statistics.to_json()
    assert measure(parts, CONFIG, seed=8).statistics.to_json() != again


def test_statistics_come_back_from_their_file(measured):
    told = Statistics.from_json(measured.statistics.to_json())

    assert told == measured.statistics
    with pytest.raises(ValueError, match="'other'"):
        Statistics.from_json('{"format": "other"}')


def test_features_of_the_market_are_those_of_every_decision_that_is_learned_from(parts, measured):
    rows = np.concatenate(
        [chunk.rows for learn, _ in parts if learn is not None for chunk in observed(learn, CONFIG)]
    ).astype(np.float64)

    mid = measured.statistics.features[0]
    assert mid.rows == len(rows) == measured.statistics.sources.decisions
    assert mid.mean == pytest.approx(rows[:, 0].mean(), abs=1e-6)
    assert mid.deviation == pytest.approx(rows[:, 0].std(), abs=1e-6)


def test_coverage_counts_each_part_by_market_and_hour(parts, measured):
    segments = [learn for learn, _ in parts if learn is not None]

    rows = measured.learn.rows()
    assert [market for market, _, _ in rows] == [segment.ticker for segment in segments]
    assert all(hour % HOUR == 0 for _, hour, _ in rows)
    assert sum(covered.events for _, _, covered in rows) == sum(map(len, segments))
    assert sum(covered.time for _, _, covered in rows) == sum(
        segment.ends_at - segment.starts_at for segment in segments
    )
    decisions = measured.statistics.sources.decisions
    assert sum(covered.decisions for _, _, covered in rows) == decisions
    assert len(measured.evaluation.rows()) == 2


@pytest.mark.parametrize(
    ("recorded", "reason"),
    [(False, "public trades were not recorded"), (True, "no public trade happened")],
)
def test_what_is_made_of_trades_alone_is_excused_where_there_are_none(parts, recorded, reason):
    quiet = [(without_trades(one, recorded=recorded), None) for one, _ in parts if one is not None]

    found = faults(measure(quiet, CONFIG, seed=7).statistics)

    assert set(found) == set(SOURCES) - {"time_to_close"}
    assert {one.excuse for one in found.values()} == {reason}


def many(statistics):
    """Give statistics as they would be of many decisions."""
    sources = replace(statistics.sources, decisions=LEAST_DECISIONS)
    return replace(statistics, sources=sources)


@pytest.mark.parametrize(
    ("nearest", "excuse"),
    [(FAR - 1, None), (FAR, "within 30 days"), (None, "no market's time of closing is known")],
)
def test_time_to_close_is_excused_where_no_close_is_known_or_near(measured, nearest, excuse):
    constant = replace(measured.statistics.features[0], name="time_to_close", lowest=1, highest=1)
    statistics = many(replace(measured.statistics, features=(constant,)))
    sources = replace(statistics.sources, nearest_close=nearest)

    (found,) = findings(replace(statistics, sources=sources))

    assert found.is_excused == (excuse is not None)
    assert (excuse or "") in str(found)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"lowest": 0.5, "highest": 0.5}, "it is 0.5 in all of"),
        ({"not_finite": 2}, "2 times it is no number"),
        ({"outside": 3}, "3 times it lies beyond its range"),
        ({"rows": 0}, "it was never observed"),
    ],
)
def test_a_feature_that_teaches_nothing_or_nonsense_is_at_fault(measured, changes, words):
    bad = replace(measured.statistics.features[0], **changes)
    statistics = replace(measured.statistics, features=(bad, *measured.statistics.features[1:]))

    found = faults(many(statistics))

    assert set(found) == {"mid"}
    assert words in found["mid"].fault
    assert not found["mid"].is_excused


def test_a_feature_that_repeats_another_is_at_fault(measured):
    twice = many(replace(measured.statistics, alike=(Alike("mid", "microprice", -0.99995),)))

    assert str(*findings(twice)) == "microprice: it repeats mid: their correlation is -0.999950"


def test_a_few_decisions_or_values_cannot_tell_whether_a_feature_varies_or_repeats(measured):
    first, second, *others = measured.statistics.features
    constant = replace(first, lowest=0.5, highest=0.5)
    alike = (Alike(first.name, second.name, 1.0),)
    few = replace(
        measured.statistics,
        features=(constant, replace(second, values=2), *others),
        alike=alike,
        sources=replace(measured.statistics.sources, decisions=LEAST_DECISIONS - 1),
    )

    assert [one.is_excused for one in findings(few)] == [True, True]
    assert [one.is_excused for one in findings(many(few))] == [False, True]


def test_a_feature_that_explodes_is_never_excused(measured):
    bad = replace(measured.statistics.features[0], not_finite=1)
    few = replace(measured.statistics, features=(bad,), sources=Sources())

    assert [one.is_excused for one in findings(few)] == [False]


def test_orders_rest_and_closing_takes_depth_also_where_an_order_is_small(segments):
    small = replace(CONFIG, order_quantity=Quantity(100))

    statistics = measure([(one, None) for one in segments], small, seed=7).statistics

    assert not [one.name for one in statistics.features if one.is_constant]


def test_every_source_is_that_of_a_feature_and_stands_in_the_documents():
    page = (Path(__file__).parents[2] / "docs" / "datasets.md").read_text()

    assert set(SOURCES) <= {feature.name for feature in FEATURES}
    assert all(f"`{name}`" in page for name in SOURCES)

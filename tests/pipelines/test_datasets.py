"""What the pages of a dataset show, and which of its features stop a training."""

from dataclasses import replace

import dagster as dg
import pytest

from kalshiflow.learning.datasets.dataset import SessionFile, build_dataset
from kalshiflow.learning.datasets.splits import Split
from kalshiflow.learning.datasets.statistics import measure
from kalshiflow.learning.episodes.files import write_segments
from kalshiflow.learning.episodes.plain import build_segments
from kalshiflow.learning.world import WorldConfig
from pipelines.dataset_pages import MOST_ROWS, coverage_rows, feature_rows, metadata
from pipelines.defs.datasets import judged
from pipelines.resources import DataFolder

SESSION = "20261120T100000Z-aaaaaa"


@pytest.fixture(scope="module")
def segments(recording):
    markets = {market.ticker: market for market in recording.markets}
    return build_segments(recording.events, [], markets, SESSION)


@pytest.fixture(scope="module")
def manifest(segments, tmp_path_factory):
    path = tmp_path_factory.mktemp("episodes") / f"{SESSION}.parquet"
    write_segments(path, segments)
    return build_dataset([SessionFile(SESSION, path, "gaps", "1 gap")])


@pytest.fixture(scope="module")
def measured(segments, manifest):
    split = Split(manifest.split_at, manifest.embargo, frozenset())
    return measure([split.parts(segment) for segment in segments], WorldConfig(), seed=7)


def test_the_page_tells_sizes_sessions_refusals_features_and_coverage(manifest, measured):
    shown = {
        name: value.value for name, value in metadata(manifest, measured, {"s": "bad"}).items()
    }

    assert shown["rows to learn from"] + shown["rows to evaluate on"] == shown["rows"]
    assert shown["events not learned from"] == "none: too few events are known"
    (session,) = shown["sessions"].records
    assert (session.data["session"], session.data["reason"]) == (SESSION, "1 gap")
    assert [row.data for row in shown["refused"].records] == [{"session": "s", "reason": "bad"}]


def test_what_was_left_out_for_memory_is_told(manifest, measured):
    learn = replace(manifest.learn, segments=3, segments_left_out=1, events_left_out=80)

    shown = metadata(replace(manifest, learn=learn), measured, {})["left out for memory"].value

    assert shown == (
        "to learn from: 1 of 4 segments (80 events), by chance; to evaluate on: nothing"
    )


def test_tables_have_a_row_for_each_feature_and_for_each_market_and_hour(manifest, measured):
    assert len(feature_rows(measured.statistics)) == 52
    rows = coverage_rows(replace(manifest, unseen_markets=("SYN-19-01",)), measured)
    assert [(row["part"], row["market"]) for row in rows] == [
        (part, f"SYN-19-0{number}") for part in ("evaluation", "learn") for number in (1, 2, 3, 4)
    ]
    assert [row["unseen"] for row in rows] == [True, False, False, False] * 2
    assert sum(row["events"] for row in rows) >= manifest.rows


def test_a_table_of_coverage_has_the_busiest_hours_where_there_are_too_many(manifest, measured):
    cells = dict(measured.learn.cells)
    some = next(iter(cells.values()))
    for number in range(MOST_ROWS):
        measured.learn.cells[f"MORE-{number:03d}", 0] = replace(some, events=some.events + 1)
    try:
        rows = coverage_rows(manifest, measured)
    finally:
        measured.learn.cells = cells

    assert len(rows) == MOST_ROWS
    assert sum(row["market"].startswith("MORE") for row in rows) >= MOST_ROWS - 8


def test_sound_features_pass_and_a_broken_one_stops_the_training(measured):
    sound = judged(measured.statistics, "d")
    first, *others = measured.statistics.features
    broken = judged(
        replace(measured.statistics, features=(replace(first, outside=4), *others)), "d"
    )

    assert sound.passed
    assert not broken.passed
    assert broken.severity is dg.AssetCheckSeverity.ERROR
    assert broken.description == "mid: 4 times it lies beyond its range"


def test_a_feature_whose_source_is_missing_is_a_warning_that_names_it(measured):
    by_name = {one.name: one for one in measured.statistics.features}
    constant = replace(by_name["since_trade"], lowest=1.0, highest=1.0)
    sources = replace(measured.statistics.sources, trades=0, trades_recorded=0)

    found = judged(replace(measured.statistics, features=(constant,), sources=sources), "d")

    assert not found.passed
    assert found.severity is dg.AssetCheckSeverity.WARN
    assert "since_trade" in found.description
    assert "public trades were not recorded" in found.description


def test_episodes_in_an_older_form_count_as_never_cut(tmp_path):
    folder = DataFolder(overrides={"RL_DATA_DIR": str(tmp_path)})
    path = folder.episodes_of(SESSION)
    assert folder.count_episodes(SESSION) is None

    path.parent.mkdir()
    path.write_bytes(b"of old")
    assert folder.count_episodes(SESSION) is None

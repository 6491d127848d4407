"""Small values that pages and tags are made of."""

import dagster as dg
import pytest

from kalshiflow.settings import load
from kalshiflow.simulator.overlay import FillModel
from pipelines.candidates import EPISODES_IN_MEAN, running_means, world_config
from pipelines.code_version import git_commit
from pipelines.handover import left_by, text_left_by
from pipelines.resources import replace_file
from pipelines.tables import table
from pipelines.times import seconds, utc


def test_a_table_has_the_columns_of_its_rows():
    made = table([{"market": "A", "deltas": 3, "share": 0.5}])

    assert [(column.name, column.type) for column in made.schema.columns] == [
        ("market", "string"),
        ("deltas", "int"),
        ("share", "float"),
    ]
    assert made.records[0].data == {"market": "A", "deltas": 3, "share": 0.5}


def test_a_table_without_rows_is_empty():
    assert table([]).records == []


def test_times_are_written_in_utc():
    assert utc(1_767_621_600_123_456_789) == "2026-01-05T14:00:00.123Z"
    assert seconds(1_500_000_000) == 1.5


def test_the_policy_learns_on_the_traders_own_terms(tmp_path):
    variables = {
        "RL_ACTOR_THROTTLE_MS": "500",
        "RL_ACTOR_MARKET_BUDGET": "2500",
        "RL_ACTOR_ORDER_CONTRACTS": "3",
        "RL_SIM_LATENCY_MS": "80",
        "RL_SIM_FILL_MODEL": "realistic",
        "RL_EPISODE_MAX_MINUTES": "0.5",
    }

    world = world_config(load("pipelines", variables, tmp_path))

    assert (world.throttle, world.budget, world.order_quantity) == (500_000_000, 25_000_000, 300)
    assert (world.latency, world.longest) == (80_000_000, 30_000_000_000)
    assert world.fill_model is FillModel.REALISTIC


def test_a_curve_has_the_mean_of_each_run_of_episodes():
    profits = [1.0] * EPISODES_IN_MEAN + [3.0] * EPISODES_IN_MEAN + [9.0]

    assert running_means(profits) == [(EPISODES_IN_MEAN, 1.0), (2 * EPISODES_IN_MEAN, 3.0)]


def test_outside_a_clone_the_commit_is_unknown(tmp_path):
    assert git_commit(tmp_path) == "unknown"


def test_an_asset_hands_its_values_to_the_next_one():
    with dg.DagsterInstance.ephemeral() as instance:
        for version in ("1", "2"):
            instance.report_runless_asset_event(
                dg.AssetMaterialization("made", metadata={"version": version, "rows": 3})
            )

        assert left_by(instance, "made") == {"version": "2", "rows": 3}


def test_an_asset_that_was_never_made_is_told():
    with (
        dg.DagsterInstance.ephemeral() as instance,
        pytest.raises(dg.Failure, match="made was never materialised"),
    ):
        left_by(instance, "made")


def test_a_file_is_handed_over_only_as_it_was_left(tmp_path):
    path = tmp_path / "evaluation.json"
    left = {"path": str(path), "sha256": replace_file(path, lambda part: part.write_text("{}"))}
    assert text_left_by(left) == "{}"

    path.write_text("{ }")
    with pytest.raises(dg.Failure, match="has sha256"):
        text_left_by(left)
    path.unlink()
    with pytest.raises(dg.Failure, match="cannot be read"):
        text_left_by(left)

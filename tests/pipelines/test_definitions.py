"""What Dagster finds when it loads us."""

import subprocess
import sys

import dagster as dg
import pytest

from pipelines.definitions import defs

SIX = {
    "orderbook_session",
    "session_episodes",
    "training_dataset",
    "trained_policy",
    "policy_evaluation",
    "promoted_policy",
}
# A run that needs none of these must not pay for them.
HEAVY = ("torch", "stable_baselines3", "mlflow", "matplotlib", "numba", "pandas", "onnxruntime")


def test_the_definitions_load():
    dg.Definitions.validate_loadable(defs)


def test_the_six_assets_depend_on_each_other_in_one_line():
    graph = defs.resolve_asset_graph()

    assert {key.to_user_string() for key in graph.get_all_asset_keys()} == SIX
    parents = {
        key.to_user_string(): {parent.to_user_string() for parent in graph.get(key).parent_keys}
        for key in graph.get_all_asset_keys()
    }
    assert parents["orderbook_session"] == set()
    assert parents["session_episodes"] == {"orderbook_session"}
    assert parents["training_dataset"] == {"session_episodes"}
    assert parents["trained_policy"] == {"training_dataset"}
    assert parents["policy_evaluation"] >= {"trained_policy"}
    assert parents["promoted_policy"] == {"policy_evaluation"}


@pytest.mark.parametrize("name", ["orderbook_session", "session_episodes"])
def test_what_belongs_to_a_session_has_a_partition_for_each(name):
    node = defs.resolve_asset_graph().get(dg.AssetKey(name))

    assert isinstance(node.partitions_def, dg.DynamicPartitionsDefinition)
    assert node.partitions_def.name == "sessions"


def test_sensors_run_without_being_switched_on():
    assert {sensor.name: sensor.default_status for sensor in defs.sensors or ()} == dict.fromkeys(
        ("session_sensor", "retrain_sensor", "training_failure_sensor"),
        dg.DefaultSensorStatus.RUNNING,
    )


def test_every_check_blocks_what_depends_on_it():
    graph = defs.resolve_asset_graph()

    checks = {key.name: graph.get(key).blocking for key in graph.asset_check_keys}
    assert checks == {
        "orderbook_session_is_whole": True,
        "orderbook_session_books_are_possible": True,
        "orderbook_session_replays_equal": True,
        "session_episodes_replay_equal": True,
        "training_dataset_features_are_sound": True,
    }


def test_loading_the_definitions_loads_nothing_heavy():
    look = f"import sys, pipelines.definitions; print([m for m in {HEAVY} if m in sys.modules])"

    found = subprocess.run(
        [sys.executable, "-c", look], capture_output=True, text=True, check=True, timeout=60
    )

    assert found.stdout.strip() == "[]"

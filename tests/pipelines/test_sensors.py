"""What the sensors start, given what stands in the database."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from kalshiflow.learning.episodes.files import write_segments
from kalshiflow.store.database import Store, run
from kalshiflow.store.training import start_training, training_runs
from pipelines.defs.resources import resources
from pipelines.defs.sensors import (
    retrain_sensor,
    session_sensor,
    training_failure_sensor,
    training_request,
)
from pipelines.retraining import Due

pytestmark = pytest.mark.integration
GOOD, BAD, TRADED = "20261120T100000Z-aaaaaa", "20261120T110000Z-bbbbbb", "20261120T120000Z-cccccc"


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@dg.op
def fail() -> None:
    raise ValueError("no such file")


@dg.job(name="training")
def failing_training() -> None:
    fail()


def tick(sensor, instance, overrides, cursor=None):
    context = dg.build_sensor_context(
        instance=instance, cursor=cursor, resources=resources(overrides)
    )
    return sensor(context)


def with_episodes(instance: dg.DagsterInstance, *session_ids: str) -> None:
    for session_id in session_ids:
        instance.report_runless_asset_event(
            dg.AssetMaterialization("session_episodes", partition=session_id)
        )


def test_closed_sessions_become_partitions_and_runs_in_the_order_of_closing(
    stored, holed_events, instance, overrides
):
    stored(GOOD)
    stored(BAD, holed_events)

    result = tick(session_sensor, instance, overrides)

    assert isinstance(result, dg.SensorResult)
    assert [request.partition_key for request in result.run_requests] == [GOOD, BAD]
    assert [request.run_key for request in result.run_requests] == [GOOD, BAD]
    assert [r.tags["kalshiflow/verdict"] for r in result.run_requests] == ["ok", "failed"]
    assert result.dynamic_partitions_requests[0].partition_keys == [GOOD, BAD]
    assert result.cursor == "2"


def test_a_session_is_asked_for_once(stored, instance, overrides):
    stored(GOOD)
    first = tick(session_sensor, instance, overrides)

    second = tick(session_sensor, instance, overrides, cursor=first.cursor)

    assert isinstance(second, dg.SkipReason)
    assert second.skip_message == "no session was closed after number 1"


def test_a_traders_own_recording_is_proven_and_not_cut_into_episodes(stored, instance, overrides):
    stored(TRADED, origin="trader", traded=True)

    result = tick(session_sensor, instance, overrides)

    assert result.run_requests[0].asset_selection == [dg.AssetKey("orderbook_session")]


def test_a_training_is_asked_for_with_its_exact_sessions(stored, instance, overrides):
    stored(GOOD)
    with_episodes(instance, GOOD)

    request = tick(retrain_sensor, instance, overrides)

    assert isinstance(request, dg.RunRequest)
    config = request.run_config["ops"]["training_dataset"]["config"]
    assert config == {"sessions": [GOOD], "trigger": "retrain_sensor"}
    assert request.tags["kalshiflow/newest_session"] == GOOD


def test_sessions_without_episodes_bad_ones_and_traded_ones_count_for_nothing(
    stored, holed_events, instance, overrides
):
    stored(GOOD)
    stored(BAD, holed_events)
    stored(TRADED, traded=True)
    with_episodes(instance, BAD, TRADED)

    skipped = tick(retrain_sensor, instance, overrides)

    assert isinstance(skipped, dg.SkipReason)
    assert skipped.skip_message == "0 of 1 new sessions"


def test_a_session_that_holds_no_episode_asks_for_no_training(stored, instance, overrides):
    stored(GOOD)
    with_episodes(instance, GOOD)
    write_segments(Path(overrides["RL_DATA_DIR"]) / "episodes" / f"{GOOD}.parquet", [])

    skipped = tick(retrain_sensor, instance, overrides)

    assert skipped.skip_message == "0 of 1 new sessions"


def test_a_training_that_runs_holds_the_next_one_back(stored, instance, overrides):
    stored(GOOD)
    with_episodes(instance, GOOD)
    instance.create_run_for_job(failing_training, status=dg.DagsterRunStatus.STARTED)

    skipped = tick(retrain_sensor, instance, overrides)

    assert skipped.skip_message == "a training is queued or running"


def test_a_training_that_failed_is_marked_so(postgres_url, instance, overrides):
    result = failing_training.execute_in_process(instance=instance, raise_on_error=False)
    run(postgres_url, lambda store: _start(store, result.run_id))
    context = dg.build_run_status_sensor_context(
        "training_failure_sensor",
        dagster_instance=instance,
        dagster_run=result.dagster_run,
        dagster_event=result.get_run_failure_event(),
        resources=resources(overrides),
    ).for_run_failure()

    training_failure_sensor(context)

    training = run(postgres_url, lambda store: training_runs(store))[0]
    assert training.status == "failed"
    assert training.ended_at is not None
    assert training.error


async def _start(store: Store, training_id: str) -> None:
    await start_training(store, training_id, trigger="test", dataset_id="d", sessions=[GOOD], at=1)


def test_a_request_for_a_training_names_its_occasion():
    request = training_request(Due((GOOD, BAD), new=1, key="the occasion"))

    assert request.run_key == "the occasion"
    assert request.tags["kalshiflow/sessions"] == "2"
    assert request.tags["kalshiflow/new_sessions"] == "1"

"""From a stored session to a promoted policy, on a real database and a real MLflow server."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import httpx
import pytest

from kalshiflow.agent.action import fingerprint
from kalshiflow.agent.policy import Policy
from kalshiflow.market.events import BookSnapshot
from kalshiflow.store.database import run
from kalshiflow.store.training import latest_promotion, promotions, training_runs
from pipelines.definitions import defs
from pipelines.defs.resources import resources
from pipelines.registry import BUNDLE_FILES, CHAMPION, MODEL, PREVIOUS, Registry

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
FIRST, SECOND, BAD = "20261120T100000Z-aaaaaa", "20261120T110000Z-bbbbbb", "20261120T120000Z-cccccc"


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


class Loop:
    """Runs the two jobs in this process, as the daemon would."""

    def __init__(self, instance: dg.DagsterInstance, overrides: dict[str, str]) -> None:
        self._instance = instance
        self._definitions = dg.Definitions(
            assets=defs.assets,
            asset_checks=defs.asset_checks,
            jobs=defs.jobs,
            resources=resources(overrides),
            executor=dg.in_process_executor,
        )

    def session(self, session_id: str) -> dg.ExecuteInProcessResult:
        self._instance.add_dynamic_partitions("sessions", [session_id])
        return self._run("session", partition_key=session_id)

    def training(self, *session_ids: str) -> dg.ExecuteInProcessResult:
        return self._run("training", run_config=self._config(session_ids))

    def dataset(self, *session_ids: str) -> dg.ExecuteInProcessResult:
        return self._run(
            "training",
            run_config=self._config(session_ids),
            asset_selection=[dg.AssetKey("training_dataset")],
        )

    def _config(self, session_ids: tuple[str, ...]) -> dict:
        config = {"sessions": list(session_ids), "trigger": "test"}
        return {"ops": {"training_dataset": {"config": config}}}

    def _run(self, job: str, **more: object) -> dg.ExecuteInProcessResult:
        return self._definitions.resolve_job_def(job).execute_in_process(
            instance=self._instance, raise_on_error=False, **more
        )


@pytest.fixture
def loop(instance, overrides, mlflow_server) -> Loop:
    return Loop(instance, overrides | {"MLFLOW_TRACKING_URI": mlflow_server})


def told(result: dg.ExecuteInProcessResult, asset: str) -> dict:
    event = result.get_asset_materialization_events()
    found = [e.materialization for e in event if e.asset_key == dg.AssetKey(asset)]
    return {name: value.value for name, value in found[0].metadata.items()}


def failure_of(result: dg.ExecuteInProcessResult) -> str:
    failed = [event for event in result.all_events if event.is_step_failure]
    return " ".join(
        (event.step_failure_data.error_display_string or "")
        + str(event.step_failure_data.user_failure_data or "")
        for event in failed
    )


def fetch_over_rest(server: str, alias: str, folder: Path) -> Path:
    """Fetch a bundle as the trader does, without MLflow's client."""
    api = "/api/2.0/mlflow"
    with httpx.Client(base_url=server) as client:
        by_alias = client.get(
            f"{api}/registered-models/alias", params={"name": MODEL, "alias": alias}
        )
        version = by_alias.json()["model_version"]["version"]
        place = client.get(
            f"{api}/model-versions/get-download-uri", params={"name": MODEL, "version": version}
        ).json()["artifact_uri"]
        path = place.removeprefix("mlflow-artifacts:/")
        for name in BUNDLE_FILES:
            (folder / name).write_bytes(
                client.get(f"{api}-artifacts/artifacts/{path}/{name}").content
            )
    return folder


def test_a_session_becomes_a_champion_that_the_trader_can_load(
    stored, instance, overrides, mlflow_server, postgres_url, tmp_path
):
    more = {"MLFLOW_TRACKING_URI": mlflow_server, "RL_TRAIN_CANDIDATES": "2"}
    loop = Loop(instance, overrides | more)
    registry = Registry(mlflow_server)
    registry.remove_alias(CHAMPION)
    stored(FIRST)
    session = loop.session(FIRST)
    assert session.success
    assert all(check.passed for check in session.get_asset_check_evaluations())

    result = loop.training(FIRST)

    assert result.success, failure_of(result)
    dataset, trained = told(result, "training_dataset"), told(result, "trained_policy")
    promoted = told(result, "promoted_policy")
    assert told(session, "session_episodes")["events"] > dataset["rows"] > 0
    assert len(trained["versions"]) == 2
    champion = registry.with_alias(CHAMPION)
    assert champion is not None
    assert champion.version == promoted["version"]
    assert champion.version in trained["versions"]
    assert champion.tags["dataset_hash"] == dataset["dataset_id"]
    assert champion.tags["sessions"] == FIRST
    assert champion.tags["fingerprint"] == fingerprint()

    bundle = tmp_path / "bundle"
    bundle.mkdir()
    policy = Policy.load(fetch_over_rest(mlflow_server, CHAMPION, bundle))
    assert policy.manifest["dataset_id"] == dataset["dataset_id"]
    assert policy.manifest["session_ids"] == [FIRST]
    assert policy.manifest["training_id"] == result.run_id

    row = run(postgres_url, latest_promotion)
    assert row is not None
    assert (row.kind, row.model_version) == (promoted["verdict"], champion.version)
    assert row.kind in {"champion", "bootstrap"}
    assert {"hold", "random"} <= {one["name"] for one in row.verdict["table"]}
    training = run(postgres_url, training_runs)[0]
    assert (training.training_id, training.status) == (result.run_id, "done")
    assert training.sessions == (FIRST,)
    assert training.evaluation is not None
    assert "data:image/png" in told(result, "policy_evaluation")["comparison"]


def test_a_second_training_is_judged_against_the_champion_of_the_first(
    loop, stored, mlflow_server, postgres_url
):
    registry = Registry(mlflow_server)
    registry.remove_alias(CHAMPION)
    stored(FIRST)
    loop.session(FIRST)
    assert loop.training(FIRST).success
    before = registry.with_alias(CHAMPION)
    assert before is not None

    result = loop.training(FIRST)

    assert result.success, failure_of(result)
    assert told(result, "policy_evaluation")["champion"] == before.version
    after = registry.with_alias(CHAMPION)
    assert after is not None
    last, first = run(postgres_url, promotions)
    assert first.model_version == before.version
    assert last.kind in {"champion", "refused"}
    if last.kind == "refused":
        assert (after.version, last.alias) == (before.version, None)
    else:
        previous = registry.with_alias(PREVIOUS)
        assert previous is not None
        assert (after.version, previous.version) == (last.model_version, before.version)


def test_a_bad_session_is_refused_with_its_reason_by_its_run_and_by_the_dataset(
    loop, stored, holed_events
):
    certificate = stored(BAD, holed_events)
    assert certificate.verdict == "failed"

    session = loop.session(BAD)
    dataset = loop.dataset(BAD)

    failed = {
        c.check_name: c.description for c in session.get_asset_check_evaluations() if not c.passed
    }
    assert not session.success
    assert certificate.reason in failed["orderbook_session_is_whole"]
    assert "session_episodes" not in {
        key.to_user_string()
        for event in session.get_asset_materialization_events()
        for key in [event.asset_key]
    }
    assert not dataset.success
    assert certificate.reason in failure_of(dataset)


def test_a_bad_session_that_is_named_fails_the_dataset_with_its_reason(loop, stored, holed_events):
    stored(FIRST)
    certificate = stored(BAD, holed_events)
    loop.session(FIRST)

    result = loop.dataset(FIRST, BAD, "20200101T000000Z-000000")

    failure = failure_of(result)
    assert not result.success
    assert f"session {BAD}: its verdict is failed: {certificate.reason}" in failure
    assert "session 20200101T000000Z-000000: it is not recorded" in failure
    assert not result.get_asset_materialization_events()


def test_sessions_that_nobody_named_are_left_out_with_their_reasons(
    loop, stored, holed_events, recording
):
    quiet = [event for event in recording.events if isinstance(event, BookSnapshot)]
    frames = [e._replace(stamp=e.stamp._replace(frame_no=n)) for n, e in enumerate(quiet, 1)]
    stored(FIRST)
    certificate = stored(BAD, holed_events)
    assert stored(SECOND, frames).verdict == "ok"
    loop.session(FIRST)
    assert loop.session(SECOND).success

    dataset = told(loop.dataset(), "training_dataset")

    refused = {
        record.data["session"]: record.data["reason"] for record in dataset["refused"].records
    }
    assert [record.data["session"] for record in dataset["sessions"].records] == [FIRST]
    assert refused[BAD] == f"its verdict is failed: {certificate.reason}"
    assert refused[SECOND].startswith("no market's book changed in it")


def test_a_dataset_is_told_by_its_coverage_and_its_features(loop, stored, tmp_path):
    stored(FIRST)
    loop.session(FIRST)

    result = loop.dataset(FIRST)

    dataset = told(result, "training_dataset")
    (check,) = result.get_asset_check_evaluations()
    assert (check.check_name, check.passed) == ("training_dataset_features_are_sound", True)
    assert len(dataset["features"].records) == 52
    assert {row.data["part"] for row in dataset["coverage by market and hour"].records} == {
        "learn",
        "evaluation",
    }
    assert dataset["left out for memory"] == "to learn from: nothing; to evaluate on: nothing"
    for name in ("coverage", "features in a picture", "sessions in time"):
        assert "data:image/png" in dataset[name]


def test_the_same_session_gives_the_same_episodes_and_the_same_dataset(loop, stored):
    stored(FIRST)
    stored(SECOND)
    hashes = {told(loop.session(FIRST), "session_episodes")["sha256"] for _ in range(2)}
    datasets = {told(loop.dataset(FIRST), "training_dataset")["sha256"] for _ in range(2)}

    assert (len(hashes), len(datasets)) == (1, 1)


def test_rows_that_were_changed_after_the_session_was_closed_block_its_episodes(
    loop, stored, postgres_url, tmp_path
):
    import psycopg2

    stored(FIRST)
    with psycopg2.connect(postgres_url) as connection, connection.cursor() as cursor:
        cursor.execute(
            "UPDATE rl_orderbook_deltas SET change = change + 100 WHERE frame_no ="
            " (SELECT max(frame_no) FROM rl_orderbook_deltas WHERE change > 0)"
        )
    connection.close()

    session = loop.session(FIRST)

    failed = {c.check_name for c in session.get_asset_check_evaluations() if not c.passed}
    assert not session.success
    # Rows that do not replay to the recorder's books are no proof of anything.
    assert failed == {"orderbook_session_is_whole", "orderbook_session_replays_equal"}
    assert not list((tmp_path / "data").rglob("*.parquet"))

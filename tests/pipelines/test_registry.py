"""Policies in a real MLflow server."""

import json
from pathlib import Path

import httpx
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from pipelines.registry import BUNDLE_FILES, MODEL, Registry, TrainingRecord

pytestmark = pytest.mark.integration


@pytest.fixture
def registry(mlflow_server: str) -> Registry:
    made = Registry(mlflow_server)
    made.prepare()
    made.prepare()  # what is there already is left as it is
    return made


def bundle(folder: Path) -> Path:
    folder.mkdir()
    weights = numpy_helper.from_array(np.ones((52, 5), np.float32), "weights")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["observation", "weights"], ["scores"])],
        "policy",
        [helper.make_tensor_value_info("observation", TensorProto.FLOAT, ["n", 52])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 5])],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save_model(model, folder / "model.onnx")
    (folder / "manifest.json").write_text(json.dumps({"fingerprint": "f"}))
    np.savez(folder / "probe.npz", observation=np.zeros((1, 52), np.float32))
    return folder


def record(**tags: str) -> TrainingRecord:
    return TrainingRecord(
        name="a training",
        params={"seed": 7},
        metrics={"profit": 1.5},
        curves={"reward": [(1, 0.1), (2, 0.2)]},
        tags=tags,
    )


def test_a_registered_bundle_comes_back_byte_for_byte(registry, tmp_path):
    logged = bundle(tmp_path / "bundle")

    version = registry.register(logged, record(fingerprint="f", sha256="aa"))
    fetched = registry.download(version.version, tmp_path / "fetched")

    assert registry.at(version.version).tags["fingerprint"] == "f"
    for name in BUNDLE_FILES:
        assert (fetched / name).read_bytes() == (logged / name).read_bytes()


def test_a_bundle_can_be_had_over_plain_rest_by_its_alias(registry, mlflow_server, tmp_path):
    logged = bundle(tmp_path / "bundle")
    version = registry.register(logged, record())
    registry.set_alias("over-rest", version.version)

    with httpx.Client(base_url=mlflow_server) as client:
        api = "/api/2.0/mlflow"
        by_alias = {"name": MODEL, "alias": "over-rest"}
        found = client.get(f"{api}/registered-models/alias", params=by_alias).json()
        number = found["model_version"]["version"]
        place = client.get(
            f"{api}/model-versions/get-download-uri", params={"name": MODEL, "version": number}
        ).json()["artifact_uri"]
        path = place.removeprefix("mlflow-artifacts:/")
        fetched = client.get(f"{api}-artifacts/artifacts/{path}/model.onnx").content

    assert number == version.version
    assert fetched == (logged / "model.onnx").read_bytes()


def test_the_model_is_one_of_mlflows_own_onnx_flavour(registry, tmp_path):
    version = registry.register(bundle(tmp_path / "bundle"), record())

    import mlflow

    loaded = mlflow.pyfunc.load_model(f"models:/{MODEL}/{version.version}")
    scores = loaded.predict({"observation": np.ones((2, 52), np.float32)})["scores"]
    assert scores.tolist() == [[52.0] * 5] * 2


def test_an_alias_that_nobody_set_is_none(registry, tmp_path):
    registry.register(bundle(tmp_path / "bundle"), record())

    assert registry.with_alias("nobody") is None


def test_an_alias_moves_and_can_be_taken_away(registry, tmp_path):
    logged = bundle(tmp_path / "bundle")
    first, second = (registry.register(logged, record()).version for _ in range(2))

    registry.set_alias("mover", first)
    registry.set_alias("mover", second)
    moved = registry.with_alias("mover")
    registry.remove_alias("mover")
    registry.remove_alias("mover")

    assert moved is not None
    assert moved.version == second
    assert registry.with_alias("mover") is None


def test_tags_can_be_added_to_a_version(registry, tmp_path):
    version = registry.register(bundle(tmp_path / "bundle"), record(sha256="aa")).version

    registry.tag(version, {"verdict": "bootstrap"})

    assert registry.at(version).tags == {"sha256": "aa", "verdict": "bootstrap"}


def test_a_run_keeps_parameters_metrics_and_their_curves(registry, tmp_path):
    version = registry.register(bundle(tmp_path / "bundle"), record(sessions="s1,s2"))

    import mlflow

    run = mlflow.get_run(version.run_id)
    assert run.data.params == {"seed": "7"}
    assert run.data.metrics["profit"] == 1.5
    assert run.data.metrics["reward"] == 0.2
    assert run.data.tags["sessions"] == "s1,s2"
    assert version.version in registry.page_of(version)
    assert version.run_id in registry.page_of_run(version)

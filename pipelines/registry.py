"""The model registry in MLflow: log a policy, find it, fetch its bundle, move an alias."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

MODEL = "kalshi-policy"
EXPERIMENT = "kalshi-policy"
CHAMPION, PREVIOUS, CHALLENGER = "champion", "previous", "challenger"
BUNDLE_FILES = ("model.onnx", "manifest.json", "probe.npz")

# MLflow's own defaults would block for minutes on a server that is gone; an upload takes a while.
ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "GIT_PYTHON_REFRESH": "quiet",  # mlflow asks for git, which need not be there
}

# A missing alias is told in either way, by version and by what is missing.
_MISSING = frozenset({"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"})


_METRICS_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """One registered version of the policy."""

    version: str
    run_id: str
    source: str
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class TrainingRecord:
    """What an MLflow run of a training keeps beside the policy's bundle.

    `curves` is (step, value) by metric; `tags` go on the run and on the registered version.
    """

    name: str
    params: Mapping[str, object]
    metrics: Mapping[str, float]
    curves: Mapping[str, Sequence[tuple[int, float]]]
    tags: Mapping[str, str]
    artifacts: Sequence[Path] = ()


class Registry:
    """Our registered model on one MLflow server. Raises `mlflow.exceptions.MlflowException`."""

    def __init__(self, tracking_uri: str) -> None:
        self.tracking_uri = tracking_uri
        os.environ.update(ENVIRONMENT)  # read when mlflow is imported, and by each request
        import mlflow

        mlflow.set_tracking_uri(tracking_uri)
        mlflow.set_registry_uri(tracking_uri)
        self._mlflow = mlflow
        self._client = mlflow.MlflowClient()

    def prepare(self) -> None:
        """Make the experiment and the registered model where they are missing."""
        self._experiment()
        self._create_model()

    def register(self, bundle: Path, record: TrainingRecord) -> PolicyVersion:
        """Log one run with the bundle as its onnx model, and register that as a new version."""
        with self._mlflow.start_run(
            experiment_id=self._experiment(), run_name=record.name, tags=dict(record.tags)
        ) as run:
            self._mlflow.log_params(dict(record.params))
            self._mlflow.log_metrics(dict(record.metrics))
            self._log_curves(run.info.run_id, record.curves)
            for path in record.artifacts:
                self._mlflow.log_artifact(str(path), artifact_path="training")
            model = self._log_bundle(bundle)
        found = self._client.create_model_version(
            MODEL,
            model.model_uri,
            run_id=run.info.run_id,
            tags=dict(record.tags),
            model_id=model.model_id,
            await_creation_for=0,  # the server's store makes it at once
        )
        return _version(found)

    def at(self, version: str) -> PolicyVersion:
        """Give a version by its number."""
        return _version(self._client.get_model_version(MODEL, version))

    def with_alias(self, alias: str) -> PolicyVersion | None:
        """Give the version that an alias points to, if it points to any."""
        from mlflow.exceptions import RestException

        try:
            return _version(self._client.get_model_version_by_alias(MODEL, alias))
        except RestException as refused:
            if refused.error_code in _MISSING:
                return None
            raise

    def download(self, version: str, folder: Path) -> Path:
        """Fetch a version's bundle into `folder` and give that folder."""
        folder.mkdir(parents=True, exist_ok=True)
        source = f"models:/{MODEL}/{version}"
        return Path(self._mlflow.artifacts.download_artifacts(source, dst_path=str(folder)))

    def set_alias(self, alias: str, version: str) -> None:
        """Point an alias at a version."""
        self._client.set_registered_model_alias(MODEL, alias, version)

    def remove_alias(self, alias: str) -> None:
        """Take an alias away; one that is not there is no error."""
        if self.with_alias(alias) is not None:
            self._client.delete_registered_model_alias(MODEL, alias)

    def tag(self, version: str, tags: Mapping[str, str]) -> None:
        """Add tags to a version."""
        for name, text in tags.items():
            self._client.set_model_version_tag(MODEL, version, name, text)

    def page_of(self, version: PolicyVersion) -> str:
        """Give the address of a version's page."""
        return f"{self.tracking_uri}/#/models/{MODEL}/versions/{version.version}"

    def page_of_run(self, version: PolicyVersion) -> str:
        """Give the address of the page of the run that made a version."""
        return f"{self.tracking_uri}/#/experiments/{self._experiment()}/runs/{version.run_id}"

    def report(
        self, version: PolicyVersion, metrics: Mapping[str, float], tags: Mapping[str, str]
    ) -> None:
        """Add metrics to the run that made a version, and tags to the version."""
        self._mlflow.log_metrics(dict(metrics), run_id=version.run_id)
        self.tag(version.version, tags)

    def _log_curves(self, run_id: str, curves: Mapping[str, Sequence[tuple[int, float]]]) -> None:
        from mlflow.entities import Metric

        at = time.time_ns() // 1_000_000
        for name, curve in curves.items():
            points = [Metric(name, value, at, step) for step, value in curve]
            for first in range(0, len(points), _METRICS_AT_ONCE):
                batch = points[first : first + _METRICS_AT_ONCE]
                self._client.log_batch(run_id, metrics=batch)

    def _log_bundle(self, bundle: Path) -> Any:
        import onnx

        model = onnx.load(bundle / "model.onnx")
        info = self._mlflow.onnx.log_model(
            model,
            name="policy",
            signature=_signature(model),
            # Named, or MLflow would start a process to find out.
            pip_requirements=[f"onnxruntime=={metadata.version('onnxruntime')}"],
            onnx_execution_providers=["CPUExecutionProvider"],
            save_as_external_data=False,
        )
        # All three, the model once more: the manifest has the sha256 of exactly these bytes.
        for name in BUNDLE_FILES:
            self._client.log_model_artifact(info.model_id, str(bundle / name))
        return info

    def _create_model(self) -> None:
        from mlflow.exceptions import RestException

        try:
            self._client.create_registered_model(MODEL)
        except RestException as refused:
            if refused.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _experiment(self) -> str:
        found = self._client.get_experiment_by_name(EXPERIMENT)
        return str(found.experiment_id if found else self._client.create_experiment(EXPERIMENT))


def _signature(model: Any) -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types import Schema

    return ModelSignature(
        Schema([_tensor(value) for value in model.graph.input]),
        Schema([_tensor(value) for value in model.graph.output]),
    )


def _tensor(value: Any) -> Any:
    import numpy as np
    from mlflow.types import TensorSpec

    sizes = [size.dim_value or -1 for size in value.type.tensor_type.shape.dim]
    return TensorSpec(np.dtype(np.float32), tuple(sizes), value.name)


def _version(found: Any) -> PolicyVersion:
    return PolicyVersion(str(found.version), found.run_id, found.source, dict(found.tags))

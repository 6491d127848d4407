"""A dataset made from sessions: its manifest, its statistics, what it covers, each in a file."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from kalshiflow.settings import Settings
from kalshiflow.store.read import SessionRow
from pipelines.resources import DataFolder, replace_file

if TYPE_CHECKING:
    from kalshiflow.learning.datasets.dataset import SessionFile
    from kalshiflow.learning.datasets.manifest import DatasetManifest
    from kalshiflow.learning.datasets.splits import Terms
    from kalshiflow.learning.datasets.statistics import Measured

MEBIBYTE = 1 << 20
MANIFEST, STATISTICS, COVERAGE = ".json", ".statistics.json", ".coverage.parquet"
_NANOSECONDS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Built:
    """A dataset whose files stand in the data folder, the manifest at `path` with `sha256`."""

    manifest: "DatasetManifest"
    measured: "Measured"
    path: Path
    sha256: str


def build(
    sessions: Sequence[SessionRow],
    settings: Settings,
    data_folder: DataFolder,
    learn_fraction: float,
) -> Built:
    """Make the dataset of some sessions.

    Raises `DatasetError` or `SplitError` where they make none.
    """
    from kalshiflow.learning.datasets.coverage import coverage_bytes
    from kalshiflow.learning.datasets.dataset import build_dataset, iter_dataset
    from kalshiflow.learning.datasets.statistics import measure
    from pipelines.candidates import world_config

    described = build_dataset(
        [_file_of(session, data_folder) for session in sessions],
        _terms(settings, learn_fraction),
        memory_bytes=settings.rl_dataset_memory_mb * MEBIBYTE,
        seed=settings.rl_train_seed,
    )
    parts = iter_dataset(described, data_folder.path("episodes"))
    measured = measure(parts, world_config(settings), described.seed)
    statistics = measured.statistics.to_json().encode()
    coverage = coverage_bytes({"learn": measured.learn, "evaluation": measured.evaluation})
    manifest = replace(
        described,
        statistics_sha256=hashlib.sha256(statistics).hexdigest(),
        coverage_sha256=hashlib.sha256(coverage).hexdigest(),
    )
    contents = {
        STATISTICS: statistics,
        COVERAGE: coverage,
        MANIFEST: manifest.to_json().encode(),  # last of all: what stands is whole
    }
    for kind, content in contents.items():
        path = data_folder.dataset(manifest.dataset_id, kind)
        sha256 = replace_file(path, _writer(content))
    return Built(manifest, measured, path, sha256)


def _file_of(session: SessionRow, data_folder: DataFolder) -> "SessionFile":
    from kalshiflow.learning.datasets.dataset import SessionFile

    return SessionFile(
        session_id=session.session_id,
        path=data_folder.episodes_of(session.session_id),
        verdict=session.verdict or "none",
        reason=session.verdict_reason or "",
        environment=session.environment,
        origin=session.origin,
    )


def _terms(settings: Settings, learn_fraction: float) -> "Terms":
    from kalshiflow.learning.datasets.splits import Terms

    return Terms(
        learn_fraction=learn_fraction,
        embargo=round(settings.rl_dataset_embargo_seconds * _NANOSECONDS),
        event_share=settings.rl_dataset_event_share,
    )


def _writer(content: bytes) -> Callable[[Path], object]:
    return lambda partial: partial.write_bytes(content)

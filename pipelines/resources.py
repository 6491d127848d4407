"""What assets and sensors read and write: the database, the registry, the data folder."""

import hashlib
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import dagster as dg

from kalshiflow.learning.episodes.files import EpisodeFileError, count_segments
from kalshiflow.settings import Settings, load
from kalshiflow.store.database import Store, run
from pipelines.registry import Registry

T = TypeVar("T")


class Variables(dg.ConfigurableResource):
    """The variables of this program, read when they are needed and never at import.

    `overrides` stand before the environment; tests use them.
    """

    overrides: dict[str, str] = {}  # noqa: RUF012 — a field of pydantic, copied for each instance

    def load(self) -> Settings:
        """Give the settings; raises `SettingsError` with one sentence where one is wrong."""
        return load("pipelines", {**os.environ, **self.overrides})

    def now(self) -> int:
        """Give our clock in UTC nanoseconds."""
        return time.time_ns()


class Database(Variables):
    """The database `app`, opened for one piece of work at a time."""

    def run(self, work: Callable[[Store], Awaitable[T]]) -> T:
        """Await `work` on an open store; raises `StoreError` where there is none."""
        return run(self.load().require("DATABASE_URL"), work)


class Policies(Variables):
    """The registered policies on the MLflow server."""

    def registry(self) -> Registry:
        """Connect to the server; the first call in a process imports mlflow."""
        return Registry(self.load().mlflow_tracking_uri)


class DataFolder(Variables):
    """Files too large for the database: episodes, datasets, what trainings leave behind."""

    def episodes_of(self, session_id: str) -> Path:
        """Give where a session's episodes stand."""
        return self.path("episodes", f"{session_id}.parquet")

    def count_episodes(self, session_id: str) -> int | None:
        """Give how many episodes stand there of a session.

        It is `None` where the session was never cut, or into a file that is not read any more.
        """
        path = self.episodes_of(session_id)
        try:
            return count_segments(path) if path.exists() else None
        except EpisodeFileError:
            return None

    def dataset(self, dataset_id: str, kind: str = ".json") -> Path:
        """Give where a dataset's manifest stands, or what is beside it, by how its name ends."""
        return self.path("datasets", f"{dataset_id}{kind}")

    def training(self, training_id: str) -> Path:
        """Give the folder of one training."""
        return self.path("trainings", training_id)

    def path(self, *parts: str) -> Path:
        """Give a place below the data folder."""
        return Path(self.load().rl_data_dir).absolute().joinpath(*parts)


def replace_file(path: Path, write: Callable[[Path], object]) -> str:
    """Have `write` make a file beside `path`, then put it there at once; gives its sha256.

    A reader, and a crash, see the old file or the new one and never half of either.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        write(partial)
        with partial.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return digest

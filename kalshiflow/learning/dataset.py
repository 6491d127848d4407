"""What a training is made from: the sessions by content, and the moment that splits them.

Everything up to `split_at` (market time) is for learning; everything after it, less an embargo
longer than any feature looks back, is for evaluation. Nothing learned from lies after the split.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from kalshiflow.learning.episode_files import file_sha256, read_segments
from kalshiflow.learning.episodes import Segment, split_segment

FORMAT = "kalshiflow-dataset-1"
EMBARGO = 40_000_000_000  # the longest look-back of a feature is 32 seconds


class DatasetError(ValueError):
    """Sessions that make no dataset, or files that are not the manifest's."""


@dataclass(frozen=True, slots=True)
class SessionPart:
    """One session's file in a dataset. Times are market time, nanoseconds."""

    session_id: str
    file: str
    sha256: str
    segments: int
    events: int
    starts_at: int
    ends_at: int


@dataclass(frozen=True, slots=True)
class DatasetManifest:
    """A dataset by content: equal sessions give an equal `dataset_id`."""

    sessions: tuple[SessionPart, ...]
    split_at: int
    embargo: int
    learn_fraction: float
    learn_segments: int
    learn_events: int
    evaluation_segments: int
    evaluation_events: int

    @property
    def dataset_id(self) -> str:
        """Give the first sixteen digits of the manifest's sha256."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    @property
    def session_ids(self) -> tuple[str, ...]:
        """Give the sessions in order of their beginning."""
        return tuple(part.session_id for part in self.sessions)

    @property
    def rows(self) -> int:
        """Give the number of events, both parts together."""
        return self.learn_events + self.evaluation_events

    def to_json(self) -> str:
        """Write the manifest in its one exact form."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "DatasetManifest":
        """Read what `to_json` wrote; raises `DatasetError` for another form."""
        values: Mapping[str, Any] = json.loads(text)
        if values.get("format") != FORMAT:
            raise DatasetError(f"a manifest in the form {values.get('format')!r}, not {FORMAT}")
        named = {field.name: values[field.name] for field in fields(cls)}
        named["sessions"] = tuple(SessionPart(**part) for part in values["sessions"])
        return cls(**named)


@dataclass(frozen=True, slots=True)
class Dataset:
    """The two parts of a dataset, in order of time."""

    learn: tuple[Segment, ...]
    evaluation: tuple[Segment, ...]


def build_dataset(
    files: Sequence[Path], *, learn_fraction: float = 0.7, embargo: int = EMBARGO
) -> DatasetManifest:
    """Describe the dataset of some sessions' segment files.

    `learn_fraction` is the share of the recorded market time that is learned from. Raises
    `DatasetError` where either part would be empty, naming the sessions that hold no segment.
    """
    if not 0 < learn_fraction < 1:
        raise DatasetError(f"a share of {learn_fraction} to learn from leaves nothing to one part")
    loaded = [(path, read_segments(path)) for path in files]
    empty = [path.name for path, segments in loaded if not segments]
    if empty:
        raise DatasetError(f"no segment in {', '.join(sorted(empty))}")
    parts = sorted((_part(p, s) for p, s in loaded), key=lambda part: (part.starts_at, part.file))
    if len({part.session_id for part in parts}) < len(parts):
        raise DatasetError("the same session was given twice")
    split_at = _split_time(parts, learn_fraction)
    dataset = _split([s for _, segments in loaded for s in segments], split_at, embargo)
    if not dataset.learn or not dataset.evaluation:
        raise DatasetError(
            f"{len(parts)} sessions leave {len(dataset.learn)} segments to learn from "
            f"and {len(dataset.evaluation)} to evaluate on"
        )
    return DatasetManifest(
        sessions=tuple(parts),
        split_at=split_at,
        embargo=embargo,
        learn_fraction=learn_fraction,
        learn_segments=len(dataset.learn),
        learn_events=sum(len(s.events) for s in dataset.learn),
        evaluation_segments=len(dataset.evaluation),
        evaluation_events=sum(len(s.events) for s in dataset.evaluation),
    )


def load_dataset(manifest: DatasetManifest, folder: Path) -> Dataset:
    """Read a dataset's files from a folder and split them.

    Raises `DatasetError` for a file whose bytes are not the manifest's.
    """
    segments: list[Segment] = []
    for part in manifest.sessions:
        path = folder / part.file
        found = file_sha256(path)
        if found != part.sha256:
            raise DatasetError(f"{path.name} has sha256 {found[:12]}, not {part.sha256[:12]}")
        segments += read_segments(path)
    return _split(segments, manifest.split_at, manifest.embargo)


def _part(path: Path, segments: Sequence[Segment]) -> SessionPart:
    return SessionPart(
        session_id=segments[0].session_id,
        file=path.name,
        sha256=file_sha256(path),
        segments=len(segments),
        events=sum(len(segment.events) for segment in segments),
        starts_at=min(segment.starts_at for segment in segments),
        ends_at=max(segment.ends_at for segment in segments),
    )


def _split_time(parts: Sequence[SessionPart], learn_fraction: float) -> int:
    """Give the market time by which `learn_fraction` of the sessions' time was recorded."""
    left = int(sum(part.ends_at - part.starts_at for part in parts) * learn_fraction)
    for part in parts:
        length = part.ends_at - part.starts_at
        if left <= length:
            return part.starts_at + left
        left -= length
    return parts[-1].ends_at


def _split(segments: Sequence[Segment], split_at: int, embargo: int) -> Dataset:
    learn: list[Segment] = []
    evaluation: list[Segment] = []
    for segment in sorted(segments, key=lambda s: (s.starts_at, s.session_id, s.ticker)):
        before, after = split_segment(segment, split_at, embargo)
        if before is not None:
            learn.append(before)
        if after is not None:
            evaluation.append(after)
    return Dataset(tuple(learn), tuple(evaluation))

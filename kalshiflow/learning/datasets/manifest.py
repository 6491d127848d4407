"""What a training is made from, in one exact form: equal datasets have equal bytes and ids."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

FORMAT = "kalshiflow-dataset-2"


class ManifestError(ValueError):
    """A text that is no manifest in the form that is read here."""


@dataclass(frozen=True, slots=True)
class SessionPart:
    """One session of a dataset: its file by content, what is known of it, its market time.

    `verdict` and `reason` are those it was closed with; times are nanoseconds.
    """

    session_id: str
    file: str
    sha256: str
    verdict: str
    reason: str
    environment: str
    origin: str
    segments: int
    events: int
    starts_at: int
    ends_at: int


@dataclass(frozen=True, slots=True)
class PartSize:
    """How much one of a dataset's parts holds, and how much did not fit into memory."""

    segments: int
    events: int
    segments_left_out: int = 0
    events_left_out: int = 0


@dataclass(frozen=True, slots=True)
class DatasetManifest:
    """A dataset by content.

    What is learned from lies up to `split_at`, what is evaluated on after `split_at + embargo`;
    nothing of `unseen_markets`, the markets of `unseen_events`, is learned from. Where not all fits
    into memory, either part takes at most `memory_bytes` of it, by chance, with `seed`.
    `statistics_sha256` and `coverage_sha256` are those of the files beside the manifest.
    """

    sessions: tuple[SessionPart, ...]
    split_at: int
    embargo: int
    learn_fraction: float
    event_share: float
    unseen_events: tuple[str, ...]
    unseen_markets: tuple[str, ...]
    memory_bytes: int | None
    seed: int
    learn: PartSize
    evaluation: PartSize
    fingerprint: str
    statistics_sha256: str = ""
    coverage_sha256: str = ""

    @property
    def dataset_id(self) -> str:
        """Give the first sixteen digits of the manifest's sha256."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    @property
    def session_ids(self) -> tuple[str, ...]:
        """Give the sessions in order of their beginning."""
        return tuple(part.session_id for part in self.sessions)

    @property
    def learn_events(self) -> int:
        """Give the number of events to learn from."""
        return self.learn.events

    @property
    def rows(self) -> int:
        """Give the number of events, both parts together."""
        return self.learn.events + self.evaluation.events

    def to_json(self) -> str:
        """Write the manifest in its one exact form."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "DatasetManifest":
        """Read what `to_json` wrote; raises `ManifestError` for another form."""
        values: Mapping[str, Any] = json.loads(text)
        if values.get("format") != FORMAT:
            raise ManifestError(
                f"a manifest in the form {values.get('format')!r}, not {FORMAT}: materialise "
                f"training_dataset again"
            )
        named = {field.name: values[field.name] for field in fields(cls)}
        named["sessions"] = tuple(SessionPart(**part) for part in values["sessions"])
        named["learn"] = PartSize(**values["learn"])
        named["evaluation"] = PartSize(**values["evaluation"])
        for name in ("unseen_events", "unseen_markets"):
            named[name] = tuple(values[name])
        return cls(**named)

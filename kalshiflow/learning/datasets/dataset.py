"""What a training is made from: sessions by content, parted by time and by event.

A dataset is described by its manifest; its segments are read from the sessions' own files, whose
bytes must be the manifest's. Either part takes at most so much memory: where more was recorded,
segments are left out by chance, always the same ones, and counted.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kalshiflow.agent.action import fingerprint
from kalshiflow.learning.datasets.fitting import Taken
from kalshiflow.learning.datasets.manifest import DatasetManifest, PartSize, SessionPart
from kalshiflow.learning.datasets.parting import Parts, parted, taken_of
from kalshiflow.learning.datasets.splits import Terms, held_out, markets_of, moment_of
from kalshiflow.learning.episodes.files import Head, file_sha256, read_heads
from kalshiflow.learning.episodes.segments import Segment

MEMORY = 512 << 20
SEED = 7


class DatasetError(ValueError):
    """Sessions that make no dataset, or files that are not the manifest's."""


@dataclass(frozen=True, slots=True)
class SessionFile:
    """A session's file of segments, and what is known of the session."""

    session_id: str
    path: Path
    verdict: str = "ok"
    reason: str = ""
    environment: str = "local"
    origin: str = "collector"


@dataclass(frozen=True, slots=True)
class Dataset:
    """The parts of a dataset, each in order of time. Nothing of `unseen` markets is in `learn`."""

    learn: tuple[Segment, ...]
    evaluation: tuple[Segment, ...]
    unseen: frozenset[str] = frozenset()

    def is_unseen(self, segment: Segment) -> bool:
        """Say whether nothing of the event of a segment's market was learned from."""
        return segment.ticker in self.unseen


def build_dataset(
    files: Iterable[SessionFile],
    terms: Terms | None = None,
    *,
    memory_bytes: int = MEMORY,
    seed: int = SEED,
) -> DatasetManifest:
    """Describe the dataset of some sessions' files; the same ones give the same in any order.

    Raises `DatasetError` where either part would be empty, and for a session that is given twice or
    holds no segment.
    """
    terms = terms or Terms()
    files = tuple(files)
    if len({file.session_id for file in files}) < len(files):
        raise DatasetError("the same session was given twice")
    if not files:
        raise DatasetError("there is no session to learn from")
    heads = {file.session_id: read_heads(file.path) for file in files}
    parts = sorted(
        (_session_part(file, heads[file.session_id]) for file in files),
        key=lambda part: (part.starts_at, part.session_id),
    )
    listed = _events_of(head for of in heads.values() for head in of)
    unseen = held_out({event for events in listed.values() for event in events}, terms.event_share)
    manifest = DatasetManifest(
        sessions=tuple(parts),
        split_at=moment_of([(one.starts_at, one.ends_at) for one in parts], terms.learn_fraction),
        embargo=terms.embargo,
        learn_fraction=terms.learn_fraction,
        event_share=terms.event_share,
        unseen_events=tuple(sorted(unseen)),
        unseen_markets=tuple(sorted(markets_of(listed, unseen))),
        memory_bytes=memory_bytes,
        seed=seed,
        learn=PartSize(0, 0),
        evaluation=PartSize(0, 0),
        fingerprint=fingerprint(),
    )
    return _sized(manifest, {file.session_id: file.path for file in files})


def load_dataset(manifest: DatasetManifest, folder: Path) -> Dataset:
    """Read both parts of a dataset from the folder of its files.

    Raises `DatasetError` for a file whose bytes are not the manifest's.
    """
    learn: list[Segment] = []
    evaluation: list[Segment] = []
    for one, other in iter_dataset(manifest, folder):
        learn += [] if one is None else [one]
        evaluation += [] if other is None else [other]
    return Dataset(_ordered(learn), _ordered(evaluation), frozenset(manifest.unseen_markets))


def load_learn(manifest: DatasetManifest, folder: Path) -> tuple[Segment, ...]:
    """Read what is learned from, and nothing else; raises as `load_dataset`."""
    found = iter_dataset(manifest, folder, evaluation=False)
    return _ordered(learn for learn, _ in found if learn is not None)


def load_evaluation(manifest: DatasetManifest, folder: Path) -> Dataset:
    """Read what is evaluated on, and nothing else; raises as `load_dataset`."""
    found = iter_dataset(manifest, folder, learn=False)
    evaluation = _ordered(evaluation for _, evaluation in found if evaluation is not None)
    return Dataset((), evaluation, frozenset(manifest.unseen_markets))


def iter_dataset(
    manifest: DatasetManifest, folder: Path, *, learn: bool = True, evaluation: bool = True
) -> Iterator[Parts]:
    """Give what is learned from and what is evaluated on of one segment after the other.

    One of them is held at a time. Raises `DatasetError` for a file of other bytes.
    """
    for part in manifest.sessions:
        found = file_sha256(folder / part.file)
        if found != part.sha256:
            raise DatasetError(f"{part.file} has sha256 {found[:12]}, not {part.sha256[:12]}")
    paths = {part.session_id: folder / part.file for part in manifest.sessions}
    taken = taken_of(manifest, paths)
    yield from parted(
        manifest, paths, taken[0] if learn else None, taken[1] if evaluation else None
    )


def _session_part(file: SessionFile, heads: Sequence[Head]) -> SessionPart:
    if not heads:
        raise DatasetError(f"there is no segment in session {file.session_id}")
    others = {head.session_id for head in heads} - {file.session_id}
    if others:
        raise DatasetError(f"{file.path.name} holds session {others.pop()}, not {file.session_id}")
    return SessionPart(
        session_id=file.session_id,
        file=file.path.name,
        sha256=file_sha256(file.path),
        verdict=file.verdict,
        reason=file.reason,
        environment=file.environment,
        origin=file.origin,
        segments=len(heads),
        events=sum(head.events for head in heads),
        starts_at=min(head.starts_at for head in heads),
        ends_at=max(head.ends_at for head in heads),
    )


def _events_of(heads: Iterable[Head]) -> dict[str, frozenset[str]]:
    """Give every event that a market was ever listed under, by its ticker."""
    listed: dict[str, frozenset[str]] = {}
    for head in heads:
        listed[head.ticker] = listed.get(head.ticker, frozenset()) | {head.market.event_ticker}
    return listed


def _sized(manifest: DatasetManifest, paths: Mapping[str, Path]) -> DatasetManifest:
    """Count what each part holds; raises `DatasetError` for an empty one."""
    taken = taken_of(manifest, paths)
    sizes: tuple[list[int], list[int]] = ([], [])
    for parts in parted(manifest, paths, *taken):
        for of, segment in zip(sizes, parts, strict=True):
            if segment is not None:
                of.append(len(segment))
    if not all(sizes):
        raise DatasetError(_emptiness(manifest, len(sizes[0]), len(sizes[1]), taken))
    learn, evaluation = (
        PartSize(len(of), sum(of), out.segments_left_out, out.events_left_out)
        for of, out in zip(sizes, taken, strict=True)
    )
    # A limit that leaves nothing out is not part of what the dataset is.
    is_whole = not learn.segments_left_out and not evaluation.segments_left_out
    limit = None if is_whole else manifest.memory_bytes
    return replace(manifest, learn=learn, evaluation=evaluation, memory_bytes=limit)


def _emptiness(
    manifest: DatasetManifest, learn: int, evaluation: int, taken: tuple[Taken, Taken]
) -> str:
    told = (
        f"{len(manifest.sessions)} sessions leave {learn} segments to learn from "
        f"and {evaluation} to evaluate on"
    )
    left_out = taken[0].segments_left_out + taken[1].segments_left_out
    if left_out and manifest.memory_bytes is not None:
        mebibytes = manifest.memory_bytes / (1 << 20)
        told += f"; {left_out} do not fit into {mebibytes:g} MB, see RL_DATASET_MEMORY_MB"
    return told


def _ordered(segments: Iterable[Segment]) -> tuple[Segment, ...]:
    return tuple(sorted(segments, key=lambda one: (one.starts_at, one.session_id, one.ticker)))

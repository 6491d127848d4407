"""A dataset's parts, read from the sessions' files by its manifest."""

from collections.abc import Collection, Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from kalshiflow.learning.datasets.fitting import Taken, Wanted, take
from kalshiflow.learning.datasets.manifest import DatasetManifest
from kalshiflow.learning.datasets.splits import Split
from kalshiflow.learning.episodes.files import iter_parts, read_heads
from kalshiflow.learning.episodes.segments import Segment, joined

# In columns, and once more end to end where the environment plays it.
EVENT_BYTES = 80
NUMBER_BYTES = 16  # of a snapshot's body

Parts = tuple[Segment | None, Segment | None]


def taken_of(manifest: DatasetManifest, paths: Mapping[str, Path]) -> tuple[Taken, Taken]:
    """Choose the segments of each part, from the heads of the sessions' files."""
    split = _split_of(manifest)
    learn: list[Wanted] = []
    evaluation: list[Wanted] = []
    for session_id, path in paths.items():
        for number, head in enumerate(read_heads(path)):
            size = head.events * EVENT_BYTES + head.numbers * NUMBER_BYTES
            one = Wanted(session_id, number, head.events, size)
            if head.starts_at <= split.at and head.ticker not in split.unseen:
                learn.append(one)
            if head.ends_at > split.evaluates_from:
                evaluation.append(one)
    return (
        take(learn, manifest.memory_bytes, manifest.seed),
        take(evaluation, manifest.memory_bytes, manifest.seed),
    )


def parted(
    manifest: DatasetManifest,
    paths: Mapping[str, Path],
    learn: Taken | None,
    evaluation: Taken | None,
) -> Iterator[Parts]:
    """Give both parts of one segment after the other, of those that are taken at all.

    `paths` are the sessions' files. One whole segment is held at a time.
    """
    split = _split_of(manifest)
    to_learn = frozenset() if learn is None else learn.segments
    to_evaluate = frozenset() if evaluation is None else evaluation.segments
    wanted: dict[str, set[int]] = {}
    for name, number in to_learn | to_evaluate:
        wanted.setdefault(name, set()).add(number)
    for part in manifest.sessions:
        of = wanted.get(part.session_id, set())
        for number, segment in _segments(paths[part.session_id], of):
            before, after = split.parts(segment)
            key = (part.session_id, number)
            yield before if key in to_learn else None, after if key in to_evaluate else None


def _split_of(manifest: DatasetManifest) -> Split:
    return Split(manifest.split_at, manifest.embargo, frozenset(manifest.unseen_markets))


def _segments(path: Path, wanted: Collection[int]) -> Iterator[tuple[int, Segment]]:
    """Give some of a file's segments, each with its number."""
    heads = read_heads(path)
    for number, parts in groupby(iter_parts(path), key=itemgetter(0)):
        if number in wanted:
            head, events = heads[number], joined([events for _, events in parts])
            yield (
                number,
                Segment(head.ticker, head.session_id, head.market, events, head.has_trades),
            )

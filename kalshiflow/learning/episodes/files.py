"""Segments in Parquet files: the same segments give the same bytes, and come back equal.

A file's rows are events, segment after segment; they are written and read in groups of one size, so
that memory does not grow with a file or with a segment.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from kalshiflow.learning.episodes.heads import (
    FORMAT,
    EpisodeFileError,
    Head,
    Origin,
    from_metadata,
    head_of,
    to_metadata,
)
from kalshiflow.learning.episodes.rows import NO_ACCOUNTS, SCHEMA, from_table, to_table
from kalshiflow.learning.episodes.segments import Events, Segment, joined, slice_of

__all__ = [
    "FORMAT",
    "EpisodeFile",
    "EpisodeFileError",
    "Head",
    "Origin",
    "count_segments",
    "file_sha256",
    "iter_parts",
    "iter_segments",
    "read_accounts",
    "read_heads",
    "read_origin",
    "read_segments",
    "segment_from",
    "write_segments",
]

ROWS_IN_GROUP = 1 << 16
_NUMBERS = ("segment", "kind", "side", "index", "quantity", "at", "frame_no", "body.list.element")


class EpisodeFile:
    """A file of segments whose heads are known; `add` takes their events in the same order."""

    def __init__(
        self,
        path: Path,
        origin: Origin,
        heads: Sequence[Head],
        accounts: NDArray[np.int64] = NO_ACCOUNTS,
    ) -> None:
        self._accounts = accounts
        self._parts: list[Events] = []
        self._numbers: list[NDArray[np.int32]] = []
        self._waiting = 0
        schema = SCHEMA.with_metadata(to_metadata(origin, heads))
        self._writer = pq.ParquetWriter(
            path,
            schema,
            compression="zstd",
            use_dictionary=False,
            column_encoding=dict.fromkeys(_NUMBERS, "DELTA_BINARY_PACKED"),
        )
        self._schema = schema

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None and self._waiting:
            self._write()
        self._writer.close()

    def add(self, number: int, events: Events) -> None:
        """Add events of segment `number`, the first of which is 0."""
        first = 0
        while first < len(events):
            end = min(len(events), first + ROWS_IN_GROUP - self._waiting)
            self._parts.append(slice_of(events, first, end))
            self._numbers.append(np.full(end - first, number, np.int32))
            self._waiting += end - first
            first = end
            if self._waiting == ROWS_IN_GROUP:
                self._write()

    def _write(self) -> None:
        table = to_table(np.concatenate(self._numbers), joined(self._parts), self._accounts)
        self._writer.write_table(table.cast(self._schema), ROWS_IN_GROUP)
        self._parts, self._numbers, self._waiting = [], [], 0


def write_segments(
    path: Path,
    segments: Sequence[Segment],
    origin: Origin | None = None,
    accounts: NDArray[np.int64] = NO_ACCOUNTS,
) -> str:
    """Write segments to a Parquet file and give the sha256 of its bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(path.suffix + ".part")
    told = origin or Origin(segments[0].session_id if segments else "")
    with EpisodeFile(part, told, [head_of(one) for one in segments], accounts) as file:
        for number, segment in enumerate(segments):
            file.add(number, segment.events)
    part.replace(path)
    return file_sha256(path)


def read_segments(path: Path) -> list[Segment]:
    """Read the segments of a file; raises `EpisodeFileError` for one in another form."""
    return list(iter_segments(path))


def iter_segments(path: Path) -> Iterator[Segment]:
    """Give the segments of a file one after another."""
    heads = read_heads(path)
    number, parts = 0, list[Events]()
    for found, events in iter_parts(path):
        if found != number:
            yield segment_from(heads[number], parts)
            number, parts = found, []
        parts.append(events)
    if parts:
        yield segment_from(heads[number], parts)


def iter_parts(path: Path) -> Iterator[tuple[int, Events]]:
    """Give the events of a file, some at a time, each time of one segment, with its number."""
    for numbers, events, _ in _groups(path):
        starts = np.flatnonzero(np.diff(numbers, prepend=-1)).tolist()
        for first, end in zip(starts, [*starts[1:], len(numbers)], strict=True):
            yield int(numbers[first]), slice_of(events, first, end)


def read_accounts(path: Path) -> NDArray[np.int64]:
    """Give the account table of a file, which its ACCOUNT events point into."""
    return np.concatenate([NO_ACCOUNTS, *(told for _, _, told in _groups(path))])


def read_heads(path: Path) -> list[Head]:
    """Give the heads of a file's segments, without reading their events."""
    return _head(path)[1]


def read_origin(path: Path) -> Origin:
    """Give what a file was cut from."""
    return _head(path)[0]


def count_segments(path: Path) -> int:
    """Give how many segments a file holds, from its head alone."""
    return len(read_heads(path))


def file_sha256(path: Path) -> str:
    """Give the sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _head(path: Path) -> tuple[Origin, list[Head]]:
    try:
        return from_metadata(path.name, pq.read_schema(path).metadata)
    except pa.ArrowInvalid as invalid:
        raise EpisodeFileError(f"{path.name} is no Parquet file: {invalid}") from invalid


def _groups(path: Path) -> Iterator[tuple[NDArray[np.int32], Events, NDArray[np.int64]]]:
    _head(path)
    accounts = 0
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            numbers, events, told = from_table(file.read_row_group(group), accounts)
            accounts += len(told)
            yield numbers, events, told


def segment_from(head: Head, parts: Iterable[Events]) -> Segment:
    """Give a segment of a head and its events, which may come in parts."""
    events = joined(list(parts))
    return Segment(head.ticker, head.session_id, head.market, events, head.has_trades)

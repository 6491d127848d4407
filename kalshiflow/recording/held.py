"""The segments that a spool holds, and reading records over them."""

from collections.abc import Callable, Generator, Iterator
from pathlib import Path

from kalshiflow.recording.blocks import SEGMENT_HEAD_BYTES, Record, records
from kalshiflow.recording.segments import SUFFIX, Segment
from kalshiflow.recording.spool_errors import SpoolDamaged, SpoolError
from kalshiflow.recording.spool_folder import make_folder, sync_folder

DAMAGED = "damaged"


class HeldSegments:
    """Segments in order. One thread changes them; another may `read` meanwhile."""

    def __init__(self, folder: Path, spool_id: str, segments: list[Segment]) -> None:
        self.all: tuple[Segment, ...] = tuple(segments)  # replaced, never changed
        self._folder = folder
        self._spool_id = spool_id
        self._aside = frozenset(
            int(path.stem) for path in (folder / DAMAGED).glob("[0-9]" * 20 + SUFFIX)
        )
        self._bookmark: tuple[Segment, int, int] | None = None  # a block's offset and first record

    @property
    def first(self) -> int:
        """The first record that is held; 0 where there is none."""
        return self.all[0].first if self.all else 0

    def add(self, segment: Segment) -> None:
        """Hold one more, behind the others."""
        self.all = (*self.all, segment)

    def drop(self, segment: Segment) -> None:
        """Hold a segment no more."""
        self.all = tuple(held for held in self.all if held is not segment)

    def set_aside(self, segment: Segment) -> Path:
        """Move a segment's file to `damaged/`; its records are left out from then on."""
        aside = self._folder / DAMAGED
        make_folder(aside)
        target = segment.path.rename(aside / segment.path.name)
        sync_folder(aside)
        sync_folder(self._folder)
        self._aside |= {segment.first}
        self.drop(segment)
        return target

    def ended_by(self, position: int, durable: int) -> list[Segment]:
        """Give the segments, never the last, whose records all lie up to a position.

        The checkpoint behind each is durable: a loss of power must not leave neither of the two.
        """
        return [
            segment
            for segment, later in zip(self.all[:-1], self.all[1:], strict=True)
            if later.first - 1 <= position and later.first <= durable
        ]

    def holding(self, position: int) -> Segment | None:
        """Give the last segment that begins at a position or before it."""
        return next((held for held in reversed(self.all) if held.first <= position), None)

    def read(self, after: int, flushed: Callable[[], int]) -> Iterator[Record]:
        """Give the records after a position until `flushed` is reached; see `Spool.read`."""
        position = after
        while position < flushed():
            segment = self.holding(position + 1)
            if lost := self._lost_until(position + 1, flushed()):
                position = lost
            elif segment is None:
                raise SpoolError(f"record {position + 1} is not held: the first is {self.first}")
            else:
                before = position
                position = yield from self._read_segment(segment, position)
                if position == before:  # it ends too early, and nothing comes behind it
                    raise SpoolDamaged(
                        segment.path, segment.size, segment=segment.first, position=position + 1
                    )

    def _read_segment(self, segment: Segment, position: int) -> Generator[Record, None, int]:
        offset, begin = SEGMENT_HEAD_BYTES, segment.first
        mark = self._bookmark
        if mark is not None and mark[0] is segment and mark[2] <= position + 1:
            _, offset, begin = mark
        for found, block in segment.blocks(self._spool_id, offset, begin):
            self._bookmark = (segment, found, block.first)
            offset = found + block.size
            if block.last <= position:
                continue
            for record in records(block):
                if record.position > position:
                    yield record
            position = block.last
        later = self._next_start(segment.first)
        if later is not None and position + 1 < later:  # it ends before its last record
            raise SpoolDamaged(segment.path, offset, segment=segment.first, position=position + 1)
        return position

    def _lost_until(self, position: int, flushed: int) -> int | None:
        # A record belongs to the last segment that began before it, held or set aside.
        aside = max((first for first in self._aside if first <= position), default=0)
        held = self.holding(position)
        if not aside or (held is not None and held.first > aside):
            return None
        later = next((held.first for held in self.all if held.first > aside), None)
        return flushed if later is None else later - 1

    def _next_start(self, first: int) -> int | None:
        starts = [held.first for held in self.all] + list(self._aside)
        return min((start for start in starts if start > first), default=None)

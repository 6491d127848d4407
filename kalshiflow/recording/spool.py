"""The write-ahead spool: every record is in a file before anything else is done with it.

One process has it, and one thread of it calls everything but `read`, which may run in another.
"""

from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from kalshiflow.recording.archive import Archiver
from kalshiflow.recording.blocks import Kind, Record, encode_block, segment_head
from kalshiflow.recording.group_sync import GroupSync
from kalshiflow.recording.held import HeldSegments
from kalshiflow.recording.segment_writer import SegmentWriter
from kalshiflow.recording.segments import Segment, ending, find_segments, remove_segment
from kalshiflow.recording.spool_errors import SpoolDamaged, SpoolError, SpoolFull, SpoolInUse
from kalshiflow.recording.spool_folder import SpoolFolder

__all__ = ["Kind", "Record", "Spool", "SpoolDamaged", "SpoolError", "SpoolFull", "SpoolInUse"]

SEGMENT_BYTES = 64 * 2**20
SEGMENTS_WITHIN_LIMIT = 4  # a smaller share would leave nothing to release in a full spool


class Spool:
    """Records in segment files of one folder, at dense positions from 1.

    `append` gathers, `flush` writes what was gathered as one block; `flushed` records survive the
    end of the process, `durable` ones a loss of power. Each segment begins with a checkpoint, so
    that reading may begin there. `torn_bytes` is what opening cut off behind the last whole block.
    """

    def __init__(
        self, folder: SpoolFolder, limit_bytes: int, segment_bytes: int, archive: Path | None
    ) -> None:
        """See `open`."""
        self.spool_id = folder.spool_id
        self.position = 0
        self.flushed = 0
        self.torn_bytes = 0
        self._released = 0  # records up to here are needed no more
        self._folder = folder
        self._segment_bytes = min(segment_bytes, limit_bytes // SEGMENTS_WITHIN_LIMIT)
        self._archiver = None if archive is None else Archiver(archive, self.spool_id)
        self._kinds = bytearray()
        self._times = array("q")
        self._contents: list[bytes] = []
        self._writer = SegmentWriter(folder.path, limit_bytes, self._segment_bytes)
        segments = self._restore()
        self._held = HeldSegments(folder.path, folder.spool_id, segments)
        self._sync = GroupSync(self.flushed)

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        limit_bytes: int,
        segment_bytes: int = SEGMENT_BYTES,
        archive: Path | None = None,
    ) -> Self:
        """Open the spool in a folder, or make one there.

        `limit_bytes` is for all segments together, archived ones excluded; segments are made no
        longer than a quarter of it. Without `archive` a released segment is deleted. Raises
        `SpoolInUse`, `SpoolError` or `OSError`.
        """
        taken = SpoolFolder(folder)
        try:
            return cls(taken, limit_bytes, segment_bytes, archive)
        except BaseException:
            taken.close()
            raise

    @property
    def durable(self) -> int:
        """The last record that a loss of power would leave."""
        return self._sync.durable

    @property
    def folder(self) -> Path:
        """Where its segments are."""
        return self._folder.path

    @property
    def first(self) -> int:
        """The first record that is still held; 0 where there is none."""
        return self._held.first

    @property
    def bytes_held(self) -> int:
        """The bytes of all segments."""
        self._forget_moved()
        return self._writer.bytes_held

    @property
    def is_full(self) -> bool:
        """Whether the last write found no room; the next one that succeeds ends it."""
        return self._writer.why_full is not None

    @property
    def trouble(self) -> str | None:
        """What is wrong, in a sentence; None while nothing is."""
        if self._writer.why_full is not None or self._archiver is None:
            return self._writer.why_full
        return self._archiver.trouble

    @property
    def needs_segment(self) -> bool:
        """Whether the segment has reached its length, or none is open."""
        return not self._writer.is_open or self._writer.size >= self._segment_bytes

    @property
    def is_spent(self) -> bool:
        """Whether one segment is left, and of that no record is needed any more.

        Only another segment makes room then: `begin_segment_ahead`.
        """
        held = self._held.all
        return len(held) == 1 and held[0].first < self.flushed <= self._released

    @property
    def poisoned(self) -> frozenset[int]:
        """Positions of records that ended the process twice or more often."""
        return self._folder.poisoned

    def append(self, kind: int, at: int, content: bytes) -> int:
        """Take a record, received at `at` (UTC nanoseconds), into memory; gives its position."""
        self._times.append(at)
        self._kinds.append(kind)
        self._contents.append(content)
        self.position = position = self.position + 1
        return position

    def flush(self) -> None:
        """Write the records in memory as one block.

        Raises `SpoolFull` where the limit or the disk forbids it: the records stay in memory, and a
        later call writes them. Raises `SpoolError` where no segment is open or the disk fails.
        """
        if not self._contents:
            return
        self._forget_moved()
        block = encode_block(
            self.flushed + 1, self._sync.durable, self._kinds, self._times, self._contents
        )
        self._writer.write(block)
        self.flushed = self.position
        self._sync.wrote()
        self._kinds.clear()
        del self._times[:]
        self._contents.clear()

    def begin_segment(self, checkpoint: bytes, at: int, *, after: int = 0) -> None:
        """Close the segment and begin another, whose first record is the checkpoint.

        The closed one is durable then. Positions up to `after` are passed over. Raises as `flush`
        does, and leaves everything as it was.
        """
        self.flush()
        self._begin(max(self.position, after) + 1, checkpoint, at)
        self.position = self.flushed

    def begin_segment_ahead(self, checkpoint: bytes, at: int) -> None:
        """Begin a segment ahead of the records in memory, and release those that are spent then.

        The checkpoint is that of the last flushed record, and has the position after it: those in
        memory are one further back from now on. Raises as `begin_segment` does.
        """
        waiting = len(self._contents)
        self._begin(self.flushed + 1, checkpoint, at)
        self.position = self.flushed + waiting
        self.sync()
        self.release()

    async def keep_durable(self) -> None:
        """Make flushed records durable for ever, all that wait with one sync.

        Raises `SpoolError` where the disk refuses. Ends by cancellation only, before `close`.
        """
        await self._sync.keep(self._sync_written)

    def sync(self) -> None:
        """Make flushed records durable now; the caller waits for the disk. Raises `SpoolError`."""
        if not self._writer.is_open or self._sync.durable == self.flushed:
            return
        try:
            position = self._sync_written()
        except OSError as failed:
            raise SpoolError(f"the disk of the spool fails: {failed}") from failed
        self._sync.reach(position)

    async def until_durable(self, position: int) -> None:
        """Wait until a record is durable, which takes `keep_durable` running."""
        await self._sync.until(position)

    def read(self, after: int) -> Iterator[Record]:
        """Give the flushed records after a position, checkpoints included, also while more come.

        It ends where it has caught up. Raises `SpoolError` where the first of them was released and
        `SpoolDamaged` where a block does not read back; the records of segments that were set
        aside are left out.
        """
        return self._held.read(after, lambda: self.flushed)

    def segment_start(self, position: int) -> int:
        """Give the position of the checkpoint from which a position is reached.

        For one that is not there yet it is the last checkpoint, for one that was released the
        first; 0 where the spool holds none.
        """
        segment = self._held.holding(position)
        return self.first if segment is None else segment.first

    def segment_after(self, position: int) -> int | None:
        """Give the position of the first checkpoint after a position; None where there is none."""
        return next((held.first for held in self._held.all if held.first > position), None)

    def release(self, position: int = 0) -> None:
        """Give up segments that end at this position or before it, never the last one.

        They are deleted, or with an archive compressed there by a thread and then deleted. Those of
        an earlier call that are still there, since the archive took none, are tried again.
        """
        self._released = max(self._released, position)
        for segment in self._held.ended_by(self._released, self._sync.durable):
            if self._archiver is not None:
                self._archiver.take(segment)
            else:
                remove_segment(segment)
                self._forget(segment)
        self._forget_moved()

    def set_aside(self, segment: int) -> Path:
        """Move the damaged segment that begins at this position to `damaged/`; gives its path.

        Its records are left out of reading from then on. Raises `SpoolError` for the segment that
        is being written: begin another one first.
        """
        damaged = next(held for held in self._held.all if held.first == segment)
        if damaged is self._held.all[-1]:
            if self._writer.is_open:
                raise SpoolError("the segment that is being written cannot be set aside")
            self._folder.raise_floor(self.position)
        target = self._held.set_aside(damaged)
        self._writer.bytes_held -= damaged.size
        return target

    def mark_poison(self, position: int) -> int:
        """Count a record that is about to end the process, durably; gives how often it has."""
        return self._folder.mark_poison(position)

    def close(self) -> None:
        """Write and sync what is in memory, and give the folder back.

        Raises as `flush` does, with everything closed all the same.
        """
        try:
            if self._writer.is_open:
                self.flush()
                self.sync()
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Give the folder back as it is: what is in memory is lost, as by a kill."""
        if self._archiver is not None:
            self._archiver.close()
        self._writer.close()
        self._folder.close()

    def _begin(self, first: int, checkpoint: bytes, at: int) -> None:
        self.sync()
        self._forget_moved()
        kinds, times = bytearray((Kind.CHECKPOINT,)), array("q", (at,))
        block = encode_block(first, self._sync.durable, kinds, times, [checkpoint])
        segment = self._writer.begin(first, (segment_head(self.spool_id, first), *block))
        self._held.add(segment)
        self.flushed = first
        self._sync.wrote()

    def _restore(self) -> list[Segment]:
        segments = find_segments(self._folder.path)
        position = self._folder.floor
        while segments:
            last = segments[-1]
            end = ending(last, self.spool_id)
            if end.position < last.first:  # it was being made: not even its checkpoint stands
                self.torn_bytes += last.size
                remove_segment(segments.pop())  # first of all: a full disk may need its bytes
                self._folder.raise_floor(last.first - 1)
                position = max(position, last.first - 1)
                continue
            position = max(position, end.position)
            if not end.is_damaged:
                self.torn_bytes += last.size - end.size
                self._writer.reopen(last, end.size)
            break
        self._writer.bytes_held = sum(segment.size for segment in segments)
        self.position = self.flushed = position
        return segments

    def _sync_written(self) -> int:
        return self._writer.sync(lambda: self.flushed)

    def _forget_moved(self) -> None:
        if self._archiver is not None:
            for segment in self._archiver.moved():
                self._forget(segment)

    def _forget(self, segment: Segment) -> None:
        self._held.drop(segment)
        self._writer.forget(segment)
        self._folder.forget_poison(self.first - 1)

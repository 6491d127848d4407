"""The end of a spool: the segment that is being written, made durable, within a limit."""

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path

from kalshiflow.recording.segments import Segment, create_segment, reopen_segment, reserve
from kalshiflow.recording.spare_room import SPARE_BYTES, SpareRoom
from kalshiflow.recording.spool_errors import SpoolError, SpoolFull
from kalshiflow.recording.spool_folder import sync_folder

DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_MEGABYTE = 2**20


class SegmentWriter:
    """Writes whole blocks or nothing. One thread writes; `sync` may run in another.

    Disk space for `segment_bytes` is reserved with each segment, and some is spared for the next
    one's beginning. `bytes_held` is what all segments take together; no write lets it pass `limit`.
    """

    def __init__(self, folder: Path, limit: int, segment_bytes: int) -> None:
        self.bytes_held = 0
        self.why_full: str | None = None
        self._folder = folder
        self._limit = limit
        self._segment_bytes = segment_bytes
        self._spare = SpareRoom(folder)
        self._segment: Segment | None = None
        self._descriptor = -1
        self._folder_changed = False
        self._switching = threading.Lock()

    @property
    def is_open(self) -> bool:
        """Say whether there is a segment to write to."""
        return self._segment is not None

    @property
    def size(self) -> int:
        """The segment's bytes."""
        return 0 if self._segment is None else self._segment.size

    def reopen(self, segment: Segment, size: int) -> None:
        """Go on with a segment behind its good bytes."""
        self._descriptor = reopen_segment(segment, size)
        self._segment = segment
        self._spare_room()
        reserve(self._descriptor, size, self._segment_bytes)

    def write(self, block: tuple[bytes, bytes]) -> None:
        """Write a block; raises `SpoolFull` or `SpoolError`."""
        if self._segment is None:
            raise SpoolError("a record was flushed before the first segment was begun")
        size = len(block[0]) + len(block[1])
        self._make_sure_of_room(size)
        try:
            self._segment.write(self._descriptor, block)
        except OSError as failed:
            raise self._refused(failed) from failed
        self.bytes_held += size
        self.why_full = None

    def begin(self, first: int, parts: tuple[bytes, ...]) -> Segment:
        """Begin a segment with a header and a first block; raises as `write` does.

        On a full disk it takes the room that was spared for it.
        """
        self._make_sure_of_room(sum(map(len, parts)))
        segment, descriptor = self._create(first, parts)
        with self._switching:
            self.close()
            self._descriptor, self._segment = descriptor, segment
            self._folder_changed = True
        self._spare_room(segment.size)  # before the segment's own: that takes all there is
        reserve(descriptor, segment.size, self._segment_bytes)
        self.bytes_held += segment.size
        self.why_full = None
        return segment

    def forget(self, segment: Segment) -> None:
        """Take note that a segment is gone, and spare some of its room if that is due."""
        self.bytes_held -= segment.size
        self._spare_room()

    def sync(self, written: Callable[[], int]) -> int:
        """Make durable what is written; gives the position it reaches. Raises `OSError`.

        The position is asked for before the segment: it may lie in the one before, which was made
        durable when this one was begun.
        """
        with self._switching:  # a descriptor that is closed meanwhile would be another file's
            position = written()
            descriptor = os.dup(self._descriptor)
            folder, self._folder_changed = self._folder_changed, False
        try:
            os.fdatasync(descriptor)
            if folder:
                sync_folder(self._folder)
        finally:
            os.close(descriptor)
        return position

    def close(self) -> None:
        """Write no more to the segment, and give back what it did not need."""
        if self._segment is not None:
            if self._segment.size < self._segment_bytes:
                os.ftruncate(self._descriptor, self._segment.size)
            os.close(self._descriptor)
            self._segment = None

    def _create(self, first: int, parts: tuple[bytes, ...]) -> tuple[Segment, int]:
        while True:
            try:
                return create_segment(self._folder, first, parts)
            except OSError as failed:
                if failed.errno in DISK_FULL and self._spare.give_up():
                    continue
                self._spare_room()  # what it did not suffice for is not for records to fill
                raise self._refused(failed) from failed

    def _spare_room(self, checkpoint: int = 0) -> None:
        self._spare.keep(max(min(SPARE_BYTES, self._segment_bytes), 2 * checkpoint))

    def _make_sure_of_room(self, size: int) -> None:
        if self.bytes_held + size > self._limit:
            self.why_full = (
                f"the spool is full: it holds {self.bytes_held / _MEGABYTE:,.0f} MiB of at most "
                f"{self._limit / _MEGABYTE:,.0f}, and takes more when the database has taken some"
            )
            raise SpoolFull(self.why_full)

    def _refused(self, failed: OSError) -> SpoolError:
        if failed.errno not in DISK_FULL:
            return SpoolError(f"the disk of the spool fails: {failed}")
        self.why_full = f"the disk of the spool is full: {failed.strerror} ({self._folder})"
        return SpoolFull(self.why_full)

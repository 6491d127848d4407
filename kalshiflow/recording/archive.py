"""Segments that are no longer needed, compressed beside the spool; and any segment read alone."""

import gzip
import os
import shutil
import zlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, cast

from kalshiflow.recording.blocks import (
    SEGMENT_HEAD_BYTES,
    Record,
    read_block,
    read_segment_head,
    records,
)
from kalshiflow.recording.segments import Segment, remove_segment
from kalshiflow.recording.spool_errors import SpoolDamaged
from kalshiflow.recording.spool_folder import make_folder, open_new, sync_folder

LEVEL = 3  # a third of the default's time for nearly its size
GZIP_MAGIC = b"\x1f\x8b"


def archive_path(archive: Path, spool_id: str, first: int) -> Path:
    """Give the path of an archived segment."""
    return archive / f"{spool_id}-{first:020d}.spool.gz"


def archive_segment(segment: Segment, archive: Path, spool_id: str) -> Path:
    """Compress a closed segment into the archive and make it durable there; raises `OSError`.

    A file of that name from an attempt before is replaced.
    """
    make_folder(archive)
    path = archive_path(archive, spool_id, segment.first)
    part = path.with_suffix(".part")
    with segment.path.open("rb") as source, open_new(part) as target:
        with gzip.GzipFile("", "wb", LEVEL, target, mtime=0) as packed:
            shutil.copyfileobj(source, packed, 2**20)
        target.flush()
        os.fsync(target.fileno())
    part.replace(path)
    sync_folder(archive)
    return path


def read_archive(path: Path) -> Iterator[Record]:
    """Give the records of a segment file by itself, archived or plain.

    Raises `SpoolDamaged` where it does not read on, after the records before that place.
    """
    with path.open("rb") as plain:
        is_packed = plain.read(2) == GZIP_MAGIC
    with gzip.open(path) if is_packed else path.open("rb") as file:
        yield from _records(path, cast("BinaryIO", file))


def _records(path: Path, file: BinaryIO) -> Iterator[Record]:
    offset, first, position = 0, 0, 0
    try:
        head = read_segment_head(file.read(SEGMENT_HEAD_BYTES))
        if head is None:
            raise SpoolDamaged(path, 0, segment=0, position=0)
        offset, first, position = SEGMENT_HEAD_BYTES, head[1], head[1]
        reader = _Counted(file)
        while True:
            reader.count = 0
            block = read_block(reader.read)
            if not reader.count:
                return
            if block is None or block.first != position:
                raise SpoolDamaged(path, offset, segment=first, position=position)
            yield from records(block)
            offset += block.size
            position = block.last + 1
    except (EOFError, zlib.error, gzip.BadGzipFile) as cut:
        raise SpoolDamaged(path, offset, segment=first, position=position) from cut


class _Counted:
    """A file that tells how much was read, so that an end is told from a torn block."""

    def __init__(self, file: BinaryIO) -> None:
        self.count = 0
        self._file = file

    def read(self, size: int) -> bytes:
        content = self._file.read(size)
        self.count += len(content)
        return content


class Archiver:
    """Moves segments into the archive in a thread of its own.

    A segment is removed from the spool once its archived file is durable, and only then.
    """

    def __init__(self, archive: Path, spool_id: str) -> None:
        self.trouble: str | None = None
        self._archive = archive
        self._spool_id = spool_id
        self._moving: dict[Segment, Future[None]] = {}
        self._executor = ThreadPoolExecutor(1, "spool-archive")

    def take(self, segment: Segment) -> None:
        """Begin to move a segment, unless that has begun."""
        if segment not in self._moving:
            self._moving[segment] = self._executor.submit(self._move, segment)

    def moved(self) -> list[Segment]:
        """Give the segments that are gone from the spool since the last call.

        One that could not be moved is told in `trouble`, and may be taken again.
        """
        gone = []
        for segment, future in [(s, f) for s, f in self._moving.items() if f.done()]:
            del self._moving[segment]
            try:
                future.result()
            except OSError as failed:
                self.trouble = f"segments cannot be moved to the archive: {failed}"
            else:
                self.trouble = None
                gone.append(segment)
        return gone

    def close(self) -> None:
        """Finish the segment that is being moved; the others stay in the spool."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _move(self, segment: Segment) -> None:
        archive_segment(segment, self._archive, self._spool_id)
        remove_segment(segment)

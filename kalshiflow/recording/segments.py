"""Segment files: make one, write blocks to its end, read it back, find where it ends."""

import ctypes
import errno
import io
import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kalshiflow.recording.blocks import (
    MAGIC,
    SEGMENT_HEAD_BYTES,
    Block,
    block_at,
    read_block,
    read_segment_head,
)
from kalshiflow.recording.spool_errors import SpoolDamaged
from kalshiflow.recording.spool_folder import FLAGS, sync_folder

SUFFIX = ".spool"
BUFFER_BYTES = 2**20

_KEEP_SIZE = 1  # FALLOC_FL_KEEP_SIZE
_fallocate = getattr(ctypes.CDLL(None), "fallocate64", None)
if _fallocate is not None:
    _fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)


@dataclass(slots=True, eq=False)
class Segment:
    """A segment file: the position it begins with, and how many of its bytes are good."""

    first: int
    path: Path
    size: int

    def write(self, descriptor: int, parts: tuple[bytes, ...]) -> None:
        """Write whole blocks to the end, or nothing; raises `OSError`."""
        wanted = sum(map(len, parts))
        written = 0
        try:
            written = os.pwritev(descriptor, parts, self.size)
        finally:
            if written < wanted:
                os.ftruncate(descriptor, self.size)
        if written < wanted:
            raise OSError(errno.ENOSPC, "it took a part of a block only", str(self.path))
        self.size += wanted

    def blocks(self, spool_id: str, offset: int, position: int) -> Iterator[tuple[int, Block]]:
        """Give the blocks from an offset on, each with its own; `position` begins the first.

        Follows a segment that is still written: it ends where the good bytes end, and asked again
        goes on. Raises `SpoolDamaged`.
        """
        with io.BufferedReader(_GoodBytes(self), BUFFER_BYTES) as file:
            head = read_segment_head(file.read(SEGMENT_HEAD_BYTES))
            if head != (spool_id, self.first):
                raise SpoolDamaged(self.path, 0, segment=self.first, position=position)
            file.seek(offset)
            while offset < self.size:
                block = read_block(file.read)
                if block is None or block.first != position:
                    raise SpoolDamaged(self.path, offset, segment=self.first, position=position)
                yield offset, block
                offset += block.size
                position = block.last + 1


class _GoodBytes(io.RawIOBase):
    """A segment's bytes, never further than they are good: a write that failed leaves others."""

    def __init__(self, segment: Segment) -> None:
        super().__init__()
        self._segment = segment
        self._offset = 0
        self._descriptor = os.open(segment.path, os.O_RDONLY | os.O_CLOEXEC)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence != os.SEEK_SET:
            offset += self._offset if whence == os.SEEK_CUR else self._segment.size
        self._offset = offset
        return offset

    def tell(self) -> int:
        return self._offset

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        good = max(0, min(len(buffer), self._segment.size - self._offset))
        read = os.preadv(self._descriptor, (memoryview(buffer)[:good],), self._offset)
        self._offset += read
        return read

    def close(self) -> None:
        if not self.closed:
            os.close(self._descriptor)
        super().close()


@dataclass(frozen=True, slots=True)
class Ending:
    """Where a segment ends: good bytes and last position, and whether what follows was safe."""

    size: int
    position: int
    is_damaged: bool


def segment_path(folder: Path, first: int) -> Path:
    """Give the path of the segment that begins with a position."""
    return folder / f"{first:020d}{SUFFIX}"


def reserve(descriptor: int, good: int, wanted: int) -> None:
    """Have the disk keep room for a segment, which stays as long as its good bytes.

    Writing then needs no new blocks. Without it a write waits for the sync beside it, for
    milliseconds. Where there is no room, or no such call, all goes on without.
    """
    if _fallocate is not None and good < wanted:
        refused = _fallocate(descriptor, _KEEP_SIZE, 0, wanted)
        if refused:
            os.ftruncate(descriptor, good)  # what was found of it belongs to others


def create_segment(folder: Path, first: int, parts: tuple[bytes, ...]) -> tuple[Segment, int]:
    """Make a segment of a header and a first block; gives its descriptor too.

    Raises `OSError`, and then there is none.
    """
    segment = Segment(first, segment_path(folder, first), 0)
    descriptor = os.open(segment.path, FLAGS | os.O_EXCL, 0o600)
    try:
        segment.write(descriptor, parts)
    except OSError:
        os.close(descriptor)
        segment.path.unlink()
        raise
    return segment, descriptor


def reopen_segment(segment: Segment, size: int) -> int:
    """Cut a segment to its good bytes and make them durable; gives its descriptor."""
    descriptor = os.open(segment.path, FLAGS)
    os.ftruncate(descriptor, size)
    os.fsync(descriptor)
    segment.size = size
    return descriptor


def remove_segment(segment: Segment) -> None:
    """Delete a segment, durably."""
    segment.path.unlink(missing_ok=True)
    sync_folder(segment.path.parent)


def find_segments(folder: Path) -> list[Segment]:
    """Give the segments of a folder in order, with their files' sizes."""
    paths = sorted(folder.glob("[0-9]" * 20 + SUFFIX))
    return [Segment(int(path.stem), path, path.stat().st_size) for path in paths]


def ending(segment: Segment, spool_id: str) -> Ending:
    """Find where a segment ends: after its last whole block, all blocks before it being whole.

    Where a later block says that the missing records had been durable, the file is damaged, and
    `position` is that of the last record that still stands in it.
    """
    if not segment.size:
        return Ending(0, segment.first - 1, is_damaged=False)
    with (
        segment.path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as content,
        memoryview(content) as view,
    ):
        return _ending(view, content, segment, spool_id)


def _ending(view: memoryview, content: mmap.mmap, segment: Segment, spool_id: str) -> Ending:
    offset, position = 0, segment.first - 1
    if read_segment_head(bytes(view[:SEGMENT_HEAD_BYTES])) == (spool_id, segment.first):
        offset = SEGMENT_HEAD_BYTES
        while (block := block_at(view, offset)) is not None and block.first == position + 1:
            offset += block.size
            position = block.last
    size, last, safe = offset, position, 0
    while (offset := content.find(MAGIC, offset)) >= 0:
        block = block_at(view, offset)
        if block is None:
            offset += 1
        else:
            offset += block.size
            last, safe = max(last, block.last), max(safe, block.durable)
    is_damaged = safe > position
    return Ending(size, last if is_damaged else position, is_damaged)

"""Room on the spool's disk that is kept for the segment by which a full disk is emptied."""

import os
from contextlib import suppress
from pathlib import Path

from kalshiflow.recording.spool_folder import FLAGS

SPARE_BYTES = 4 * 2**20  # a checkpoint of some hundred deep books
NAME = "spare"


class SpareRoom:
    """A file that is worth its blocks only: removed, it leaves them to others.

    A spool gives up a segment once another one stands behind it, and on a full disk that one would
    find no room. What the disk refuses here is no trouble: it is asked for again.
    """

    def __init__(self, folder: Path) -> None:
        """Nothing is kept or given up yet; the file may be there from before."""
        self._path = folder / NAME

    def keep(self, size: int) -> None:
        """Have so many bytes kept, unless they are, or the disk has not got them."""
        with suppress(OSError):
            descriptor = os.open(self._path, FLAGS, 0o600)
            try:
                self._grow(descriptor, size)
            finally:
                os.close(descriptor)

    def give_up(self) -> bool:
        """Leave the room to whoever writes next; says whether there was any."""
        try:
            is_there = self._path.stat().st_size > 0
            self._path.unlink()
        except OSError:  # there is none, or it cannot be had
            return False
        return is_there

    def _grow(self, descriptor: int, size: int) -> None:
        held = os.fstat(descriptor).st_size
        if held >= size:
            return
        try:
            os.posix_fallocate(descriptor, held, size - held)
        except OSError:
            os.ftruncate(descriptor, held)  # what was found of it belongs to others

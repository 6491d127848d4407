"""What can be wrong with a spool.

- SpoolError
  - SpoolInUse: another process has it open
  - SpoolFull: its limit or its disk is reached; nothing is lost, and it may be tried again
  - SpoolDamaged: records that were safe on disk do not read back
"""

from pathlib import Path


class SpoolError(RuntimeError):
    """A spool cannot do what it is for."""


class SpoolInUse(SpoolError):
    """Another process has the spool open."""


class SpoolFull(SpoolError):
    """The spool's limit or its disk is reached; what waits stays in memory."""


class SpoolDamaged(SpoolError):
    """A segment does not read back.

    `path` and `offset` (bytes) say where, `position` is the first record that is not to be had, and
    `segment` the position that its segment begins with.
    """

    def __init__(self, path: Path, offset: int, *, segment: int, position: int) -> None:
        super().__init__(f"the spool is damaged in {path} at byte {offset}: record {position}")
        self.path = path
        self.offset = offset
        self.segment = segment
        self.position = position

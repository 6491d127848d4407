"""A spool's folder: who has it, what it is called, and which records ended a process."""

import fcntl
import os
import secrets
from pathlib import Path
from typing import IO

import msgspec

from kalshiflow.recording.spool_errors import SpoolError, SpoolInUse

FLAGS = os.O_CLOEXEC | os.O_CREAT | os.O_RDWR


class _Identity(msgspec.Struct):
    spool_id: str
    floor: int = 0  # a position that was given out, though no segment tells of it any more


def make_folder(folder: Path) -> None:
    """Make a folder that only its owner reads, durably."""
    if not folder.is_dir():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make what was created, renamed or removed in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_new(path: Path) -> IO[bytes]:
    """Open a file to write it anew; only its owner reads it."""
    return os.fdopen(os.open(path, FLAGS | os.O_TRUNC, 0o600), "wb")


def replace_file(path: Path, content: bytes) -> None:
    """Write a small file whole or not at all, durably."""
    part = path.with_suffix(".part")
    with open_new(part) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    sync_folder(path.parent)


class SpoolFolder:
    """The folder of one spool, locked for this process until `close`."""

    def __init__(self, path: Path) -> None:
        """Take the folder, which is made where it is missing; raises `SpoolInUse`."""
        make_folder(path)
        self.path = path
        self._lock = os.open(path / "lock", FLAGS, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise SpoolInUse(f"another process has the spool in {path} open") from None
        try:
            self._identity = self._identify()
            self._poison = self._read_poison()
        except BaseException:
            os.close(self._lock)
            raise

    @property
    def spool_id(self) -> str:
        """Its random name, 32 hexadecimal digits."""
        return self._identity.spool_id

    @property
    def floor(self) -> int:
        """A position below which none is given out again."""
        return self._identity.floor

    @property
    def poisoned(self) -> frozenset[int]:
        """Positions that ended a process twice."""
        return frozenset(position for position, count in self._poison.items() if count >= 2)

    def raise_floor(self, position: int) -> None:
        """Remember that a position was given out."""
        if position > self.floor:
            self._identity.floor = position
            replace_file(self.path / "spool.json", msgspec.json.encode(self._identity))

    def mark_poison(self, position: int) -> int:
        """Count a record that ended the process; gives how often it did."""
        count = self._poison.get(position, 0) + 1
        self._poison[position] = count
        self._write_poison()
        return count

    def forget_poison(self, position: int) -> None:
        """Drop the counts of all records up to a position."""
        kept = {at: count for at, count in self._poison.items() if at > position}
        if kept != self._poison:
            self._poison = kept
            self._write_poison()

    def close(self) -> None:
        """Give the folder back."""
        os.close(self._lock)

    def _identify(self) -> _Identity:
        path = self.path / "spool.json"
        try:
            return msgspec.json.decode(path.read_bytes(), type=_Identity)
        except FileNotFoundError:
            if any(self.path.glob("*.spool")):
                raise SpoolError(f"{path} is missing beside the segments that it names") from None
        except msgspec.DecodeError as wrong:
            raise SpoolError(f"{path} cannot be read: {wrong}") from wrong
        made = _Identity(secrets.token_hex(16))
        replace_file(path, msgspec.json.encode(made))
        return made

    def _read_poison(self) -> dict[int, int]:
        path = self.path / "poison.json"
        if not path.exists():
            return {}
        try:
            return msgspec.json.decode(path.read_bytes(), type=dict[int, int])
        except msgspec.DecodeError as wrong:
            raise SpoolError(f"{path} cannot be read: {wrong}") from wrong

    def _write_poison(self) -> None:
        replace_file(self.path / "poison.json", msgspec.json.encode(self._poison))

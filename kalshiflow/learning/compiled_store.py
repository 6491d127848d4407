"""Keeps machine code on disk between processes, by a key that tells all it was made of.

A file is a sha256 and the code it is of, so that a damaged one is seen before anything of it is
used. What is loaded is run: so nothing is, that anyone but this user could have written. Whatever
goes wrong here costs time and nothing else.
"""

import contextlib
import fcntl
import hashlib
import os
import pickle
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from numba.core import serialize
from numba.core.compiler import CompileResult

_PATIENCE_SECONDS = 300.0  # for another process that compiles the same; then we do it, too
_POLL_SECONDS = 0.05
_KEPT_SECONDS = 30 * 86_400.0  # code that nobody has loaded for so long is removed
_HASH_SIZE = 32
_OURS_ALONE = 0o700
_OTHERS_MAY_WRITE = 0o022


def folder() -> Path:
    """Give the folder of all machine code; a user without a home has one that cannot be made."""
    home = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not home.is_absolute():  # not set, or not to be followed
        try:
            home = Path.home() / ".cache"
        except RuntimeError:
            home = Path(os.devnull)
    return home / "kalshiflow" / "compiled"


class Kept:
    """One function's machine code on disk, a file for each signature: numba's form of a cache."""

    def __init__(self, name: str, key: str) -> None:
        self.cache_path = folder() / key
        self._name = name

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until no other process compiles this function, within reason."""
        try:
            _make(self.cache_path)
            lock = (self.cache_path / "lock").open("w")
        except OSError:
            yield
            return
        with lock:
            _lock(lock.fileno())
            yield

    def load_overload(self, sig: Any, target_context: Any) -> CompileResult | None:
        """Give what is kept for these types, if it is whole."""
        try:
            content = _read(self._path(sig))
        except OSError:
            return None
        digest, payload = content[:_HASH_SIZE], content[_HASH_SIZE:]
        if hashlib.sha256(payload).digest() != digest:
            return None
        with contextlib.suppress(OSError):
            os.utime(self.cache_path)
        return CompileResult._rebuild(target_context, *pickle.loads(payload))  # noqa: S301, SLF001

    def save_overload(self, sig: Any, result: CompileResult) -> None:
        """Keep what was compiled for these types."""
        payload = serialize.dumps(result._reduce())  # noqa: SLF001
        with contextlib.suppress(OSError):
            _write(self._path(sig), hashlib.sha256(payload).digest() + payload)
            _remove_old(self.cache_path.parent)

    def flush(self) -> None:
        """Do nothing: every write is whole."""

    def _path(self, sig: Any) -> Path:
        types = hashlib.sha256(repr(sig).encode()).hexdigest()[:16]
        return self.cache_path / f"{self._name}-{types}"


def _lock(descriptor: int) -> None:
    waited_until = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < waited_until:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_POLL_SECONDS)
        except OSError:
            return  # a file system that knows no locks
        else:
            return


def _make(path: Path) -> None:
    """Make a function's folder, and see that nobody else may write there."""
    all_code, ours, cache = path.parents[:3]
    cache.mkdir(parents=True, exist_ok=True)
    for one in (ours, all_code, path):
        one.mkdir(mode=_OURS_ALONE, exist_ok=True)
        if one.stat().st_mode & _OTHERS_MAY_WRITE:
            one.chmod(_OURS_ALONE)


def _read(path: Path) -> bytes:
    """Read a file; raises `PermissionError` where anyone else could have written it."""
    for one in (path, *path.parents[:3]):
        told = one.stat()
        if told.st_uid != os.geteuid() or told.st_mode & _OTHERS_MAY_WRITE:
            raise PermissionError(f"{one} is not ours alone")
    return path.read_bytes()


def _write(path: Path, content: bytes) -> None:
    descriptor, part = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(part).replace(path)
    except OSError:
        Path(part).unlink(missing_ok=True)
        raise


def _remove_old(home: Path) -> None:
    oldest = time.time() - _KEPT_SECONDS
    for kept in home.iterdir():
        if kept.is_dir() and kept.stat().st_mtime < oldest:
            for file in kept.iterdir():
                file.unlink(missing_ok=True)
            kept.rmdir()

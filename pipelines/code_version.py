"""Which commit of this repository runs."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def git_commit(folder: Path = ROOT) -> str:
    """Give the commit checked out in `folder`, or `unknown` outside a clone."""
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return answer.stdout.strip()

"""An environment of its own for the peer that durable ingest is compared with.

It lies in the cache folder and is made once; our own environment never sees the peer.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

PEER = "cryptofeed==2.4.1"
_PATIENCE_SECONDS = 900


def peer_python() -> Path | None:
    """Give the Python that has the peer; where it cannot be made, say so and give `None`."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kalshiflow"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    home = cache / f"{PEER.replace('==', '-')}-python{version}"
    python = home / "bin" / "python"
    if python.exists():
        return python
    shutil.rmtree(home, ignore_errors=True)
    try:
        _do([sys.executable, "-m", "venv", str(home)])
        _do([str(python), "-m", "pip", "install", "--quiet", PEER, "asyncpg"])
        _do([str(python), "-c", "import asyncpg, cryptofeed.backends.postgres"])
    except (OSError, subprocess.SubprocessError) as failed:
        shutil.rmtree(home, ignore_errors=True)
        said = getattr(failed, "stderr", None) or str(failed)
        print(f"{PEER} is not measured, for it cannot be installed: {said.strip()[-300:]}")
        return None
    return python


def _do(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=_PATIENCE_SECONDS)

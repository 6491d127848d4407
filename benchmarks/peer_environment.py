"""Environments of their own for the peers that our figures are compared with.

Each lies in the cache folder and is made once; our own environment never sees a peer.
"""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PATIENCE_SECONDS = 900
PEERS = Path(__file__).parent / "peers"


@dataclass(frozen=True, slots=True)
class Peer:
    """A package at a version, what is installed beside it (first), and a line that proves it."""

    package: str
    beside: tuple[str, ...]
    proof: str


TORCH = "torch==2.13.0"
CRYPTOFEED = Peer("cryptofeed==2.4.1", ("asyncpg",), "import asyncpg, cryptofeed.backends.postgres")
HFTBACKTEST = Peer("hftbacktest==2.4.4", (), "import hftbacktest")
NAUTILUS = Peer("nautilus_trader==1.221.0", (), "import nautilus_trader.backtest.engine")
GYM_TRADING_ENV = Peer(
    "gym-trading-env==0.3.5",
    (TORCH, "stable-baselines3==2.9.2"),
    "import stable_baselines3, gym_trading_env.environments",
)
FREQTRADE = Peer(
    "freqtrade==2026.9",
    (TORCH, "stable-baselines3", "datasieve", "scikit-learn", "joblib"),
    "from freqtrade.freqai.RL.Base5ActionRLEnv import Base5ActionRLEnv",
)


def peer_python(peer: Peer) -> Path | None:
    """Give the Python that has the peer; where it cannot be made, say so and give `None`."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kalshiflow"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    home = cache / f"{peer.package.replace('==', '-')}-python{version}"
    python = home / "bin" / "python"
    if python.exists() and _works(python, peer):
        return python
    shutil.rmtree(home, ignore_errors=True)
    try:
        _do([sys.executable, "-m", "venv", str(home)])
        for package in (*peer.beside, peer.package):
            _do([str(python), "-m", "pip", "install", "--quiet", package])
        _do([str(python), "-c", peer.proof])
    except (OSError, subprocess.SubprocessError) as failed:
        shutil.rmtree(home, ignore_errors=True)
        said = getattr(failed, "stderr", None) or str(failed)
        print(f"{peer.package} is not measured, for it cannot be installed: {said.strip()[-300:]}")
        return None
    return python


def told_by(python: Path, script: str, *arguments: object) -> dict[str, Any]:
    """Run a peer's script and give what its last line says."""
    command = [str(python), str(PEERS / script), *map(str, arguments)]
    lines = _do(command).stdout.strip().splitlines()
    told: dict[str, Any] = json.loads(lines[-1])
    return told


def _works(python: Path, peer: Peer) -> bool:
    try:
        _do([str(python), "-c", peer.proof])
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def _do(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=_PATIENCE_SECONDS
    )

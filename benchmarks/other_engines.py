"""Other engines on the same work, each in a process and an environment of its own.

A peer that cannot be installed is left out, and said so; ours is measured all the same.
"""

import os
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from peer_environment import FREQTRADE, GYM_TRADING_ENV, HFTBACKTEST, NAUTILUS, Peer, peer_python
from peer_environment import told_by as told
from recordings import MarketDay, sizes

from kalshiflow.agent.features import OBSERVATION_SIZE

ROUNDS = 3
FEED_EVENTS = 1_000_000
STRATEGY_EVENTS = 100_000
STEPS = 20_000


def print_readers(day: MarketDay, ours: float) -> None:
    """Print the events by second of engines that replay `day`, and the ratio of `ours` to each."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "changes.npz"
        np.savez(file, **sizes(day, FEED_EVENTS))
        core = max(os.sched_getaffinity(0))
        _print(HFTBACKTEST, "hftbacktest_feed", "events", ours, file, core)
        _print(NAUTILUS, "nautilus_strategy", "events", ours, file, STRATEGY_EVENTS, core)


def print_steppers(ours: float) -> None:
    """Print the steps by second of other environments, and the ratio of `ours` to each."""
    core = max(os.sched_getaffinity(0))
    _print(GYM_TRADING_ENV, "gym_trading_env_steps", "steps", ours, STEPS, OBSERVATION_SIZE, core)
    _print(FREQTRADE, "freqtrade_steps", "steps", ours, STEPS, OBSERVATION_SIZE, core)


def print_learner(ours: float, *, steps: int, rollout: int, batch: int, threads: int) -> None:
    """Print the frames by second of PPO on another environment, and the ratio of `ours` to it."""
    asked = (steps, OBSERVATION_SIZE, rollout, batch, threads)
    _print(GYM_TRADING_ENV, "gym_trading_env_ppo", "steps", ours, *asked)


def _print(peer: Peer, script: str, what: str, ours: float, *asked: object) -> None:
    python = peer_python(peer)
    if python is None:
        return
    take: Callable[[], dict[str, Any]] = lambda: told(python, f"{script}.py", *asked)  # noqa: E731
    rates = [found[what] / found["seconds"] for found in (take() for _ in range(ROUNDS))]
    rate = statistics.median(rates)
    print(f"{script} {rate:.0f} {what}/s")
    print(f"to_{script} {ours / rate:.3f} ratio")

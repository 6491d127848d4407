"""PPO end to end on the vectorised environment, beside an environment that does nothing.

256 lanes play pieces of one recorded day; batches of 2,048, two towers of 2x64, two threads of
torch. `nothing` is Stable-Baselines3's own policy on rows of the same width that never change: what
any environment can reach with it. `ours` is the masked policy on the real lanes; `share` is what of
its time the environment takes. Both are run in turns, and each figure is the median of some takes,
printed as `name value unit`; rates belong to the machine named, the ratios are what counts. `core`
is the same by processor seconds of one thread, which other programs disturb less. PPO on
gym-trading-env, with its eight environments, has the same settings (`other_engines`).
"""

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import torch
from environment import day_in_pieces
from machine import machine
from other_engines import print_learner
from stable_baselines3 import PPO
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import VecEnv

from kalshiflow.agent.action import ACTION_COUNT
from kalshiflow.agent.features import OBSERVATION_SIZE
from kalshiflow.learning.lanes.vec_env import ROW_SIZE, LaneVecEnv
from kalshiflow.learning.network import MaskedPolicy, Normaliser
from kalshiflow.learning.world import WorldConfig

LANES = 256
ROLLOUT = 64  # steps of each lane between updates
BATCH = 2_048
EPOCHS = 10
THREADS = 2
WIDTH = [64, 64]
UPDATES = 2  # of a take
ROUNDS = 5


class Nothing(VecEnv):
    """Rows that are always the same, and no rewards."""

    def __init__(self, lanes: int) -> None:
        space = gymnasium.spaces.Box(-1.0, 1.0, (ROW_SIZE,), dtype=np.float32)
        super().__init__(lanes, space, gymnasium.spaces.Discrete(ACTION_COUNT))
        self._rows = np.random.default_rng(1).random((lanes, ROW_SIZE), dtype=np.float32)
        self._infos: list[dict[str, Any]] = [{} for _ in range(lanes)]

    def reset(self):
        return self._rows

    def step_async(self, actions):
        del actions

    def step_wait(self):
        zeros = np.zeros(self.num_envs, np.float32)
        return self._rows, zeros, np.zeros(self.num_envs, np.bool_), self._infos

    def close(self):
        pass

    def get_attr(self, attr_name, indices=None):
        del attr_name, indices
        return [None] * self.num_envs

    def set_attr(self, attr_name, value, indices=None):
        raise NotImplementedError

    def env_method(self, method_name, *method_args, indices=None, **method_kwargs):
        raise NotImplementedError

    def env_is_wrapped(self, wrapper_class, indices=None):
        del wrapper_class, indices
        return [False] * self.num_envs


class Timed(LaneVecEnv):
    """Our lanes with a clock: `seconds` is what their steps have taken."""

    seconds = 0.0

    def step_wait(self):
        began = time.perf_counter()
        stepped = super().step_wait()
        self.seconds += time.perf_counter() - began
        return stepped


def model_on(env: VecEnv, policy: Any, **policy_kwargs: Any) -> PPO:
    """Give a model that has made its first update."""
    model = PPO(
        policy,
        env,
        n_steps=ROLLOUT,
        batch_size=BATCH,
        n_epochs=EPOCHS,
        seed=1,
        device="cpu",
        policy_kwargs={"net_arch": WIDTH, **policy_kwargs},
    )
    model.set_logger(Logger(folder=None, output_formats=[]))
    model.learn(LANES * ROLLOUT)
    return model


def take(model: PPO, clock: Callable[[], float]) -> float:
    """Learn for some updates; give the frames by second of a clock."""
    frames = LANES * ROLLOUT * UPDATES
    began = clock()
    model.learn(frames, reset_num_timesteps=False)
    return frames / (clock() - began)


def ours() -> PPO:
    """Give the masked policy on our lanes, its normaliser taken from what they show at first."""
    env = Timed(day_in_pieces()[1], WorldConfig(), lanes=LANES, seed=1)
    sample = env.reset()[:, :OBSERVATION_SIZE]
    scale = 1.0 / np.maximum(sample.std(axis=0), 0.05)
    return model_on(
        env,
        MaskedPolicy,
        hold_bias=3.0,
        features_extractor_class=Normaliser,
        features_extractor_kwargs={"mean": sample.mean(axis=0), "scale": scale},
    )


def compared(
    nothing: PPO, learning: PPO, threads: int, clock: Callable[[], float], rounds: int
) -> tuple[float, float, float, float]:
    """Give the median frames by second of nothing and of ours, their ratio, and our share."""
    torch.set_num_threads(threads)
    found = []
    for _ in range(rounds):
        ceiling = take(nothing, clock)
        env = learning.env
        assert isinstance(env, Timed)
        env.seconds, began = 0.0, time.perf_counter()
        rate = take(learning, clock)
        found.append((ceiling, rate, rate / ceiling, env.seconds / (time.perf_counter() - began)))
    ceilings, rates, ratios, shares = (statistics.median(each) for each in zip(*found, strict=True))
    return ceilings, rates, ratios, shares


def main() -> None:
    """Measure and print; `--rounds N` takes more or fewer takes."""
    rounds = int(sys.argv[2]) if sys.argv[1:2] == ["--rounds"] else ROUNDS
    torch.set_num_threads(THREADS)
    nothing, learning = model_on(Nothing(LANES), "MlpPolicy"), ours()
    print(f"machine: {machine()}")
    for name, threads, clock in (
        ("", THREADS, time.perf_counter),
        ("_core", 1, time.process_time),
    ):
        ceiling, rate, ratio, share = compared(nothing, learning, threads, clock, rounds)
        print(f"nothing_ppo{name} {ceiling:.0f} frames/s")
        print(f"ours_ppo{name} {rate:.0f} frames/s")
        print(f"ours_of_nothing{name} {ratio:.3f} ratio")
        print(f"environment_share{name} {share:.3f} share")
        if name == "":
            rollout = LANES * ROLLOUT
            print_learner(rate, steps=rollout, rollout=rollout, batch=BATCH, threads=threads)


if __name__ == "__main__":
    main()

"""Stable-Baselines3's PPO on gym-trading-env, eight environments: frames per second, end to end.

Run by its own Python: `gym_trading_env_ppo.py STEPS FEATURES ROLLOUT BATCH THREADS`, where ROLLOUT
is the steps of all environments between updates. Prints one JSON line: steps and seconds.
"""

import json
import sys
import time

import torch
from gym_trading_env.environments import TradingEnv
from gym_trading_env_steps import bars
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv

ENVIRONMENTS = 8


def main():
    steps, features, rollout, batch, threads = (int(each) for each in sys.argv[1:6])
    torch.set_num_threads(threads)
    frame = bars(features - 2)

    def make():
        env = TradingEnv(frame, positions=[-1, -0.5, 0, 0.5, 1], trading_fees=0.001)
        env.verbose = 0
        return env

    model = PPO(
        "MlpPolicy",
        DummyVecEnv([make] * ENVIRONMENTS),
        n_steps=rollout // ENVIRONMENTS,
        batch_size=batch,
        n_epochs=10,
        policy_kwargs={"net_arch": [64, 64]},
        device="cpu",
        seed=1,
    )
    model.learn(rollout)  # warm
    began = time.perf_counter()
    model.learn(steps, reset_num_timesteps=False)
    print(json.dumps({"steps": steps, "seconds": time.perf_counter() - began}))


main()

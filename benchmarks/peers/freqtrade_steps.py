"""freqtrade's Base5ActionRLEnv: steps of one environment over bars with the same features.

Run by its own Python: `freqtrade_steps.py STEPS FEATURES CORE`. Prints one JSON line: steps and
seconds. The reward is the simplest there is, so that the environment's own work is what counts.
"""

import json
import os
import sys
import time

import numpy as np
import pandas as pd
from freqtrade.freqai.RL.Base5ActionRLEnv import Base5ActionRLEnv

ROWS = 50_000


class Env(Base5ActionRLEnv):
    """The base environment with a reward."""

    def calculate_reward(self, action):  # noqa: ARG002 -- as the environment calls it
        return self.get_unrealized_profit()


def environment(features):
    random = np.random.default_rng(7)
    close = 50 + np.cumsum(random.normal(0, 0.01, ROWS))
    columns = {f"%-feature_{n}": random.random(ROWS, dtype=np.float32) for n in range(features)}
    frame = pd.DataFrame(columns)
    prices = pd.DataFrame(dict.fromkeys(("open", "high", "low", "close"), close))
    config = {
        "stake_amount": 100,
        "freqai": {"rl_config": {"model_reward_parameters": {}, "max_training_drawdown_pct": 0.99}},
    }
    return Env(
        df=frame,
        prices=prices,
        reward_kwargs={"rr": 1, "profit_aim": 0.025},
        window_size=1,
        starting_point=True,
        config=config,
        can_short=True,
        df_raw=frame,
    )


def main():
    steps, features = int(sys.argv[1]), int(sys.argv[2])
    os.sched_setaffinity(0, {int(sys.argv[3])})
    env = environment(features)
    actions = np.random.default_rng(1).integers(0, 5, steps).tolist()
    env.reset(seed=1)
    began = time.perf_counter()
    for action in actions:
        _, _, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            env.reset()
    print(json.dumps({"steps": steps, "seconds": time.perf_counter() - began}))


main()

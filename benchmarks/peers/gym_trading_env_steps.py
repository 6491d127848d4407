"""gym-trading-env's steps: one environment over bars with the same number of features.

Run by its own Python: `gym_trading_env_steps.py STEPS FEATURES CORE`. Prints one JSON line: steps
and seconds.
"""

import json
import os
import sys
import time

import numpy as np
import pandas as pd
from gym_trading_env.environments import TradingEnv

ROWS = 50_000


def bars(features):
    random = np.random.default_rng(7)
    close = 50 + np.cumsum(random.normal(0, 0.01, ROWS))
    columns = {f"feature_{n}": random.random(ROWS, dtype=np.float32) for n in range(features)}
    prices = dict.fromkeys(("open", "high", "low", "close"), close)
    index = pd.date_range("2023-08-31", periods=ROWS, freq="250ms")
    return pd.DataFrame({**prices, "volume": np.ones(ROWS), **columns}, index=index)


def main():
    steps, features = int(sys.argv[1]), int(sys.argv[2])
    os.sched_setaffinity(0, {int(sys.argv[3])})
    # Two of the features are its own: the position taken and the real one.
    env = TradingEnv(bars(features - 2), positions=[-1, -0.5, 0, 0.5, 1], trading_fees=0.001)
    env.verbose = 0
    actions = np.random.default_rng(1).integers(0, 5, steps).tolist()
    env.reset(seed=1)
    began = time.perf_counter()
    for action in actions:
        _, _, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            env.reset()
    print(json.dumps({"steps": steps, "seconds": time.perf_counter() - began}))


if __name__ == "__main__":
    main()

"""What a policy is compared with: doing nothing, acting at random, and one simple rule.

A `Chooser` is asked by one world at a time; a `RowChooser` gives the actions for many rows of
observation and mask, one for each lane.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from kalshiflow.agent.action import Mask
from kalshiflow.agent.action_table import Action
from kalshiflow.agent.features import FEATURES, OBSERVATION_SIZE
from kalshiflow.agent.policy import Policy
from kalshiflow.learning.world import World

Rows = NDArray[np.float32]
Chooser = Callable[[World, Mask], int]
RowChooser = Callable[[Rows], NDArray[np.int64]]

_AT = {feature.name: position for position, feature in enumerate(FEATURES)}


def hold(_world: World, _mask: Mask) -> int:
    """Do nothing."""
    return Action.HOLD


def random_chooser(seed: int, trade_share: float = 1.0) -> Chooser:
    """Choose evenly among the allowed actions in `trade_share` of the decisions, else HOLD."""
    random = np.random.default_rng(seed)

    def choose(_world: World, mask: Mask) -> int:
        if random.random() >= trade_share:
            return Action.HOLD
        return int(random.choice(np.flatnonzero(mask)))

    return choose


def hold_rows(rows: Rows) -> NDArray[np.int64]:
    """Do nothing."""
    return np.zeros(len(rows), np.int64)


def random_rows(seed: int) -> RowChooser:
    """Choose evenly among the allowed actions."""
    random = np.random.default_rng(seed)

    def choose(rows: Rows) -> NDArray[np.int64]:
        allowed = rows[:, OBSERVATION_SIZE:]
        return np.argmax(allowed * (1.0 - random.random(allowed.shape)), axis=1)

    return choose


def policy_rows(policy: Policy) -> RowChooser:
    """Choose as the policy does, row by row: scores of a batch may differ in their last digit."""

    def choose(rows: Rows) -> NDArray[np.int64]:
        masks = (rows[:, OBSERVATION_SIZE:] > 0).tolist()
        pairs = zip(rows[:, :OBSERVATION_SIZE].tolist(), masks, strict=True)
        return np.array([policy.act(row, mask).action for row, mask in pairs], np.int64)

    return choose


def lag_rule(leaning: float = 0.2, shown: float = 33.0, held: float = 0.12) -> Chooser:
    """Take quotes that a slow maker has left behind, and close once the spread is wide again.

    The rule for the synthetic market's one inefficiency: after a jump the touches stand one step
    apart, and the side that moved shows more. `leaning` bounds `imbalance_1`, `shown` the contracts
    at the touch of that side and `held` the holding time before closing, as observed.
    """

    def choose(world: World, mask: Mask) -> int:
        seen = world.observation()
        lean = seen[_AT["imbalance_1"]]
        if seen[_AT["spread_steps"]] > 0:
            if seen[_AT["holding_time"]] <= held:
                return Action.HOLD
            if mask[Action.SELL_YES_LIMIT]:
                return Action.SELL_YES_LIMIT
            return Action.SELL_NO_LIMIT if mask[Action.SELL_NO_LIMIT] else Action.HOLD
        if _leading_touch(seen) <= shown:
            return Action.HOLD
        if lean > leaning and mask[Action.BUY_YES_LIMIT]:
            return Action.BUY_YES_LIMIT
        if lean < -leaning and mask[Action.BUY_NO_LIMIT]:
            return Action.BUY_NO_LIMIT
        return Action.HOLD

    return choose


def _leading_touch(seen: Sequence[float]) -> float:
    """Give the contracts at the touch that shows more."""
    depth = seen[_AT["touch_depth"]]
    return 500.0 * depth / (1.0 - depth) * (1.0 + abs(seen[_AT["imbalance_1"]])) / 2.0

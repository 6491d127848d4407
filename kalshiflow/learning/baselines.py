"""What a policy is compared with: doing nothing, acting at random, and one simple rule."""

from collections.abc import Callable

import numpy as np

from kalshiflow.agent.action import Action, Mask
from kalshiflow.agent.features import FEATURES
from kalshiflow.agent.policy import Policy
from kalshiflow.learning.world import World

Chooser = Callable[[World, Mask], int]

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


def policy_chooser(policy: Policy) -> Chooser:
    """Choose as the policy does."""

    def choose(world: World, mask: Mask) -> int:
        return policy.act(world.observation(), mask).action

    return choose


def lag_rule(leaning: float = 0.2, shown: float = 0.4, held: float = 0.12) -> Chooser:
    """Take quotes that a slow maker has left behind, and close once the spread is wide again.

    The rule for the synthetic market's one inefficiency: after a jump the touches stand one step
    apart, and the side that moved shows more. `leaning` bounds `imbalance_1`, `shown` the touch of
    that side and `held` the holding time before closing, all as the observation has them.
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
        if lean > leaning and seen[_AT["bid_touch"]] > shown and mask[Action.BUY_YES_LIMIT]:
            return Action.BUY_YES_LIMIT
        if lean < -leaning and seen[_AT["ask_touch"]] > shown and mask[Action.BUY_NO_LIMIT]:
            return Action.BUY_NO_LIMIT
        return Action.HOLD

    return choose

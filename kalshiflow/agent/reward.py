"""The reward: how much the ledger's value changed, in units of the market's budget, less risk.

    reward = (value - value before) / budget
             - inventory x (held cost / budget) x seconds since the last decision
             - drawdown x (growth of the deepest fall of the value below its peak / budget)
             - forbidden x (1 where the chosen action was forbidden)

The three risk terms have weights of their own, all zero unless told otherwise: then the rewards of
an episode add up to its profit over the budget. Pure functions in the arithmetic that compiled and
interpreted code share.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass

# Positions in the weights.
INVENTORY = 0
DRAWDOWN = 1
FORBIDDEN = 2

SECOND = 1_000_000_000.0


@dataclass(frozen=True, slots=True)
class RiskTerms:
    """Weights of what is taken from the reward besides money.

    `inventory`: for each market second, by the share of the budget that what is held has cost, the
    most that it can lose. `drawdown`: for each new depth of the value below its peak, as a share
    of the budget; over an episode that is its largest drawdown. `forbidden`: for each choice of an
    action that was not allowed.
    """

    inventory: float = 0.0
    drawdown: float = 0.0
    forbidden: float = 0.0

    def __post_init__(self) -> None:
        if min(self.weights()) < 0.0:
            raise ValueError(f"weights of risk are not below zero: {self}")

    def weights(self) -> tuple[float, ...]:
        """Give the weights as the flat sequence that `risk` reads."""
        return astuple(self)


def reward(before: int, after: int, budget: int) -> float:
    """Give the change of the account's value between two decisions, fees paid, over the budget.

    Both values are `Portfolio.value`: rewards of an episode add up to its profit over the budget.
    """
    return (after - before) / budget


def risk(
    weights: Sequence[float], cost: int, elapsed: int, deeper: int, forbidden: int, budget: int
) -> float:
    """Give what the risk of one step takes from its reward.

    `cost` is that of what is held, `elapsed` nanoseconds of market time since the last decision,
    `deeper` by how much the largest drawdown has grown, `forbidden` 0 or 1.
    """
    held = weights[INVENTORY] * (cost / budget) * (elapsed / SECOND)
    return held + weights[DRAWDOWN] * (deeper / budget) + weights[FORBIDDEN] * forbidden

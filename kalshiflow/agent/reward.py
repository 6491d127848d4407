"""The reward: how much the ledger's value changed, in units of the market's budget."""

from kalshiflow.market.units import Cash


def reward(before: Cash, after: Cash, budget: Cash) -> float:
    """Give the change of the account's value between two decisions, fees paid, over the budget.

    Both values are `Portfolio.value`: rewards of an episode add up to its profit over the budget.
    """
    return (after - before) / budget

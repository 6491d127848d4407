"""The reward: the gain in budgets, less what risk takes from it."""

import pytest

from kalshiflow.agent.reward import RiskTerms, reward, risk

BUDGET = 100_000_000
SECOND = 1_000_000_000


def test_the_reward_is_the_gain_in_budgets():
    assert reward(BUDGET, 99_000_000, BUDGET) == -0.01


def test_risk_takes_nothing_unless_it_is_told_to():
    assert risk(RiskTerms().weights(), 10**7, SECOND, 10**6, 1, BUDGET) == 0.0


@pytest.mark.parametrize(
    ("terms", "taken"),
    [
        (RiskTerms(inventory=2.0), 2.0 * 0.1 * 3),
        (RiskTerms(drawdown=2.0), 2.0 * 0.01),
        (RiskTerms(forbidden=0.5), 0.5),
    ],
)
def test_each_risk_takes_its_own_part(terms, taken):
    assert risk(terms.weights(), 10**7, 3 * SECOND, 10**6, 1, BUDGET) == pytest.approx(taken)


def test_a_weight_below_zero_is_refused():
    with pytest.raises(ValueError, match="not below zero"):
        RiskTerms(drawdown=-1.0)

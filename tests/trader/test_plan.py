"""What the trader takes from its settings."""

from datetime import UTC, datetime

from kalshiflow.exchange.selection import Filters
from kalshiflow.settings import load
from kalshiflow.simulator.overlay import FillModel
from trader.plan import plan_of


def test_the_trader_discovers_what_the_collector_does(tmp_path):
    variables = {
        "RL_MARKET_SERIES": "KXHIGHNY, KXINXD",
        "RL_MARKET_CATEGORIES": "Economics",
        "RL_MARKET_EXCLUDE": "KXMVE*",
    }
    plan = plan_of(load("trader", variables, tmp_path), datetime(2026, 11, 20, tzinfo=UTC))

    assert plan.filters == Filters(("KXHIGHNY", "KXINXD"), ("Economics",), ("KXMVE*",))
    assert plan.filters == Filters.of(load("streaming", variables, tmp_path))


def test_simulated_orders_take_the_models_that_are_set(tmp_path):
    variables = {"RL_SIM_FILL_MODEL": "realistic", "RL_SIM_LATENCY_MS": "120"}
    plan = plan_of(load("trader", variables, tmp_path), datetime(2026, 11, 20, tzinfo=UTC))

    assert (plan.fill_model, plan.latency) == (FillModel.REALISTIC, 120_000_000)

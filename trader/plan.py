"""What to trade and how, read from the settings once."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from kalshiflow.exchange.environments import may_send_orders
from kalshiflow.exchange.selection import Filters
from kalshiflow.market.units import CONTRACT, Cash, Quantity, cash_from_cents
from kalshiflow.settings import OrdersTo, Settings, SettingsError
from kalshiflow.simulator.overlay import FillModel

MILLISECOND = 1_000_000
MEGABYTE = 10**6


@dataclass(frozen=True, slots=True)
class Plan:
    """What to trade and how. `throttle` and `latency` are nanoseconds of market time;
    `initial_cash`, `latency` and `fill_model` are for simulated orders.
    """

    orders_to: OrdersTo
    mode: str
    tickers: tuple[str, ...]
    market_limit: int
    filters: Filters  # of discovery
    throttle: int
    budget: Cash
    order_quantity: Quantity
    initial_cash: Cash
    poll_seconds: float
    latency: int = 50 * MILLISECOND
    fill_model: FillModel = FillModel.PESSIMISTIC


@dataclass(frozen=True, slots=True)
class TapePlan:
    """Where and how the tape is recorded. `session_seconds` bounds a session."""

    folder: Path
    limit_bytes: int
    database_url: str
    environment: str
    session_seconds: float


def plan_of(settings: Settings, at: datetime) -> Plan:
    """Read the plan from the settings; raises `SettingsError` where they make none."""
    if settings.rl_market_mode == "tickers" and not settings.rl_market_tickers:
        raise SettingsError("RL_MARKET_MODE=tickers also needs the names, in RL_MARKET_TICKERS")
    return Plan(
        orders_to=may_send_orders(settings, at.date()),
        mode=settings.rl_market_mode,
        tickers=settings.rl_market_tickers,
        market_limit=settings.rl_orderbook_market_limit,
        filters=Filters.of(settings),
        throttle=settings.rl_actor_throttle_ms * MILLISECOND,
        budget=cash_from_cents(settings.rl_actor_market_budget),
        order_quantity=Quantity(settings.rl_actor_order_contracts * CONTRACT),
        initial_cash=cash_from_cents(settings.rl_actor_initial_cash),
        poll_seconds=settings.rl_policy_poll_seconds,
        latency=settings.rl_sim_latency_ms * MILLISECOND,
        fill_model=FillModel[settings.rl_sim_fill_model.upper()],
    )


def tape_plan_of(settings: Settings) -> TapePlan | None:
    """Read how the trader's tape is recorded; `None` where it is not to be."""
    if not settings.rl_actor_tape:
        return None
    return TapePlan(
        folder=settings.rl_state_dir / "tape",
        limit_bytes=settings.rl_actor_tape_limit_mb * MEGABYTE,
        database_url=settings.require("DATABASE_URL"),
        environment=settings.environment.value,
        session_seconds=settings.rl_session_max_minutes * 60,
    )

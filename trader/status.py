"""What the trader tells of itself, as plain values: health, status, account, markets."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Protocol
from uuid import UUID

from kalshiflow.agent.action import ACTIONS
from kalshiflow.market.events import Side
from kalshiflow.market.orders import ENDED, OrderState
from kalshiflow.market.portfolio import Position
from kalshiflow.market.units import (
    DOLLAR,
    Cash,
    Price,
    Quantity,
    cash_to_dollars,
    price_to_dollars,
    quantity_to_contracts,
)
from kalshiflow.settings import Environment, OrdersTo
from trader.bus import Bus
from trader.conductor import Conductor
from trader.counts import Counts
from trader.lifecycle import State
from trader.link import Link
from trader.market_data import MarketData
from trader.orders import TrackedOrder
from trader.outcomes import Outcomes
from trader.policies import PolicySlot
from trader.taping import Taping

SECOND = 1_000_000_000
MILLISECOND = 1_000_000
WELL = frozenset({State.READY, State.ACTING, State.CALIBRATING})


class Waiting(Protocol):
    """Something with a queue."""

    @property
    def waiting(self) -> int:
        """Give how much waits."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a trader that its status speaks of. `started_at` is UTC nanoseconds."""

    run_id: UUID
    environment: Environment
    orders_to: OrdersTo
    started_at: int
    conductor: Conductor
    counts: Counts
    data: MarketData
    outcomes: Outcomes
    slot: PolicySlot
    link: Link
    journal: Waiting
    sender: Waiting
    bus: Bus
    taping: Taping


def health(parts: Parts, now: int) -> dict[str, Any]:
    """Give the body of `GET /v3/health`: `ok`, `paused` or `degraded`, and why."""
    conductor = parts.conductor
    state = conductor.lifecycle.state
    status = "ok" if state in WELL else "paused" if state is State.PAUSED else "degraded"
    return {
        "status": status,
        "state": state.value,
        "holding_reason": conductor.holding_reason(),
        "environment": parts.environment.value,
        "orders_to": parts.orders_to.value,
        "version": version("kalshiflow"),
        "markets": len(parts.data.observers),
        "markets_ready": parts.data.ready(),
        "connected": parts.link.is_up,
        "policy_version": None if parts.slot.current is None else parts.slot.current.version,
        "uptime_seconds": round((now - parts.started_at) / SECOND, 3),
    }


def status(parts: Parts, now: int) -> dict[str, Any]:
    """Give the body of `GET /v3/status`; all money is decimal dollar text."""
    counts, squared = parts.counts, parts.conductor.squared
    return {
        "state": parts.conductor.lifecycle.state.value,
        "environment": parts.environment.value,
        "orders_to": parts.orders_to.value,
        "run_id": str(parts.run_id),
        "policy": policy(parts.slot),
        "policy_problem": parts.slot.problem,
        "holding_reason": parts.conductor.holding_reason(),
        "decisions": counts.decisions,
        "actions": actions(counts),
        "forbidden": counts.forbidden,
        "refused": counts.refused,
        "deferred": counts.deferred,
        "orders": orders(parts),
        "fills": counts.fills,
        **account(parts),
        "positions": positions(parts),
        "reconciled_at": iso(parts.conductor.squared_at),
        "reconciliations": counts.reconciled,
        "drift": [] if squared is None else list(squared.drift),
        "drifts": counts.drifts,
        "connection": connection(parts, now),
        "tape": tape(parts.taping),
        "observers": observers(parts.bus),
        "uptime": round((now - parts.started_at) / SECOND, 3),
    }


def policy(slot: PolicySlot) -> dict[str, Any] | None:
    """Give the policy that decides, if there is one."""
    loaded = slot.current
    if loaded is None:
        return None
    return {
        "name": "kalshi-policy",
        "version": loaded.version,
        "fingerprint": loaded.fingerprint,
        "loaded_at": iso(loaded.loaded_at),
        "source": loaded.source,
    }


def actions(counts: Counts) -> dict[str, int]:
    """Give how often each action was done."""
    return {row.action.name: counts.actions[row.action] for row in ACTIONS}


def orders(parts: Parts) -> dict[str, int]:
    """Give how many orders were placed and how they ended."""
    ends = parts.outcomes.orders.ends
    return {
        "placed": parts.counts.placed,
        "filled": ends[OrderState.FILLED],
        "cancelled": ends[OrderState.CANCELLED] + ends[OrderState.EXPIRED],
        "rejected": ends[OrderState.REJECTED] - parts.counts.dropped,
        "not_sent": parts.counts.dropped,
        "unknown": parts.counts.unknown,
        "open": len(parts.outcomes.orders.open()),
    }


def account(parts: Parts) -> dict[str, str]:
    """Give the account's money: exact, in dollars."""
    ledger = parts.outcomes.accounts.ledger
    return {
        "cash": money(ledger.cash),
        "reserved": money(ledger.reserved),
        "available": money(ledger.available),
        "fees": money(ledger.fees_paid),
        "realised": money(ledger.realised),
        "portfolio_value": money(ledger.value(touches(parts.data))),
    }


def positions(parts: Parts) -> list[dict[str, Any]]:
    """Give what is held, market by market; flat markets with a result of this run too."""
    ledger = parts.outcomes.accounts.ledger
    return [
        position(ticker, held, ledger.market_value(ticker, *touch(parts.data, ticker)))
        for ticker, held in sorted(ledger.positions.items())
        if held != Position()
    ]


def position(ticker: str, held: Position, value: Cash | None) -> dict[str, Any]:
    """Give one holding; `value` is what closing it at the touch would bring."""
    side = "yes" if held.quantity > 0 else "no" if held.quantity < 0 else None
    unrealised = None if value is None else money(Cash(value - held.cost))
    return {
        "market_ticker": ticker,
        "side": side,
        "quantity": quantity_to_contracts(held.quantity),
        "cost": money(held.cost),
        "value": None if value is None else money(value),
        "unrealised": unrealised,
        "realised": money(held.realised),
        "fees": money(held.fees),
    }


def open_orders(orders: Iterable[TrackedOrder]) -> list[dict[str, Any]]:
    """Give the orders that may still fill."""
    return [order_view(order) for order in orders if order.state not in ENDED]


def order_view(order: TrackedOrder) -> dict[str, Any]:
    """Give one order; its price is the YES price."""
    return {
        "client_order_id": str(order.client_order_id),
        "order_id": order.order_id,
        "decision_id": str(order.decision_id),
        "market_ticker": order.ticker,
        "side": side_name(order.side),
        "limit_price": price_to_dollars(order.price),
        "quantity": quantity_to_contracts(order.quantity),
        "filled": quantity_to_contracts(Quantity(max(order.filled, order.told_filled))),
        "remaining": quantity_to_contracts(order.remaining),
        "status": order.state.value,
        "placed_at": iso(order.created_at),
        "error": order.error,
    }


def connection(parts: Parts, now: int) -> dict[str, Any]:
    """Give the state of the connection and what came over it."""
    frames, link = parts.data.counts, parts.link
    last = parts.data.last_frame_at
    return {
        "status": "connected" if link.is_up else "disconnected",
        "problem": link.problem,
        "uptime_seconds": link.uptime(),
        "connections": link.connections,
        "markets": len(parts.data.observers),
        "markets_ready": parts.data.ready(),
        "frames": frames.frames,
        "snapshots": frames.snapshots,
        "deltas": frames.deltas,
        "trades": frames.trades,
        "gaps": frames.gaps,
        "bad_frames": frames.bad,
        "last_frame_age_ms": None if not last else round((now - last) / MILLISECOND, 3),
    }


def tape(taping: Taping) -> dict[str, Any]:
    """Give whether the trader's own frames are recorded, and how far their rows are."""
    tape, ingest, spool, closer = taping.tape, taping.ingest, taping.spool, taping.closer
    return {
        "state": taping.state.value,
        "problem": taping.problem,
        "failures": taping.failures,
        "session_id": tape.session_id,
        "frames": tape.frames,
        "frames_missed": tape.missed,
        "records_behind": 0 if ingest is None else ingest.behind,
        "rows_written": 0 if ingest is None else ingest.rows_written,
        "spool_bytes": 0 if spool is None else spool.bytes_held,
        "database_trouble": None if ingest is None else ingest.trouble,
        "sessions_closed": 0 if closer is None else closer.closed,
    }


def observers(bus: Bus) -> list[dict[str, Any]]:
    """Give who listens to what happens, and who is cut off for being slow or failing."""
    return [
        {"name": one.name, "waiting": one.waiting, "cuts": one.cuts, "cut": one.cut}
        for one in bus.subscriptions
    ]


def touch(data: MarketData, ticker: str) -> tuple[Price | None, Price | None]:
    """Give a market's best bid and ask without our own orders, if its book can be trusted."""
    return data.observers[ticker].touch() if data.is_whole(ticker) else (None, None)


def touches(data: MarketData) -> dict[str, tuple[Price | None, Price | None]]:
    """Give the touch of every market."""
    return {ticker: touch(data, ticker) for ticker in data.observers}


def money(cash: Cash) -> str:
    """Write an amount exactly, with two decimals or as many more as it needs."""
    whole, _, decimals = cash_to_dollars(cash).partition(".")
    return f"{whole}.{decimals.rstrip('0').ljust(2, '0')}"


def side_name(side: Side) -> str:
    """Give a side of the YES book in a word."""
    return side.name.lower()


def mid(bid: Price | None, ask: Price | None) -> str | None:
    """Give the price in the middle, to half of the smallest step."""
    return None if bid is None or ask is None else f"{(bid + ask) / (2 * DOLLAR):.5f}"


def iso(at: int | None) -> str | None:
    """Write a time as ISO 8601 UTC with milliseconds."""
    if at is None:
        return None
    seconds, rest = divmod(at, SECOND)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{rest // MILLISECOND:03d}Z"

"""The trader's journal: its runs, decisions, orders and fills.

All times are UTC nanoseconds; prices, quantities and cash are the integer units of the market.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any
from uuid import UUID

import asyncpg

from kalshiflow.market.events import Side
from kalshiflow.market.orders import ENDED, OrderState, Role, TimeInForce
from kalshiflow.market.units import Cash, Price, Quantity
from kalshiflow.store.database import Store
from kalshiflow.store.errors import NotRecorded, StoreError


class DuplicateIntent(StoreError):
    """An intent with this client order id stands already."""


@dataclass(frozen=True, slots=True)
class Run:
    """One life of the trader. `settings` is what it was started with, without secrets."""

    run_id: UUID
    environment: str
    orders_to: str
    settings: Mapping[str, Any]
    started_at: int
    ended_at: int | None = None
    end_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision, HOLD included. `decision_no` is dense from 1 within the run.

    `session_id` and `frame_no` name the frame that caused it, `mask` has bit i set where action i
    was allowed, `observation_hash` is 16 bytes, `observation` stands where the action is not HOLD.
    """

    run_id: UUID
    decision_no: int
    decision_id: UUID
    ticker: str
    session_id: str | None
    frame_no: int
    market_time: int
    received_at: int
    decided_at: int
    policy_version: str
    action: int
    forbidden: bool
    mask: int
    observation_hash: bytes
    observation: tuple[float, ...] | None
    reason: str


@dataclass(frozen=True, slots=True)
class OrderRow:
    """An order: its intent as committed before it was sent, and what became of it.

    `filled` and `fees` (net of rebates) are the sums of its recorded fills.
    """

    client_order_id: UUID
    run_id: UUID
    decision_id: UUID | None
    ticker: str
    side: Side
    price: Price
    quantity: Quantity
    time_in_force: TimeInForce
    state: OrderState
    created_at: int
    updated_at: int
    order_id: str | None = None
    filled: Quantity = Quantity(0)
    fees: Cash = Cash(0)
    error: str | None = None


@dataclass(frozen=True, slots=True)
class FillRow:
    """A fill, known by the exchange's `trade_id`. `position_after` is signed: above 0 is YES."""

    trade_id: str
    run_id: UUID
    order_id: str
    client_order_id: UUID | None
    ticker: str
    side: Side
    price: Price
    quantity: Quantity
    role: Role
    fee: Cash
    at: int
    position_after: Quantity | None = None


async def start_run(store: Store, run: Run) -> None:
    """Record that a run has begun."""
    async with store.transaction() as connection:
        await _insert(connection, "rl_trading_runs", run)


async def end_run(store: Store, run_id: UUID, *, at: int, reason: str) -> None:
    """Record that a run has ended, and why."""
    async with store.connection() as connection:
        await connection.execute(
            "UPDATE rl_trading_runs SET ended_at = $2, end_reason = $3 WHERE run_id = $1",
            run_id,
            at,
            reason,
        )


async def runs(store: Store, limit: int = 50) -> list[Run]:
    """Give the newest runs first."""
    async with store.connection() as connection:
        found = await connection.fetch(
            "SELECT * FROM rl_trading_runs ORDER BY started_at DESC LIMIT $1", limit
        )
    return [Run(**record) for record in found]


async def get_run(store: Store, run_id: UUID) -> Run:
    """Give one run; raises `NotRecorded` where there is none."""
    async with store.connection() as connection:
        found = await connection.fetchrow("SELECT * FROM rl_trading_runs WHERE run_id = $1", run_id)
    if found is None:
        raise NotRecorded(f"there is no run {run_id} of the trader")
    return Run(**found)


async def latest_run(store: Store) -> Run | None:
    """Give the newest run, if there is one."""
    return next(iter(await runs(store, 1)), None)


async def record_decisions(store: Store, decisions: Sequence[Decision]) -> None:
    """Store a batch of decisions, all or none."""
    names = [field.name for field in fields(Decision)]
    async with store.transaction() as connection:
        await connection.copy_records_to_table(
            "rl_trading_decisions",
            columns=names,
            records=[tuple(getattr(row, name) for name in names) for row in decisions],
        )


async def decisions_of_run(
    store: Store, run_id: UUID, *, after_no: int = 0, limit: int = 100_000
) -> list[Decision]:
    """Give a run's decisions in order, from the one after `after_no`."""
    return await _decisions(
        store,
        "run_id = $1 AND decision_no > $2 ORDER BY decision_no LIMIT $3",
        run_id,
        after_no,
        limit,
    )


async def decisions_of_session(store: Store, session_id: str) -> list[Decision]:
    """Give the decisions whose frames are on a session of the trader's own tape, in order."""
    return await _decisions(store, "session_id = $1 ORDER BY decision_no", session_id)


async def recent_decisions(
    store: Store, run_id: UUID, *, limit: int = 100, with_hold: bool = True
) -> list[Decision]:
    """Give a run's newest decisions first; without HOLD (action 0) on request."""
    return await _decisions(
        store,
        "run_id = $1 AND (action <> 0 OR $2) ORDER BY decision_no DESC LIMIT $3",
        run_id,
        with_hold,
        limit,
    )


async def count_decisions(store: Store, run_id: UUID) -> dict[int, int]:
    """Give the number of a run's decisions by action."""
    async with store.connection() as connection:
        found = await connection.fetch(
            "SELECT action, count(*) FROM rl_trading_decisions WHERE run_id = $1"
            " GROUP BY action ORDER BY action",
            run_id,
        )
    return {record["action"]: record["count"] for record in found}


async def record_intent(store: Store, order: OrderRow) -> None:
    """Commit an order's intent to disk; only after this returns may the order be sent.

    Raises `DuplicateIntent` where the client order id stands already.
    """
    try:
        async with store.transaction() as connection:
            await connection.execute("SET LOCAL synchronous_commit = on")
            await _insert(connection, "rl_trading_orders", order)
    except asyncpg.UniqueViolationError as twice:
        raise DuplicateIntent(
            f"an order with client order id {order.client_order_id} is recorded already"
        ) from twice


async def update_order(
    store: Store,
    client_order_id: UUID,
    state: OrderState,
    *,
    at: int,
    order_id: str | None = None,
    error: str | None = None,
) -> None:
    """Record an order's state, and the exchange's id or error where one is given.

    Raises `NotRecorded` for an order without an intent.
    """
    async with store.connection() as connection:
        done = await connection.execute(
            "UPDATE rl_trading_orders SET state = $2, updated_at = $3,"
            " order_id = coalesce($4, order_id), error = coalesce($5, error)"
            " WHERE client_order_id = $1",
            client_order_id,
            state.value,
            at,
            order_id,
            error,
        )
    if done != "UPDATE 1":
        raise NotRecorded(f"no order with client order id {client_order_id} is recorded")


async def find_order(store: Store, client_order_id: UUID) -> OrderRow | None:
    """Give the order with this client order id, if there is one."""
    found = await _orders(store, "client_order_id = $1", client_order_id)
    return found[0] if found else None


async def orders_of_run(store: Store, run_id: UUID) -> list[OrderRow]:
    """Give a run's orders in the order of their intents."""
    return await _orders(store, "run_id = $1", run_id)


async def open_orders(store: Store) -> list[OrderRow]:
    """Give every run's orders whose end is not known: pending, unknown or resting."""
    return await _orders(store, "NOT (state = ANY($1))", [state.value for state in ENDED])


async def record_fill(store: Store, fill: FillRow) -> bool:
    """Record a fill once and add it to its order; gives False where it was known already."""
    async with store.transaction() as connection:
        names = [field.name for field in fields(FillRow)]
        new = await connection.fetchval(
            f"INSERT INTO rl_trading_fills ({', '.join(names)}) VALUES ({_marks(names)})"  # noqa: S608
            " ON CONFLICT (trade_id) DO NOTHING RETURNING true",
            *(getattr(fill, name) for name in names),
        )
        if new:
            await connection.execute(
                "UPDATE rl_trading_orders SET filled = filled + $2, fees = fees + $3,"
                " updated_at = greatest(updated_at, $4),"
                " state = CASE WHEN filled + $2 = quantity THEN 'filled' ELSE state END"
                " WHERE client_order_id = $1",
                fill.client_order_id,
                fill.quantity,
                fill.fee,
                fill.at,
            )
    return bool(new)


async def fills_of_run(store: Store, run_id: UUID) -> list[FillRow]:
    """Give a run's fills in order of time."""
    async with store.connection() as connection:
        found = await connection.fetch(
            "SELECT * FROM rl_trading_fills WHERE run_id = $1 ORDER BY at, trade_id", run_id
        )
    return [
        FillRow(**{**record, "side": Side(record["side"]), "role": Role(record["role"])})
        for record in found
    ]


async def _insert(connection: Any, table: str, row: Any) -> None:
    names = [field.name for field in fields(row)]
    await connection.execute(
        f"INSERT INTO {table} ({', '.join(names)}) VALUES ({_marks(names)})",  # noqa: S608
        *(getattr(row, name) for name in names),
    )


def _marks(names: Sequence[str]) -> str:
    return ", ".join(f"${place}" for place in range(1, len(names) + 1))


async def _decisions(store: Store, condition: str, *values: object) -> list[Decision]:
    async with store.connection() as connection:
        found = await connection.fetch(
            f"SELECT * FROM rl_trading_decisions WHERE {condition}",  # noqa: S608
            *values,
        )
    return [
        Decision(
            **{
                **record,
                "observation": None
                if record["observation"] is None
                else tuple(record["observation"]),
            }
        )
        for record in found
    ]


async def _orders(store: Store, condition: str, value: object) -> list[OrderRow]:
    async with store.connection() as connection:
        found = await connection.fetch(
            f"SELECT * FROM rl_trading_orders WHERE {condition}"  # noqa: S608
            " ORDER BY created_at, client_order_id",
            value,
        )
    return [
        OrderRow(
            **{
                **record,
                "side": Side(record["side"]),
                "time_in_force": TimeInForce(record["time_in_force"]),
                "state": OrderState(record["state"]),
            }
        )
        for record in found
    ]

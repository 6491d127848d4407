"""Closes the journal's open orders of earlier runs: what a crash left resting is cancelled."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from uuid import UUID

import structlog

from kalshiflow.exchange.client import KalshiClient
from kalshiflow.exchange.errors import NotFound
from kalshiflow.exchange.records import OwnOrder
from kalshiflow.market.orders import ENDED, OrderState
from kalshiflow.store import trading
from kalshiflow.store.database import Store
from kalshiflow.store.trading import FillRow, OrderRow

log = structlog.get_logger()

ABSENT_SECONDS = 2.0  # reads lag: an order is absent once two reads so far apart do not show it


async def close_leftovers(
    store: Store,
    client: KalshiClient,
    run_id: UUID,
    now: int,
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> int:
    """Give the number of orders of other runs whose end was found out or brought about.

    Their fills are recorded too, under the run that found them. Raises the exchange's errors and
    `StoreUnavailable`.
    """
    left = [row for row in await trading.open_orders(store) if row.run_id != run_id]
    records = await _find_all(client, left, sleep)
    for row in left:
        found = records[row.client_order_id]
        if found is not None and found.state not in ENDED:
            found = await _cancel(client, found)
        if found is not None:
            await _record_fills(store, client, row, found, run_id)
        state = OrderState.REJECTED if found is None else found.state
        error = "it never reached the exchange" if found is None else None
        order_id = None if found is None else found.order_id
        await trading.update_order(
            store, row.client_order_id, state, at=now, order_id=order_id, error=error
        )
        log.info("closed an order of an earlier run", order=str(row.client_order_id), state=state)
    return len(left)


async def _find_all(
    client: KalshiClient, rows: Sequence[OrderRow], sleep: Callable[[float], Awaitable[None]]
) -> dict[UUID, OwnOrder | None]:
    found = {row.client_order_id: await _find(client, row) for row in rows}
    absent = [row for row in rows if found[row.client_order_id] is None]
    if absent:
        await sleep(ABSENT_SECONDS)
    for row in absent:
        found[row.client_order_id] = await _find(client, row)
    return found


async def _find(client: KalshiClient, row: OrderRow) -> OwnOrder | None:
    if row.order_id is not None:
        try:
            return await client.get_order(row.order_id)
        except NotFound:
            return None
    for record in await client.get_orders(ticker=row.ticker):
        if record.client_order_id == str(row.client_order_id):
            return record
    return None


async def _cancel(client: KalshiClient, found: OwnOrder) -> OwnOrder:
    try:
        await client.cancel_order(found.order_id)
    except NotFound:
        log.info("an order of an earlier run ended by itself", order=found.order_id)
    after = await client.get_order(found.order_id)
    # A read lags behind a cancel that was answered: the answer counts.
    return after if after.state in ENDED else _cancelled(after)


def _cancelled(order: OwnOrder) -> OwnOrder:
    return replace(order, state=OrderState.CANCELLED)


async def _record_fills(
    store: Store, client: KalshiClient, row: OrderRow, found: OwnOrder, run_id: UUID
) -> None:
    if found.filled <= row.filled:
        return
    for fill in await client.get_fills(order_id=found.order_id):
        await trading.record_fill(
            store,
            FillRow(
                trade_id=fill.trade_id,
                run_id=run_id,
                order_id=fill.order_id,
                client_order_id=row.client_order_id,
                ticker=fill.ticker,
                side=fill.side,
                price=fill.price,
                quantity=fill.quantity,
                role=fill.role,
                fee=fill.fee,
                at=fill.at,
            ),
        )

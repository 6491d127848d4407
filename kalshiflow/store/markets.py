"""Markets as the store keeps them: price grid, fees, life, result."""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any

from kalshiflow.market.events import MarketStatusChanged
from kalshiflow.market.listing import (
    FeeTerms,
    FeeType,
    Market,
    MarketResult,
    MarketStatus,
    decode_grid,
    encode_grid,
)
from kalshiflow.market.units import Price
from kalshiflow.store import rows
from kalshiflow.store.database import Store

_COLUMNS = (
    "ticker",
    "event_ticker",
    "series_ticker",
    "title",
    "grid",
    "status",
    "open_time",
    "close_time",
    "result",
    "settlement_value",
    "fee_type",
    "fee_multiplier_num",
    "fee_multiplier_den",
    "updated_at",
)
_UPSERT = (
    f"INSERT INTO rl_markets ({', '.join(_COLUMNS)}) VALUES"  # noqa: S608
    f" ({', '.join(f'${place}' for place in range(1, len(_COLUMNS) + 1))})"
    " ON CONFLICT (ticker) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS[1:])
    + " WHERE rl_markets.updated_at <= excluded.updated_at"
)
_LIFE = (
    "UPDATE rl_markets SET status = coalesce($2, status),"
    " result = CASE WHEN $3 = '' THEN result ELSE $3 END,"
    " settlement_value = coalesce($4, settlement_value),"
    " close_time = coalesce($5, close_time), grid = coalesce($6, grid), updated_at = $7"
    " WHERE ticker = $1 AND updated_at <= $7"
)

_UNSETTLED = (
    "SELECT * FROM rl_markets WHERE status <> $1 AND ticker IN"
    " (SELECT unnest(markets) FROM rl_orderbook_sessions"
    " WHERE environment = $2 AND origin = $3 AND shard = $4 AND started_at >= $5)"
    " ORDER BY ticker"
)


async def save_markets(store: Store, listed: Iterable[Market], *, at: int) -> None:
    """Store markets as the exchange lists them now; a later listing replaces an earlier one."""
    async with store.transaction() as connection:
        await list_markets(connection, listed, at=at)


async def list_markets(connection: Any, listed: Iterable[Market], *, at: int) -> None:
    """Store markets as the exchange listed them at a time, within a caller's transaction.

    What is known of a later time stays.
    """
    found = [
        (market.ticker, *rows.listing_values(market), at) for market in sorted(listed, key=_ticker)
    ]
    if found:
        await connection.executemany(_UPSERT, found)


async def markets(store: Store, tickers: Sequence[str] | None = None) -> dict[str, Market]:
    """Give the known markets among `tickers` (all without it) by ticker, in order of ticker.

    A ticker that was never listed is missing in the answer.
    """
    async with store.connection() as connection:
        found = await connection.fetch(
            "SELECT * FROM rl_markets WHERE ticker = ANY($1) OR $1 IS NULL ORDER BY ticker",
            None if tickers is None else list(tickers),
        )
    return {record["ticker"]: market_of(record) for record in found}


async def unsettled(
    store: Store, *, environment: str, origin: str, shard: str, since: int
) -> dict[str, Market]:
    """Give the markets without a settlement among those that a shard recorded since a time."""
    async with store.connection() as connection:
        found = await connection.fetch(
            _UNSETTLED, MarketStatus.FINALIZED.value, environment, origin, shard, since
        )
    return {record["ticker"]: market_of(record) for record in found}


async def apply_lifecycle(connection: Any, events: Iterable[MarketStatusChanged]) -> None:
    """Bring stored markets up to date with lifecycle events, within a caller's transaction."""
    found = [
        (
            event.ticker,
            None if event.status is None else event.status.value,
            event.result.value,
            event.settlement_value,
            event.close_time,
            None if event.grid is None else encode_grid(event.grid),
            event.stamp.received_at,
        )
        for event in sorted(events, key=_ticker)
    ]
    if found:
        await connection.executemany(_LIFE, found)


def _ticker(named: Market | MarketStatusChanged) -> str:
    # Rows are written in one order, so that two transactions wait for each other, but never both.
    return named.ticker


def market_of(record: Any) -> Market:
    """Read a market from a row of its listing."""
    value = record["settlement_value"]
    multiplier = Fraction(record["fee_multiplier_num"], record["fee_multiplier_den"])
    return Market(
        ticker=record["ticker"],
        event_ticker=record["event_ticker"],
        title=record["title"],
        grid=decode_grid(record["grid"]),
        status=MarketStatus(record["status"]),
        open_time=record["open_time"],
        close_time=record["close_time"],
        result=MarketResult(record["result"]),
        settlement_value=None if value is None else Price(value),
        series_ticker=record["series_ticker"],
        fees=FeeTerms(FeeType(record["fee_type"]), multiplier),
    )

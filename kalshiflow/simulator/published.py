"""Rows of whole numbers as what they tell: market events for the public, and our own fills."""

from collections.abc import Iterator, Sequence

from kalshiflow.market.events import (
    BookDelta,
    BookSnapshot,
    Levels,
    MarketEvent,
    PublicTrade,
    Side,
    Stamp,
)
from kalshiflow.market.flat import OWN_DELTA, SNAPSHOT, STATUS, TRADE, UNKNOWN
from kalshiflow.market.listing import Market
from kalshiflow.market.orders import Fill, Order, Role
from kalshiflow.market.units import Cash, Price, Quantity
from kalshiflow.simulator.told import COUNT, ROW_SIZE, ROWS

Row = tuple[int, int, int, int, int]  # kind, side, index, quantity, at

_ROLES = (Role.TAKER, Role.MAKER)


def rows_of(told: Sequence[int]) -> Iterator[Row]:
    """Give the rows one by one."""
    for row in range(told[COUNT]):
        start = ROWS + ROW_SIZE * row
        kind, side, index, quantity, at = told[start : start + ROW_SIZE]
        yield kind, side, index, quantity, at


def of_command(
    told: Sequence[int], market: Market, order: Order, stamp: Stamp, fills: int
) -> Iterator[MarketEvent]:
    """Give what became public when a command for an order arrived; `fills` were there before."""
    for kind, side, index, quantity, _ in rows_of(told):
        price = market.grid.prices[index]
        if kind == TRADE:
            fills += 1
            yield _trade(market, fills, price, quantity, side, stamp)
        else:
            yield _delta(market, side, price, quantity, stamp, order.order_id)


def of_event(
    told: Sequence[int], market: Market, event: MarketEvent, resting: list[Order], fills: int
) -> Iterator[MarketEvent]:
    """Give what became public with an event; `resting` and `fills` were there before it."""
    for kind, side, index, quantity, _ in rows_of(told):
        if kind == SNAPSHOT:
            yield _snapshot(told, quantity, market, event.stamp)
        elif kind == STATUS:
            yield event
        elif (
            kind == TRADE and isinstance(event, PublicTrade) and _is_at(market, index, event.price)
        ):
            yield event._replace(quantity=Quantity(quantity))
        elif kind == TRADE:
            fills += 1
            yield _trade(market, fills, market.grid.prices[index], quantity, side, event.stamp)
        else:
            price, order_id = market.grid.prices[index], None
            if kind == OWN_DELTA:
                own = next(o for o in resting if o.side == side and o.price == price)
                resting.remove(own)
                order_id = own.order_id
            yield _delta(market, side, price, quantity, event.stamp, order_id)


def own_fill(row: Sequence[int], number: int, order: Order, prices: Sequence[Price]) -> Fill:
    """Give one of an order's fills from its row in the log; `number` counts fills from 1 on."""
    side, index, quantity, role, fee, at, is_inferred, _ = row
    return Fill(
        trade_id(number),
        order.order_id,
        order.ticker,
        Side(side),
        prices[index],
        Quantity(quantity),
        _ROLES[role],
        Cash(fee),
        at,
        is_inferred=bool(is_inferred),
    )


def trade_id(fill: int) -> str:
    """Give the id of one's own fill by its number, from 1 on."""
    return f"own-{fill}"


def _is_at(market: Market, index: int, price: Price) -> bool:
    return index == market.grid.places.get(price, UNKNOWN)


def _delta(
    market: Market,
    side: int,
    price: Price,
    change: int,
    stamp: Stamp,
    order_id: str | None = None,
) -> BookDelta:
    return BookDelta(market.ticker, Side(side), price, Quantity(change), stamp, order_id)


def _trade(
    market: Market, fill: int, price: Price, quantity: int, taker_side: int, stamp: Stamp
) -> PublicTrade:
    taker = Side(taker_side)
    return PublicTrade(market.ticker, trade_id(fill), price, Quantity(quantity), taker, stamp)


def _snapshot(told: Sequence[int], start: int, market: Market, stamp: Stamp) -> BookSnapshot:
    bids, asks = told[start], told[start + 1]
    levels = start + 2
    return BookSnapshot(
        market.ticker,
        _levels(told, levels, bids, market),
        _levels(told, levels + 2 * bids, asks, market),
        stamp,
    )


def _levels(told: Sequence[int], start: int, count: int, market: Market) -> Levels:
    prices = market.grid.prices
    return tuple(
        (prices[told[at]], Quantity(told[at + 1])) for at in range(start, start + 2 * count, 2)
    )

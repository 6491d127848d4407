"""Market events as the whole numbers of `market.flat`, one event at a time."""

from collections.abc import Mapping

from kalshiflow.market.events import BookDelta, BookSnapshot, Levels, MarketEvent, PublicTrade
from kalshiflow.market.flat import (
    CLOSES,
    DELTA,
    OWN_DELTA,
    SNAPSHOT,
    STATUS,
    STATUS_NUMBER,
    TRADE,
    UNKNOWN,
)
from kalshiflow.market.listing import MarketResult, MarketStatus
from kalshiflow.market.settlement import SettlementError, settlement_value
from kalshiflow.market.units import Price

Row = tuple[int, int, int, int]  # kind, side, index, quantity

_SETTLING = (MarketStatus.DETERMINED, MarketStatus.FINALIZED)


def flatten(event: MarketEvent, places: Mapping[Price, int], bodies: list[int]) -> list[Row]:
    """Give the rows of an event; the body of a snapshot is added to `bodies`.

    `places` are those of the market's price grid. Raises `KeyError` for a level that is not on it.
    """
    if isinstance(event, BookDelta):
        kind = DELTA if event.client_order_id is None else OWN_DELTA
        return [(kind, event.side, places[event.price], event.change)]
    if isinstance(event, PublicTrade):
        index = places.get(event.price, UNKNOWN)
        return [(TRADE, event.taker_side, index, event.quantity)]
    if isinstance(event, BookSnapshot):
        body = snapshot_body(event.bids, event.asks, places)
        bodies += body
        return [(SNAPSHOT, 0, len(body), len(bodies) - len(body))]
    rows: list[Row] = []
    if event.status is not None:
        paid = value_paid(event.status, event.result, event.settlement_value)
        rows.append((STATUS, 0, STATUS_NUMBER[event.status], paid))
    if event.close_time is not None:
        rows.append((CLOSES, 0, 0, event.close_time))
    return rows


def snapshot_body(bids: Levels, asks: Levels, places: Mapping[Price, int]) -> list[int]:
    """Give a whole book as the numbers of a snapshot's body."""
    body = [len(bids), len(asks)]
    for levels in (bids, asks):
        for price, quantity in levels:
            body += (places[price], quantity)
    return body


def value_paid(status: MarketStatus | None, result: MarketResult, told: Price | None = None) -> int:
    """Give what one YES contract is paid, once that is told without contradiction; else -1."""
    if status not in _SETTLING:
        return UNKNOWN
    try:
        return settlement_value(result, told)
    except SettlementError:
        return UNKNOWN

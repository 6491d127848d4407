"""What happens in a market, as facts: snapshots, deltas, public trades, changes of status.

They are named tuples, for they are made by the million, and nothing unchangeable is made cheaper.
"""

from enum import IntEnum, StrEnum
from typing import NamedTuple

from kalshiflow.market.listing import MarketResult, MarketStatus, PriceGrid
from kalshiflow.market.units import Price, Quantity


class Side(IntEnum):
    """A side of the YES-scale book. Small integers, so that flat sequences can hold them."""

    BID = 0
    ASK = 1

    @property
    def other(self) -> "Side":
        """Give the opposite side."""
        return Side.ASK if self is Side.BID else Side.BID


class TimeSource(StrEnum):
    """Where a frame's market time comes from."""

    EXCHANGE = "exchange"  # the frame's own exchange time advanced it
    CARRIED = "carried"  # the frame had none, or an older one: the connection's largest so far
    RECEIVE = "receive"  # no exchange time was seen yet on the connection: our clock


class Stamp(NamedTuple):
    """Where and when a frame was received. All times are UTC nanoseconds.

    `frame_no` is dense from 1 within a session and is the one order of replay; 0 marks rows that
    stand before the first frame (the books carried over at a seam).
    """

    frame_no: int
    received_at: int
    market_time: int
    time_source: TimeSource
    exchange_ts: int | None = None
    sid: int | None = None
    seq: int | None = None


Levels = tuple[tuple[Price, Quantity], ...]


class BookSnapshot(NamedTuple):
    """A whole book: levels of both sides on the YES scale, best first."""

    ticker: str
    bids: Levels
    asks: Levels
    stamp: Stamp


class BookDelta(NamedTuple):
    """A signed change of the resting quantity at one price of one side."""

    ticker: str
    side: Side
    price: Price
    change: Quantity
    stamp: Stamp
    client_order_id: str | None = None


class PublicTrade(NamedTuple):
    """Anyone's trade. `taker_side` is the side of the book that the taker's order was on."""

    ticker: str
    trade_id: str
    price: Price
    quantity: Quantity
    taker_side: Side
    stamp: Stamp


class MarketStatusChanged(NamedTuple):
    """A step of a market's life, with what the exchange told of it."""

    ticker: str
    event_type: str
    stamp: Stamp
    status: MarketStatus | None = None
    result: MarketResult = MarketResult.UNKNOWN
    settlement_value: Price | None = None
    close_time: int | None = None
    grid: PriceGrid | None = None


MarketEvent = BookSnapshot | BookDelta | PublicTrade | MarketStatusChanged

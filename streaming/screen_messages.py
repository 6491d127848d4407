"""What screens are sent about books, as JSON; prices are dollars, sizes contracts."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import msgspec

from kalshiflow.market.book import Book
from kalshiflow.market.events import BookDelta, Levels, Side, Stamp
from kalshiflow.market.units import (
    Price,
    Quantity,
    complement,
    price_to_dollars,
    quantity_to_contracts,
)

MILLISECOND = 1_000_000
_SIDES = tuple(side.name.lower() for side in Side)

_encode = msgspec.json.Encoder().encode
_dollars = lru_cache(10_001)(price_to_dollars)
_contracts = lru_cache(10_000)(quantity_to_contracts)


def encode(message: Mapping[str, Any]) -> bytes:
    """Write a message as JSON."""
    return _encode(message)


class _Delta(msgspec.Struct):
    market_ticker: str
    timestamp_ms: int
    sequence_number: int | None
    side: str
    price: str
    delta: str
    new_size: str


class _DeltaMessage(msgspec.Struct):
    type: str
    data: _Delta


def delta_message(event: BookDelta, book: Book) -> bytes:
    """Give the `orderbook_delta` of a change that the book has just taken; prices are YES prices.

    Made for every change that is watched: a struct is written in a fraction of a dict's time.
    """
    stamp, side, price = event.stamp, event.side, event.price
    return _encode(
        _DeltaMessage(
            "orderbook_delta",
            _Delta(
                event.ticker,
                stamp.market_time // MILLISECOND,
                stamp.seq,
                _SIDES[side],
                _dollars(price),
                _contracts(event.change),
                _contracts(book.quantity_at(side, price)),
            ),
        )
    )


def snapshot_message(book: Book, stamp: Stamp | None) -> dict[str, Any]:
    """Give the `orderbook_snapshot` of a book; `stamp` is that of its newest frame."""
    bids, asks = book.levels(Side.BID), book.levels(Side.ASK)
    middle = None
    if bids and asks:
        middle = bids[0][0] + asks[0][0]  # twice the mid price: a half step stays exact
    return {
        "type": "orderbook_snapshot",
        "data": {
            "market_ticker": book.ticker,
            "timestamp_ms": None if stamp is None else stamp.market_time // MILLISECOND,
            "sequence_number": None if stamp is None else stamp.seq,
            "yes_bids": _sizes(bids),
            "yes_asks": _sizes(asks),
            "no_bids": _sizes(_complements(asks)),
            "no_asks": _sizes(_complements(bids)),
            "yes_mid_price": None if middle is None else _half(middle),
            "no_mid_price": None if middle is None else _half(2 * complement(Price(0)) - middle),
        },
    }


def _sizes(levels: Iterable[tuple[Price, Quantity]]) -> dict[str, str]:
    return {_dollars(price): _contracts(size) for price, size in levels}


def _complements(levels: Levels) -> Iterable[tuple[Price, Quantity]]:
    return ((complement(price), size) for price, size in levels)


def _half(doubled: int) -> str:
    return f"{doubled / 20_000:.5f}"

"""Books to screens: each message is encoded once; a slow screen is conflated, never waited for."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from kalshiflow.market.book import Book
from kalshiflow.market.events import BookDelta, Side, Stamp
from kalshiflow.market.units import (
    Price,
    Quantity,
    complement,
    price_to_dollars,
    quantity_to_contracts,
)

QUEUE_LIMIT = 512
MILLISECOND = 1_000_000


def encode(message: dict[str, Any]) -> str:
    """Write a message as JSON text."""
    return msgspec.json.encode(message).decode()


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
            "no_bids": _sizes((complement(price), size) for price, size in asks),
            "no_asks": _sizes((complement(price), size) for price, size in bids),
            "yes_mid_price": None if middle is None else _half(middle),
            "no_mid_price": None if middle is None else _half(2 * complement(Price(0)) - middle),
        },
    }


def delta_message(event: BookDelta, book: Book) -> dict[str, Any]:
    """Give the `orderbook_delta` of a change that the book has taken; prices are YES prices."""
    return {
        "type": "orderbook_delta",
        "data": {
            "market_ticker": event.ticker,
            "timestamp_ms": event.stamp.market_time // MILLISECOND,
            "sequence_number": event.stamp.seq,
            "side": event.side.name.lower(),
            "price": price_to_dollars(event.price),
            "delta": quantity_to_contracts(event.change),
            "new_size": quantity_to_contracts(book.quantity_at(event.side, event.price)),
        },
    }


class Screen:
    """One client: what it watches, and what waits to be sent to it.

    When its queue is full, what waits is thrown away and its books are sent whole instead.
    """

    def __init__(self, limit: int = QUEUE_LIMIT) -> None:
        self.watched: frozenset[str] = frozenset()
        self.conflated = 0
        self._limit = limit
        self._waiting: deque[str] = deque()
        self._resend: set[str] = set()
        self._latest: dict[str, str] = {}
        self._wake = asyncio.Event()

    def watch(self, tickers: Iterable[str]) -> None:
        """Watch these markets from now on; each is sent whole first."""
        self.watched = frozenset(tickers)
        self._resend = set(self.watched)
        self._wake.set()

    def offer_change(self, ticker: str, text: str) -> None:
        """Queue a change of a book, unless that book will be sent whole anyway."""
        if ticker in self._resend:
            return
        if len(self._waiting) >= self._limit:
            self._conflate()
        else:
            self._waiting.append(text)
        self._wake.set()

    def offer_latest(self, message: dict[str, Any]) -> None:
        """Queue a message that replaces the one of its type before it."""
        self.offer_text(message["type"], encode(message))

    def offer_text(self, kind: str, text: str) -> None:
        """Queue an encoded message that replaces the one of its type before it."""
        self._latest[kind] = text
        self._wake.set()

    def resend(self, ticker: str) -> None:
        """Send a watched book whole."""
        self._resend.add(ticker)
        self._wake.set()

    async def next(self, whole: Callable[[str], str | None]) -> list[str]:
        """Wait for something to send and take all of it; `whole` gives a book's snapshot."""
        await self._wake.wait()
        self._wake.clear()
        # A change that still waits is older than the book that is sent whole.
        texts = [*self._latest.values(), *self._waiting]
        books = (whole(ticker) for ticker in sorted(self._resend))
        texts += [text for text in books if text is not None]
        self._latest.clear()
        self._resend.clear()
        self._waiting.clear()
        return texts

    def _conflate(self) -> None:
        self.conflated += 1
        self._waiting.clear()
        self._resend = set(self.watched)


class Hub:
    """All screens, and who watches what."""

    def __init__(self) -> None:
        self.screens: set[Screen] = set()
        self._watchers: dict[str, list[Screen]] = {}

    def join(self, screen: Screen) -> None:
        """Take a screen in."""
        self.screens.add(screen)

    def leave(self, screen: Screen) -> None:
        """Forget a screen."""
        self.screens.discard(screen)
        self._index()

    def watch(self, screen: Screen, tickers: Iterable[str]) -> None:
        """Let a screen watch these markets instead of those before."""
        screen.watch(tickers)
        self._index()

    def is_watched(self, ticker: str) -> bool:
        """Say whether any screen watches a market."""
        return ticker in self._watchers

    def changed(self, event: BookDelta, book: Book) -> None:
        """Tell the market's watchers of a change."""
        text = encode(delta_message(event, book))
        for screen in self._watchers[event.ticker]:
            screen.offer_change(event.ticker, text)

    def replaced(self, ticker: str) -> None:
        """Let the market's watchers have its book whole."""
        for screen in self._watchers.get(ticker, ()):
            screen.resend(ticker)

    def tell(self, message: dict[str, Any]) -> None:
        """Tell every screen; a newer message of the same type replaces one that still waits."""
        text = encode(message)
        for screen in self.screens:
            screen.offer_text(message["type"], text)

    def _index(self) -> None:
        self._watchers = {}
        for screen in self.screens:
            for ticker in screen.watched:
                self._watchers.setdefault(ticker, []).append(screen)


def _sizes(levels: Iterable[tuple[Price, Quantity]]) -> dict[str, str]:
    return {price_to_dollars(price): quantity_to_contracts(size) for price, size in levels}


def _half(doubled: int) -> str:
    return f"{doubled / 20_000:.5f}"

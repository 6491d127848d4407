"""One market as a policy sees it: its book, its recent past, and the observation of both.

The same class serves the learning environment, the trader and the check of a recorded run.
"""

from dataclasses import replace

from kalshiflow.agent import rolling
from kalshiflow.agent.account import MarketAccount, OwnOrder
from kalshiflow.agent.features import FEATURES, OBSERVATION_SIZE, OBSERVATION_VERSION
from kalshiflow.agent.formulas import observe
from kalshiflow.agent.levels import best_without_own
from kalshiflow.market.book import Book, BookCorrupt
from kalshiflow.market.events import (
    BookDelta,
    BookSnapshot,
    MarketEvent,
    MarketStatusChanged,
    PublicTrade,
    Side,
    TimeSource,
)
from kalshiflow.market.listing import Market, MarketStatus, PriceGrid
from kalshiflow.market.units import DOLLAR, Price

__all__ = [
    "FEATURES",
    "OBSERVATION_SIZE",
    "OBSERVATION_VERSION",
    "MarketAccount",
    "MarketObserver",
    "OwnOrder",
    "observe",
]


class MarketObserver:
    """Applies one market's events in order, and observes it.

    `book` is the public book, one's own resting orders included, as the exchange publishes it; what
    is observed is the book without them, so `own_orders` (or `observe`, which calls it) must be
    told of them. Nothing but market time is read.

    `is_ready` is false until there are a book and a market time to trust, and again from a gap to
    the next snapshot. A snapshot that came before any exchange time was known (its time is our
    clock's) makes ready with the market's next event, from which on time is counted.
    """

    __slots__ = (
        "_clock",
        "_close_time",
        "_has_book",
        "_own",
        "_ring",
        "_sums",
        "book",
        "is_ready",
        "market",
        "status",
    )

    def __init__(self, market: Market) -> None:
        self.market = market
        self.status = market.status
        self.book = Book(market.ticker, market.grid)
        self.is_ready = False
        self._has_book = False
        self._close_time = -1 if market.close_time is None else market.close_time
        self._own = [-1, 0, -1, 0]
        self._clock = [0] * rolling.CLOCK_SIZE
        self._sums = [0.0] * rolling.SUMS_SIZE
        self._ring = [0] * rolling.RING_SIZE

    @property
    def is_open(self) -> bool:
        """Say whether the book can be trusted and the market trades."""
        return self.is_ready and self.status is MarketStatus.ACTIVE

    def apply(self, event: MarketEvent) -> None:
        """Take in an event.

        Raises `BookCorrupt`, and becomes not ready, for a book event that cannot be true. Deltas
        and trades are skipped while not ready: the next snapshot holds their effect.
        """
        if isinstance(event, BookDelta):
            if self._has_book:
                self._apply_delta(event)
        elif isinstance(event, PublicTrade):
            if self._has_book:
                self._apply_trade(event)
        elif isinstance(event, BookSnapshot):
            self._apply_snapshot(event)
        else:
            self._apply_status(event)

    def cut(self) -> None:
        """Forget the past after a gap: not ready until the next snapshot."""
        self.is_ready = self._has_book = False

    def own_orders(self, account: MarketAccount) -> None:
        """Learn which of the public book is one's own."""
        self._own[0], self._own[1] = self._own_level(account.own_bid)
        self._own[2], self._own[3] = self._own_level(account.own_ask)

    def touch(self) -> tuple[Price | None, Price | None]:
        """Give the best bid and ask without one's own orders."""
        bid, ask = self._touch_indices()
        prices = self.market.grid.prices
        return (prices[bid] if bid >= 0 else None, prices[ask] if ask < len(prices) else None)

    def observe(self, account: MarketAccount, now: int) -> list[float]:
        """Give the 52 numbers of the table at market time `now`; only the rolling state of earlier
        events is read, and none is changed.
        """
        self.own_orders(account)
        book = self.book
        return observe(
            self.market.grid.prices,
            book.bids,
            book.asks,
            book.best_bid_index,
            book.best_ask_index,
            self._own,
            self._clock,
            self._sums,
            self._ring,
            self._close_time,
            account.numbers(),
            now,
        )

    def _apply_delta(self, event: BookDelta) -> None:
        book, side, now = self.book, event.side, event.stamp.market_time
        best = book.best_bid if side == 0 else book.best_ask
        try:
            book.apply_delta(side, event.price, event.change)
        except BookCorrupt:
            self.cut()
            raise
        if not self.is_ready:
            self._begin(now)
        if event.client_order_id is None:
            distance = 0 if best is None else best - event.price
            signed: int = event.change
            if side == 1:
                distance, signed = -distance, -signed
            rolling.on_change(self._clock, self._sums, now, signed, distance)
        rolling.on_mid(self._clock, self._sums, self._ring, now, self._mid2())

    def _apply_snapshot(self, event: BookSnapshot) -> None:
        try:
            self.book.apply_snapshot(event.bids, event.asks)
        except BookCorrupt:
            self.cut()
            raise
        self._has_book = True
        now = event.stamp.market_time
        if self.is_ready:
            rolling.on_mid(self._clock, self._sums, self._ring, now, self._mid2())
        elif event.stamp.time_source is not TimeSource.RECEIVE:
            self._begin(now)

    def _apply_trade(self, event: PublicTrade) -> None:
        now = event.stamp.market_time
        if not self.is_ready:
            self._begin(now)
        signed = event.quantity if event.taker_side == 0 else -event.quantity
        rolling.on_trade(self._clock, self._sums, now, signed)

    def _begin(self, now: int) -> None:
        rolling.restart(self._clock, self._sums, self._ring, now, self._mid2())
        self.is_ready = True

    def _apply_status(self, event: MarketStatusChanged) -> None:
        if event.status is not None:
            self.status = event.status
        if event.close_time is not None:
            self._close_time = event.close_time
            self.market = replace(self.market, close_time=event.close_time)
        if event.grid is not None and event.grid != self.market.grid:
            self._change_grid(event.grid)

    def _change_grid(self, grid: PriceGrid) -> None:
        old = self.book
        self.market = replace(self.market, grid=grid)
        self.book = Book(old.ticker, grid)
        try:
            self.book.apply_snapshot(old.levels(Side.BID), old.levels(Side.ASK))
        except BookCorrupt:
            self.cut()

    def _mid2(self) -> int:
        bid, ask = self._touch_indices()
        prices = self.market.grid.prices
        return (prices[bid] if bid >= 0 else 0) + (prices[ask] if ask < len(prices) else DOLLAR)

    def _touch_indices(self) -> tuple[int, int]:
        book, own = self.book, self._own
        bid, ask = book.best_bid_index, book.best_ask_index
        if bid >= 0 and bid == own[0]:
            bid = best_without_own(book.bids, bid, -1, own[0], own[1])
        if ask < len(book.asks) and ask == own[2]:
            ask = best_without_own(book.asks, ask, 1, own[2], own[3])
        return bid, ask

    def _own_level(self, own: OwnOrder | None) -> tuple[int, int]:
        if own is None:
            return -1, 0
        return self.market.grid.index(own.price), own.remaining

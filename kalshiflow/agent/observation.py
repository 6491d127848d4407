"""One market as a policy sees it: its events put into flat numbers, and the observation of them.

The same class serves the Gymnasium environment, the trader and the check of a recorded run.
"""

from dataclasses import replace

from kalshiflow.agent.account import MarketAccount, OwnOrder
from kalshiflow.agent.book import CROSSED, NEGATIVE
from kalshiflow.agent.features import FEATURES, OBSERVATION_SIZE, OBSERVATION_VERSION
from kalshiflow.agent.formulas import observe
from kalshiflow.agent.layout import (
    BOOK,
    BUDGET,
    FEE_DENOMINATOR,
    FLOWS_SIZE,
    ORDER_QUANTITY,
    READY,
    READY_TO_ACT,
    SIZE,
    STATUS,
    TAKER_QUARTERS,
    WITHOUT_TIME,
    forget,
    seen_size,
)
from kalshiflow.agent.own import ask_touch, bid_touch, see_account
from kalshiflow.agent.seen import (
    cut,
    fault_of_change,
    fault_of_snapshot,
    see_change,
    see_close_time,
    see_first_time,
    see_snapshot,
    see_status,
    see_trade,
)
from kalshiflow.market.book import Book, BookCorrupt, BookCrossed
from kalshiflow.market.events import (
    BookDelta,
    BookSnapshot,
    MarketEvent,
    MarketStatusChanged,
    PublicTrade,
    Side,
    TimeSource,
)
from kalshiflow.market.fees import fee_numbers
from kalshiflow.market.flat import ACTIVE, STATUS_NUMBER, STATUSES, UNKNOWN
from kalshiflow.market.flatten import snapshot_body
from kalshiflow.market.listing import Market, MarketStatus, PriceGrid
from kalshiflow.market.units import Price, price_to_dollars, quantity_to_contracts

__all__ = [
    "FEATURES",
    "OBSERVATION_SIZE",
    "OBSERVATION_VERSION",
    "MarketAccount",
    "MarketObserver",
    "OwnOrder",
    "observe",
]


OFF_GRID = -1  # beside the faults of `book`

_FAULTS = {
    OFF_GRID: "is off the price grid",
    NEGATIVE: "would leave a level below zero, or has one without quantity or out of order",
}


class MarketObserver:
    """Applies one market's events in order, and observes it.

    What is seen is the public book, one's own resting orders included, as the exchange publishes
    it; what is observed is the book without them, so `own_orders` (or `observe`, which calls it)
    must be told of them. Nothing but market time is read.

    `is_ready` is false until there are a book and a market time to trust, and again from a gap to
    the next snapshot. A snapshot that came before any exchange time was known (its time is our
    clock's) makes ready with the market's next event, from which on time is counted.
    """

    __slots__ = ("_latest", "_places", "flows", "market", "prices", "seen")

    def __init__(self, market: Market) -> None:
        self.market = market
        self.flows = [0.0] * FLOWS_SIZE
        self._latest = 0  # market time of the last event
        self._lay_out(market.grid)

    @property
    def is_ready(self) -> bool:
        """Say whether the book and the market time can be trusted."""
        return self.seen[READY] == READY_TO_ACT

    @property
    def status(self) -> MarketStatus:
        """Give the market's status."""
        return STATUSES[self.seen[STATUS]]

    @property
    def is_open(self) -> bool:
        """Say whether the book can be trusted and the market trades."""
        return self.seen[READY] == READY_TO_ACT and self.seen[STATUS] == ACTIVE

    @property
    def book(self) -> Book:
        """Give a copy of the public book, one's own orders included."""
        middle = BOOK + self.seen[SIZE]
        bids, asks = self.seen[BOOK:middle], self.seen[middle:]
        return Book.of_sizes(self.market.ticker, self.market.grid, bids, asks)

    def apply(self, event: MarketEvent) -> None:
        """Take in an event.

        Raises `BookCorrupt`, and becomes not ready, for a book event that cannot be true. Deltas
        and trades are skipped while not ready: the next snapshot holds their effect.
        """
        if self.seen[READY] == WITHOUT_TIME:
            self._begin_time(event)
        at = event.stamp.market_time
        if at < self._latest and self.seen[READY] == READY_TO_ACT:
            at = self._latest  # while a book lasts, time never runs back
        self._latest = at
        if isinstance(event, BookDelta):
            if self.seen[READY]:
                self._apply_delta(event, at)
        elif isinstance(event, PublicTrade):
            index = self._places.get(event.price, UNKNOWN)
            side, quantity = event.taker_side, event.quantity
            see_trade(self.seen, self.flows, self.prices, side, index, quantity, at)
        elif isinstance(event, BookSnapshot):
            self._apply_snapshot(event, at)
        else:
            self._apply_status(event)

    def cut(self) -> None:
        """Forget the past after a gap: not ready until the next snapshot."""
        cut(self.seen)

    def own_orders(self, account: MarketAccount) -> None:
        """Learn of one's own affairs: which of the public book is one's own, and the account."""
        if account.own_bid is not None:
            self.market.grid.index(account.own_bid.price)
        if account.own_ask is not None:
            self.market.grid.index(account.own_ask.price)
        see_account(self.seen, self.prices, account.numbers(), 0)

    def touch(self) -> tuple[Price | None, Price | None]:
        """Give the best bid and ask without one's own orders."""
        bid, ask = bid_touch(self.seen), ask_touch(self.seen)
        prices = self.prices
        return (prices[bid] if bid >= 0 else None, prices[ask] if ask < len(prices) else None)

    def observe(self, account: MarketAccount, now: int) -> list[float]:
        """Give the 52 numbers of the table at market time `now`, which is not before the last
        event's; nothing is changed.
        """
        self.own_orders(account)
        out = [0.0] * OBSERVATION_SIZE
        observe(self.seen, self.flows, self.prices, max(now, self._latest), out)
        return out

    def _lay_out(self, grid: PriceGrid) -> None:
        market = self.market
        self.prices = grid.prices
        self._places = grid.places
        self.seen = [0] * seen_size(len(grid))
        closes = UNKNOWN if market.close_time is None else market.close_time
        forget(self.seen, self.flows, len(grid), closes)
        self.seen[STATUS] = STATUS_NUMBER[market.status]
        quarters, _, denominator = fee_numbers(market.fees)
        self.seen[TAKER_QUARTERS], self.seen[FEE_DENOMINATOR] = quarters, denominator

    def _apply_delta(self, event: BookDelta, at: int) -> None:
        side, change, seen = event.side, event.change, self.seen
        index = self._places.get(event.price)
        fault = OFF_GRID if index is None else fault_of_change(seen, side, index, change)
        if index is None or fault:
            self.cut()
            raise _corrupt(fault, f"{self.market.ticker} {_level(event)}")
        see_change(
            seen,
            self.flows,
            self.prices,
            side,
            index,
            change,
            event.client_order_id is not None,
            at,
        )

    def _apply_snapshot(self, event: BookSnapshot, at: int) -> None:
        try:
            body = snapshot_body(event.bids, event.asks, self._places)
            fault = fault_of_snapshot(body, 0)
        except KeyError:
            fault = OFF_GRID
        if fault:
            self.cut()
            raise _corrupt(fault, f"{self.market.ticker} snapshot")
        is_dated = event.stamp.time_source is not TimeSource.RECEIVE or self.is_ready
        known_at = at if is_dated else UNKNOWN
        see_snapshot(self.seen, self.flows, self.prices, body, 0, known_at)

    def _begin_time(self, event: MarketEvent) -> None:
        if event.stamp.time_source is not TimeSource.RECEIVE:
            self._latest = event.stamp.market_time
        elif isinstance(event, BookSnapshot):
            return
        # Where the exchange tells no times at all, the snapshot's own begins them.
        see_first_time(self.seen, self.flows, self._latest)

    def _apply_status(self, event: MarketStatusChanged) -> None:
        if event.status is not None:
            see_status(self.seen, STATUS_NUMBER[event.status])
        if event.close_time is not None:
            see_close_time(self.seen, event.close_time)
            self.market = replace(self.market, close_time=event.close_time)
        if event.grid is not None and event.grid != self.market.grid:
            self._change_grid(event.grid)

    def _change_grid(self, grid: PriceGrid) -> None:
        """Begin anew on another grid, without a book until the next snapshot."""
        status, account = self.seen[STATUS], self.seen[BUDGET : ORDER_QUANTITY + 1]
        self.market = replace(self.market, grid=grid)
        self._lay_out(grid)
        self.seen[STATUS] = status
        self.seen[BUDGET : ORDER_QUANTITY + 1] = account


def _level(event: BookDelta) -> str:
    side, price = Side(event.side).name.lower(), price_to_dollars(event.price)
    return f"{side} {price} changed by {quantity_to_contracts(event.change)}"


def _corrupt(fault: int, what: str) -> BookCorrupt:
    if fault == CROSSED:
        return BookCrossed(f"{what} crosses the book")
    return BookCorrupt(f"{what} {_FAULTS[fault]}")

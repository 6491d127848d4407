"""A listed market: its description, its book and its public figures."""

from collections import deque
from dataclasses import dataclass, field

from kalshiflow.market.listing import Market, MarketStatus
from kalshiflow.market.units import Cash, Price, Quantity
from kalshiflow.venue.floor.facts import Traded
from kalshiflow.venue.matching.engine import (
    MatchingBook,
)

TRADES_KEPT = 10_000

Touch = tuple[Price | None, int, Price | None, int]


@dataclass(slots=True)
class ListedMarket:
    """A market with its book and its public figures."""

    market: Market
    matching: MatchingBook
    market_id: str
    last_price: Price = Price(0)
    last_quantity: Quantity = Quantity(0)
    volume: Quantity = Quantity(0)
    traded: Cash = Cash(0)
    open_interest: Quantity = Quantity(0)
    updated_at: int = 0
    trades: deque[Traded] = field(default_factory=lambda: deque(maxlen=TRADES_KEPT))

    @property
    def is_open(self) -> bool:
        """Say whether the market takes orders."""
        return self.market.status is MarketStatus.ACTIVE

    def count(self, trade: Traded) -> None:
        """Add a trade to the market's figures."""
        self.last_price, self.last_quantity = trade.price, trade.quantity
        self.volume = Quantity(self.volume + trade.quantity)
        self.traded = Cash(self.traded + trade.price * trade.quantity)
        self.trades.append(trade)

    def touch(self) -> Touch:
        """Give best bid, its size, best ask, its size."""
        book = self.matching.book
        bid, ask = book.best_bid_index, book.best_ask_index
        has_ask = ask < len(book.asks)
        return (
            book.best_bid,
            book.bids[bid] if bid >= 0 else 0,
            book.best_ask,
            book.asks[ask] if has_ask else 0,
        )

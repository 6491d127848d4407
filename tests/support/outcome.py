"""What came of orders, and what the public was told meanwhile: of two worlds, to be compared."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from kalshiflow.market.events import Levels, Side
from kalshiflow.market.orders import Fill


@dataclass(slots=True)
class Outcome:
    """Each market's fills in order, and how many orders were refused: no cash, or in a pause.

    `public` adds up what all were told: changes of a level, trades at a price, and whole books, by
    their time.
    """

    fills: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict)
    refused: int = 0
    public: Counter[tuple[Any, ...]] = field(default_factory=Counter)

    def add(self, fill: Fill, name: str) -> None:
        """Add a fill of the order of this name."""
        told = (name, fill.side, fill.price, fill.quantity, fill.role, fill.fee, fill.at)
        self.fills.setdefault(fill.ticker, []).append(told)

    def tell_change(self, ticker: str, side: Side, price: int, change: int, at: int) -> None:
        """Add a change of a level."""
        self.public["level", ticker, side, price, at] += change

    def tell_trade(self, ticker: str, taker: Side, price: int, quantity: int, at: int) -> None:
        """Add a trade."""
        self.public["trade", ticker, taker, price, at] += quantity

    def tell_book(self, ticker: str, bids: Levels, asks: Levels, at: int) -> None:
        """Add a whole book."""
        self.public["book", ticker, bids, asks, at] += 1

    @property
    def count(self) -> int:
        """Give the number of fills."""
        return sum(map(len, self.fills.values()))

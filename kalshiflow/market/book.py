"""One market's order book on the YES scale, in levels indexed by the steps of its price grid."""

from collections.abc import Iterable

from kalshiflow.market.events import BookDelta, BookSnapshot, Levels, Side
from kalshiflow.market.listing import CENT_GRID, GridError, PriceGrid
from kalshiflow.market.units import DOLLAR, Price, Quantity, price_to_dollars, quantity_to_contracts


class BookCorrupt(ValueError):
    """An event that would make the book impossible; the book is left as it was."""


class BookCrossed(BookCorrupt):
    """An event after which the best bid would reach the best ask."""


class Book:
    """Resting quantity by price: `bids[i]` and `asks[i]` at the grid's price number i.

    An event is applied whole or not at all: one that makes a level negative, crosses the book or
    names a price off the grid raises `BookCorrupt` (`BookCrossed` for a cross) and changes nothing.
    """

    __slots__ = ("_places", "asks", "best_ask_index", "best_bid_index", "bids", "grid", "ticker")

    def __init__(self, ticker: str, grid: PriceGrid = CENT_GRID) -> None:
        self.ticker = ticker
        self.grid = grid
        self._places = grid.places
        size = len(grid)
        self.bids: list[int] = [0] * size
        self.asks: list[int] = [0] * size
        # The index of the best level; -1 (no bid) and len(grid) (no ask) where a side is empty.
        self.best_bid_index = -1
        self.best_ask_index = size

    @classmethod
    def of_sizes(cls, ticker: str, grid: PriceGrid, bids: list[int], asks: list[int]) -> "Book":
        """Give the book whose quantities these are, price by price of the grid; lists are kept."""
        book = cls(ticker, grid)
        book.bids, book.asks = bids, asks
        book.best_bid_index = max((i for i, q in enumerate(bids) if q), default=-1)
        book.best_ask_index = min((i for i, q in enumerate(asks) if q), default=len(asks))
        return book

    @property
    def best_bid(self) -> Price | None:
        """Give the highest bid, if there is one."""
        return self.grid.prices[self.best_bid_index] if self.best_bid_index >= 0 else None

    @property
    def best_ask(self) -> Price | None:
        """Give the lowest ask, if there is one."""
        index = self.best_ask_index
        return self.grid.prices[index] if index < len(self.asks) else None

    def apply(self, event: BookSnapshot | BookDelta) -> None:
        """Apply a snapshot or a delta."""
        if isinstance(event, BookDelta):
            self.apply_delta(event.side, event.price, event.change)
        else:
            self.apply_snapshot(event.bids, event.asks)

    def apply_snapshot(self, bids: Levels, asks: Levels) -> None:
        """Replace the whole book; quantities must be above zero, prices on the grid, no cross."""
        new_bids = self._side_of(bids, Side.BID)
        new_asks = self._side_of(asks, Side.ASK)
        best_bid = max((i for i, q in enumerate(new_bids) if q), default=-1)
        best_ask = min((i for i, q in enumerate(new_asks) if q), default=len(new_asks))
        if best_bid >= best_ask:
            raise BookCrossed(
                f"{self.ticker}: snapshot with bid {self._name(best_bid)} "
                f"at or above ask {self._name(best_ask)}"
            )
        self.bids, self.asks = new_bids, new_asks
        self.best_bid_index, self.best_ask_index = best_bid, best_ask

    def apply_delta(self, side: Side, price: Price, change: int) -> Quantity:
        """Change one level by a signed quantity and give its new size."""
        # The hottest lines of all: a side's truth (0 bid, 1 ask) is asked for without a call.
        index = self._places.get(price)
        if index is None:
            raise BookCorrupt(f"{self.ticker}: price {price_to_dollars(price)} is not on its grid")
        levels = self.asks if side else self.bids
        size = levels[index] + change
        if size > 0:
            if index <= self.best_bid_index if side else index >= self.best_ask_index:
                raise self._crossed(side, price)
            levels[index] = size
            if not side:
                if index > self.best_bid_index:  # noqa: PLR1730 -- without a call
                    self.best_bid_index = index
            elif index < self.best_ask_index:
                self.best_ask_index = index
        elif size == 0:
            levels[index] = 0
            if index == (self.best_ask_index if side else self.best_bid_index):
                self._seek_best(side)
        else:
            raise self._negative(side, price, size)
        return size  # type: ignore[return-value]  # naming its type is a call, too

    def quantity_at(self, side: Side, price: Price) -> Quantity:
        """Give the resting quantity at a price of the grid."""
        levels = self.bids if side == Side.BID else self.asks
        return Quantity(levels[self.grid.index(price)])

    def levels(self, side: Side, limit: int | None = None) -> Levels:
        """Give the levels of a side, best first, at most `limit` of them."""
        prices = self.grid.prices
        found: list[tuple[Price, Quantity]] = []
        if side == Side.BID:
            walk: Iterable[int] = range(self.best_bid_index, -1, -1)
            sizes = self.bids
        else:
            walk = range(self.best_ask_index, len(self.asks))
            sizes = self.asks
        for index in walk:
            if limit is not None and len(found) >= limit:
                break
            if sizes[index]:
                found.append((prices[index], Quantity(sizes[index])))
        return tuple(found)

    def depth(self, side: Side, within: int) -> Quantity:
        """Give the quantity at prices at most `within` (a price difference) behind the best."""
        total = 0
        best: int | None = None
        for price, quantity in self.levels(side):
            best = price if best is None else best
            if abs(price - best) > within:
                break
            total += quantity
        return Quantity(total)

    def copy(self) -> "Book":
        """Give an independent copy."""
        twin = Book(self.ticker, self.grid)
        twin.bids, twin.asks = list(self.bids), list(self.asks)
        twin.best_bid_index, twin.best_ask_index = self.best_bid_index, self.best_ask_index
        return twin

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Book):
            return NotImplemented
        return all(self.levels(side) == other.levels(side) for side in Side)

    __hash__ = None  # type: ignore[assignment]  # a book is a changing value

    def _side_of(self, levels: Levels, side: Side) -> list[int]:
        sizes = [0] * len(self.grid)
        for price, quantity in levels:
            try:
                index = self.grid.index(price)
            except GridError as off_grid:
                raise BookCorrupt(f"{self.ticker}: {off_grid}") from off_grid
            if quantity <= 0 or sizes[index]:
                raise BookCorrupt(
                    f"{self.ticker}: snapshot {side.name.lower()} {price_to_dollars(price)} "
                    f"with quantity {quantity_to_contracts(quantity)}, or named twice"
                )
            sizes[index] = quantity
        return sizes

    def _seek_best(self, side: Side) -> None:
        if side:
            while self.best_ask_index < len(self.asks) and not self.asks[self.best_ask_index]:
                self.best_ask_index += 1
        else:
            while self.best_bid_index >= 0 and not self.bids[self.best_bid_index]:
                self.best_bid_index -= 1

    def _crossed(self, side: Side, price: Price) -> BookCrossed:
        bid, ask = self._name(self.best_bid_index), self._name(self.best_ask_index)
        return BookCrossed(
            f"{self.ticker}: {Side(side).name.lower()} {price_to_dollars(price)} crosses the book "
            f"{bid} / {ask}"
        )

    def _negative(self, side: Side, price: Price, size: int) -> BookCorrupt:
        return BookCorrupt(
            f"{self.ticker} {Side(side).name.lower()} {price_to_dollars(price)}: "
            f"size would be {quantity_to_contracts(Quantity(size))}"
        )

    def _name(self, index: int) -> str:
        if 0 <= index < len(self.grid):
            return price_to_dollars(self.grid.prices[index])
        return price_to_dollars(DOLLAR) if index > 0 else price_to_dollars(Price(0))

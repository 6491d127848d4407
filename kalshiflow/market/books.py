"""The books of many markets, and which of them can be trusted."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from kalshiflow.market.book import Book, BookCorrupt
from kalshiflow.market.events import BookDelta, BookSnapshot, Side
from kalshiflow.market.listing import CENT_GRID, PriceGrid, decode_grid, encode_grid
from kalshiflow.market.units import Price


class BookState(NamedTuple):
    """A book as plain values: its grid's bands and the quantity at each of its prices."""

    ticker: str
    grid: list[list[int]]
    bids: list[int]
    asks: list[int]


class BooksState(NamedTuple):
    """Many books as plain values, in their order; `grids` are those of all markets known."""

    grids: dict[str, list[list[int]]]
    books: list[BookState]
    stale: list[str]


class Books:
    """Applies book events by ticker. A market is stale until its first snapshot, after a gap, and
    after an event that could not be true; a fresh snapshot makes it whole again.
    """

    def __init__(self, grids: Mapping[str, PriceGrid] | None = None) -> None:
        self._grids = dict(grids or {})
        self._books: dict[str, Book] = {}
        self._stale: set[str] = set()

    def __getitem__(self, ticker: str) -> Book:
        return self._books[ticker]

    def __contains__(self, ticker: object) -> bool:
        return ticker in self._books

    def __iter__(self) -> Iterator[str]:
        return iter(self._books)

    def __len__(self) -> int:
        return len(self._books)

    def values(self) -> Iterable[Book]:
        """Give the books, stale ones as they last were."""
        return self._books.values()

    def is_stale(self, ticker: str) -> bool:
        """Say whether the market has no book that can be trusted now."""
        return ticker in self._stale or ticker not in self._books

    def stale(self) -> frozenset[str]:
        """Give the markets that had a book and lost it."""
        return frozenset(self._stale)

    def knows(self, ticker: str) -> bool:
        """Say whether the market was named before: by a price grid, or by a book."""
        return ticker in self._grids or ticker in self._books

    def mark_stale(self, ticker: str) -> None:
        """Distrust a market's book until its next snapshot."""
        self._stale.add(ticker)

    def set_grid(self, ticker: str, grid: PriceGrid) -> None:
        """Give a market another price grid; its levels are kept where the new grid has them.

        A level that the new grid cannot hold makes the market stale.
        """
        self._grids[ticker] = grid
        old = self._books.get(ticker)
        if old is None or old.grid == grid:
            return
        new = Book(ticker, grid)
        try:
            new.apply_snapshot(old.levels(Side.BID), old.levels(Side.ASK))
        except BookCorrupt:
            self.mark_stale(ticker)
        self._books[ticker] = new

    def forget(self, ticker: str) -> None:
        """Have no book of a market any more, nor its grid."""
        self._grids.pop(ticker, None)
        self._books.pop(ticker, None)
        self._stale.discard(ticker)

    def state(self) -> BooksState:
        """Give all there is as plain values, which share the books' lists: write them at once."""
        grids = {ticker: encode_grid(grid) for ticker, grid in self._grids.items()}
        books = [
            BookState(book.ticker, encode_grid(book.grid), book.bids, book.asks)
            for book in self._books.values()
        ]
        return BooksState(grids, books, sorted(self._stale))

    @classmethod
    def restore(cls, state: BooksState) -> "Books":
        """Give the books that `state` was taken of, whose lists they keep."""
        restored = cls({ticker: decode_grid(bands) for ticker, bands in state.grids.items()})
        for ticker, bands, bids, asks in state.books:
            restored._books[ticker] = Book.of_sizes(ticker, decode_grid(bands), bids, asks)
        restored._stale = set(state.stale)
        return restored

    def apply(self, event: BookSnapshot | BookDelta) -> Book:
        """Apply an event to its market's book and give the book.

        Raises `BookCorrupt`, and marks the market stale, for an event that cannot be true. A delta
        of a stale market is skipped: its effect is in the snapshot to come.
        """
        ticker = event.ticker
        if isinstance(event, BookDelta):
            return self.apply_delta(ticker, event.side, event.price, event.change)
        book = self._books.get(ticker)
        if book is None:
            book = self._books[ticker] = Book(ticker, self._grids.get(ticker, CENT_GRID))
        try:
            book.apply_snapshot(event.bids, event.asks)
        except BookCorrupt:
            self._stale.add(ticker)
            raise
        self._stale.discard(ticker)
        return book

    def apply_delta(self, ticker: str, side: Side, price: Price, change: int) -> Book:
        """Apply a delta, told by its parts, as `apply` does."""
        book = self._books.get(ticker)
        if book is None:
            self._stale.add(ticker)
            raise BookCorrupt(f"{ticker}: a delta arrived before the first snapshot")
        if ticker not in self._stale:
            try:
                book.apply_delta(side, price, change)
            except BookCorrupt:
                self._stale.add(ticker)
                raise
        return book


def books_sha256(books: Iterable[Book]) -> str:
    """Give the hash of what the books hold, in whatever order they come.

    Hashed are, by ticker, the levels of both sides from the best one, in integer units. A book that
    is empty counts; a price grid does not.
    """
    digest = hashlib.sha256()
    for book in sorted(books, key=lambda each: each.ticker):
        lines = [f"market {book.ticker}"]
        for side in Side:
            name = side.name.lower()
            lines += [f"{name} {price} {quantity}" for price, quantity in book.levels(side)]
        digest.update("\n".join([*lines, ""]).encode())
    return digest.hexdigest()

"""The books of many markets, and which of them can be trusted."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping

from kalshiflow.market.book import Book, BookCorrupt
from kalshiflow.market.events import BookDelta, BookSnapshot, Side
from kalshiflow.market.listing import CENT_GRID, PriceGrid


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

    def apply(self, event: BookSnapshot | BookDelta) -> Book:
        """Apply an event to its market's book and give the book.

        Raises `BookCorrupt`, and marks the market stale, for an event that cannot be true. A delta
        of a stale market is skipped: its effect is in the snapshot to come.
        """
        ticker = event.ticker
        book = self._books.get(ticker)
        if isinstance(event, BookSnapshot):
            if book is None:
                book = self._books[ticker] = Book(ticker, self._grids.get(ticker, CENT_GRID))
        elif book is None:
            self.mark_stale(ticker)
            raise BookCorrupt(f"{ticker}: a delta arrived before the first snapshot")
        elif ticker in self._stale:
            return book
        try:
            book.apply(event)
        except BookCorrupt:
            self.mark_stale(ticker)
            raise
        if isinstance(event, BookSnapshot):
            self._stale.discard(ticker)
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

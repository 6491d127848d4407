"""Replay a recording as the recorder lived it: the same books from the same events and gaps."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from kalshiflow.market.books import Books, books_sha256
from kalshiflow.market.events import BookDelta, BookSnapshot, MarketEvent, MarketStatusChanged
from kalshiflow.market.listing import PriceGrid

BOOK_CHANNEL = "orderbook_delta"


@dataclass(frozen=True, slots=True)
class Gap:
    """A hole in a recording; episodes of its `tickers` are cut at `frame_no`.

    `kind` is `missing` (frames `expected` to `received - 1` of `sid` never came, frame `frame_no`
    told of it), `bad_frame` (the frame itself could not be used and stands in `raw`), `carried`
    (the markets were stale already when the session began at a rotation), `grid` (the book could
    not follow its market to another price grid) or `outage` (nothing was connected from
    `started_at` to `recovered_at`, before this session). Where `hurts_books`, the
    tickers' books are stale from that frame until their next snapshot. `recovered_at` is the time
    at which the last of them had one. Times are receive times in nanoseconds.
    """

    frame_no: int
    kind: str
    tickers: tuple[str, ...]
    reason: str
    started_at: int
    channel: str = BOOK_CHANNEL
    sid: int | None = None
    seq: int | None = None
    expected: int | None = None
    received: int | None = None
    raw: str | None = None
    recovered_at: int | None = None

    @property
    def hurts_books(self) -> bool:
        """Say whether books became stale by it: a gap among trades, or an outage, hurts none."""
        return self.kind != "outage" and self.channel == BOOK_CHANNEL


class Replay:
    """Applies recorded events, in frame order, to `books`, and makes markets stale at gaps.

    `joins` are the price grids with which markets came into the session after it had begun, each
    with the frame from which it holds. `apply` raises `BookCorrupt` for an event that the recorder
    could not have accepted.
    """

    def __init__(
        self,
        books: Books,
        gaps: Iterable[Gap],
        joins: Iterable[tuple[int, str, PriceGrid]] = (),
    ) -> None:
        self.books = books
        self._gaps = deque(sorted(gaps, key=lambda gap: gap.frame_no))
        self._joins = deque(sorted(joins, key=lambda join: join[:2]))

    def apply(self, event: MarketEvent) -> None:
        """Apply one event, after the gaps that were known when it came."""
        if self._joins:
            self._join_up_to(event.stamp.frame_no)
        if self._gaps:
            self.cut_up_to(event.stamp.frame_no)
        if isinstance(event, (BookDelta, BookSnapshot)):
            if isinstance(event, BookDelta) and self._was_never_known(event.ticker):
                return
            self.books.apply(event)
        elif (
            isinstance(event, MarketStatusChanged)
            and event.grid is not None
            and self.books.knows(event.ticker)  # all of the exchange's markets tell of their lives
        ):
            self.books.set_grid(event.ticker, event.grid)

    def cut_up_to(self, frame_no: int) -> None:
        """Make stale what gaps up to this frame made stale."""
        while self._gaps and self._gaps[0].frame_no <= frame_no:
            gap = self._gaps.popleft()
            if gap.hurts_books:
                for ticker in gap.tickers:
                    self.books.mark_stale(ticker)

    def _join_up_to(self, frame_no: int) -> None:
        while self._joins and self._joins[0][0] <= frame_no:
            _, ticker, grid = self._joins.popleft()
            self.books.set_grid(ticker, grid)

    def _was_never_known(self, ticker: str) -> bool:
        # Stale since before this session, which therefore holds no book of it yet.
        return ticker not in self.books and ticker in self.books.stale()


def trusted_sha256(books: Books) -> str:
    """Give the hash of all books that can be trusted; stale ones do not enter."""
    return books_sha256(books[ticker] for ticker in books if not books.is_stale(ticker))

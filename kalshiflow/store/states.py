"""The books of a recording as they change, one state after the other, in constant memory."""

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, NamedTuple

from kalshiflow.market.book import Book
from kalshiflow.market.books import Books
from kalshiflow.market.events import BookDelta, BookSnapshot, MarketEvent, Side
from kalshiflow.store import rows
from kalshiflow.store.database import Store
from kalshiflow.store.moments import Instant, as_nanoseconds
from kalshiflow.store.point import after_frame, grid_after
from kalshiflow.store.recorded import (
    begun_grids_of,
    gaps_of,
    get_session,
    joins_of,
    received_within,
)
from kalshiflow.store.replay import Replay
from kalshiflow.store.tape import FRAMES_AT_ONCE, events_between, reading

_BACK = (10**9, 60 * 10**9, 3_600 * 10**9)  # how far to look for a frame before looking everywhere
_FRAMES_WITHIN = " UNION ALL ".join(
    f"SELECT max(frame_no) AS frame_no FROM {table}"  # noqa: S608
    " WHERE session_id = $1 AND received_at >= $2 AND received_at < $3"
    for table in (rows.DELTAS, rows.SNAPSHOTS, rows.TRADES, rows.LIFECYCLE, rows.FRAMES)
)
_BAD_FRAMES_WITHIN = (
    "SELECT max(frame_no) FROM rl_feed_gaps"
    " WHERE session_id = $1 AND started_at >= $2 AND started_at < $3 AND kind = 'bad_frame'"
)
_LAST_WITHIN = (
    f"SELECT max(frame_no) FROM ({_FRAMES_WITHIN} UNION ALL {_BAD_FRAMES_WITHIN}) AS found"  # noqa: S608
)


class BookState(NamedTuple):
    """A market's book after a frame; `book` changes with the next state: copy what is to stay."""

    frame_no: int
    market_time: int
    ticker: str
    book: Book


async def replay_books(
    store: Store,
    session_id: str,
    tickers: Sequence[str] | None = None,
    every: int | None = None,
    *,
    start: Instant | None = None,
    end: Instant | None = None,
) -> AsyncIterator[BookState]:
    """Give the books of a session, or of some of its markets, after each frame that changed one.

    `start` (included) and `end` (not included) are times of receiving. The books as they stood
    at `start` come first, also where nothing was received in that time. A book that cannot be
    trusted is not given until a snapshot mends it. With `every` (nanoseconds of market time) a
    market's book is given at most once in each such span: as it was at the span's end.
    """
    session = await get_session(store, session_id)
    async with reading(store) as connection:
        span = await received_within(connection, session_id)
        first = 0
        if start is not None:
            first = await last_frame_before(connection, session_id, span, as_nanoseconds(start))
        last = session.frames
        if end is not None:
            last = await last_frame_before(connection, session_id, span, as_nanoseconds(end))
        named = session.markets if tickers is None else tuple(tickers)
        changes = _Changes(every)
        books = Books(await begun_grids_of(connection, session_id))
        gaps = await gaps_of(connection, session_id)
        if first > 0:
            gaps = [gap for gap in gaps if gap.frame_no > first]
        joins = [join for join in await joins_of(connection, session_id) if join[0] > first]
        replay = Replay(books, gaps, joins)
        if first > 0:
            for state in await _opening(connection, session_id, span, named, first, books):
                yield state
        for low in range(first + (first > 0), last + 1, FRAMES_AT_ONCE):
            high = min(low + FRAMES_AT_ONCE - 1, last)
            for event in await events_between(connection, session_id, span, low, high, tickers):
                for state in changes.due(event, books):
                    yield state
                replay.apply(event)
                for state in changes.after(event, books):
                    yield state
        for state in changes.rest(books):
            yield state


class _Changes:
    """Which books are to be given: each change at once, or the changed ones at a span's end."""

    def __init__(self, every: int | None) -> None:
        self._every = every
        self._number: int | None = None
        self._waiting: dict[str, tuple[int, int]] = {}

    def due(self, event: MarketEvent, books: Books) -> Iterator[BookState]:
        """Give, before an event of another span is applied, what changed in the last one."""
        if self._every is not None:
            number = event.stamp.market_time // self._every
            if number != self._number:
                yield from self.rest(books)
                self._number = number

    def after(self, event: MarketEvent, books: Books) -> Iterator[BookState]:
        """Give, after an event was applied, the book that it changed."""
        if not isinstance(event, BookDelta | BookSnapshot) or books.is_stale(event.ticker):
            return
        place = event.stamp.frame_no, event.stamp.market_time
        if self._every is None:
            yield BookState(*place, event.ticker, books[event.ticker])
        else:
            self._waiting[event.ticker] = place

    def rest(self, books: Books) -> Iterator[BookState]:
        """Give what changed and was not given yet."""
        for ticker, place in sorted(self._waiting.items()):
            if not books.is_stale(ticker):
                yield BookState(*place, ticker, books[ticker])
        self._waiting.clear()


async def _opening(
    connection: Any,
    session_id: str,
    span: tuple[int, int],
    tickers: Sequence[str],
    frame_no: int,
    books: Books,
) -> list[BookState]:
    """Put the books as they are after a frame into `books` and give them; others are stale."""
    states: list[BookState] = []
    for ticker in tickers:
        known = await after_frame(connection, session_id, ticker, frame_no)
        if known is None:
            grid = await grid_after(connection, session_id, ticker, frame_no, span)
            books.set_grid(ticker, grid)
            books.mark_stale(ticker)
            continue
        book, stamp = known.book, known.newest
        books.set_grid(ticker, book.grid)
        bids, asks = (book.levels(side) for side in Side)
        books.apply(BookSnapshot(ticker, bids, asks, stamp))
        states.append(BookState(frame_no, stamp.market_time, ticker, books[ticker]))
    return states


async def last_frame_before(
    connection: Any, session_id: str, span: tuple[int, int], at: int
) -> int:
    """Give the last frame of a session received before `at` (nanoseconds); 0 where none was."""
    low, high = span
    until = min(at, high + 1)
    for back in (*_BACK, until - low):
        found = await connection.fetchval(_LAST_WITHIN, session_id, max(until - back, low), until)
        if found is not None:
            return int(found)
    return 0

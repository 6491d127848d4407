"""The book of a market at an instant, or at a frame of a session.

It is built from the nearest snapshot before: of the exchange, of a seam, or periodic. SQL gives the
same levels: `rl_book_at(ticker, at)` and `rl_book_at_frame(session_id, ticker, frame_no)`.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

from kalshiflow.market.book import Book
from kalshiflow.market.books import Books
from kalshiflow.market.events import BookDelta, BookSnapshot, MarketStatusChanged, Stamp
from kalshiflow.market.listing import CENT_GRID, PriceGrid, decode_grid
from kalshiflow.store import rows
from kalshiflow.store.database import Store
from kalshiflow.store.errors import NotRecorded
from kalshiflow.store.moments import Instant, as_nanoseconds, show_instant, show_span
from kalshiflow.store.recorded import received_within
from kalshiflow.store.tape import events_between, reading

REST_WITHIN = 60 * 10**9

_SNAPSHOT = (
    f"SELECT {', '.join(rows.COLUMNS[rows.SNAPSHOTS][1:])} FROM rl_orderbook_snapshots"  # noqa: S608
    " WHERE session_id = $1 AND ticker = $2 AND frame_no = $3 AND received_at BETWEEN $4 AND $5"
    " LIMIT 1"
)
_REST = (
    f"SELECT {', '.join(rows.COLUMNS[rows.SNAPSHOTS][1:])} FROM rl_orderbook_snapshots"  # noqa: S608
    " WHERE session_id IS NULL AND ticker = $1 AND received_at <= $2 AND received_at > $2 - $3"
    " ORDER BY received_at DESC LIMIT 1"
)
# As its recorder had it: frames of a market before it joined were read without its grid, and a new
# grid of a market that had neither grid nor book yet was told to nobody.
_GRID_AFTER = """
WITH begun AS (
    SELECT grids -> $2 AS grid FROM rl_orderbook_sessions
     WHERE session_id = $1 AND grids ? $2 AND NOT EXISTS (
        SELECT FROM rl_market_listings WHERE session_id = $1 AND ticker = $2
        HAVING bool_or(reason = 'joined') AND NOT bool_or(reason = 'begun'))
), joined AS (
    SELECT grid, frame_no FROM rl_market_listings
     WHERE session_id = $1 AND ticker = $2 AND frame_no <= $3 AND reason = 'joined'
), changed AS (
    SELECT grid, frame_no FROM rl_market_lifecycle AS life
     WHERE session_id = $1 AND ticker = $2 AND frame_no <= $3
       AND received_at BETWEEN $4 AND $5 AND grid IS NOT NULL
       AND (EXISTS (SELECT FROM begun)
            OR EXISTS (SELECT FROM joined WHERE joined.frame_no <= life.frame_no)
            OR EXISTS (SELECT FROM rl_orderbook_snapshots AS book
                        WHERE session_id = $1 AND ticker = $2 AND book.frame_no < life.frame_no
                          AND received_at BETWEEN $4 AND $5))
)
SELECT coalesce(
    (SELECT grid FROM (
        SELECT grid, frame_no, 1 AS place FROM changed UNION ALL SELECT *, 0 FROM joined
     ) AS told ORDER BY frame_no DESC, place DESC LIMIT 1),
    (SELECT grid FROM begun)
)
"""
_LISTED_GRID = """
SELECT grid FROM (
    SELECT grid, at FROM rl_market_listings WHERE ticker = $1 AND at <= $2
    UNION ALL
    SELECT grid, -1 FROM rl_markets WHERE ticker = $1
) AS listed ORDER BY at DESC LIMIT 1
"""
_NEIGHBOURS = """
(SELECT session_id, started_at, ended_at FROM rl_orderbook_sessions
  WHERE $1 = ANY(markets) AND started_at <= $2 ORDER BY started_at DESC LIMIT 1)
UNION ALL
(SELECT session_id, started_at, ended_at FROM rl_orderbook_sessions
  WHERE $1 = ANY(markets) AND started_at > $2 ORDER BY started_at LIMIT 1)
"""


@dataclass(frozen=True, slots=True)
class BookAt:
    """A market's book at an instant.

    `source` is the snapshot that it is built from: exchange, seam or periodic, and then it is the
    book after `frame_no` of `session_id`; or rest, and then no session knew it. `age_ns` is the
    time since the newest frame that is in it, or since it was read over REST.
    """

    book: Book
    session_id: str | None
    frame_no: int | None
    source: str
    age_ns: int


class Known(NamedTuple):
    """A book that can be trusted, the source of its snapshot, the stamp of its newest frame."""

    book: Book
    source: str
    newest: Stamp


async def book_at(store: Store, session_id: str, ticker: str, frame_no: int | None = None) -> Book:
    """Give a market's book after a frame of a session, or the last one it had there.

    Raises `NotRecorded` where the market had no book to be trusted then: before its first snapshot,
    after a gap and before the snapshot that mended it, after it was released.
    """
    async with reading(store) as connection:
        found = await after_frame(connection, session_id, ticker, frame_no)
        if found is None:
            raise NotRecorded(await _why_no_book(connection, session_id, ticker, frame_no))
    return found.book


async def book_at_time(
    store: Store,
    ticker: str,
    at: Instant,
    *,
    rest_within_ns: int = REST_WITHIN,
    environment: str | None = None,
) -> BookAt:
    """Give a market's book as it was known at an instant (of receiving, not of the exchange).

    It comes from the newest session that was being recorded then and had a book to be trusted;
    where there is none, from the newest REST book of the `rest_within_ns` before, marked so. An
    open session reaches to its newest stored frame. Raises `NotRecorded`, which says what is
    nearest, where neither is there.
    """
    moment = as_nanoseconds(at)
    async with reading(store) as connection:
        place = await connection.fetchrow(
            "SELECT session_id, frame_no FROM rl_book_session($1, $2, $3)",
            ticker,
            moment,
            environment,
        )
        if place is not None:
            session_id, frame_no = place["session_id"], place["frame_no"]
            found = await after_frame(connection, session_id, ticker, frame_no)
            if found is not None:
                age = moment - found.newest.received_at
                return BookAt(found.book, session_id, frame_no, found.source, age)
        read = await connection.fetchrow(_REST, ticker, moment, rest_within_ns)
        if read is not None:
            snapshot = rows.snapshot_of(read)
            book = Book(ticker, await _listed_grid(connection, ticker, moment))
            book.apply(snapshot)
            return BookAt(book, None, None, "rest", moment - snapshot.stamp.received_at)
        raise NotRecorded(await _what_is_near(connection, ticker, moment))


async def after_frame(
    connection: Any, session_id: str, ticker: str, frame_no: int | None
) -> Known | None:
    """Give what is known of a market's book after a frame, on a caller's connection."""
    base = await connection.fetchrow(
        "SELECT * FROM rl_book_base($1, $2, $3)", session_id, ticker, frame_no
    )
    if base is None:
        return None
    first, last, span = base["base_frame"], base["last_frame"], (base["low"], base["high"])
    record = await connection.fetchrow(_SNAPSHOT, session_id, ticker, first, *span)
    snapshot = rows.snapshot_of(record)
    books = Books({ticker: await grid_after(connection, session_id, ticker, first, span)})
    books.apply(snapshot)
    newest = snapshot.stamp
    for event in await events_between(connection, session_id, span, first + 1, last, [ticker]):
        if isinstance(event, BookDelta | BookSnapshot):
            books.apply(event)
            newest = event.stamp
        elif isinstance(event, MarketStatusChanged) and event.grid is not None:
            books.set_grid(ticker, event.grid)
    return None if books.is_stale(ticker) else Known(books[ticker], base["source"], newest)


async def grid_after(
    connection: Any, session_id: str, ticker: str, frame_no: int, span: tuple[int, int]
) -> PriceGrid:
    """Give the price grid that a market had after a frame; `span` is the session's."""
    bands = await connection.fetchval(_GRID_AFTER, session_id, ticker, frame_no, *span)
    return CENT_GRID if bands is None else decode_grid(bands)


async def _listed_grid(connection: Any, ticker: str, at: int) -> PriceGrid:
    bands = await connection.fetchval(_LISTED_GRID, ticker, at)
    return CENT_GRID if bands is None else decode_grid(bands)


async def _why_no_book(connection: Any, session_id: str, ticker: str, frame_no: int | None) -> str:
    await received_within(connection, session_id)  # raises where there is no such session
    session = await connection.fetchrow(
        "SELECT frames, markets FROM rl_orderbook_sessions WHERE session_id = $1", session_id
    )
    last = session["frames"] if frame_no is None else frame_no
    if not 0 <= last <= session["frames"]:
        return f"{session_id} has frames up to {session['frames']}, and no frame {last}"
    if ticker not in session["markets"]:
        return f"{ticker} was not recorded in {session_id}"
    known = await connection.fetchval(
        "SELECT max(frame_no) FROM rl_orderbook_snapshots, rl_session_span($1) AS span"
        " WHERE session_id = $1 AND ticker = $2 AND frame_no <= $3"
        " AND received_at BETWEEN span.low AND span.high",
        session_id,
        ticker,
        last,
    )
    if known is None:
        return f"{ticker} has no snapshot up to frame {last} of {session_id}"
    return f"{ticker} had no book to be trusted at frame {last} of {session_id}"


async def _what_is_near(connection: Any, ticker: str, at: int) -> str:
    told = f"no book of {ticker} is recorded at {show_instant(at)}"
    near = [_span_of(record) for record in await connection.fetch(_NEIGHBOURS, ticker, at)]
    rest = await connection.fetchval(
        "SELECT max(received_at) FROM rl_orderbook_snapshots"
        " WHERE session_id IS NULL AND ticker = $1 AND received_at <= $2",
        ticker,
        at,
    )
    if rest is not None:
        near.append(f"a book read over REST {show_span(at - rest)} before")
    if not near:
        return f"{told}, nor at any other time"
    return f"{told}; the nearest is {', then '.join(near)}"


def _span_of(record: Any) -> str:
    ended = record["ended_at"]
    until = "is still open" if ended is None else f"lasted to {show_instant(ended)}"
    return f"{record['session_id']} that began {show_instant(record['started_at'])} and {until}"

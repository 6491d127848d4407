"""All of a session but the rows that come by the million: what its episodes are cut by."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from kalshiflow.market.events import MarketStatusChanged
from kalshiflow.market.listing import CENT_GRID, Market, MarketResult, MarketStatus, PriceGrid
from kalshiflow.store import rows
from kalshiflow.store.database import Store
from kalshiflow.store.listings import Listing, listings_of
from kalshiflow.store.markets import markets
from kalshiflow.store.recorded import (
    SessionRow,
    begun_grids_of,
    gaps_of,
    get_session,
    received_within,
    session_closes,
)
from kalshiflow.store.replay import Gap
from kalshiflow.store.tape import QUERIES, reading

_WITHIN = " WHERE session_id = $1 AND received_at BETWEEN $2 AND $3"
_WITH_BOOKS = f"SELECT DISTINCT ticker FROM {rows.SNAPSHOTS}{_WITHIN} AND source <> 'periodic'"  # noqa: S608
_WITH_TRADES = f"SELECT DISTINCT ticker FROM {rows.TRADES}{_WITHIN}"  # noqa: S608
_TRADES_CHANNEL = "trade"
_ACCOUNTS = f"SELECT * FROM {rows.ACCOUNTS}{_WITHIN} ORDER BY frame_no, change_no"  # noqa: S608
# What its feed answered to our asking, and that of the sessions which it goes on from.
_SUBSCRIBED = """
WITH RECURSIVE chain AS (
    SELECT session_id, follows, first_row_at, last_row_at
      FROM rl_orderbook_sessions WHERE session_id = $1
    UNION
    SELECT before.session_id, before.follows, before.first_row_at, before.last_row_at
      FROM rl_orderbook_sessions AS before JOIN chain ON before.session_id = chain.follows
)
SELECT raw FROM chain JOIN rl_feed_frames AS frame ON frame.session_id = chain.session_id
   AND frame.received_at BETWEEN chain.first_row_at AND chain.last_row_at
 WHERE kind = 'subscribed'
"""


@dataclass(frozen=True, slots=True)
class Outline:
    """What is told of a session beside its books' changes and trades.

    `tickers` are all markets that had a book, in order. `begun` has each as it was known when it
    came into the session, never its later result; `listings`, `gaps` and `life` what was told
    since. `with_trades` are the markets whose public trades were recorded: all where the feed
    confirmed the subscription, else those of which there is a trade. `accounts` is the trader's, on
    its own tape.
    """

    session: SessionRow
    tickers: tuple[str, ...]
    begun: dict[str, Market]
    listings: list[Listing]
    gaps: list[Gap]
    life: list[MarketStatusChanged]
    with_trades: frozenset[str]
    accounts: list[rows.AccountChange]


async def read_outline(store: Store, session_id: str) -> Outline:
    """Read a session's outline; raises `NotRecorded` where there is no such session."""
    session = await get_session(store, session_id)
    closes = await session_closes(store, session_id)
    async with reading(store) as connection:
        within = (session_id, *await received_within(connection, session_id))
        booked = await connection.fetch(_WITH_BOOKS, *within)
        tickers = sorted({*session.markets, *(row[0] for row in booked)})
        grids = await begun_grids_of(connection, session_id)
        listings = await listings_of(connection, session_id)
        frames = (session_id, 0, session.frames, *within[1:], tickers)
        life = await connection.fetch(QUERIES[rows.LIFECYCLE], *frames)
        gaps = await gaps_of(connection, session_id)
        with_trades = await _with_trades(connection, within, tickers)
        accounts = await connection.fetch(_ACCOUNTS, *within)
    listed = await markets(store, tickers)
    return Outline(
        session=session,
        tickers=tuple(tickers),
        begun={
            ticker: _as_begun(ticker, listings, listed, grids.get(ticker), closes.get(ticker))
            for ticker in tickers
        },
        listings=listings,
        gaps=gaps,
        life=[rows.lifecycle_of(row) for row in life],
        with_trades=with_trades,
        accounts=[rows.account_of(row) for row in accounts],
    )


def _as_begun(
    ticker: str,
    listings: Sequence[Listing],
    listed: dict[str, Market],
    grid: PriceGrid | None,
    close_time: int | None,
) -> Market:
    """Give a market as it was known at first.

    Recordings of old have no listings: then it is the newest one, less what came to be known later.
    Frames of a market before it joined were read without its grid.
    """
    told = (one for one in listings if one.market.ticker == ticker and one.reason != "released")
    first = next(told, None)
    if first is not None:
        return before_its_end(first.market, grid or CENT_GRID)
    market = listed.get(ticker, Market(ticker, "", ""))
    known = replace(market, status=MarketStatus.ACTIVE, close_time=close_time)
    return before_its_end(known, grid or market.grid)


def before_its_end(market: Market, grid: PriceGrid) -> Market:
    """Give a market on a grid, without its result."""
    return replace(market, grid=grid, result=MarketResult.UNKNOWN, settlement_value=None)


async def _with_trades(
    connection: Any, within: tuple[str, int, int], tickers: Sequence[str]
) -> frozenset[str]:
    answers = await connection.fetch(_SUBSCRIBED, within[0])
    if any(_channel(row["raw"]) == _TRADES_CHANNEL for row in answers):
        return frozenset(tickers)
    return frozenset(row[0] for row in await connection.fetch(_WITH_TRADES, *within))


def _channel(raw: str) -> object:
    try:
        message = json.loads(raw)["msg"]
        return message["channel"]
    except (ValueError, LookupError, TypeError):
        return None

"""Market events as the columns and the outline that the store would give of them."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from kalshiflow.market.events import (
    BookDelta,
    BookSnapshot,
    MarketEvent,
    MarketStatusChanged,
    PublicTrade,
    TimeSource,
)
from kalshiflow.market.flat import DELTA, OWN_DELTA, SNAPSHOT, TRADE
from kalshiflow.market.listing import Market
from kalshiflow.store.bulk import Columns, rows_of
from kalshiflow.store.listings import Listing
from kalshiflow.store.outline import Outline
from kalshiflow.store.read import SessionRow
from kalshiflow.store.replay import Gap
from kalshiflow.store.rows import AccountChange

SOURCES = tuple(TimeSource)


def session_row(session_id: str, tickers: Sequence[str], frames: int) -> SessionRow:
    """Give the row of a session that was recorded whole."""
    return SessionRow(
        session_id=session_id,
        origin="collector",
        environment="local",
        traded=False,
        status="closed",
        started_at=0,
        ended_at=9,
        close_seq=1,
        markets=tuple(tickers),
        follows=None,
        frames=frames,
        verdict="ok",
        verdict_reason="",
        end_reason="",
        certificate=None,
    )


def outline_of(
    events: Sequence[MarketEvent],
    markets: Mapping[str, Market],
    gaps: Sequence[Gap] = (),
    listings: Sequence[Listing] = (),
    accounts: Sequence[AccountChange] = (),
    with_trades: Sequence[str] | None = None,
) -> Outline:
    """Give the outline of a session `s` of these events."""
    tickers = tuple(sorted(markets))
    last = max((event.stamp.frame_no for event in events), default=0)
    return Outline(
        session=session_row("s", tickers, last),
        tickers=tickers,
        begun=dict(markets),
        listings=list(listings),
        gaps=list(gaps),
        life=[event for event in events if isinstance(event, MarketStatusChanged)],
        with_trades=frozenset(tickers if with_trades is None else with_trades),
        accounts=list(accounts),
    )


def columns_of(
    events: Sequence[MarketEvent], outline: Outline, step: int = 10**9
) -> Iterator[Columns]:
    """Give events as columns, the frames parted by `step`."""
    for first in range(0, outline.session.frames + 1, step):
        last = min(first + step - 1, outline.session.frames)
        yield _part([e for e in events if first <= e.stamp.frame_no <= last], outline, first, last)


def _part(events: Sequence[MarketEvent], outline: Outline, first: int, last: int) -> Columns:
    changes, trades, snapshots, bodies = [], [], [], list[int]()
    for event in events:
        stamp, place = event.stamp, outline.tickers.index(event.ticker)
        when = (stamp.market_time, SOURCES.index(stamp.time_source))
        if isinstance(event, BookDelta):
            kind = DELTA if event.client_order_id is None else OWN_DELTA
            row = (stamp.frame_no, place, kind, event.side, event.price, event.change, *when)
            changes.append(row)
        elif isinstance(event, PublicTrade):
            side, quantity = event.taker_side, event.quantity
            trades.append((stamp.frame_no, place, TRADE, side, event.price, quantity, *when))
        elif isinstance(event, BookSnapshot):
            body = [len(event.bids), len(event.asks)]
            body += [number for level in (*event.bids, *event.asks) for number in level]
            row = (stamp.frame_no, place, SNAPSHOT, 0, len(body), len(bodies), *when)
            snapshots.append(row)
            bodies += body
    tables = (rows_of(table) for table in (changes, trades, snapshots))
    return Columns(first, last, *tables, np.array(bodies, np.int64))

"""A session that the collector recorded, read from PostgreSQL as a capture."""

from collections.abc import Mapping
from dataclasses import replace

from kalshiflow.exchange.capture import CaptureError
from kalshiflow.market.listing import Market, MarketResult, MarketStatus, PriceGrid
from kalshiflow.store import read
from kalshiflow.store.database import Store
from kalshiflow.store.errors import StoreError
from kalshiflow.store.recorded import joins_of
from kalshiflow.venue.config import RecordedSession
from kalshiflow.venue.replay.capture import Capture, capture_of


async def load_session(recorded: RecordedSession) -> Capture:
    """Read a recorded session: its markets as they were listed when it began, and its events.

    Raises `CaptureError` where the database cannot be read, or holds no such session or no book
    of it.
    """
    session_id = recorded.session_id
    try:
        async with await Store.open(recorded.database_url, max_connections=1) as store:
            await read.get_session(store, session_id)
            grids = await read.session_grids(store, session_id)
            described = _as_they_began(
                await read.markets(store, tuple(grids)),
                grids,
                await read.session_closes(store, session_id),
            )
            events = await read.session_events(store, session_id)
            gaps = await read.session_gaps(store, session_id)
            async with store.connection() as connection:
                joins = await joins_of(connection, session_id)
    except StoreError as trouble:
        raise CaptureError(str(trouble)) from trouble
    return capture_of(f"session {session_id}", events, gaps, grids, described, joins)


def _as_they_began(
    listed: Mapping[str, Market], grids: Mapping[str, PriceGrid], closes: Mapping[str, int]
) -> dict[str, Market]:
    """Take back what the store knows of the markets' later lives."""
    return {
        ticker: replace(
            market,
            grid=grids[ticker],
            close_time=closes.get(ticker, market.close_time),
            status=MarketStatus.ACTIVE,
            result=MarketResult.UNKNOWN,
            settlement_value=None,
            series_ticker=market.series_ticker or ticker.partition("-")[0],
        )
        for ticker, market in listed.items()
    }

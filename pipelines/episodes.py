"""From a recording to episodes, and whether two readings of them are the same to a policy."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice, zip_longest

from kalshiflow.agent.account import MarketAccount
from kalshiflow.agent.observation import MarketObserver
from kalshiflow.learning.episodes import Segment, build_segments
from kalshiflow.market.listing import Market
from kalshiflow.market.units import CASH_PER_DOLLAR
from kalshiflow.store.database import Store
from kalshiflow.store.markets import markets
from pipelines.recordings import Recording
from pipelines.times import seconds


async def episodes_of(store: Store, recording: Recording) -> list[Segment]:
    """Cut a recording into segments, with each market as it was when the session began."""
    tickers = sorted({event.ticker for event in recording.events})
    listed = await markets(store, tickers)
    known = {
        ticker: as_it_began(listed.get(ticker, Market(ticker, "", "")), recording)
        for ticker in tickers
    }
    return build_segments(recording.events, recording.gaps, known, recording.session.session_id)


def as_it_began(market: Market, recording: Recording) -> Market:
    """Give a listing with the grid and the close that were known when the session began.

    The store keeps a market's latest listing; what was announced later must not be seen earlier.
    """
    ticker = market.ticker
    return replace(
        market,
        grid=recording.grids.get(ticker, market.grid),
        close_time=recording.closes.get(ticker),
    )


def segments_by_market(segments: Sequence[Segment]) -> list[dict[str, str | int | float]]:
    """Give one row of a table for each market."""
    by_market: dict[str, list[Segment]] = {}
    for segment in segments:
        by_market.setdefault(segment.ticker, []).append(segment)
    return [
        {
            "market": ticker,
            "segments": len(found),
            "events": sum(len(segment.events) for segment in found),
            "market seconds": seconds(sum(s.ends_at - s.starts_at for s in found)),
        }
        for ticker, found in by_market.items()
    ]


def difference(
    rows: Sequence[Segment], stored: Sequence[Segment], throttle: int, limit: int
) -> str | None:
    """Say where two readings of the same episodes differ, in events or in what a policy observes.

    Observations are compared at most `limit` times, at least `throttle` nanoseconds of market time
    apart.
    """
    if len(rows) != len(stored):
        return f"the rows give {len(rows)} segments, the file holds {len(stored)}"
    for one, other in zip(rows, stored, strict=True):
        if one != other:
            return f"a segment of {one.ticker} at {one.starts_at} differs in its events"
    seen = zip_longest(observations(rows, throttle), observations(stored, throttle))
    for number, (one_seen, other_seen) in enumerate(islice(seen, limit)):
        if one_seen != other_seen:
            return f"observation {number} differs between the rows and the file"
    return None


def observations(segments: Sequence[Segment], throttle: int) -> Iterator[list[float]]:
    """Replay segments as a policy would see them that holds a dollar and no position."""
    account = MarketAccount(CASH_PER_DOLLAR)
    for segment in segments:
        observer = MarketObserver(segment.market)
        due = segment.starts_at
        for event in segment.events:
            observer.apply(event)
            now = event.stamp.market_time
            if observer.is_ready and now >= due:
                due = now + throttle
                yield observer.observe(account, now)

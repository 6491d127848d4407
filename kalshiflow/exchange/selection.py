"""Which markets to follow: those that are named, or the exchange's open ones, busiest first."""

from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import chain
from typing import Self

import structlog

from kalshiflow.exchange.client import KalshiClient
from kalshiflow.exchange.errors import NotFound
from kalshiflow.exchange.records import ActiveMarket
from kalshiflow.market.listing import Market
from kalshiflow.settings import Settings

_SPARE = 100  # candidates beyond the limit, for those whose fee terms cannot be learnt

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Filters:
    """What discovery may take. An empty filter lets everything through; all must agree.

    `series` and `categories` are names in the exchange's own spelling, `exclude` holds patterns of
    market tickers (`*`, `?`, `[...]`), upper and lower case told apart.
    """

    series: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Read them from the settings of the collector or the trader, which must agree."""
        return cls(
            settings.rl_market_series, settings.rl_market_categories, settings.rl_market_exclude
        )

    def excludes(self, ticker: str) -> bool:
        """Say whether a market's ticker alone keeps it out."""
        return any(fnmatchcase(ticker, pattern) for pattern in self.exclude)

    def admits(self, market: Market, category: str | None) -> bool:
        """Say whether a market may be taken; `category` is its series', `None` where unknown.

        The market's own series must be known, where there is a filter of series.
        """
        return (
            not self.excludes(market.ticker)
            and (not self.series or market.series_ticker in self.series)
            and (not self.categories or category in self.categories)
        )


def ranked(found: Iterable[ActiveMarket], limit: int | None = None) -> list[ActiveMarket]:
    """Put the busiest first: by the last day's volume, all volume, open interest; then by ticker.

    At most `limit` are given. The order does not depend on the one in which they come.
    """
    return sorted(found, key=_rank)[:limit]


async def select_markets(
    client: KalshiClient,
    *,
    mode: str,
    tickers: Sequence[str],
    limit: int,
    series: Collection[str] = (),
    categories: Collection[str] = (),
    exclude: Collection[str] = (),
) -> list[Market]:
    """Give at most `limit` markets with their fee terms; none is an answer, never a guess.

    `mode` is `tickers` (those named in `tickers`; a name that is unknown or beyond the limit is
    left out and logged) or `discovery` (the busiest of all open ones that `series`, `categories`
    and `exclude` admit; see `Filters`). The exchange's errors pass through.
    """
    if mode == "tickers":
        return await client.add_fee_terms(await _named(client, tickers, limit))
    filters = Filters(tuple(series), tuple(categories), tuple(exclude))
    best: list[ActiveMarket] = []
    async for page in _candidates(client, filters):
        admitted = (one for one in page if not filters.excludes(one.market.ticker))
        # A market may stand on two pages: what trades meanwhile moves them.
        known = {one.market.ticker: one for one in chain(best, admitted)}
        best = ranked(known.values(), limit + _SPARE)
    chosen: list[Market] = []
    while best and len(chosen) < limit:
        missing = limit - len(chosen)
        chosen += await client.add_fee_terms(one.market for one in best[:missing])
        best = best[missing:]
    return chosen


async def _named(client: KalshiClient, tickers: Sequence[str], limit: int) -> list[Market]:
    asked = list(dict.fromkeys(tickers))
    named = asked[:limit]
    if len(asked) > limit:
        log.warning("markets_beyond_limit", limit=limit, tickers=asked[limit:])
    markets = await client.get_markets(tickers=named) if named else []
    if unknown := sorted(set(named) - {market.ticker for market in markets}):
        log.warning("markets_unknown", tickers=unknown)
    return markets


async def _candidates(client: KalshiClient, filters: Filters) -> AsyncIterator[list[ActiveMarket]]:
    """Give the open markets of the series and categories wanted, page by page."""
    if filters.series:
        for name in dict.fromkeys(filters.series):
            if await _is_wanted(client, name, filters.categories):
                async for page in client.open_markets(series_ticker=name):
                    yield page
        return
    events = await _events_of(client, filters.categories) if filters.categories else None
    if events is not None and not events:
        return
    async for page in client.open_markets():
        yield [one for one in page if events is None or one.market.event_ticker in events]


async def _is_wanted(client: KalshiClient, series: str, categories: Sequence[str]) -> bool:
    if not categories:
        return True
    try:
        return (await client.get_series(series)).category in categories
    except NotFound:
        log.warning("series_unknown", series=series)
        return False


async def _events_of(client: KalshiClient, categories: Sequence[str]) -> set[str]:
    """Give the open events of categories. A market names its event, an event its series."""
    wanted: set[str] = set()
    for category in dict.fromkeys(categories):
        found = await client.list_series(category)
        if not found:
            log.warning("category_unknown", category=category)
        wanted.update(series.ticker for series in found if series.category == category)
    if not wanted:
        return set()
    return {
        event.ticker
        async for page in client.open_events()
        for event in page
        if event.series_ticker in wanted
    }


def _rank(one: ActiveMarket) -> tuple[int, int, int, str]:
    return -one.volume_24h, -one.volume, -one.open_interest, one.market.ticker

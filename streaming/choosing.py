"""Which markets to record, as the exchange lists them now."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import structlog

from kalshiflow.exchange.client import KalshiClient
from kalshiflow.exchange.errors import ExchangeUnavailable, RateLimited, Unreachable
from kalshiflow.exchange.selection import Filters, select_markets
from kalshiflow.market.listing import Market, MarketStatus
from streaming.health import SECOND

ENDED = frozenset(
    {
        MarketStatus.CLOSED,
        MarketStatus.DETERMINED,
        MarketStatus.DISPUTED,
        MarketStatus.AMENDED,
        MarketStatus.FINALIZED,
    }
)
SELECTION_LASTS = 600 * SECOND  # twice as long as a connection takes to choose anew

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Plan:
    """What to record. `limit` is the most markets at once; `filters` are discovery's."""

    mode: str
    tickers: tuple[str, ...]
    limit: int
    filters: Filters


class Chooser:
    """Finds the markets to record. `chosen` are the last ones, by ticker, with their fee terms.

    Between two connections the chosen ones are only listed anew, so that a lost connection costs
    no search of the whole exchange, and taken as they were where no listing is to be had: the
    socket may be there all the same.
    """

    def __init__(self, client: KalshiClient, plan: Plan, clock: Callable[[], int]) -> None:
        self.chosen: dict[str, Market] = {}
        self.limit = plan.limit
        self._client = client
        self._plan = plan
        self._clock = clock
        self._chosen_at: int | None = None
        self._categories: dict[str, str] = {}  # by series

    @property
    def nothing(self) -> str:
        """Say in a sentence that there is nothing to record."""
        if self._plan.mode == "tickers":
            named = ", ".join(self._plan.tickers) or "none"
            return f"the exchange lists none of the named markets ({named}) that is not settled"
        filters = self._plan.filters
        if filters == Filters():
            return "the exchange lists no open market"
        taken = (("series", filters.series), ("categories", filters.categories))
        words = [f"of the {what} {', '.join(names)}" for what, names in taken if names]
        words += [f"not like {', '.join(filters.exclude)}"] if filters.exclude else []
        return f"the exchange lists no open market {' and '.join(words)}"

    def may_take(self, ticker: str) -> bool:
        """Say whether a market of which only the ticker is known may be one to record."""
        if self._plan.mode == "tickers":
            return ticker in self._plan.tickers
        return not self._plan.filters.excludes(ticker)

    async def choose(self) -> dict[str, Market]:
        """Give the markets to connect for: the chosen ones as they are now, or a new choice."""
        chosen_at, now = self._chosen_at, self._clock()
        if self.chosen and chosen_at is not None and now - chosen_at < SELECTION_LASTS:
            try:
                fresh = await self.relist(self.chosen)
            except (ExchangeUnavailable, RateLimited, Unreachable) as refused:
                log.warning("listing_not_had", reason=str(refused))
                return self.chosen
            self.chosen = {t: market for t, market in fresh.items() if market.status not in ENDED}
            if self.chosen:
                return self.chosen
        self.chosen = {market.ticker: market for market in await self.select()}
        return self.chosen

    async def select(self) -> list[Market]:
        """Give the markets that should be recorded, best first, at most `limit`."""
        found = await select_markets(
            self._client,
            mode=self._plan.mode,
            tickers=self._plan.tickers,
            limit=self._plan.limit,
            series=self._plan.filters.series,
            categories=self._plan.filters.categories,
            exclude=self._plan.filters.exclude,
        )
        self._chosen_at = self._clock()
        return [market for market in found if market.status is not MarketStatus.FINALIZED]

    async def relist(self, known: Mapping[str, Market]) -> dict[str, Market]:
        """Give known markets as they are listed now; one that is listed no more is missing."""
        if not known:
            return {}
        fresh = await self._client.get_markets(tickers=sorted(known))
        return {
            market.ticker: replace(
                market,
                series_ticker=known[market.ticker].series_ticker,
                fees=known[market.ticker].fees,
            )
            for market in fresh
            if market.ticker in known
        }

    async def admit(self, tickers: Sequence[str]) -> dict[str, Market]:
        """Give those of some new markets that may be recorded, with their fee terms."""
        listed = await self._client.get_markets(tickers=list(tickers))
        markets = await self._client.add_fee_terms(listed)
        if self._plan.mode == "tickers":
            return {market.ticker: market for market in markets}
        return {market.ticker: market for market in markets if await self._admits(market)}

    async def _admits(self, market: Market) -> bool:
        filters, name = self._plan.filters, market.series_ticker
        if filters.categories and name not in self._categories:
            self._categories[name] = (await self._client.get_series(name)).category
        return filters.admits(market, self._categories.get(name))

"""What is listed while the exchange runs: series, events and markets, and how they are told of."""

from dataclasses import replace
from typing import TYPE_CHECKING

from kalshiflow.market.listing import Event, Market, MarketStatus, Series
from kalshiflow.venue.floor.exchange_life import ExchangeLife
from kalshiflow.venue.floor.facts import EventListed, LifecycleChanged, LifecycleKind
from kalshiflow.venue.floor.listed import NO_DETAILS, Details, ListedMarket
from kalshiflow.venue.floor.refusals import ImpossibleMove
from kalshiflow.venue.matching.engine import MatchingBook

if TYPE_CHECKING:
    from kalshiflow.venue.floor.floor import Floor


class Listing(ExchangeLife):
    """Lists series, events and markets. `series` and `events` are those of since the start."""

    def __init__(self, floor: "Floor") -> None:
        super().__init__(floor)
        self.series: list[Series] = []
        self.events: list[Event] = []

    def check_listing(self, market: Market, now: int) -> None:
        """Raise `ImpossibleMove` where `list_market` would."""
        if self._floor.find_market(market.ticker) is not None:
            raise ImpossibleMove(f"{market.ticker} is listed already")
        if market.close_time is not None and market.close_time <= max(now, market.open_time or 0):
            raise ImpossibleMove(f"{market.ticker} would close before it opens")

    def list_event(self, event: Event, now: int, series: Series | None = None) -> None:
        """List an event, and its series where that is new, and tell of it."""
        if series is not None:
            self.series.append(series)
        self.events.append(event)
        self._floor.publish(EventListed(event, now))

    def list_market(
        self,
        market: Market,
        now: int,
        details: Details = NO_DETAILS,
        matching: MatchingBook | None = None,
    ) -> ListedMarket:
        """List a market while the exchange runs, and tell of it; it opens at its open time."""
        self.check_listing(market, now)
        is_early = market.open_time is not None and market.open_time > now
        status = MarketStatus.INITIALIZED if is_early else MarketStatus.ACTIVE
        listed = self._floor.list_market(
            replace(market, status=status, open_time=market.open_time or now),
            matching or MatchingBook(market.ticker, market.grid),
            replace(details, created_at=details.created_at or now),
        )
        self.tell(market.ticker, LifecycleKind.CREATED, now)
        return listed

    def tell(
        self, ticker: str, kind: LifecycleKind, now: int, changed: tuple[str, ...] = ()
    ) -> None:
        """Tell of a step of a market's life, as the market is now."""
        listed = self._floor.market(ticker)
        listed.updated_at = listed.described_at = now
        self._floor.publish(LifecycleChanged(ticker, kind, now, changed))

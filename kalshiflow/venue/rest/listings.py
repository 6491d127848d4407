"""What the venue lists beside its markets: series and events, from the beginning or later."""

from kalshiflow.market.listing import Event, Series
from kalshiflow.venue.core import Venue
from kalshiflow.venue.floor.listed import ListedMarket
from kalshiflow.venue.floor.refusals import Refused


class NotFound(Refused):
    """No such thing."""

    status = 404
    code = "not_found"


class Listings:
    """Looks series and events up; raises `NotFound` for a ticker that is none."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    def all_series(self) -> tuple[Series, ...]:
        """Give all series, in the order in which they were listed."""
        return self._venue.catalogue.series

    def events(self) -> tuple[Event, ...]:
        """Give all events, in the order in which they were listed."""
        return self._venue.catalogue.events

    def series(self, ticker: str) -> Series:
        """Give one series."""
        for series in self.all_series():
            if series.ticker == ticker:
                return series
        raise NotFound(details=ticker)

    def event(self, ticker: str) -> Event:
        """Give one event."""
        for event in self.events():
            if event.ticker == ticker:
                return event
        raise NotFound(details=ticker)

    def category_of(self, series_ticker: str) -> str:
        """Give a series' category; empty for one that is not listed."""
        return next((s.category for s in self.all_series() if s.ticker == series_ticker), "")

    def markets_by_event(self) -> dict[str, list[ListedMarket]]:
        """Give the markets of each event, in the order in which they were listed."""
        markets: dict[str, list[ListedMarket]] = {}
        for listed in self._venue.floor.markets():
            markets.setdefault(listed.market.event_ticker, []).append(listed)
        return markets

"""Public REST, for which nobody signs: the exchange, its series, events and markets, and trades."""

from starlette.routing import BaseRoute

from kalshiflow.venue.core import Venue
from kalshiflow.venue.rest import (
    candles,
    events,
    exchange,
    history,
    markets,
    series,
    trades,
)
from kalshiflow.venue.rest.listings import Listings
from kalshiflow.venue.rest.market_bodies import MarketWriter


def routes(venue: Venue, *, compat: bool = False) -> list[BaseRoute]:
    """Give the public routes, below /trade-api/v2.

    `compat` is for clients of the former API that refuse a word which it did not have: a settled
    market is `settled` to them, not `finalized`. Everything else they need is always told.
    """
    listings = Listings(venue)
    writer = MarketWriter(listings.category_of, venue.clock.start, compat=compat)
    return [
        *exchange.routes(venue),
        *candles.routes(venue, listings),
        *trades.routes(venue),
        *markets.routes(venue, writer),
        *series.routes(venue, listings, compat=compat),
        *events.routes(venue, listings, writer),
        *history.routes(venue),
    ]

"""What a synthetic exchange lists: a series, events of eight markets, and what follows them."""

from dataclasses import dataclass

from kalshiflow.market.listing import (
    CENT_GRID,
    Event,
    FeeTerms,
    Market,
    PriceBand,
    PriceGrid,
    Series,
)
from kalshiflow.market.units import DOLLAR, Price
from kalshiflow.venue.clock import MILLISECOND, SECOND

TAPERED_GRID = PriceGrid(
    (
        PriceBand(Price(0), Price(1_000), Price(10)),
        PriceBand(Price(1_000), Price(9_000), Price(100)),
        PriceBand(Price(9_000), DOLLAR, Price(10)),
    )
)
DECI_CENT_GRID = PriceGrid((PriceBand(Price(0), DOLLAR, Price(10)),))
# Of each eight markets one is tapered and one in tenths of a cent; the others are in whole cents.
GRIDS = (CENT_GRID,) * 5 + (TAPERED_GRID, CENT_GRID, DECI_CENT_GRID)
MARKETS_PER_EVENT = 8

DAY = 24 * 3600 * SECOND
LIFETIME = 30 * DAY


@dataclass(frozen=True, slots=True)
class Listings:
    """What a synthetic exchange lists."""

    series: Series
    events: tuple[Event, ...]
    markets: tuple[Market, ...]


def synthetic_listings(
    markets: int, seed: int, start: int, lifetime: float | None = None
) -> Listings:
    """List `markets` markets, eight to an event, open from `start`.

    With a `lifetime` (market seconds) the markets of an event close together, and the events one
    after the other until all have closed when it has passed. Without one the first market closes
    after thirty days, and each one a day after the one before it.
    """
    series = Series(f"SYN-{seed}", "Synthetic markets", "Synthetic", FeeTerms())
    count = -(-markets // MARKETS_PER_EVENT)
    events = tuple(event_of(series, number) for number in range(count))

    def close_of(number: int) -> int:
        if lifetime is None:
            return start + LIFETIME + number * DAY
        return start + milliseconds(lifetime * (number // MARKETS_PER_EVENT + 1) / count)

    listed = tuple(
        market_of(series, number, events[number // MARKETS_PER_EVENT], start, close_of(number))
        for number in range(markets)
    )
    return Listings(series, events, listed)


def event_of(series: Series, number: int) -> Event:
    """Describe a series' event by its number, counted from 0."""
    ticker = f"{series.ticker}-E{number + 1:02d}"
    return Event(ticker, series.ticker, f"Synthetic event {number + 1}")


def market_of(series: Series, number: int, event: Event, opens: int, closes: int) -> Market:
    """Describe a market of an event by its number in the series, counted from 0."""
    return Market(
        ticker=f"{series.ticker}-{number + 1:02d}",
        event_ticker=event.ticker,
        title=f"Will synthetic outcome {number + 1} happen?",
        grid=GRIDS[number % len(GRIDS)],
        open_time=opens,
        close_time=closes,
        series_ticker=series.ticker,
        fees=series.fees,
    )


def milliseconds(seconds: float) -> int:
    """Give seconds in nanoseconds, to whole milliseconds as market time runs."""
    return round(seconds * 1000) * MILLISECOND

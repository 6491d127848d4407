"""What is listed: series, events and markets, their prices' grids and their lifecycle."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache

from kalshiflow.market.units import CENT, DOLLAR, Price, price_to_dollars


class GridError(ValueError):
    """Price ranges that make no grid, or a price that is not on it."""


class MarketStatus(StrEnum):
    """A market's stage of life, in the order in which it passes through them."""

    INITIALIZED = "initialized"
    ACTIVE = "active"
    INACTIVE = "inactive"
    CLOSED = "closed"
    DETERMINED = "determined"
    DISPUTED = "disputed"
    AMENDED = "amended"
    FINALIZED = "finalized"


class MarketResult(StrEnum):
    """How a market ended; `UNKNOWN` until it is determined."""

    UNKNOWN = ""
    YES = "yes"
    NO = "no"
    SCALAR = "scalar"
    VOID = "void"


class FeeType(StrEnum):
    """A series' fee model, by Kalshi's names."""

    QUADRATIC = "quadratic"
    QUADRATIC_WITH_MAKER_FEES = "quadratic_with_maker_fees"
    QUADRATIC_WITH_COMBO_MAKER_FEES = "quadratic_with_combo_maker_fees"
    FLAT = "flat"


@dataclass(frozen=True, slots=True)
class PriceBand:
    """Prices from `start` to `end` in steps of `step`."""

    start: Price
    end: Price
    step: Price


@dataclass(frozen=True)
class PriceGrid:
    """A market's valid prices, strictly between 0 and 1 dollar, indexed from 0 upwards.

    `places` has each price's place in `prices`.

    Built from the exchange's `price_ranges`. Bands must join up, and each band's width must be a
    whole number of its steps; anything else raises `GridError`.
    """

    bands: tuple[PriceBand, ...]
    prices: tuple[Price, ...] = field(init=False, repr=False, compare=False)
    places: dict[Price, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        prices = tuple(_prices_of(self.bands))
        object.__setattr__(self, "prices", prices)
        object.__setattr__(self, "places", {price: place for place, price in enumerate(prices)})

    def __len__(self) -> int:
        return len(self.prices)

    def __contains__(self, price: object) -> bool:
        return isinstance(price, int) and price in self.places

    def index(self, price: Price) -> int:
        """Give the position of `price`; raises `GridError` where it is not a valid price."""
        place = self.places.get(price)
        if place is None:
            raise GridError(f"price {price_to_dollars(price)} is not on the market's price grid")
        return place

    def at_or_below(self, price: int) -> Price | None:
        """Give the highest valid price that is not above `price`, if there is one."""
        for candidate in range(min(price, DOLLAR), 0, -1):
            if candidate in self.places:
                return Price(candidate)
        return None

    def at_or_above(self, price: int) -> Price | None:
        """Give the lowest valid price that is not below `price`, if there is one."""
        for candidate in range(max(price, 0), DOLLAR):
            if candidate in self.places:
                return Price(candidate)
        return None


def _prices_of(bands: Sequence[PriceBand]) -> Iterable[Price]:
    if not bands:
        raise GridError("a price grid needs at least one band")
    reached = Price(0)
    for band in bands:
        if band.step <= 0 or band.start != reached or (band.end - band.start) % band.step:
            raise GridError(f"band {band} does not join the prices below it in whole steps")
        if not band.start < band.end <= DOLLAR:
            raise GridError(f"band {band} does not lie between 0 and 1 dollar")
        first = band.start or band.step
        for price in range(first, band.end, band.step):
            yield Price(price)
        reached = band.end
    if reached != DOLLAR:
        raise GridError(f"the bands end at {price_to_dollars(reached)}, not at 1 dollar")


def encode_grid(grid: PriceGrid) -> list[list[int]]:
    """Write a price grid as JSON: its bands as [start, end, step]."""
    return [[band.start, band.end, band.step] for band in grid.bands]


def decode_grid(bands: Iterable[Sequence[int]]) -> PriceGrid:
    """Read what `encode_grid` wrote."""
    return _grid_of(tuple((start, end, step) for start, end, step in bands))


@lru_cache(maxsize=64)
def _grid_of(bands: tuple[tuple[int, int, int], ...]) -> PriceGrid:
    # Thousands of markets share a handful of grids, and a grid is not cheap to build.
    return PriceGrid(
        tuple(PriceBand(Price(start), Price(end), Price(step)) for start, end, step in bands)
    )


CENT_GRID = PriceGrid((PriceBand(Price(0), DOLLAR, CENT),))


@dataclass(frozen=True, slots=True)
class FeeTerms:
    """What a market charges: its series' model and exact multiplier (Kalshi: `fee_multiplier`)."""

    fee_type: FeeType = FeeType.QUADRATIC
    multiplier: Fraction = Fraction(1)


@dataclass(frozen=True, slots=True)
class Series:
    """A family of events with common rules and fees."""

    ticker: str
    title: str
    category: str
    fees: FeeTerms = FeeTerms()


@dataclass(frozen=True, slots=True)
class Event:
    """One happening, on which one or several markets are listed."""

    ticker: str
    series_ticker: str
    title: str


@dataclass(frozen=True, slots=True)
class Market:
    """One binary contract. Times are UTC nanoseconds; `None` where the source did not say."""

    ticker: str
    event_ticker: str
    title: str
    grid: PriceGrid = CENT_GRID
    status: MarketStatus = MarketStatus.ACTIVE
    open_time: int | None = None
    close_time: int | None = None
    result: MarketResult = MarketResult.UNKNOWN
    settlement_value: Price | None = None
    series_ticker: str = ""
    fees: FeeTerms = FeeTerms()

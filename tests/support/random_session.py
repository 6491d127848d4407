"""Random sessions of a few markets, with all that can happen to a recording."""

import random
from dataclasses import dataclass, field

from kalshiflow.market.events import (
    BookDelta,
    BookSnapshot,
    MarketEvent,
    MarketStatusChanged,
    PublicTrade,
    Side,
    Stamp,
    TimeSource,
)
from kalshiflow.market.listing import (
    CENT_GRID,
    FeeTerms,
    Market,
    MarketResult,
    MarketStatus,
    PriceBand,
    PriceGrid,
)
from kalshiflow.market.units import DOLLAR, Price, Quantity
from kalshiflow.store.listings import Listing
from kalshiflow.store.replay import Gap

TENTHS = PriceGrid((PriceBand(Price(0), DOLLAR, Price(1_000)),))
HALVES = PriceGrid((PriceBand(Price(0), DOLLAR, Price(500)),))
GRIDS = (CENT_GRID, HALVES, TENTHS)
TICKERS = "CAB"


@dataclass
class RandomSession:
    """Events, gaps and listings of a session of `length` frames drawn from a seed.

    With `runs_back` its market time sometimes does what no recorder lets it do.
    """

    seed: int
    length: int
    runs_back: bool = True
    events: list[MarketEvent] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    listings: list[Listing] = field(default_factory=list)

    def __post_init__(self) -> None:
        rng = self.rng = random.Random(self.seed)
        self.markets = {
            ticker: Market(ticker, "E", "a market", rng.choice(GRIDS)) for ticker in TICKERS
        }
        self.books = {ticker: ({}, {}) for ticker in TICKERS}
        self.now = 1_000
        undated = rng.choice((0, 3, self.length))
        for frame in range(1, self.length + 1):
            is_dated = frame > undated
            self.now += rng.choice((0, 0, 1, 7)) - 3 * (rng.random() < 0.02 and self.runs_back)
            source = rng.choice((TimeSource.EXCHANGE, TimeSource.CARRIED))
            at = self.now if is_dated else 500 + frame
            stamp = Stamp(frame, frame, at, source if is_dated else TimeSource.RECEIVE)
            self._happen(stamp, rng.choice(TICKERS))

    def _happen(self, stamp: Stamp, ticker: str) -> None:
        draw = self.rng.random()
        if draw < 0.1 or not (self.books[ticker][0] or self.books[ticker][1]):
            self.events.append(self._snapshot(stamp, ticker))
        elif draw < 0.75:
            self.events.append(self._delta(stamp, ticker))
        elif draw < 0.85:
            price = Price(self.rng.choice((2_500, 5_000, 5_050)))
            side = self.rng.choice(tuple(Side))
            self.events.append(PublicTrade(ticker, "t", price, Quantity(3), side, stamp))
        elif draw < 0.95:
            self.events.append(self._status(stamp, ticker))
        if draw > 0.98:
            self._tell(stamp.frame_no, ticker)

    def _snapshot(self, stamp: Stamp, ticker: str) -> BookSnapshot:
        prices = self.rng.choice(GRIDS).prices
        middle = self.rng.randrange(1, len(prices))
        bids = self.rng.sample(prices[:middle], min(middle, 3))
        asks = self.rng.sample(prices[middle:], min(len(prices) - middle, 2))
        if self.rng.random() < 0.05:
            bids, asks = asks, bids
        sides = sorted(bids, reverse=True), sorted(asks)
        levels = [[(price, Quantity(self.rng.randrange(1, 9))) for price in side] for side in sides]
        self.books[ticker] = (dict(levels[0]), dict(levels[1]))
        return BookSnapshot(ticker, tuple(levels[0]), tuple(levels[1]), stamp)

    def _delta(self, stamp: Stamp, ticker: str) -> BookDelta:
        rng = self.rng
        side = rng.choice(tuple(Side))
        book = self.books[ticker][side]
        if book and rng.random() < 0.5:
            price = rng.choice(sorted(book))
            change = -book[price] if rng.random() < 0.5 else rng.randrange(1, 5)
        else:
            price, change = Price(rng.choice((1_000, 2_500, 5_000, 9_000, 5_010))), 4
        if rng.random() < 0.02:
            change = -100
        book[price] = book.get(price, 0) + change
        if book[price] <= 0:
            del book[price]
        own = "mine" if rng.random() < 0.1 else None
        return BookDelta(ticker, side, price, Quantity(change), stamp, own)

    def _status(self, stamp: Stamp, ticker: str) -> MarketStatusChanged:
        rng = self.rng
        status = rng.choice((None, MarketStatus.INACTIVE, MarketStatus.DETERMINED))
        result = MarketResult.UNKNOWN
        if status is MarketStatus.DETERMINED:
            result = rng.choice((MarketResult.YES, MarketResult.UNKNOWN, MarketResult.SCALAR))
        value = Price(4_000) if result is MarketResult.SCALAR and rng.random() < 0.5 else None
        grid = rng.choice(GRIDS) if rng.random() < 0.3 else None
        closes = rng.choice((None, 9_999))
        return MarketStatusChanged(ticker, "x", stamp, status, result, value, closes, grid)

    def _tell(self, frame_no: int, ticker: str) -> None:
        rng = self.rng
        if rng.random() < 0.5:
            tickers = (ticker, *rng.choice((TICKERS, "")))
            channel = rng.choice(("orderbook_delta", "trade"))
            self.gaps.append(Gap(frame_no, "missing", tickers, "lost", 0, channel))
            return
        reason = rng.choice(("joined", "lifecycle", "released"))
        fees = FeeTerms(multiplier=rng.choice((1, 2)))
        known = Market(ticker, "E", "anew", rng.choice(GRIDS), close_time=frame_no, fees=fees)
        self.listings.append(Listing(frame_no, reason, known))

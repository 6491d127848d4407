"""The synthetic exchange: its listings, its agenda of traders' actions, and a recorder of it.

The one documented inefficiency is the slow maker's lag (see `traders`): for `lag` seconds of market
time after each jump of 8 to 15 cents it still offers 30 contracts and more at each of several
prices around the old value, while the fast maker already quotes around the new one. What tells: the
two touches stand one step of the grid apart (else two cents and more); the touch on the side of the
jump is the fast maker's, at up to twelve times its usual size and so above the other touch, which
holds the slow maker's contracts only; and trades hit the stale side. Whoever takes the stale side
and closes once the slow maker has followed gains the jump less about two cents and two taker fees,
about four cents a contract on average. With `lag=0` both makers move at once, and the touches are
never one step apart after a jump. A small drift of the value looks like a jump but for the size of
the touch that moved: it is the fast maker's usual five to eight contracts.

A second, weaker regularity cannot be avoided: a price that jumps this often and stays within the
dollar must lean back to the middle, by less than one cent a jump for each ten cents of distance,
and with certainty where a jump outwards would leave 8 to 92 cents.
"""

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass

from kalshiflow.market.events import (
    BookDelta,
    BookSnapshot,
    MarketEvent,
    PublicTrade,
    Side,
    Stamp,
    TimeSource,
)
from kalshiflow.market.listing import (
    CENT_GRID,
    Event,
    FeeTerms,
    Market,
    PriceBand,
    PriceGrid,
    Series,
)
from kalshiflow.market.units import DOLLAR, Price, Quantity
from kalshiflow.venue.clock import SECOND
from kalshiflow.venue.floor.accounts import Accounts
from kalshiflow.venue.floor.facts import Fact, Traded
from kalshiflow.venue.floor.floor import Floor
from kalshiflow.venue.ids import Identifiers
from kalshiflow.venue.matching.engine import (
    MatchingBook,
)
from kalshiflow.venue.matching.messages import (
    LevelChanged,
)
from kalshiflow.venue.traders.market import Habits, MarketTraders

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

RECORD_START = 1_767_621_600 * SECOND  # 2026-01-05T14:00:00Z
DAY = 24 * 3600 * SECOND
LIFETIME = 30 * DAY
BOOK_SID, TRADE_SID = 1, 2


@dataclass(frozen=True, slots=True)
class Listings:
    """What a synthetic exchange lists."""

    series: Series
    events: tuple[Event, ...]
    markets: tuple[Market, ...]


def synthetic_listings(markets: int, seed: int, start: int) -> Listings:
    """List `markets` markets, eight to an event, open from `start`.

    The first closes after thirty days, and each one a day after the one before it.
    """
    series = Series(f"SYN-{seed}", "Synthetic markets", "Synthetic", FeeTerms())
    events = tuple(
        Event(f"{series.ticker}-E{number:02d}", series.ticker, f"Synthetic event {number}")
        for number in range(1, -(-markets // MARKETS_PER_EVENT) + 1)
    )
    listed = tuple(
        Market(
            ticker=f"{series.ticker}-{number + 1:02d}",
            event_ticker=events[number // MARKETS_PER_EVENT].ticker,
            title=f"Will synthetic outcome {number + 1} happen?",
            grid=GRIDS[number % len(GRIDS)],
            open_time=start,
            close_time=start + LIFETIME + number * DAY,
            series_ticker=series.ticker,
            fees=series.fees,
        )
        for number in range(markets)
    )
    return Listings(series, events, listed)


class SyntheticSource:
    """The traders of all markets on one agenda; each market draws from a generator of its own."""

    def __init__(
        self, floor: Floor, markets: tuple[Market, ...], seed: int, start: int, habits: Habits
    ) -> None:
        self._agenda: list[tuple[int, int, Callable[[int], None]]] = []
        self._scheduled = 0
        for market in markets:
            floor.list_market(market, MatchingBook(market.ticker, market.grid))
        for market in markets:
            rng = random.Random(f"{seed}/{market.ticker}")
            MarketTraders(floor, market.ticker, habits, rng, self._schedule).open(start)

    def next_at(self) -> int | None:
        """Give the market time of the next action."""
        return self._agenda[0][0]

    def step(self) -> None:
        """Let the next trader act."""
        at, _, action = heapq.heappop(self._agenda)
        action(at)

    def _schedule(self, at: int, action: Callable[[int], None]) -> None:
        self._scheduled += 1
        heapq.heappush(self._agenda, (at, self._scheduled, action))


@dataclass(frozen=True, slots=True)
class Recording:
    """What a collector would have made of a synthetic exchange: its markets and their events."""

    markets: tuple[Market, ...]
    events: tuple[MarketEvent, ...]


def record(
    markets: int = 24,
    seconds: float = 600.0,
    seed: int = 7,
    lag: float = 4.0,
    *,
    start: int = RECORD_START,
) -> Recording:
    """Run a synthetic exchange for `seconds` of market time, with no clients, and record it.

    No sockets and no clock: equal arguments give equal recordings, and a longer one begins with a
    shorter one. Events are in frame order: a snapshot of each market at frames 1..n, then book
    changes (sid 1) and public trades (sid 2), each stamped with its market time.
    """
    listings = synthetic_listings(markets, seed, start)
    recorder = _Recorder(start)
    floor = Floor(Identifiers(seed), Accounts(), recorder.hear)
    source = SyntheticSource(floor, listings.markets, seed, start, Habits(lag=lag))
    recorder.begin(floor)
    end = start + int(seconds * SECOND)
    while (at := source.next_at()) is not None and at < end:
        source.step()
    return Recording(listings.markets, tuple(recorder.events))


class _Recorder:
    def __init__(self, start: int) -> None:
        self._start = start
        self._sequences = {BOOK_SID: 0, TRADE_SID: 0}
        self._is_recording = False
        self.events: list[MarketEvent] = []

    def begin(self, floor: Floor) -> None:
        for listed in floor.markets():
            book = listed.matching.book
            bids, asks = book.levels(Side.BID), book.levels(Side.ASK)
            stamp = self._stamp(self._start, BOOK_SID, TimeSource.RECEIVE)
            self.events.append(BookSnapshot(listed.market.ticker, bids, asks, stamp))
        self._is_recording = True

    def hear(self, fact: Fact) -> None:
        if not self._is_recording:
            return
        if isinstance(fact, LevelChanged):
            stamp = self._stamp(fact.at, BOOK_SID, TimeSource.EXCHANGE)
            self.events.append(
                BookDelta(fact.ticker, fact.side, fact.price, Quantity(fact.change), stamp)
            )
        elif isinstance(fact, Traded):
            stamp = self._stamp(fact.at, TRADE_SID, TimeSource.EXCHANGE)
            self.events.append(
                PublicTrade(
                    fact.ticker,
                    fact.trade_id,
                    fact.price,
                    fact.quantity,
                    fact.taker_side,
                    stamp,
                )
            )

    def _stamp(self, at: int, sid: int, source: TimeSource) -> Stamp:
        self._sequences[sid] += 1
        exchange_ts = at if source is TimeSource.EXCHANGE else None
        return Stamp(len(self.events) + 1, at, at, source, exchange_ts, sid, self._sequences[sid])

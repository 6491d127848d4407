"""The synthetic exchange: the agenda of its traders' actions, and a recorder of it.

The one documented inefficiency is the slow makers' lag (see `habits`): for `lag` seconds of market
time after each jump they still offer what they did around the old value, in the lively preset 30
contracts and more at each of several prices, while the fast maker already quotes around the new
one. What tells: the two touches stand one step of the grid apart (else two cents and more); the
touch on the side of the jump is the fast maker's, at up to twenty times its usual size and so above
the other touch, which holds slow makers' contracts only; and trades hit the stale side. Whoever
takes the stale side and closes once the slow makers have followed gains the jump less about two
cents and two taker fees, some five cents a contract on average. With `lag=0` all makers move at
once, and the touches are never one step apart. (In the real preset they often are at any time, and
jumps are rarer.)

A second regularity is weaker: makers overreact to a jump and give the excess back within a minute
or so. That is less than it costs to take twice, but may be earned by resting orders.

The hidden value itself is a martingale: nothing that it did tells where it will go, and what it is
worth is its probability. It pays for that with its life: one that stays within the dollar can jump
by six cents only some fifty times on average before it is as good as decided. So lively markets are
at their best in their first hour or two; with a `lifetime` they are replaced in time.
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
from kalshiflow.market.listing import Market
from kalshiflow.market.units import Quantity
from kalshiflow.venue.clock import SECOND
from kalshiflow.venue.floor.accounts import Accounts
from kalshiflow.venue.floor.facts import Fact, Traded
from kalshiflow.venue.floor.floor import Floor
from kalshiflow.venue.floor.lifecycle import Outcome
from kalshiflow.venue.ids import Identifiers
from kalshiflow.venue.matching.engine import MatchingBook
from kalshiflow.venue.matching.messages import LevelChanged
from kalshiflow.venue.traders.habits import Habits, habits_named
from kalshiflow.venue.traders.listings import (
    Listings,
    event_of,
    market_of,
    milliseconds,
    synthetic_listings,
)
from kalshiflow.venue.traders.market import MarketTraders

RECORD_START = 1_767_621_600 * SECOND  # 2026-01-05T14:00:00Z
BOOK_SID, TRADE_SID = 1, 2


class SyntheticSource:
    """The traders of all markets on one agenda; each market draws from a generator of its own.

    With a `lifetime` (market seconds), an event that closes is followed at once by another of as
    many markets, which live so long.
    """

    def __init__(
        self,
        floor: Floor,
        listings: Listings,
        seed: int,
        start: int,
        habits: Habits,
        lifetime: float | None = None,
    ) -> None:
        self.traders: dict[str, MarketTraders] = {}
        self._floor = floor
        self._series = listings.series
        self._seed = seed
        self._habits = habits
        self._lifetime = None if lifetime is None else milliseconds(lifetime)
        self._events, self._markets = len(listings.events), len(listings.markets)
        self._agenda: list[tuple[int, int, Callable[[int], None]]] = []
        self._scheduled = 0
        self._steps = 0
        floor.lifecycle.outcome_of = self._outcome_of
        for market in listings.markets:
            floor.list_market(market, MatchingBook(market.ticker, market.grid))
        for market in listings.markets:
            self.traders[market.ticker] = self._traders_of(market)
        self._scale = self._scaled(habits.activity)
        for traders in self.traders.values():
            traders.open(start, self._scale)
        if lifetime is not None:
            for event in listings.events:
                of = [m for m in listings.markets if m.event_ticker == event.ticker]
                self._succeed_at(of[0].close_time or start, len(of))

    def next_at(self) -> int | None:
        """Give the market time of the next action."""
        return self._agenda[0][0] if self._agenda else None

    def step(self) -> None:
        """Let the next trader act."""
        at, _, action = heapq.heappop(self._agenda)
        self._steps += 1
        action(at)

    def position(self) -> int:
        """Give how often a trader has acted."""
        return self._steps

    def _schedule(self, at: int, action: Callable[[int], None]) -> None:
        self._scheduled += 1
        heapq.heappush(self._agenda, (at, self._scheduled, action))

    def _traders_of(self, market: Market) -> MarketTraders:
        rng = random.Random(f"{self._seed}/{market.ticker}")
        return MarketTraders(self._floor, market.ticker, self._habits, rng, self._schedule)

    def _scaled(self, activity: float | None) -> float:
        """Give how much more often than by habit everything is to happen."""
        expected = sum(traders.changes for traders in self.traders.values())
        return 1.0 if activity is None or not expected else activity / expected

    def _outcome_of(self, ticker: str) -> Outcome | None:
        traders = self.traders.get(ticker)
        return None if traders is None else traders.outcome()

    # --- successors ----------------------------------------------------------------------------

    def _succeed_at(self, closes: int, markets: int) -> None:
        self._schedule(closes, lambda at: self._list_event(at, markets))

    def _list_event(self, now: int, markets: int) -> None:
        assert self._lifetime is not None
        closes = now + self._lifetime
        lifecycle = self._floor.lifecycle
        event = event_of(self._series, self._events)
        lifecycle.list_event(event, now)
        self._events += 1
        for _ in range(markets):
            market = market_of(self._series, self._markets, event, now, closes)
            self._markets += 1
            lifecycle.list_market(market, now, matching=MatchingBook(market.ticker, market.grid))
            self.traders[market.ticker] = self._traders_of(market)
            self.traders[market.ticker].open(now, self._scale)
        self._succeed_at(closes, markets)


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
    source = SyntheticSource(floor, listings, seed, start, habits_named("lively", lag))
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

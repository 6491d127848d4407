"""What a synthetic exchange looks like: everything that is compared with Kalshi's own figures."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median

from kalshiflow.market.events import Side
from kalshiflow.market.fees import trade_fee
from kalshiflow.market.listing import CENT_GRID
from kalshiflow.market.orders import Role
from kalshiflow.market.units import CENT, CONTRACT, DOLLAR, Price, complement
from kalshiflow.venue.clock import MILLISECOND, SECOND
from kalshiflow.venue.floor.accounts import Accounts
from kalshiflow.venue.floor.facts import Fact, Traded
from kalshiflow.venue.floor.floor import Floor
from kalshiflow.venue.floor.listed import ListedMarket
from kalshiflow.venue.ids import Identifiers
from kalshiflow.venue.matching.messages import LevelChanged
from kalshiflow.venue.traders.habits import Habits
from kalshiflow.venue.traders.listings import MARKETS_PER_EVENT, synthetic_listings
from kalshiflow.venue.traders.synthetic import RECORD_START, SyntheticSource

Touch = tuple[Price | None, int, Price | None, int]

LOOK_EVERY = 10 * SECOND
BUSY_SHARE = 8  # the busiest market of so many is measured as a stream


@dataclass(slots=True)
class Stream:
    """One market's changes. `behind` counts adds by steps behind their side's best (-1: better)."""

    touch: Touch
    is_in_cents: bool
    at: int = 0
    changes: int = 0
    adds: int = 0
    best_moves: int = 0
    sizes: Counter[int] = field(default_factory=Counter)
    behind: Counter[int] = field(default_factory=Counter)
    gaps: list[int] = field(default_factory=list)
    levels: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Look:
    """One market at one moment: prices in price units, sizes in hundredths of contracts."""

    ticker: str
    touch: Touch

    @property
    def sides(self) -> int:
        """Give how many sides are quoted."""
        return (self.touch[0] is not None) + (self.touch[2] is not None)

    @property
    def spread(self) -> int:
        """Give the spread of a two-sided market."""
        bid, _, ask, _ = self.touch
        assert bid is not None
        assert ask is not None
        return ask - bid

    @property
    def decile(self) -> int:
        """Give the decile of a two-sided market's mid."""
        bid, _, ask, _ = self.touch
        assert bid is not None
        assert ask is not None
        return min((bid + ask) * 10 // (2 * DOLLAR), 9)


@dataclass(frozen=True, slots=True)
class Bought:
    """One side of a trade: what was paid for its outcome and expected of it, per contract.

    `price` and `worth` are price units of the outcome that was bought, `fee` too; the worth is the
    hidden probability at that moment.
    """

    role: Role
    is_yes: bool
    price: int
    worth: float
    fee: float
    quantity: int

    @property
    def expected_return(self) -> float:
        """Give the expected return on what was paid, fees included."""
        return (self.worth - self.price - self.fee) / (self.price + self.fee)


@dataclass(slots=True)
class Measured:
    """What was seen of an exchange in so many market seconds."""

    seconds: float
    streams: dict[str, Stream] = field(default_factory=dict)
    looks: list[Look] = field(default_factory=list)
    bought: list[Bought] = field(default_factory=list)

    def busy(self) -> list[Stream]:
        """Give the streams of the busiest markets in whole cents, away from the dollar's ends."""
        middling = [look.ticker for look in self.two_sided() if 1 <= look.decile <= 8]
        often = Counter(middling)
        looks = len(self.looks) / max(1, len(self.streams))
        streams = sorted(self.streams.items(), key=lambda item: -item[1].changes)
        found = [s for ticker, s in streams if s.is_in_cents and often[ticker] >= looks / 2]
        return found[: max(1, len(streams) // BUSY_SHARE)]

    def two_sided(self) -> list[Look]:
        """Give the looks at markets that were quoted on both sides."""
        return [look for look in self.looks if look.sides == len(Side)]

    def changes_a_second(self) -> float:
        """Give the book changes a second over all markets."""
        return sum(s.changes for s in self.streams.values()) / self.seconds

    def returns(self, role: Role, low: int, high: int) -> float | None:
        """Give the mean expected return of a role's purchases at above `low` to `high` cents."""
        returns = [
            b.expected_return
            for b in self.bought
            if b.role is role and low * CENT < b.price <= high * CENT
        ]
        return fmean(returns) if returns else None

    def strikes_for(self, share: float) -> float:
        """Give how many markets of an event carry so much of its changes, in the median event."""
        counts = [s.changes for s in self.streams.values()]
        events = [
            sorted(counts[first : first + MARKETS_PER_EVENT], reverse=True)
            for first in range(0, len(counts), MARKETS_PER_EVENT)
        ]
        return median(_needed(event, share * sum(event)) for event in events)

    def top_tenth(self) -> float:
        """Give the share of all changes that the busiest tenth of the markets has."""
        counts = sorted((s.changes for s in self.streams.values()), reverse=True)
        return sum(counts[: max(1, len(counts) // 10)]) / max(1, sum(counts))


def measure(habits: Habits, markets: int, seconds: float, seed: int) -> Measured:
    """Run an exchange without sockets or clients for so many market seconds, and watch it."""
    watch = _Watch(seconds)
    floor = Floor(Identifiers(seed), Accounts(), watch.hear)
    listings = synthetic_listings(markets, seed, RECORD_START)
    source = SyntheticSource(floor, listings, seed, RECORD_START, habits)
    watch.begin(floor, source)
    end, look_at = RECORD_START + int(seconds * SECOND), RECORD_START + LOOK_EVERY
    while (at := source.next_at()) is not None and at < end:
        while look_at < at:
            watch.look()
            look_at += LOOK_EVERY
        source.step()
    return watch.measured


class _Watch:
    def __init__(self, seconds: float) -> None:
        self.measured = Measured(seconds)
        self._source: SyntheticSource | None = None

    def begin(self, floor: Floor, source: SyntheticSource) -> None:
        self._floor, self._source = floor, source
        for listed in floor.markets():
            self.measured.streams[listed.market.ticker] = Stream(
                listed.touch(), listed.market.grid == CENT_GRID
            )

    def hear(self, fact: Fact) -> None:
        if self._source is None:
            return
        if isinstance(fact, LevelChanged):
            self._change(fact)
        elif isinstance(fact, Traded):
            self.measured.bought.extend(self._sides(fact, self._source))

    def look(self) -> None:
        for listed in self._floor.markets():
            self.measured.looks.append(Look(listed.market.ticker, listed.touch()))
            self.measured.streams[listed.market.ticker].levels.append(_levels(listed))

    def _change(self, fact: LevelChanged) -> None:
        stream = self.measured.streams[fact.ticker]
        if stream.changes:
            stream.gaps.append((fact.at - stream.at) // MILLISECOND)
        stream.changes += 1
        stream.at = fact.at
        stream.sizes[abs(fact.change)] += 1
        best = stream.touch[0 if fact.side is Side.BID else 2]
        if fact.change > 0:
            stream.adds += 1
            stream.behind[_behind(fact, best)] += 1
        touch = self._floor.market(fact.ticker).touch()
        stream.best_moves += (touch[0], touch[2]) != (stream.touch[0], stream.touch[2])
        stream.touch = touch

    def _sides(self, trade: Traded, source: SyntheticSource) -> Iterator[Bought]:
        terms = self._floor.market(trade.ticker).market.fees
        value = source.traders[trade.ticker].value.now
        for role in Role:
            is_yes = (trade.taker_side is Side.BID) == (role is Role.TAKER)
            price = trade.price if is_yes else complement(trade.price)
            worth = value if is_yes else DOLLAR - value
            fee = trade_fee(terms, role, trade.price, trade.quantity) / trade.quantity
            yield Bought(role, is_yes, price, worth, fee, trade.quantity)


def quantile(values: Sequence[float], share: float) -> float:
    """Give the value below which a share of the values lies."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0


def contracts(sizes: Sequence[int]) -> float:
    """Give the mean of quantities in contracts."""
    return fmean(sizes) / CONTRACT if sizes else 0.0


def _behind(fact: LevelChanged, best: int | None) -> int:
    if best is None:
        return -1
    steps = (best - fact.price if fact.side is Side.BID else fact.price - best) // CENT
    return max(steps, -1)


def _levels(listed: ListedMarket) -> int:
    book = listed.matching.book
    return sum(1 for q in book.bids if q) + sum(1 for q in book.asks if q)


def _needed(counts: Sequence[int], total: float) -> int:
    reached = 0
    for number, count in enumerate(counts, start=1):
        reached += count
        if reached >= total:
            return number
    return len(counts)

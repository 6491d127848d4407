"""What a market's touch and trades did in each minute, hour and day, kept as it happens.

A period ends with its last instant: what happens at 12:01:00.000 belongs to the minute before. Only
periods in which something happened are kept, and of those the latest.
"""

from bisect import bisect_left
from dataclasses import dataclass, replace
from typing import Protocol

from kalshiflow.market.units import DOLLAR, Cash, Price, Quantity
from kalshiflow.venue.clock import SECOND

MINUTE, HOUR, DAY = 60, 3_600, 86_400  # seconds
# A day of minutes and a little more: what a day ago was is looked up in them.
KEPT = {MINUTE: 1_500, HOUR: 800, DAY: 400}

Touch = tuple[Price | None, int, Price | None, int]


class Figures(Protocol):
    """What a market tells of itself while its candles are kept."""

    last_price: Price
    volume: Quantity
    open_interest: Quantity

    def touch(self) -> Touch:
        """Give best bid, its size, best ask, its size."""


@dataclass(slots=True)
class Range:
    """First, lowest, highest and last price of a period."""

    open: Price
    low: Price
    high: Price
    close: Price

    def see(self, price: Price) -> None:
        """Take in the next price."""
        self.close = price
        if price < self.low:
            self.low = price
        elif price > self.high:
            self.high = price

    def follow(self, later: "Range") -> None:
        """Take in the prices of a later period."""
        self.low, self.high = min(self.low, later.low), max(self.high, later.high)
        self.close = later.close


@dataclass(slots=True)
class Candle:
    """One period up to `end` (Unix seconds). An empty bid is 0, an empty ask a dollar.

    `price` is of the trades, `None` without one; `traded` is what they cost. `previous` (0: never
    traded) and `volume_before` are of the time before; `open_interest` is as the period ends.
    """

    end: int
    bid: Range
    ask: Range
    previous: Price
    volume_before: Quantity
    price: Range | None = None
    volume: Quantity = Quantity(0)
    traded: Cash = Cash(0)
    open_interest: Quantity = Quantity(0)

    def mean(self) -> Price | None:
        """Give the average price of the contracts traded, to the nearest 1/10000 dollar."""
        if not self.volume:
            return None
        return Price((2 * self.traded + self.volume) // (2 * self.volume))

    def follow(self, later: "Candle") -> None:
        """Take in a later period."""
        self.bid.follow(later.bid)
        self.ask.follow(later.ask)
        if later.price is not None:
            if self.price is None:
                self.price = replace(later.price)
            else:
                self.price.follow(later.price)
        self.volume = Quantity(self.volume + later.volume)
        self.traded = Cash(self.traded + later.traded)
        self.open_interest = later.open_interest


class Candles:
    """A market's periods, oldest first. `figures` are the market's own, as they stand."""

    __slots__ = ("_figures", "_kept", "_minute", "_until")

    def __init__(self, figures: Figures) -> None:
        self._figures = figures
        self._kept: dict[int, list[Candle]] = {MINUTE: [], HOUR: [], DAY: []}
        self._minute: Candle | None = None
        self._until = -1  # nanoseconds: the last instant of the minute in progress

    def trade(self, price: Price, quantity: Quantity, at: int) -> None:
        """Count a trade, before the market's own figures do."""
        minute = self._minute_of(at, None)
        if minute.price is None:
            minute.price = Range(price, price, price, price)
        else:
            minute.price.see(price)
        minute.volume = Quantity(minute.volume + quantity)
        minute.traded = Cash(minute.traded + price * quantity)

    def move(self, before: Touch, after: Touch, at: int) -> None:
        """Follow the touch from what it was to what it is."""
        minute = self._minute_of(at, before)
        bid, ask = after[0] or Price(0), after[2] or DOLLAR
        if bid != minute.bid.close:
            minute.bid.see(bid)
        if ask != minute.ask.close:
            minute.ask.see(ask)

    def of(self, length: int) -> list[Candle]:
        """Give the periods of a length (`MINUTE`, `HOUR`, `DAY`), the one in progress last."""
        if self._minute is None:
            return []
        minute = _copy(self._minute)
        minute.open_interest = self._figures.open_interest
        kept = self._kept[length]
        if length == MINUTE or not kept or kept[-1].end != _end(minute.end, length):
            return [*kept, replace(minute, end=_end(minute.end, length))]
        last = _copy(kept[-1])
        last.follow(minute)
        return [*kept[:-1], last]

    def day_before(self, now: int) -> Candle | None:
        """Give the last minute that ended a day before market time `now`, or earlier."""
        since = now // SECOND - DAY
        if self._minute is not None and self._minute.end <= since:  # nothing happened for a day
            return self._minute
        index = self._first_after(since)
        return self._kept[MINUTE][index - 1] if index else None

    def volume_since(self, now: int) -> Quantity:
        """Give the contracts traded within the day before market time `now`, to the minute."""
        since = now // SECOND - DAY
        if self._minute is None or self._minute.end <= since:
            return Quantity(0)
        minutes = self._kept[MINUTE]
        index = self._first_after(since)
        first = minutes[index] if index < len(minutes) else self._minute
        return Quantity(self._figures.volume - first.volume_before)

    def _first_after(self, end: int) -> int:
        minutes = self._kept[MINUTE]
        if not minutes or minutes[0].end > end:  # nearly always: the market is younger than a day
            return 0
        return bisect_left(minutes, end + 1, key=lambda minute: minute.end)

    def _minute_of(self, at: int, standing: Touch | None) -> Candle:
        minute = self._minute
        if minute is not None and at <= self._until:
            return minute
        if minute is not None:
            minute.open_interest = self._figures.open_interest
            self._keep(minute)
        end = _end(-(-at // SECOND), MINUTE)
        bid, _, ask, _ = standing or self._figures.touch()
        begun = Candle(
            end,
            _flat(bid or Price(0)),
            _flat(ask or DOLLAR),
            self._figures.last_price,
            self._figures.volume,
        )
        self._minute, self._until = begun, end * SECOND
        return begun

    def _keep(self, minute: Candle) -> None:
        for length, kept in self._kept.items():
            end = _end(minute.end, length)
            if kept and kept[-1].end == end:
                kept[-1].follow(minute)
            else:
                kept.append(minute if length == MINUTE else replace(_copy(minute), end=end))
                if len(kept) > KEPT[length]:
                    del kept[0]


def _end(seconds: int, length: int) -> int:
    return -(-seconds // length) * length


def _flat(price: Price) -> Range:
    return Range(price, price, price, price)


def _copy(candle: Candle) -> Candle:
    price = None if candle.price is None else replace(candle.price)
    return replace(candle, bid=replace(candle.bid), ask=replace(candle.ask), price=price)

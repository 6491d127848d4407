"""Random histories of one market, told twice: as events to a live observer, and as columns.

A history is a list of plain numbers (`steps`), so that hypothesis can shorten it. What a step says
is made true by bending it to the book as it stands.
"""

from dataclasses import dataclass, field, replace

from hypothesis import strategies as st

from kalshiflow.agent.account import MarketAccount, OwnOrder
from kalshiflow.learning.episodes.segments import Segment, make_events
from kalshiflow.market.book import Book
from kalshiflow.market.events import (
    BookDelta,
    BookSnapshot,
    MarketStatusChanged,
    PublicTrade,
    Side,
    Stamp,
    TimeSource,
)
from kalshiflow.market.flat import ACCOUNT, STATUSES
from kalshiflow.market.flatten import flatten
from kalshiflow.market.listing import CENT_GRID, FeeTerms, FeeType, Market, PriceBand, PriceGrid
from kalshiflow.market.position import Position
from kalshiflow.market.units import Cash, Price, Quantity

SECOND = 1_000_000_000
START = 1_767_621_600 * SECOND


def _grid(*bands):
    return PriceGrid(tuple(PriceBand(*map(Price, band)) for band in bands))


GRIDS = (
    CENT_GRID,
    _grid((0, 1_000, 10), (1_000, 9_000, 100), (9_000, 10_000, 10)),
    _grid((0, 10_000, 10)),
    _grid((0, 10_000, 2_500)),
)
WAITS = (0, 0, 0, 1, 999_999, 250_000_000, SECOND, 7 * SECOND, 45 * SECOND, 86_400 * SECOND)
KINDS = (
    "add", "add", "add", "take", "take", "trade", "trade_off", "book", "status", "closes", "gap",
    "account", "account", "own_add", "own_take",
)  # fmt: skip

STEPS = st.lists(
    st.tuples(
        st.sampled_from(KINDS),
        st.integers(0, 1),
        st.integers(0, 10_000),
        st.integers(1, 5_000),
        st.sampled_from(WAITS),
    ),
    min_size=12,
    max_size=80,
)


@dataclass
class Told:
    """One market's history in both forms.

    `events` holds market events, accounts where they changed, and None for a gap; `segments` the
    same in columns, with the account table that they point into.
    """

    market: Market
    events: list = field(default_factory=list)
    segments: list = field(default_factory=list)
    accounts: list = field(default_factory=list)


class _Teller:
    def __init__(self, grid, is_undated, closes):
        terms = FeeTerms(FeeType.QUADRATIC)
        self.told = Told(Market("A", "E", "a market", grid, close_time=closes, fees=terms))
        self.market = self.told.market
        self.is_undated = is_undated
        self.book = Book("A", grid)
        self.account = MarketAccount(Cash(100_000_000))
        self.now, self.frame = START, 0
        self._begin()

    def _begin(self):
        self.rows, self.times, self.frames, self.bodies = [], [], [], []
        self.segment_market = self.market

    def _tell(self, event):
        self.told.events.append(event)
        found = flatten(event, self.market.grid.places, self.bodies)
        is_known = event.stamp.time_source is not TimeSource.RECEIVE
        self.rows += found
        self.times += [event.stamp.market_time if is_known else None] * len(found)
        self.frames += [self.frame] * len(found)

    def _stamp(self, source=TimeSource.EXCHANGE):
        self.frame += 1
        return Stamp(self.frame, self.now, self.now, source)

    def begin_segment(self, first, second):
        """Tell what is known of the account, and a whole book."""
        self.tell_account()
        source = TimeSource.RECEIVE if self.is_undated else TimeSource.CARRIED
        self.tell_book(first, second, source)

    def tell_account(self):
        account = replace(self.account)
        self.told.events.append(account)
        self.rows.append((ACCOUNT, 0, len(self.told.accounts), 0))
        self.times.append(None)
        self.frames.append(self.frame)
        self.told.accounts.append(account.numbers())

    def tell_book(self, first, second, source):
        size = len(self.market.grid)
        middle = first % (size + 1)
        bids = [(index, 100 + 7 * index) for index in range(middle) if (index * second) % 3 == 0]
        asks = [(index, 55 + second) for index in range(middle, size) if (index + second) % 4 < 2]
        prices = self.market.grid.prices
        levels = [
            tuple((prices[index], Quantity(quantity)) for index, quantity in side)
            for side in (bids[::-1], asks)
        ]
        self.book.apply_snapshot(*levels)
        self._tell(BookSnapshot("A", *levels, self._stamp(source)))

    def change(self, side, place, change, client_order_id=None):
        price = self.market.grid.prices[place]
        self.book.apply_delta(Side(side), price, change)
        stamp = self._stamp()
        self._tell(BookDelta("A", Side(side), price, Quantity(change), stamp, client_order_id))

    def end(self):
        """Close the segment; where no time was ever told, nothing of it can be dated."""
        known = [at for at in self.times if at is not None]
        if known:
            following = known[0]
            for number in range(len(self.times) - 1, -1, -1):
                if self.times[number] is None:
                    self.times[number] = following
                following = self.times[number]
            events = make_events(self.rows, self.times, self.frames, self.bodies)
            self.told.segments.append(Segment("A", "s", self.segment_market, events))
        self._begin()

    def take(self, kind, side, first, second, wait):
        self.now += wait
        getattr(self, f"_{kind}")(side, first, second)

    def _add(self, side, first, second, client_order_id=None):
        size, book = len(self.market.grid), self.book
        places = range(book.best_ask_index) if side == 0 else range(book.best_bid_index + 1, size)
        if places:
            # Near the touch as a rule, where it matters.
            behind = first % min(len(places), 14) if first % 5 else first % len(places)
            self.change(side, places[-1 - behind if side == 0 else behind], second, client_order_id)

    def _take(self, side, first, second, client_order_id=None):
        levels = self.book.bids if side == 0 else self.book.asks
        places = [index for index, quantity in enumerate(levels) if quantity]
        if places:
            place = places[first % len(places)]
            change = levels[place] if second % 3 == 0 else min(second, levels[place])
            self.change(side, place, -change, client_order_id)

    def _own_add(self, side, first, second):
        self._add(side, first, second, "mine")

    def _own_take(self, side, first, second):
        self._take(side, first, second, "mine")

    def _trade(self, side, first, second):
        prices = self.market.grid.prices
        price = prices[first % len(prices)]
        self._tell(PublicTrade("A", "t", price, Quantity(second), Side(side), self._stamp()))

    def _trade_off(self, side, first, second):
        price = Price(first)
        self._tell(PublicTrade("A", "t", price, Quantity(second), Side(side), self._stamp()))

    def _book(self, _side, first, second):
        self.tell_book(first, second, TimeSource.CARRIED)

    def _status(self, _side, first, _second):
        status = STATUSES[first % len(STATUSES)] if first % 3 else STATUSES[1]
        self._learn(MarketStatusChanged("A", "x", self._stamp(), status))

    def _closes(self, _side, first, _second):
        closes = self.now + (first - 2_000) * SECOND
        self._learn(MarketStatusChanged("A", "x", self._stamp(), close_time=closes))

    def _learn(self, event):
        self._tell(event)
        if event.status is not None:
            self.market = replace(self.market, status=event.status)
        if event.close_time is not None:
            self.market = replace(self.market, close_time=event.close_time)

    def _gap(self, _side, first, second):
        self.end()
        self.told.events.append(None)
        self.begin_segment(first, second)

    def _account(self, side, first, second):
        """Change one of the account's numbers, or one's own order of a side."""
        account, prices = self.account, self.market.grid.prices
        match first % 6:
            case 0:
                levels = [i for i, q in enumerate((self.book.bids, self.book.asks)[side]) if q]
                place = levels[second % len(levels)] if levels else first % len(prices)
                own = OwnOrder(Side(side), prices[place], Quantity(second), self.now)
                account.order_rests(own)
            case 1:
                account.order_ended(Side(side))
            case 2:
                account.order_sent(Quantity(second), self.now)
            case 3:
                account.order_filled(Quantity(1 + second // 2), account.position, self.now)
            case _:
                held = (1 - 2 * side) * second * (first % 4)
                position = Position(
                    Quantity(held), Cash(abs(held) * 4_321), Cash(first - 5_000), Cash(second)
                )
                account.hold(position, self.now)
                account.reserved = Cash(first * 17)
        self.tell_account()


def tell(grid, is_undated, closes, steps) -> Told:
    """Make a history."""
    teller = _Teller(grid, is_undated, closes)
    teller.begin_segment(50 + steps[0][2] % 7, steps[0][3])
    for step in steps:
        teller.take(*step)
    teller.end()
    return teller.told

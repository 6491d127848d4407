"""A synthetic market maker: quotes on both sides of an opinion of its own, never taking."""

import random
from bisect import bisect_left, bisect_right
from typing import NamedTuple

from kalshiflow.market.events import Side
from kalshiflow.market.listing import PriceGrid
from kalshiflow.market.units import CONTRACT, DOLLAR, Cash, Price, Quantity
from kalshiflow.venue.floor.accounts import Account
from kalshiflow.venue.floor.floor import Floor
from kalshiflow.venue.floor.refusals import InsufficientBalance, Refused
from kalshiflow.venue.floor.requests import NewOrder
from kalshiflow.venue.traders.habits import MakerTerms

HOUSE_CASH = Cash(1_000_000 * 1_000_000)
# An opinion must have left its center by this many of its roundings before the quotes follow it.
STUBBORN = 0.75
# A maker is eager only where the other side's best is so far on the wrong side of where it wants to
# quote. Opinions alone never bring two makers so far apart; a jump does.
EAGER_BY = 200
# It then shows its own size once more for each of these price units that it had to stop short, up
# to twenty times in all.
EAGERNESS = 35
LARGEST_FACTOR = 20

Slot = tuple[Side, int]


class Quote(NamedTuple):
    """An order of a maker's, its price, and the center that it was placed by."""

    order_id: str
    price: Price
    center: float


class Maker:
    """Keeps one quote per side and offset around its opinion of a value that it is told.

    `lot` multiplies its sizes. `widening` is added to its offsets, `least_price` is the lowest at
    which it bids; asks keep as far from the dollar.
    """

    def __init__(
        self,
        floor: Floor,
        account: Account,
        ticker: str,
        terms: MakerTerms,
        rng: random.Random,
        *,
        lot: float = 1.0,
        least_price: int = 1,
    ) -> None:
        self.terms = terms
        self.widening = 0.0
        self._floor = floor
        self._account = account
        self._listed = floor.market(ticker)
        self._rng = rng
        self._sizes = tuple(max(1, round(size * lot)) for size in terms.sizes)
        self._skew_at = max(1.0, terms.skew_at * lot) * CONTRACT
        self._least_price = least_price
        self._slots: list[Slot] = [
            (side, number) for number in range(len(terms.offsets)) for side in Side
        ]
        self._value = 0.0
        self._error = 0.0
        self._center: float = -DOLLAR
        self._quotes: dict[Slot, Quote] = {}

    def see(self, value: float) -> None:
        """Take this for the value, give or take an error."""
        self._value = value

    def think(self, now: int) -> None:
        """Be wrong in another way, and quote by it."""
        self._error = self._rng.uniform(-self.terms.noise, self.terms.noise)
        self.requote(now)

    def pull(self, now: int) -> None:
        """Cancel the quotes that do not stand where its opinion wants them."""
        self._move_center()
        for slot, quote in list(self._quotes.items()):
            place = self._wanted(slot)
            if place is not None and quote.center == self._center:
                place = self._limited(slot, place)  # it may stand short of it as well as ever
            if place is None or self._grid.prices[place] != quote.price:
                self._cancel(slot, now)

    def quote(self, now: int) -> None:
        """Place every quote that is missing."""
        for slot in self._slots:
            quote = self._quotes.get(slot)
            if quote is None or quote.order_id not in self._listed.matching:
                self._place(slot, now)

    def requote(self, now: int) -> None:
        """Move all quotes to where its opinion wants them."""
        self.pull(now)
        self.quote(now)

    def chase(self, now: int) -> None:
        """Place one of those quotes anew that stand short of where its opinion wants them."""
        short = [slot for slot in self._slots if self._is_short(slot)]
        if short:
            slot = self._rng.choice(short)
            before = self._quotes[slot]
            self._place(slot, now)  # the new one first: the touch is not to flicker
            self._take_off(before.order_id, now)

    def refresh(self, now: int) -> None:
        """Replace one quote by another of a new size."""
        slot = self._rng.choice(self._slots)
        self._cancel(slot, now)
        self._place(slot, now)

    # --- where to quote ------------------------------------------------------------------------

    @property
    def _grid(self) -> PriceGrid:
        return self._listed.market.grid

    def _opinion(self) -> float:
        held = self._account.portfolio.held(self._listed.market.ticker)
        leaning = min(max(held / self._skew_at, -1.0), 1.0)
        return self._value + self._error - self.terms.skew * leaning

    def _move_center(self) -> None:
        """Let the center follow the opinion where that has left it."""
        opinion, prices, parts = self._opinion(), self._grid.prices, self.terms.centers
        above = bisect_right(prices, opinion)
        low = prices[above - 1] if above else 0
        high = prices[above] if above < len(prices) else DOLLAR
        part = (high - low) / parts
        if abs(opinion - self._center) >= STUBBORN * part:
            self._center = low + part * round((opinion - low) / part)

    def _wanted(self, slot: Slot) -> int | None:
        """Give the index of the price at which it wants to quote, if it wants to at all."""
        side, number = slot
        prices = self._grid.prices
        distance = self.terms.offsets[number] + self.widening
        if side is Side.BID:
            index = bisect_right(prices, self._center - distance) - 1
            return index if index >= 0 and prices[index] >= self._least_price else None
        index = bisect_left(prices, self._center + distance)
        is_there = index < len(prices) and prices[index] <= DOLLAR - self._least_price
        return index if is_there else None

    def _is_short(self, slot: Slot) -> bool:
        quote, wanted = self._quotes.get(slot), self._wanted(slot)
        return quote is not None and (wanted is None or self._grid.prices[wanted] != quote.price)

    def _limited(self, slot: Slot, wanted: int) -> int | None:
        """Give the index nearest to the wanted one that keeps away from the other side."""
        side, number = slot
        book, prices = self._listed.matching.book, self._grid.prices
        if side is Side.BID:
            other = book.best_ask_index
            if other == len(prices):
                return wanted
            index = min(wanted, other - self._away(prices[wanted] - prices[other]) - number)
        else:
            other = book.best_bid_index
            if other < 0:
                return wanted
            index = max(wanted, other + self._away(prices[other] - prices[wanted]) + number)
        return index if 0 <= index < len(prices) else None

    def _away(self, beyond: int) -> int:
        """Give how many steps to keep from the other side's best, which is so far wrong."""
        return 1 if self.terms.is_eager and beyond >= EAGER_BY else self.terms.gap

    # --- orders --------------------------------------------------------------------------------

    def _place(self, slot: Slot, now: int) -> None:
        wanted = self._wanted(slot)
        index = None if wanted is None else self._limited(slot, wanted)
        if wanted is None or index is None:
            return
        prices = self._grid.prices
        size = self._rng.choice(self._sizes)
        if self.terms.is_eager:
            short = abs(prices[wanted] - prices[index])
            size = int(size * min(LARGEST_FACTOR, 1 + short / EAGERNESS))
        order = NewOrder(
            self._listed.market.ticker,
            slot[0],
            prices[index],
            Quantity(size * CONTRACT),
            post_only=True,
        )
        order_id = send(self._floor, self._account, order, now)
        if order_id is not None:
            self._quotes[slot] = Quote(order_id, prices[index], self._center)

    def _cancel(self, slot: Slot, now: int) -> None:
        quote = self._quotes.pop(slot, None)
        if quote is not None and not self._take_off(quote.order_id, now):
            self._quotes[slot] = quote

    def _take_off(self, order_id: str, now: int) -> bool:
        """Cancel an order if it rests; say whether it is gone."""
        if order_id not in self._listed.matching:
            return True
        try:
            self._floor.cancel(self._account, order_id, now)
        except Refused:  # the exchange is paused: it rests on
            return False
        return True


def send(floor: Floor, account: Account, order: NewOrder, now: int) -> str | None:
    """Place a house order and give its id; a house that ran out of cash is given more."""
    try:
        return floor.place(account, order, now).order.order_id
    except InsufficientBalance:
        account.deposit(HOUSE_CASH)
    except Refused:
        return None
    return send(floor, account, order, now)

"""A synthetic market maker: one quote per side and offset around a value, never taking."""

import random

from kalshiflow.market.events import Side
from kalshiflow.market.units import CONTRACT, DOLLAR, Cash, Price, Quantity
from kalshiflow.venue.floor.accounts import Account
from kalshiflow.venue.floor.floor import Floor, NewOrder
from kalshiflow.venue.floor.refusals import InsufficientBalance, Refused

HOUSE_CASH = Cash(1_000_000 * 1_000_000)
# An eager maker shows its own size once more for each of these price units that it had to stop
# short of where it wanted to quote, up to twelve times in all.
EAGERNESS = 60
LARGEST_FACTOR = 12


class Maker:
    """Keeps one quote per side and offset around a value that it is told."""

    def __init__(
        self,
        floor: Floor,
        account: Account,
        ticker: str,
        offsets: tuple[int, ...],
        sizes: tuple[int, int],
        rng: random.Random,
        *,
        is_eager: bool,
    ) -> None:
        self._floor = floor
        self._account = account
        self._listed = floor.market(ticker)
        self._grid = self._listed.market.grid
        self._slots = [(side, slot) for slot in range(len(offsets)) for side in Side]
        self._offsets = offsets
        self._sizes = sizes
        self._rng = rng
        self._is_eager = is_eager
        self._center: float = -DOLLAR
        self._quotes: dict[tuple[Side, int], tuple[str, Price]] = {}

    def pull(self, value: float, now: int) -> None:
        """Cancel the quotes that do not stand where `value` wants them."""
        self._move_center(value)
        for side, slot in self._slots:
            quote = self._quotes.get((side, slot))
            if quote is not None and quote[1] != self._wanted(side, slot):
                self._cancel(side, slot, now)

    def quote(self, now: int) -> None:
        """Place every quote that is missing."""
        for side, slot in self._slots:
            quote = self._quotes.get((side, slot))
            if quote is None or quote[0] not in self._listed.matching:
                self._place(side, slot, now)

    def requote(self, value: float, now: int) -> None:
        """Move all quotes to where `value` wants them."""
        self.pull(value, now)
        self.quote(now)

    def refresh(self, now: int) -> None:
        """Replace one quote by another of a new size."""
        side, slot = self._rng.choice(self._slots)
        self._cancel(side, slot, now)
        self._place(side, slot, now)

    def _move_center(self, value: float) -> None:
        step = self._grid.at_or_above(int(value) + 1)
        below = self._grid.at_or_below(int(value))
        tick = (step or DOLLAR) - (below or 0)
        if abs(value - self._center) >= 0.75 * tick:
            self._center = self._nearest(value, below, step)

    @staticmethod
    def _nearest(value: float, below: Price | None, above: Price | None) -> float:
        candidates = [price for price in (below, above) if price is not None]
        return min(candidates, key=lambda price: abs(price - value))

    def _wanted(self, side: Side, slot: int) -> Price | None:
        if side is Side.BID:
            return self._grid.at_or_below(int(self._center) - self._offsets[slot])
        return self._grid.at_or_above(int(self._center) + self._offsets[slot])

    def _place(self, side: Side, slot: int, now: int) -> None:
        wanted = self._wanted(side, slot)
        if wanted is None:
            return
        price = self._short_of_the_other_side(side, slot, wanted)
        if price is None:
            return
        size = self._rng.randint(*self._sizes)
        if self._is_eager:
            size = int(size * min(LARGEST_FACTOR, 1 + abs(wanted - price) / EAGERNESS))
        order = NewOrder(
            self._listed.market.ticker, side, price, Quantity(size * CONTRACT), post_only=True
        )
        order_id = send(self._floor, self._account, order, now)
        if order_id is not None:
            self._quotes[side, slot] = (order_id, price)

    def _short_of_the_other_side(self, side: Side, slot: int, wanted: Price) -> Price | None:
        book, index = self._listed.matching.book, self._grid.index(wanted)
        if side is Side.BID:
            index = min(index, book.best_ask_index - 1 - slot)
        else:
            index = max(index, book.best_bid_index + 1 + slot)
        return self._grid.prices[index] if 0 <= index < len(self._grid) else None

    def _cancel(self, side: Side, slot: int, now: int) -> None:
        quote = self._quotes.pop((side, slot), None)
        if quote is not None and quote[0] in self._listed.matching:
            self._floor.cancel(self._account, quote[0], now)


def send(floor: Floor, account: Account, order: NewOrder, now: int) -> str | None:
    """Place a house order and give its id; a house that ran out of cash is given more."""
    try:
        return floor.place(account, order, now).order.order_id
    except InsufficientBalance:
        account.deposit(HOUSE_CASH)
        return floor.place(account, order, now).order.order_id
    except Refused:
        return None

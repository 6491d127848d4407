"""Cash that one account's resting orders in one market hold back.

Quantity that would close what is held is granted to the orders in order of arrival, and reserves
nothing. The rest reserves its notional (a bid p, an ask 1 - p), the taker's fee on it, and a
cushion of two cents per order for what rounding adds to fees over several fills.
"""

from enum import IntEnum

from kalshiflow.market.events import Side
from kalshiflow.market.fees import CENTICENT, ORDER_CUSHION, fee_numbers, quadratic_fee
from kalshiflow.market.listing import FeeTerms
from kalshiflow.market.orders import Order
from kalshiflow.market.units import Cash, Price, complement


class _Claim:
    """One resting order's part: `opening` is what of it would not close, `base` is its cost."""

    __slots__ = (
        "base",
        "fee_denominator",
        "opening",
        "price",
        "remaining",
        "side",
        "taker_quarters",
    )

    def __init__(self, order: Order, terms: FeeTerms) -> None:
        self.side = order.side
        self.price = order.price
        self.taker_quarters, _, self.fee_denominator = fee_numbers(terms)
        self.remaining: int = order.remaining
        self.opening = 0
        self.base = 0


class _Share(IntEnum):
    """How much of a line's quantity would close."""

    NOTHING = 0
    SOME = 1
    ALL = 2


class _Line:
    """One side's orders in order of arrival; `base` and `openers` are of the parts that open.

    Those that close something stand first. A change of any other is no concern of the rest, and
    while all of the line closes no change is: long lines stay cheap. Each change is followed by a
    `grant` before the next.
    """

    __slots__ = (
        "_added",
        "_closable",
        "_is_shifted",
        "_share",
        "base",
        "claims",
        "openers",
        "remaining",
    )

    def __init__(self) -> None:
        self.claims: dict[str, _Claim] = {}
        self.remaining = 0
        self.base = 0
        self.openers = 0
        self._closable = 0
        self._share = _Share.NOTHING
        self._added: list[_Claim] = []
        self._is_shifted = False  # whether something that closes was changed

    def add(self, order_id: str, claim: _Claim) -> None:
        self.claims[order_id] = claim
        self.remaining += claim.remaining
        self._added.append(claim)
        self._open(claim, claim.remaining)  # until something is granted to it

    def resize(self, order_id: str, remaining: int) -> None:
        claim = self.claims[order_id]
        is_closing = claim.opening < claim.remaining
        self._is_shifted |= is_closing
        self.remaining += remaining - claim.remaining
        claim.remaining = remaining
        if not remaining or not is_closing:
            self._open(claim, remaining)
        if not remaining:
            del self.claims[order_id]

    def replace(self, order_id: str, claim: _Claim) -> None:
        old = self.claims[order_id]
        self._is_shifted |= old.opening < old.remaining
        self._open(old, 0)
        self.remaining -= old.remaining
        if claim.remaining > old.remaining:  # last in line from now on
            del self.claims[order_id]
        self.add(order_id, claim)

    def grant(self, closable: int) -> None:
        share = _Share.NOTHING
        if closable:
            share = _Share.ALL if closable >= self.remaining else _Share.SOME
        is_moved = self._is_shifted or closable != self._closable
        if share is not self._share or (share is _Share.SOME and is_moved):
            self._share_out(closable)
        elif share is _Share.ALL:
            for claim in self._added:
                self._open(claim, 0)
        self._closable, self._share = closable, share
        self._added.clear()
        self._is_shifted = False

    def replaced(self, order_id: str, claim: _Claim, closable: int) -> tuple[int, int]:
        """Give what `base` and `openers` would be with a claim replaced; changes nothing."""
        claims = dict(self.claims)
        if claim.remaining > claims[order_id].remaining:
            del claims[order_id]
        claims[order_id] = claim
        base = openers = 0
        for one in claims.values():
            closing = min(closable, one.remaining)
            closable -= closing
            opening = one.remaining - closing
            if opening:
                base += one.base if opening == one.opening else _base_of(one, opening)
                openers += 1
        return base, openers

    def _share_out(self, closable: int) -> None:
        for claim in self.claims.values():
            if not closable and claim.opening == claim.remaining:
                return  # nothing closed from here on before, and nothing does now
            closing = min(closable, claim.remaining)
            closable -= closing
            self._open(claim, claim.remaining - closing)

    def _open(self, claim: _Claim, opening: int) -> None:
        if opening == claim.opening:
            return
        self.openers += (opening > 0) - (claim.opening > 0)
        self.base -= claim.base
        claim.opening = opening
        claim.base = _base_of(claim, opening) if opening else 0
        self.base += claim.base


class MarketReserve:
    """The resting orders of one account in one market, and what they reserve in all: `total`.

    An order is added, resized and replaced first, then `grant` shares out anew.
    """

    __slots__ = ("_lines", "_side_of", "total")

    def __init__(self) -> None:
        self.total = 0
        self._lines = (_Line(), _Line())
        self._side_of: dict[str, Side] = {}

    def needed(self, order: Order, terms: FeeTerms, held: int) -> Cash:
        """Give what an order would reserve if it came last, as a new order does."""
        line = self._lines[order.side]
        left = max(closable_by(order.side, held) - line.remaining, 0)
        opening = opening_quantity(order.remaining, left)
        quarters, _, denominator = fee_numbers(terms)
        return Cash(reserve_needed(order.side, order.price, opening, quarters, denominator))

    def can_replace(self, order: Order, terms: FeeTerms, held: int, free: int) -> bool:
        """Say whether the cash that nothing else reserves covers an order's new terms.

        It always does where the account would reserve no more than with the old ones.
        """
        line, other = self._lines[order.side], self._lines[order.side.other]
        new_base, new_openers = line.replaced(
            order.order_id, _Claim(order, terms), closable_by(order.side, held)
        )
        more = new_base - line.base
        more_in_all = more + (new_openers - line.openers) * ORDER_CUSHION
        if more <= 0 and more_in_all <= 0:
            return True
        before = line.base + other.base + (line.openers + other.openers) * ORDER_CUSHION
        return before + more_in_all <= free

    def add(self, order: Order, terms: FeeTerms) -> None:
        """Let an order rest, last in line."""
        self._lines[order.side].add(order.order_id, _Claim(order, terms))
        self._side_of[order.order_id] = order.side

    def resize(self, order_id: str, remaining: int) -> None:
        """Set what an order may still fill; zero removes it."""
        side = self._side_of[order_id] if remaining else self._side_of.pop(order_id)
        self._lines[side].resize(order_id, remaining)

    def replace(self, order: Order, terms: FeeTerms) -> None:
        """Give an order new terms; it keeps its place in line unless more of it remains."""
        self._lines[order.side].replace(order.order_id, _Claim(order, terms))

    def grant(self, held: int, free: int) -> None:
        """Share out the closing quantity of a signed position, and add up `total`.

        `free` is the cash that nothing else reserves.
        """
        bids, asks = self._lines
        bids.grant(closable_by(Side.BID, held))
        asks.grant(closable_by(Side.ASK, held))
        self.total = reserve_total(bids.base + asks.base, bids.openers + asks.openers, free)


def closable_by(side: int, held: int) -> int:
    """Give how much of a signed position orders of a side would close."""
    return max(-held, 0) if side == Side.BID else max(held, 0)


def opening_quantity(remaining: int, left_to_close: int) -> int:
    """Give what of an order opens, once it was granted what is left to close."""
    return remaining - min(left_to_close, remaining)


def opening_base(
    side: int, price: Price, opening: int, taker_quarters: int, denominator: int
) -> int:
    """Give the cost of what an order opens: its notional, and the taker's fee on it."""
    unit = price if side == Side.BID else complement(price)
    return unit * opening + quadratic_fee(price, opening, taker_quarters, denominator, CENTICENT)


def reserve_needed(
    side: int, price: Price, opening: int, taker_quarters: int, denominator: int
) -> int:
    """Give what an order reserves of which this much opens."""
    if opening <= 0:
        return 0
    return opening_base(side, price, opening, taker_quarters, denominator) + ORDER_CUSHION


def reserve_total(base: int, openers: int, free: int) -> int:
    """Give what is reserved for `openers` orders: their cost, and cushions as far as `free` goes.

    `free` is the cash that nothing else reserves. A new order's cushion is always there; when
    fills have used cushions up, they are filled again, so that they pay for rounding before any
    other cash does.
    """
    return base + min(openers * ORDER_CUSHION, max(free - base, 0))


def _base_of(claim: _Claim, opening: int) -> int:
    return opening_base(
        claim.side, claim.price, opening, claim.taker_quarters, claim.fee_denominator
    )

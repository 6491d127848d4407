"""Cash that one account's resting orders in one market hold back.

Quantity that would close what is held is granted to the orders in order of arrival, and reserves
nothing. The rest reserves its notional (a bid p, an ask 1 - p), the taker's fee on it, and a
cushion of two cents per order for what rounding adds to fees over several fills.
"""

from kalshiflow.market.events import Side
from kalshiflow.market.fees import ORDER_CUSHION, trade_fee
from kalshiflow.market.listing import FeeTerms
from kalshiflow.market.orders import Order, Role
from kalshiflow.market.units import NO_CASH, Cash, Price, Quantity, complement


class _Claim:
    """One resting order's part: `opening` is what of it would not close, `base` is its cost."""

    __slots__ = ("base", "opening", "price", "remaining", "side", "terms")

    def __init__(self, order: Order, terms: FeeTerms) -> None:
        self.side = order.side
        self.price = order.price
        self.terms = terms
        self.remaining: int = order.remaining
        self.opening = 0
        self.base = 0


class MarketReserve:
    """The resting orders of one account in one market, and what they reserve in all: `total`.

    An order is added and resized first, then `grant` shares out anew.
    """

    __slots__ = ("_claims", "total")

    def __init__(self) -> None:
        self.total = 0
        self._claims: dict[str, _Claim] = {}

    def needed(self, order: Order, terms: FeeTerms, held: int) -> Cash:
        """Give what an order would reserve if it came last, as a new order does."""
        granted = sum(c.remaining for c in self._claims.values() if c.side == order.side)
        closable = -held if order.side == Side.BID else held
        opening = order.remaining - max(closable - granted, 0)
        if opening <= 0:
            return NO_CASH
        return Cash(_base_of(order.side, order.price, opening, terms) + ORDER_CUSHION)

    def add(self, order: Order, terms: FeeTerms) -> None:
        """Let an order rest, last in line."""
        self._claims[order.order_id] = _Claim(order, terms)

    def resize(self, order_id: str, remaining: int) -> None:
        """Set what an order may still fill; zero removes it."""
        if remaining:
            self._claims[order_id].remaining = remaining
        else:
            del self._claims[order_id]

    def grant(self, held: int, free: int) -> None:
        """Share out the closing quantity of a signed position, and add up `total`.

        `free` is the cash that nothing else reserves. A new order's cushion is always there; when
        fills have used cushions up, they are filled again as far as `free` goes, so that they pay
        for rounding before any other cash does.
        """
        closable = [max(-held, 0), max(held, 0)]
        base = cushions = 0
        for claim in self._claims.values():
            closing = min(closable[claim.side], claim.remaining)
            closable[claim.side] -= closing
            opening = claim.remaining - closing
            if opening != claim.opening:
                claim.opening = opening
                claim.base = _base_of(claim.side, claim.price, opening, claim.terms)
            if opening:
                base += claim.base
                cushions += ORDER_CUSHION
        self.total = base + min(cushions, max(free - base, 0))


def _base_of(side: Side, price: Price, opening: int, terms: FeeTerms) -> int:
    unit = price if side == Side.BID else complement(price)
    return unit * opening + trade_fee(terms, Role.TAKER, price, Quantity(opening))

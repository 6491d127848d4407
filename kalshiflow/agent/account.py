"""What a policy may know of its own affairs in one market: its budget, position and orders."""

from dataclasses import dataclass

from kalshiflow.market.events import Side
from kalshiflow.market.position import FLAT, Position
from kalshiflow.market.units import Cash, Price, Quantity

_NO_ORDER = (-1, 0, -1)


@dataclass(frozen=True, slots=True)
class OwnOrder:
    """One's own resting order: `remaining` is what may still fill, `since` its market time."""

    side: Side
    price: Price
    remaining: Quantity
    since: int
    order_id: str = ""


@dataclass(slots=True)
class MarketAccount:
    """The market's part of the account, kept up by whoever owns the ledger.

    `budget` is the cash that may be used in this market. `position` comes from the ledger, as does
    `reserved`, the cash kept for this market's resting orders. All times are market time.
    """

    budget: Cash
    position: Position = FLAT
    reserved: Cash = Cash(0)
    own_bid: OwnOrder | None = None
    own_ask: OwnOrder | None = None
    held_since: int = -1
    ordered_at: int = -1
    ordered: Quantity = Quantity(1)
    filled: Quantity = Quantity(0)

    @property
    def spendable(self) -> Cash:
        """Give the cash that a new order may use once the market's resting orders are gone."""
        held = self.position
        return Cash(self.budget - held.cost + held.realised - held.fees)

    @property
    def cash_left(self) -> Cash:
        """Give the free cash of the budget."""
        return Cash(self.spendable - self.reserved)

    @property
    def own_orders(self) -> tuple[OwnOrder, ...]:
        """Give the resting orders."""
        return tuple(own for own in (self.own_bid, self.own_ask) if own is not None)

    def order_sent(self, quantity: Quantity, at: int) -> None:
        """Take note that an order leaves for the exchange."""
        self.ordered_at, self.ordered, self.filled = at, quantity, Quantity(0)

    def order_filled(self, quantity: Quantity, position: Position, at: int) -> None:
        """Take note of a fill of the last order; `position` is the ledger's after it."""
        self.filled = Quantity(min(self.filled + quantity, self.ordered))
        self.hold(position, at)

    def order_rests(self, own: OwnOrder) -> None:
        """Take note that an order rests, or rests with another quantity."""
        if own.side is Side.BID:
            self.own_bid = own
        else:
            self.own_ask = own

    def order_ended(self, side: Side) -> None:
        """Take note that the resting order of a side is gone."""
        if side is Side.BID:
            self.own_bid = None
        else:
            self.own_ask = None

    def hold(self, position: Position, at: int) -> None:
        """Take the ledger's position; holding time begins when a side is first held."""
        before, after = self.position.quantity, position.quantity
        if after == 0:
            self.held_since = -1
        elif before == 0 or (before > 0) != (after > 0):
            self.held_since = at
        self.position = position

    def numbers(self) -> list[int]:
        """Give the account as a row of the account table (`market.flat`)."""
        held = self.position
        row: list[int] = [
            self.budget, held.quantity, held.cost, held.realised, held.fees, self.reserved,
            self.held_since, self.ordered_at, self.ordered, self.filled,
        ]  # fmt: skip
        for own in (self.own_bid, self.own_ask):
            row += _NO_ORDER if own is None else (own.price, own.remaining, own.since)
        return row

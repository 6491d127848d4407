"""What an exchange does, by looking at every order each time: the plain model of the real floor.

One list of resting orders in order of arrival, and nothing that is remembered could be computed.
"""

import copy
from dataclasses import dataclass, field

from kalshiflow.market.events import Side
from kalshiflow.market.fees import ORDER_CUSHION, trade_fee
from kalshiflow.market.listing import FeeTerms
from kalshiflow.market.orders import Role, TimeInForce
from kalshiflow.market.units import DOLLAR, Price, Quantity
from kalshiflow.venue.floor.requests import Amendment, NewOrder
from kalshiflow.venue.matching.messages import SelfTrade

WINDOW = 15_000_000_000


@dataclass
class PlainOrder:
    name: str
    owner: int
    new: NewOrder
    price: int
    total: int
    expires_at: int | None
    client_id: str
    filled: int = 0
    left: int = 0
    reason: str = ""

    @property
    def status(self) -> str:
        if self.left:
            return "resting"
        return "executed" if self.reason == "Trade" else "canceled"


@dataclass
class PlainGroup:
    owner: int
    limit: int
    is_triggered: bool = False
    fills: list[tuple[int, int]] = field(default_factory=list)


@dataclass
class PlainMarket:
    prices: frozenset[int]
    fees: FeeTerms
    is_active: bool = True


class PlainExchange:
    def __init__(self, markets: dict[str, PlainMarket]) -> None:
        self.markets = markets
        self.now = 0
        self.queue: list[PlainOrder] = []  # in order of arrival at their prices
        self.line: list[PlainOrder] = []  # the same orders, in order of arrival at the exchange
        self.held: dict[tuple[int, str], int] = {}
        self.paid: dict[int, int] = {}  # per owner: price times signed quantity, over all fills
        self.used_ids: set[tuple[int, str]] = set()
        self.groups: dict[str, PlainGroup] = {}
        self.trades: list[tuple[str, int, int, str, str]] = []  # of the last step
        self.ended: list[PlainOrder] = []  # in the last step

    # --- steps -------------------------------------------------------------------------------

    def place(self, name: str, owner: int, new: NewOrder) -> None:
        total = new.quantity
        if new.reduce_only:
            total = min(total, self.closable(owner, new.ticker, new.side))
        order = PlainOrder(
            name, owner, new, new.price, total, new.expires_at, new.client_order_id, left=total
        )
        self.used_ids.add((owner, new.client_order_id))
        self.line.append(order)
        self.arrive(order)

    def amend(self, order: PlainOrder, amendment: Amendment) -> None:
        new = order.new
        total = self.amended_total(order, amendment)
        left = total - order.filled
        if new.post_only and self.meets(order, amendment.price):
            self.end(order, "PostOnlyCrossCancel")
            return
        self.used_ids.add((order.owner, amendment.updated_client_order_id))
        order.client_id = amendment.updated_client_order_id or order.client_id
        order.expires_at = amendment.expires_at or order.expires_at
        order.reason = "Amend"
        keeps_place = amendment.price == order.price and left <= order.left
        if left > order.left:
            self.line.remove(order)
            self.line.append(order)
        order.price, order.total, order.left = amendment.price, total, left
        if not keeps_place:
            self.queue.remove(order)
            self.arrive(order)

    def decrease(self, order: PlainOrder, left: int) -> None:
        if left == order.left:
            return
        order.left, order.reason = left, "Decrease"
        if not left:
            self.end(order, "Decrease")

    def end(self, order: PlainOrder, reason: str) -> None:
        order.left, order.reason = 0, reason
        self.line.remove(order)
        if order in self.queue:
            self.queue.remove(order)
        self.ended.append(order)

    def trigger(self, group_id: str) -> None:
        self.groups[group_id].is_triggered = True
        for order in [o for o in self.line if o.new.group_id == group_id]:
            self.end(order, "")

    def pass_time(self, now: int) -> None:
        self.now = now
        for order in [o for o in self.line if o.expires_at is not None and o.expires_at <= now]:
            self.end(order, "ExpiryCancel")

    # --- matching ----------------------------------------------------------------------------

    def arrive(self, order: PlainOrder) -> None:
        while order.left:
            meets = self.meets(order, order.price)
            if not meets:
                break
            sign = 1 if order.new.side == Side.BID else -1
            first = min(meets, key=lambda other: sign * other.price)  # the earliest of the best
            if first.owner == order.owner:
                if order.new.self_trade is SelfTrade.TAKER:
                    self.end(order, "SelfTradeCancel")
                    break
                self.end(first, "SelfTradeCancel")
                continue
            most = first.left
            if first.new.reduce_only:
                most = min(most, self.closable(first.owner, first.new.ticker, first.new.side))
            if not most:
                self.end(first, "ReduceOnlyCancel")
                continue
            quantity = min(order.left, most)
            self.trades.append((order.new.ticker, first.price, quantity, first.name, order.name))
            self.fill(first, first.price, quantity)
            self.fill(order, first.price, quantity)
        if order.left and order.new.time_in_force is TimeInForce.GTC:
            self.queue.append(order)
        elif order.left:
            self.end(order, "")
        if self.trades:
            self.keep_promises(order.new.ticker)

    def meets(self, order: PlainOrder, price: int) -> list[PlainOrder]:
        return [
            other
            for other in self.queue
            if other.new.ticker == order.new.ticker
            and other.new.side != order.new.side
            and (other.price <= price if order.new.side == Side.BID else other.price >= price)
        ]

    def fill(self, order: PlainOrder, price: int, quantity: int) -> None:
        change = quantity if order.new.side == Side.BID else -quantity
        key = (order.owner, order.new.ticker)
        self.held[key] = self.held.get(key, 0) + change
        self.paid[order.owner] = self.paid.get(order.owner, 0) + price * change
        order.filled += quantity
        order.left -= quantity
        order.reason = "Trade"
        if order.new.group_id in self.groups:
            self.groups[order.new.group_id].fills.append((self.now, quantity))
        if not order.left:
            self.line.remove(order)
            if order in self.queue:
                self.queue.remove(order)
            self.ended.append(order)

    def keep_promises(self, ticker: str) -> None:
        for order in [o for o in self.line if o.new.reduce_only and o.new.ticker == ticker]:
            most = self.closable(order.owner, ticker, order.new.side)
            if not most:
                self.end(order, "ReduceOnlyCancel")
            elif order.left > most:
                order.left, order.reason = most, "ReduceOnlyCancel"
        for group_id, group in self.groups.items():
            if not group.is_triggered and self.filled_in(group) > group.limit:
                self.trigger(group_id)

    # --- questions -----------------------------------------------------------------------------

    def closable(self, owner: int, ticker: str, side: Side) -> int:
        held = self.held.get((owner, ticker), 0)
        return max(-held if side == Side.BID else held, 0)

    def filled_in(self, group: PlainGroup) -> int:
        return sum(quantity for at, quantity in group.fills if at > self.now - WINDOW)

    def amended_total(self, order: PlainOrder, amendment: Amendment) -> int:
        if not order.new.reduce_only:
            return amendment.quantity
        most = order.filled + self.closable(order.owner, order.new.ticker, order.new.side)
        return min(amendment.quantity, most)

    def fills_whole(self, owner: int, new: NewOrder) -> bool:
        trial = copy.deepcopy(self)
        trial.trades, trial.ended = [], []
        trial.place("trial", owner, new)
        return sum(trade[2] for trade in trial.trades) == new.quantity

    def cash(self, owner: int, deposited: int, fees: int) -> int:
        """YES was paid for at its prices; NO held is YES owed, and a dollar is laid down for it."""
        owed = sum(max(-held, 0) for (who, _), held in self.held.items() if who == owner)
        return deposited - self.paid.get(owner, 0) - DOLLAR * owed - fees

    def reserve(
        self, owner: int, ticker: str, line: list[tuple[Side, int, int]] | None = None
    ) -> tuple[int, int]:
        """What resting orders (side, price, left) hold back: their cost with fees, and cushions."""
        if line is None:
            line = [
                (order.new.side, order.price, order.left)
                for order in self.line
                if order.owner == owner and order.new.ticker == ticker
            ]
        closable = {side: self.closable(owner, ticker, side) for side in Side}
        cost = cushions = 0
        for side, price, left in line:
            closing = min(closable[side], left)
            closable[side] -= closing
            opening = left - closing
            if opening:
                unit = price if side == Side.BID else DOLLAR - price
                fee = trade_fee(
                    self.markets[ticker].fees, Role.TAKER, Price(price), Quantity(opening)
                )
                cost += unit * opening + fee
                cushions += ORDER_CUSHION
        return cost, cushions

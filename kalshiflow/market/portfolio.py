"""The ledger of one account: cash, what resting orders reserve of it, positions, settlement.

The only place that knows what an account owns. All amounts are exact integers; fees are given with
each fill, as the exchange charged them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from kalshiflow.market.listing import FeeTerms
from kalshiflow.market.orders import Fill, Order, OrderError
from kalshiflow.market.position import (
    FLAT,
    Position,
    PositionStep,
    fill_position,
    settle_position,
)
from kalshiflow.market.reserve import MarketReserve
from kalshiflow.market.units import (
    DOLLAR,
    NO_CASH,
    Cash,
    Price,
    Quantity,
    cash_to_dollars,
    complement,
    quantity_to_contracts,
)

__all__ = [
    "FLAT",
    "InsufficientCash",
    "Portfolio",
    "Position",
    "PositionStep",
    "fill_position",
    "settle_position",
]

NO_TOUCH: tuple[None, None] = (None, None)


class InsufficientCash(ValueError):
    """An order that would reserve more cash than is free."""


class Portfolio:
    """One account.

    `cash` is all of it, what orders reserve included; `positions` keeps flat ones too, for their
    profit and fees; `orders` are the resting ones in order of arrival. `realised` (before fees) and
    `fees_paid` are totals over all markets. Fields are for reading; the methods change them.
    """

    __slots__ = ("_reserves", "cash", "fees_paid", "orders", "positions", "realised", "reserved")

    def __init__(self, cash: Cash = NO_CASH) -> None:
        self.cash = cash
        self.reserved = NO_CASH
        self.positions: dict[str, Position] = {}
        self.orders: dict[str, Order] = {}
        self.fees_paid = NO_CASH
        self.realised = NO_CASH
        self._reserves: dict[str, MarketReserve] = {}

    @property
    def available(self) -> Cash:
        """Give the cash that no order reserves."""
        return Cash(self.cash - self.reserved)

    def held(self, ticker: str) -> Quantity:
        """Give the signed quantity held in a market: YES above zero, NO below."""
        return self.positions.get(ticker, FLAT).quantity

    def reserved_in(self, ticker: str) -> Cash:
        """Give what one market's resting orders reserve."""
        reserve = self._reserves.get(ticker)
        return Cash(0 if reserve is None else reserve.total)

    def reserve_needed(self, order: Order, terms: FeeTerms) -> Cash:
        """Give how much more would be reserved with this order resting: nothing if it closes."""
        reserve = self._reserves.get(order.ticker) or MarketReserve()
        return reserve.needed(order, terms, self.held(order.ticker))

    def can_place(self, order: Order, terms: FeeTerms) -> bool:
        """Say whether free cash covers the order; one that only closes always may be placed."""
        needed = self.reserve_needed(order, terms)
        return needed == 0 or needed <= self.available

    def place(self, order: Order, terms: FeeTerms) -> None:
        """Let an order rest, last in line, and reserve for it.

        Raises `InsufficientCash` where free cash does not cover it, and `OrderError` for an order
        that has ended or whose id is in use. Place an order before its first fill is applied.
        """
        if not order.remaining or order.order_id in self.orders:
            raise OrderError(f"order {order.order_id} has ended, or is resting already")
        needed = self.reserve_needed(order, terms)
        if needed and needed > self.available:
            raise InsufficientCash(
                f"order {order.order_id} needs {cash_to_dollars(needed)} dollars, "
                f"{cash_to_dollars(self.available)} are available"
            )
        self._rest(order, terms)

    def cancel(self, order_id: str) -> None:
        """Take an order off, and free what it reserved; raises `OrderError` if it is not there."""
        order = self._order(order_id)
        del self.orders[order_id]
        self._reserves[order.ticker].resize(order_id, 0)
        self._grant(order.ticker)

    def reduce(self, order_id: str, quantity: Quantity) -> None:
        """Lower an order's quantity by `quantity`; the last of it takes the order off."""
        order = self._order(order_id)
        remaining = order.remaining - quantity
        if quantity <= 0 or remaining < 0:
            raise OrderError(
                f"order {order_id} cannot be reduced by {quantity_to_contracts(quantity)} "
                f"of {quantity_to_contracts(order.remaining)} remaining"
            )
        if not remaining:
            self.cancel(order_id)
            return
        self.orders[order_id] = replace(order, quantity=Quantity(order.quantity - quantity))
        self._reserves[order.ticker].resize(order_id, remaining)
        self._grant(order.ticker)

    def can_replace(self, order: Order, terms: FeeTerms) -> bool:
        """Say whether free cash covers new terms of a resting order, its old reserve released.

        It always does where the account would reserve no more than it does now. Raises
        `OrderError` where no order of this id, market and side rests, or none of it would.
        """
        old = self._order(order.order_id)
        if (order.ticker, order.side) != (old.ticker, old.side) or not order.remaining:
            raise OrderError(f"order {order.order_id} cannot become {order}")
        reserve = self._reserves[order.ticker]
        free = self.cash - (self.reserved - reserve.total)
        return reserve.can_replace(order, terms, self.held(order.ticker), free)

    def replace(self, order: Order, terms: FeeTerms) -> None:
        """Give a resting order new terms: its price and quantity, what is filled included.

        It keeps its place in the line for closing quantity, unless more of it remains than before:
        then it is last. Raises `InsufficientCash`, and `OrderError`, as `can_replace` does; then
        nothing has changed.
        """
        if not self.can_replace(order, terms):
            raise InsufficientCash(
                f"order {order.order_id} needs more than it reserves and "
                f"{cash_to_dollars(self.available)} dollars that are available"
            )
        if order.remaining > self.orders[order.order_id].remaining:
            del self.orders[order.order_id]
        self.orders[order.order_id] = order
        self._reserves[order.ticker].replace(order, terms)
        self._grant(order.ticker)

    def apply_fill(self, fill: Fill) -> PositionStep:
        """Apply a fill, of a resting order or of one that is not known here.

        The order is found by the fill's order id, else by its client order id. Raises `OrderError`
        for a fill that cannot be of its order, or cannot be at all, and then changes nothing.
        """
        if fill.quantity <= 0 or not 0 <= fill.price <= DOLLAR:
            raise OrderError(f"fill {fill.trade_id}: {fill.quantity} at {fill.price} cannot be")
        order_id = fill.order_id if fill.order_id in self.orders else fill.client_order_id
        order = self.orders.get(order_id)
        if order is not None:
            self._fill_order(order_id, order, fill)
        before = self.positions.get(fill.ticker, FLAT)
        step = fill_position(before, fill.side, fill.price, fill.quantity, fill.fee)
        self.positions[fill.ticker] = step.position
        self.cash = Cash(self.cash + step.cash_change - fill.fee)
        self.fees_paid = Cash(self.fees_paid + fill.fee)
        self.realised = Cash(self.realised + step.realised)
        self._grant(fill.ticker)
        return step

    def settle(self, ticker: str, value: Price) -> Cash:
        """Pay a market's position at its settlement value and take the market's orders off."""
        step = settle_position(self.positions.get(ticker, FLAT), value)
        for order_id in [key for key, order in self.orders.items() if order.ticker == ticker]:
            self.cancel(order_id)
        if ticker in self.positions:
            self.positions[ticker] = step.position
        self.cash = Cash(self.cash + step.cash_change)
        self.realised = Cash(self.realised + step.realised)
        return step.cash_change

    def deposit(self, cash: Cash) -> None:
        """Add cash from outside."""
        if cash < 0:
            raise ValueError(f"a deposit of {cash_to_dollars(cash)} dollars is not one")
        self.cash = Cash(self.cash + cash)

    def adopt(
        self,
        cash: Cash,
        positions: Mapping[str, Position],
        orders: Iterable[tuple[Order, FeeTerms]] | None = None,
    ) -> None:
        """Take the exchange's truth about cash (what orders reserve included) and positions.

        Resting orders are replaced by `orders`, in order of arrival; without it they stay. Nothing
        is refused: what the exchange accepted stands, even where the free cash comes out negative.
        """
        self.cash = cash
        self.positions = dict(positions)
        self.realised = Cash(sum(position.realised for position in self.positions.values()))
        self.fees_paid = Cash(sum(position.fees for position in self.positions.values()))
        if orders is not None:
            self.orders.clear()
            self._reserves.clear()
            self.reserved = NO_CASH
            for order, terms in orders:
                self._rest(order, terms)
        for ticker in self._reserves:
            self._grant(ticker)

    def value(self, books: Mapping[str, tuple[Price | None, Price | None]]) -> Cash:
        """Give the account's value: all cash, and each position at what closing it would bring.

        `books` gives each market's best bid and best ask. This is the one definition of value: YES
        at the best bid, NO at one dollar less the best ask, no fees, and nothing for a position
        that has no touch to close at.
        """
        total: int = self.cash
        for ticker in self.positions:
            total += self.market_value(ticker, *books.get(ticker, NO_TOUCH))
        return Cash(total)

    def market_value(self, ticker: str, bid: Price | None, ask: Price | None) -> Cash:
        """Give what closing a market's position at the touch would bring, before fees."""
        held = self.held(ticker)
        if held > 0 and bid is not None:
            return Cash(held * bid)
        if held < 0 and ask is not None:
            return Cash(-held * complement(ask))
        return NO_CASH

    def _order(self, order_id: str) -> Order:
        order = self.orders.get(order_id)
        if order is None:
            raise OrderError(f"order {order_id} is not resting")
        return order

    def _rest(self, order: Order, terms: FeeTerms) -> None:
        self._reserves.setdefault(order.ticker, MarketReserve()).add(order, terms)
        self.orders[order.order_id] = order
        self._grant(order.ticker)

    def _fill_order(self, order_id: str, order: Order, fill: Fill) -> None:
        if order.ticker != fill.ticker or order.side != fill.side:
            raise OrderError(f"fill {fill.trade_id} is not of order {order_id}'s market and side")
        remaining = order.remaining - fill.quantity
        if remaining:
            self.orders[order_id] = order.filled_by(fill.quantity)
        else:
            del self.orders[order_id]
        self._reserves[order.ticker].resize(order_id, remaining)

    def _grant(self, ticker: str) -> None:
        reserve = self._reserves.get(ticker)
        if reserve is not None:
            elsewhere = self.reserved - reserve.total
            reserve.grant(self.held(ticker), self.cash - elsewhere)
            self.reserved = Cash(elsewhere + reserve.total)

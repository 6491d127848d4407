"""The trader's money: one ledger of the account, and each market's part of it as a policy sees it.

Fills are applied here by a call, once each, whether they came over the socket or were read. What is
held at the start is taken over with its cost and nothing else: profits and fees are this run's.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from uuid import UUID

from kalshiflow.agent.account import MarketAccount, OwnOrder
from kalshiflow.market.events import Side
from kalshiflow.market.listing import FeeTerms, Market
from kalshiflow.market.orders import Fill, Order
from kalshiflow.market.portfolio import FLAT, Portfolio, Position, PositionStep
from kalshiflow.market.units import Cash, Price, Quantity
from trader.orders import TrackedOrder

KEPT_TRADES = 50_000
NO_CASH = Cash(0)


class Accounts:
    """The ledger, and a `MarketAccount` with its own budget for each market."""

    def __init__(self, budget: Cash, cash: Cash = NO_CASH) -> None:
        self.ledger = Portfolio(cash)
        self._terms: dict[str, FeeTerms] = {}
        self._budget = budget
        self._markets: dict[str, MarketAccount] = {}
        self._shown: dict[tuple[str, Side], tuple[UUID | None, int]] = {}  # what rests, since when
        self._trades: dict[str, None] = {}

    def follow(self, markets: Mapping[str, Market]) -> None:
        """Learn the fees of these markets."""
        self._terms.update((ticker, market.fees) for ticker, market in markets.items())

    def market(self, ticker: str) -> MarketAccount:
        """Give a market's part of the account."""
        account = self._markets.get(ticker)
        if account is None:
            account = self._markets[ticker] = MarketAccount(self._budget)
        return account

    def terms(self, ticker: str) -> FeeTerms:
        """Give a market's fees; a market that we do not follow has the usual ones."""
        return self._terms.get(ticker) or FeeTerms()

    def reserve_needed(self, order: Order) -> Cash:
        """Give what an order would reserve of free cash; nothing where it only closes."""
        return self.ledger.reserve_needed(order, self.terms(order.ticker))

    def place(self, order: Order, at: int) -> None:
        """Reserve for an order that is about to leave; raises `InsufficientCash`."""
        self.ledger.place(order, self.terms(order.ticker))
        account = self.market(order.ticker)
        account.reserved = self.ledger.reserved_in(order.ticker)
        account.order_sent(order.quantity, at)

    def rests(self, order: TrackedOrder, at: int) -> None:
        """Show the policy an order that rests, from the first time that it is told."""
        place, key = (order.ticker, order.side), order.client_order_id
        shown, since = self._shown.get(place, (None, at))
        if shown != key:
            since = at
        self._shown[place] = (key, since)
        own = OwnOrder(order.side, order.price, order.remaining, since)
        self.market(order.ticker).order_rests(own)

    def ended(self, order: TrackedOrder) -> None:
        """Take an order off the policy's view, and what is left of it off the ledger.

        While fills are on their way its reservation stays, and they consume it.
        """
        account = self.market(order.ticker)
        place = (order.ticker, order.side)
        if self._shown.get(place, (None, 0))[0] == order.client_order_id:
            del self._shown[place]  # late news of an older order must not hide the one that rests
            account.order_ended(order.side)
        key = str(order.client_order_id)
        if key in self.ledger.orders and order.is_over:
            self.ledger.cancel(key)
            account.reserved = self.ledger.reserved_in(order.ticker)

    def apply(self, fill: Fill, at: int) -> PositionStep | None:
        """Apply a fill at market time `at`; `None` where it was applied before.

        Raises `OrderError` for a fill that cannot be of its order.
        """
        if fill.trade_id in self._trades:
            return None
        step = self.ledger.apply_fill(fill)
        self._remember(fill.trade_id)
        account = self.market(fill.ticker)
        account.reserved = self.ledger.reserved_in(fill.ticker)
        account.order_filled(fill.quantity, step.position, at)
        return step

    def know(self, fills: Iterable[Fill]) -> None:
        """Remember fills whose effect is in a position already taken over."""
        for fill in fills:
            self._remember(fill.trade_id)

    def settle(self, ticker: str, value: Price, at: int) -> Cash:
        """Pay a market's position at its settlement value; gives the payout."""
        payout = self.ledger.settle(ticker, value)
        account = self.market(ticker)
        account.reserved = self.ledger.reserved_in(ticker)
        for side in Side:
            self._shown.pop((ticker, side), None)
            account.order_ended(side)
        account.hold(self.ledger.positions.get(ticker, FLAT), at)
        return payout

    def adopt(
        self, cash: Cash, held: Mapping[str, tuple[Quantity, Cash]], at: int
    ) -> tuple[str, ...]:
        """Take the exchange's cash, and quantity and cost by market, for true; gives the markets.

        Where the quantity agrees, our own cost stays; this run's profits and fees stay in any case.
        """
        positions: dict[str, Position] = {}
        for ticker in {*held, *self.ledger.positions}:
            ours = self.ledger.positions.get(ticker, FLAT)
            quantity, cost = held.get(ticker, (Quantity(0), Cash(0)))
            agrees = ours.quantity == quantity
            positions[ticker] = ours if agrees else replace(ours, quantity=quantity, cost=cost)
        self.ledger.adopt(cash, positions)
        for ticker, position in positions.items():
            account = self.market(ticker)
            account.hold(position, at)
            account.reserved = self.ledger.reserved_in(ticker)
        return tuple(positions)

    def _remember(self, trade_id: str) -> None:
        self._trades[trade_id] = None
        if len(self._trades) > KEPT_TRADES:
            del self._trades[next(iter(self._trades))]

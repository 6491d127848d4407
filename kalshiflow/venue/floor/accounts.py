"""The venue's accounts: a ledger each, with the orders, fills and keys that belong to it."""

from collections.abc import Iterator
from dataclasses import dataclass

from kalshiflow.exchange.credentials import PublicKey
from kalshiflow.market.events import Side
from kalshiflow.market.fees import CENTICENT
from kalshiflow.market.listing import MarketResult
from kalshiflow.market.orders import Fill, Order, Role
from kalshiflow.market.portfolio import Portfolio
from kalshiflow.market.units import CONTRACT, DOLLAR, Cash, Price, Quantity, complement
from kalshiflow.venue.matching.messages import SelfTrade

NO_CASH = Cash(0)


@dataclass(slots=True)
class OrderRecord:
    """One order from its acceptance to its end, with Kalshi's cumulative figures.

    `order` has the terms it was accepted with, or last amended to. `removed` is what left the book
    unfilled since, and `is_cancelled` says that the last of it did. Costs are of what was filled,
    at the prices of its fills; times are market time.
    """

    order: Order
    owner: "Account"
    created_at: int
    updated_at: int
    self_trade: SelfTrade = SelfTrade.TAKER
    expires_at: int | None = None
    filled: Quantity = Quantity(0)
    removed: Quantity = Quantity(0)
    is_cancelled: bool = False
    reason: str = ""
    group_id: str = ""
    cancel_on_pause: bool = False
    taker_cost: Cash = NO_CASH
    maker_cost: Cash = NO_CASH
    taker_fees: Cash = NO_CASH
    maker_fees: Cash = NO_CASH
    accumulated: Cash = NO_CASH

    @property
    def remaining(self) -> Quantity:
        """Give what may still be filled."""
        return Quantity(self.order.quantity - self.filled - self.removed)

    @property
    def status(self) -> str:
        """Give Kalshi's word for the order's state."""
        if self.remaining:
            return "resting"
        return "canceled" if self.is_cancelled else "executed"

    def average_price(self) -> Price:
        """Give the average YES price of the fills, to the nearest 1/10000 dollar."""
        paid = self.taker_cost + self.maker_cost
        average = (2 * paid + self.filled) // (2 * self.filled)
        return Price(average) if self.order.side == Side.BID else complement(Price(average))

    def average_fee(self) -> Cash:
        """Give the average net fee of one contract."""
        return Cash((self.taker_fees + self.maker_fees) * CONTRACT // self.filled)

    def count_fill(self, fill: Fill, cost: Cash, accumulated: Cash) -> None:
        """Add a fill to the cumulative figures; `cost` is what was paid for it, before fees."""
        self.filled = Quantity(self.filled + fill.quantity)
        self.accumulated = accumulated
        self.updated_at = fill.at
        self.reason = "Trade"
        if fill.role is Role.TAKER:
            self.taker_cost = Cash(self.taker_cost + cost)
            self.taker_fees = Cash(self.taker_fees + fill.fee)
        else:
            self.maker_cost = Cash(self.maker_cost + cost)
            self.maker_fees = Cash(self.maker_fees + fill.fee)

    def count_removal(self, quantity: Quantity, reason: str, at: int) -> None:
        """Take off what left the book unfilled; the last of it ends the order."""
        self.removed = Quantity(self.removed + quantity)
        self.is_cancelled = not self.remaining
        self.updated_at = at
        self.reason = reason

    def amend(self, order: Order, expires_at: int | None, at: int) -> None:
        """Give the order new terms: its quantity is all that it may have filled in the end."""
        self.order = order
        self.removed = Quantity(0)
        self.expires_at = expires_at
        self.updated_at = at
        self.reason = "Amend"


@dataclass(slots=True)
class Activity:
    """What an account did in one market: contracts and dollars traded, and when last."""

    quantity: Quantity = Quantity(0)
    traded: Cash = NO_CASH
    updated_at: int = 0


@dataclass(frozen=True, slots=True)
class SettlementRecord:
    """A position that was paid. Costs are what was paid for the contracts held at the end.

    `value` is what YES was paid; `revenue` is the payout; `fees` are all that the market cost.
    """

    ticker: str
    event_ticker: str
    result: MarketResult
    value: Price
    yes_quantity: Quantity
    no_quantity: Quantity
    yes_cost: Cash
    no_cost: Cash
    revenue: Cash
    fees: Cash
    at: int


class Account:
    """One member of the venue. A house account (a synthetic trader) keeps no history."""

    def __init__(
        self,
        user_id: str,
        cash: Cash,
        *,
        key_id: str = "",
        public_key: PublicKey | None = None,
        is_house: bool = False,
        precision: Cash = CENTICENT,
        tier: str = "basic",
    ) -> None:
        self.user_id = user_id
        self.key_id = key_id
        self.public_key = public_key
        self.is_house = is_house
        self.precision = precision
        self.tier = tier
        self.deposited = cash
        self.portfolio = Portfolio(cash)
        self.orders: dict[str, OrderRecord] = {}
        self.fills: list[Fill] = []
        self.settlements: list[SettlementRecord] = []
        self.activity: dict[str, Activity] = {}
        self.client_order_ids: set[str] = set()

    def deposit(self, cash: Cash) -> None:
        """Add cash from outside."""
        self.deposited = Cash(self.deposited + cash)
        self.portfolio.deposit(cash)

    def count_traded(self, ticker: str, quantity: Quantity, cost: Cash, at: int) -> None:
        """Add a fill to the market's activity."""
        activity = self.activity.setdefault(ticker, Activity())
        activity.quantity = Quantity(activity.quantity + quantity)
        activity.traded = Cash(activity.traded + cost)
        activity.updated_at = at


class Accounts:
    """All accounts, found by API key.

    What they have in all is known at any time: `assets()` is what was ever deposited.
    """

    def __init__(self) -> None:
        self._all: list[Account] = []
        self._by_user: dict[str, Account] = {}
        self._by_key: dict[str, Account] = {}
        self.fees_collected = NO_CASH

    def __iter__(self) -> Iterator[Account]:
        return iter(self._all)

    def open(self, account: Account) -> Account:
        """Add an account; raises `ValueError` where its key id is in use."""
        if account.key_id:
            if account.key_id in self._by_key:
                raise ValueError(f"key {account.key_id} belongs to another account")
            self._by_key[account.key_id] = account
        self._all.append(account)
        self._by_user[account.user_id] = account
        return account

    def held(self, user_id: str, ticker: str) -> Quantity:
        """Give a user's signed position in a market: YES above zero, NO below."""
        return self._by_user[user_id].portfolio.held(ticker)

    def assets(self) -> Cash:
        """Give all cash, one dollar per open pair of YES and NO, and the fees collected.

        Where every order is an account's, that is all deposits together: nothing else brings cash
        in or takes it out. Against a recording, whose members have no accounts, it is not.
        """
        cash = pairs = 0
        for account in self._all:
            cash += account.portfolio.cash
            pairs += sum(max(p.quantity, 0) for p in account.portfolio.positions.values())
        return Cash(cash + DOLLAR * pairs + self.fees_collected)

    def by_key(self, key_id: str) -> Account | None:
        """Give the account of an API key."""
        return self._by_key.get(key_id)

    def with_keys(self) -> tuple[Account, ...]:
        """Give the accounts that clients can use."""
        return tuple(self._by_key.values())

"""A floor with one market and three accounts, and everything that it told."""

from dataclasses import dataclass, field

from kalshiflow.market.events import Side
from kalshiflow.market.listing import CENT_GRID, FeeTerms, FeeType, Market
from kalshiflow.market.units import CONTRACT, Cash, Price, Quantity
from kalshiflow.venue.floor.accounts import Account, Accounts, OrderRecord
from kalshiflow.venue.floor.facts import Fact
from kalshiflow.venue.floor.floor import Floor
from kalshiflow.venue.floor.requests import Amendment, NewOrder
from kalshiflow.venue.ids import Identifiers
from kalshiflow.venue.matching.engine import MatchingBook

SECOND = 1_000_000_000
TICKER = "KXA-B-C"
START_CASH = Cash(1_000 * 1_000_000)


@dataclass
class Scene:
    """A floor with one market, three accounts and everything that was told."""

    facts: list[Fact] = field(default_factory=list)
    accounts: list[Account] = field(default_factory=list)
    floor: Floor = field(init=False)

    def __post_init__(self) -> None:
        self.floor = Floor(Identifiers(1), Accounts(), self.facts.append)
        terms = FeeTerms(FeeType.QUADRATIC_WITH_MAKER_FEES)
        market = Market(TICKER, "KXA-B", "t", fees=terms, close_time=1_000 * SECOND)
        self.floor.list_market(market, MatchingBook(TICKER, CENT_GRID))
        for name in "xyz":
            account = Account(name, START_CASH, key_id=name)
            self.accounts.append(self.floor.accounts.open(account))

    def order(self, who: int, side: Side, cents: int, contracts: int, **options: object) -> str:
        new = NewOrder(
            TICKER,
            side,
            Price(cents * 100),
            Quantity(contracts * CONTRACT),
            **options,  # type: ignore[arg-type]
        )
        return self.floor.place(self.accounts[who], new, now=SECOND).order.order_id

    def of(self, kind: type) -> list:
        return [fact for fact in self.facts if isinstance(fact, kind)]

    def record(self, order_id: str) -> OrderRecord:
        return next(a.orders[order_id] for a in self.accounts if order_id in a.orders)

    def amend(
        self,
        who: int,
        order_id: str,
        cents: int,
        contracts: int,
        now: int = SECOND,
        **terms: object,
    ) -> OrderRecord:
        """Amend an order to a price and a total; ticker and side are its own unless given."""
        order = self.record(order_id).order
        named = {"ticker": order.ticker, "side": order.side, **terms}
        amendment = Amendment(
            price=Price(cents * 100),
            quantity=Quantity(contracts * CONTRACT),
            **named,  # type: ignore[arg-type]
        )
        return self.floor.amend(self.accounts[who], order_id, amendment, now)

    def queue(self, side: Side, cents: int) -> list[str]:
        matching = self.floor.market(TICKER).matching
        return [order.order_id for order in matching.queue(side, Price(cents * 100))]

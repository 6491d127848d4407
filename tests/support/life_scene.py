"""A floor with one market and two accounts, whose lives are moved step by step."""

from dataclasses import dataclass, field

from kalshiflow.market.events import Side
from kalshiflow.market.listing import CENT_GRID, Market, MarketStatus
from kalshiflow.market.units import CONTRACT, Cash, Price, Quantity
from kalshiflow.venue.clock import SECOND
from kalshiflow.venue.floor.accounts import Account, Accounts, OrderRecord
from kalshiflow.venue.floor.facts import Fact, LifecycleChanged, LifecycleKind
from kalshiflow.venue.floor.floor import Floor
from kalshiflow.venue.floor.lifecycle import Lifecycle
from kalshiflow.venue.floor.listed import Details
from kalshiflow.venue.floor.requests import NewOrder
from kalshiflow.venue.floor.structures import grid_named
from kalshiflow.venue.ids import Identifiers
from kalshiflow.venue.matching.engine import MatchingBook

BID, ASK = Side.BID, Side.ASK
TICKER = "KXA-B-C"
CLOSE = 1_000 * SECOND
NOW = 100 * SECOND
DECI = grid_named("deci_cent")


@dataclass
class Scene:
    """A floor with one market, two accounts and everything that was told."""

    details: Details = field(default_factory=Details)
    market: Market = field(default_factory=lambda: Market(TICKER, "KXA-B", "t", close_time=CLOSE))
    matching: MatchingBook = field(default_factory=lambda: MatchingBook(TICKER, CENT_GRID))
    facts: list[Fact] = field(default_factory=list)
    floor: Floor = field(init=False)

    def __post_init__(self) -> None:
        self.floor = Floor(Identifiers(1), Accounts(), self.facts.append)
        self.floor.list_market(self.market, self.matching, self.details)
        self.accounts = [
            self.floor.accounts.open(Account(name, Cash(1_000_000_000), key_id=name))
            for name in "xy"
        ]

    @property
    def life(self) -> Lifecycle:
        return self.floor.lifecycle

    @property
    def status(self) -> MarketStatus:
        return self.floor.market(TICKER).market.status

    def order(self, side: Side, price: int, now: int = NOW, **options: object) -> OrderRecord:
        new = NewOrder(TICKER, side, Price(price), Quantity(10 * CONTRACT), **options)  # type: ignore[arg-type]
        return self.floor.place(self.accounts[0], new, now)

    def cancel(self, record: OrderRecord, now: int = NOW) -> None:
        self.floor.cancel(self.accounts[0], record.order.order_id, now)

    def steps(self) -> list[LifecycleKind]:
        return [fact.kind for fact in self.facts if isinstance(fact, LifecycleChanged)]

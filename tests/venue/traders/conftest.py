"""A floor with one market, and what its traders would schedule."""

import random
from collections.abc import Callable

import pytest

from kalshiflow.market.listing import CENT_GRID, Market
from kalshiflow.market.units import Cash
from kalshiflow.venue.clock import SECOND
from kalshiflow.venue.floor.accounts import Account, Accounts
from kalshiflow.venue.floor.facts import Fact
from kalshiflow.venue.floor.floor import Floor
from kalshiflow.venue.ids import Identifiers
from kalshiflow.venue.matching.engine import MatchingBook
from kalshiflow.venue.traders.habits import MakerTerms
from kalshiflow.venue.traders.maker import HOUSE_CASH, Maker

TICKER = "M"
START = 1_767_621_600 * SECOND


class Stage:
    """One market in whole cents, everything that was told of it, and traders to put on it."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []
        self.floor = Floor(Identifiers(1), Accounts(), self.facts.append)
        self.listed = self.floor.list_market(
            Market(TICKER, "E", "?", CENT_GRID, open_time=START), MatchingBook(TICKER)
        )
        self.agenda: list[tuple[int, Callable[[int], None]]] = []

    def account(self, name: str, cash: Cash = HOUSE_CASH) -> Account:
        return self.floor.accounts.open(Account(name, cash, is_house=True))

    def maker(self, name: str = "maker", cash: Cash = HOUSE_CASH, least=1, **terms) -> Maker:
        kept = {
            "offsets": (100, 200),
            "sizes": (10,),
            "refresh_every": 1.0,
            "think_every": 1.0,
            "noise": 0.0,
            "skew": 0.0,
            "skew_at": 100,
            "gap": 2,
        }
        return Maker(
            self.floor,
            self.account(name, cash),
            TICKER,
            MakerTerms(name, **(kept | terms)),
            random.Random(name),
            least_price=least,
        )

    def schedule(self, at: int, action: Callable[[int], None]) -> None:
        self.agenda.append((at, action))

    def run(self, until: int) -> None:
        """Let everything scheduled happen in order until a market time."""
        while due := [item for item in self.agenda if item[0] <= until]:
            at, action = min(due, key=lambda item: item[0])
            self.agenda.remove((at, action))
            action(at)

    def touch(self) -> tuple:
        return self.listed.touch()


@pytest.fixture
def stage() -> Stage:
    return Stage()

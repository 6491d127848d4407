"""A small venue without sources of its own: three markets, two accounts, frames without sockets."""

import json
from typing import Any

from kalshiflow.market.events import Side
from kalshiflow.market.listing import CENT_GRID, Market
from kalshiflow.market.units import Cash, Price, Quantity
from kalshiflow.venue.config import QUEUE_LIMIT
from kalshiflow.venue.floor.accounts import Account, Accounts
from kalshiflow.venue.floor.facts import Fact
from kalshiflow.venue.floor.floor import Floor
from kalshiflow.venue.floor.requests import NewOrder
from kalshiflow.venue.ids import Identifiers
from kalshiflow.venue.matching.engine import MatchingBook
from kalshiflow.venue.websocket import commands
from kalshiflow.venue.websocket.hub import Hub
from kalshiflow.venue.websocket.sessions import Session

NOW = 1_795_165_200_123_000_000
A, B, C = "KXA-1-A", "KXA-1-B", "KXA-1-C"


class Scene:
    """Three markets, the accounts `mine` and `other`, and as many sessions as a test asks for.

    `options` are those of the hub. Facts reach the hub, and `facts` as well.
    """

    def __init__(self, **options: Any) -> None:
        self.hub: Hub
        self.facts: list[Fact] = []
        ids = Identifiers(3)
        self.floor = Floor(ids, Accounts(), self.tell)
        self.hub = Hub(self.floor.find_market, self.floor.find_order, self.floor.markets, **options)
        for ticker in (A, B, C):
            self.list_market(ticker)
        self.mine, self.other = (
            self.floor.accounts.open(Account(ids.of("user", name), Cash(10**9), key_id=name))
            for name in ("mine", "other")
        )

    def list_market(self, ticker: str) -> None:
        self.floor.list_market(Market(ticker, "KXA-1", ticker), MatchingBook(ticker, CENT_GRID))

    def tell(self, fact: Fact) -> None:
        self.facts.append(fact)
        self.hub.publish(fact)

    def session(self, account: Account | None = None, limit: int = QUEUE_LIMIT) -> Session:
        return self.hub.join(account or self.mine, limit)

    def order(
        self,
        account: Account,
        side: Side,
        cents: int,
        contracts: int,
        ticker: str = A,
        name: str = "",
        **terms: Any,
    ) -> str:
        new = NewOrder(
            ticker,
            side,
            Price(cents * 100),
            Quantity(contracts * 100),
            client_order_id=name,
            **terms,
        )
        return self.floor.place(account, new, NOW).order.order_id

    def send(self, session: Session, cmd: str, command_id: int = 1, **params: Any) -> list[Any]:
        command: dict[str, Any] = {"id": command_id, "cmd": cmd}
        if params:
            command["params"] = params
        commands.receive(self.hub, session, json.dumps(command))
        return frames(session)

    def subscribe(self, session: Session, *channels: str, **params: Any) -> list[Any]:
        return self.send(session, "subscribe", channels=list(channels), **params)

    def update(self, session: Session, action: str, **params: Any) -> list[Any]:
        return self.send(session, "update_subscription", action=action, **params)


def frames(session: Session) -> list[dict[str, Any]]:
    return [json.loads(frame) for frame in session.take()]

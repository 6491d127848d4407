"""One client of a venue without sockets, whose markets move only when a test moves them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import httpx

from kalshiflow.exchange.credentials import Credentials
from kalshiflow.exchange.environments import REST_PATH
from kalshiflow.market.events import Side
from kalshiflow.market.listing import CENT_GRID, FeeTerms, Market, PriceBand, PriceGrid
from kalshiflow.market.units import (
    Cash,
    Price,
    cash_from_dollars,
    price_from_dollars,
    quantity_from_contracts,
)
from kalshiflow.venue.auth import Gate
from kalshiflow.venue.clock import SECOND, VenueClock
from kalshiflow.venue.core import Catalogue, Venue
from kalshiflow.venue.floor.accounts import Account, Accounts, OrderRecord
from kalshiflow.venue.floor.floor import Floor
from kalshiflow.venue.floor.requests import NewOrder
from kalshiflow.venue.ids import Identifiers
from kalshiflow.venue.limits import Limits
from kalshiflow.venue.matching.engine import MatchingBook
from kalshiflow.venue.rest.app import rest_app
from kalshiflow.venue.websocket.hub import Hub

START = 1_795_165_200 * SECOND
CLOSE = START + 3_600 * SECOND
FIRST, SECOND_ONE, FINE = "KXA-26-T1", "KXA-26-T2", "KXB-26-T1"
ORDERS = "/portfolio/events/orders"
UNKNOWN = "00000000-0000-0000-0000-000000000000"
DECI_CENT = PriceGrid((PriceBand(Price(0), Price(10_000), Price(10)),))


class Still:
    """A source from which nothing comes."""

    def next_at(self) -> None:
        return None

    def step(self) -> None:
        raise AssertionError("nothing is to come")

    def position(self) -> int:
        return 0


@dataclass
class Answer:
    """A status and what stood in its body."""

    status: int
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def code(self) -> str:
        """Give the code of a refusal, whichever shape it has."""
        body = self.json
        return str(body["error"]["code"] if "error" in body else body["code"])


class Desk:
    """A venue of three markets (two of one event in cents, one in tenths), time in hand.

    `account` is the client's, `other` somebody whom `rests` and `takes` let trade.
    """

    def __init__(self, credentials: Credentials, log: Path, **options: Any) -> None:
        self._log = log
        self.elapsed = 0
        self.flushes = 0
        self.wall_ms = START // 1_000_000
        self.credentials = credentials
        self.key_id = credentials.key_id
        ids, accounts = Identifiers(1), Accounts()
        self.account = accounts.open(
            Account(
                ids.of("user", "one"),
                cash_from_dollars(options.get("cash", "1000")),
                key_id=credentials.key_id,
                public_key=credentials.public_key,
                tier=options.get("tier", "unlimited"),
            )
        )
        self.other = accounts.open(Account("other", Cash(10**12)))
        floor = Floor(ids, accounts, lambda fact: hub.publish(fact))
        hub = Hub(floor.find_market, floor.find_order)
        for ticker, grid in ((FIRST, CENT_GRID), (SECOND_ONE, CENT_GRID), (FINE, DECI_CENT)):
            market = Market(
                ticker, ticker[:6], ticker, grid=grid, close_time=CLOSE, fees=FeeTerms()
            )
            floor.list_market(market, MatchingBook(ticker, grid))
        clock = VenueClock(START, 1.0, lambda: self.elapsed)
        clock.begin()
        self.venue = Venue(clock, floor, hub, Still(), Catalogue((), ()))
        gate = Gate(accounts, lambda: self.wall_ms)
        app = rest_app(
            self.venue,
            gate,
            hosts=["venue"],
            frames_sent=lambda: 0,
            flush=self._flush,
            limits=Limits(lambda: self.elapsed),
            strict_v1=options.get("strict_v1", False),
        )
        self._http = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app), base_url=f"http://venue{REST_PATH}"
        )

    def _flush(self) -> None:
        self.flushes += 1

    def wait(self, seconds: float) -> None:
        """Let market time pass."""
        self.elapsed += int(seconds * SECOND)

    # --- the client --------------------------------------------------------------------------

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Send a signed request, or one with other headers; keep the answer for the judge."""
        if headers is None:
            headers = self.headers(method, path)
        content = raw if raw is not None or body is None else json.dumps(body).encode()
        got = await self._http.request(method, path, content=content, headers=headers)
        line = {
            "kind": "rest",
            "method": method,
            "path": f"{REST_PATH}{path.partition('?')[0]}",
            "status": got.status_code,
            "response": got.text,
        }
        with self._log.open("a") as log:
            log.write(json.dumps(line) + "\n")
        return Answer(got.status_code, got.text)

    async def ask_anything(
        self, method: str, template: str, name: str, body: Any, query: dict[str, str]
    ) -> Answer:
        """Send what may be no request at all; a number for a name is the so-manieth own order."""
        orders = list(self.account.orders)
        if name.isascii() and name.isdecimal() and int(name) < len(orders):
            name = orders[int(name)]
        path = template.format(quote(name, safe=""))
        told = f"{path}?{urlencode(query)}" if query else path
        signed = template.format(name)
        headers = self.credentials.headers(method, REST_PATH + signed, self.wall_ms)
        return await self.ask(method, told, body, headers=headers)

    def headers(self, method: str, path: str, skew_ms: int = 0) -> dict[str, str]:
        signed = REST_PATH + path.partition("?")[0]
        return self.credentials.headers(method, signed, self.wall_ms + skew_ms)

    async def get(self, path: str) -> Any:
        """Read what is there."""
        answer = await self.ask("GET", path)
        assert answer.status == 200, answer.text
        return answer.json

    async def create(self, side: str, price: str, count: str, **options: Any) -> Answer:
        """Ask for an order in the first market, good till cancelled."""
        return await self.ask("POST", ORDERS, order(side, price, count, **options))

    async def placed(self, side: str, price: str, count: str, **options: Any) -> str:
        """Place an order and give its id."""
        answer = await self.create(side, price, count, **options)
        assert answer.status == 201, answer.text
        return str(answer.json["order_id"])

    # --- somebody else -----------------------------------------------------------------------

    def rests(self, side: str, price: str, count: str, ticker: str = FIRST) -> OrderRecord:
        """Let somebody else place an order."""
        new = NewOrder(
            ticker,
            Side.BID if side == "bid" else Side.ASK,
            price_from_dollars(price),
            quantity_from_contracts(count),
        )
        return self.venue.place(self.other, new)

    takes = rests


def order(side: str, price: str, count: str, **options: Any) -> dict[str, Any]:
    """Give the body of an order in the first market, good till cancelled."""
    return {
        "ticker": FIRST,
        "side": side,
        "price": price,
        "count": count,
        "time_in_force": "good_till_canceled",
        "self_trade_prevention_type": "taker_at_cross",
        **options,
    }

"""The venue's own endpoints, for this machine only: its state, its start, its ledgers."""

import ipaddress
from collections.abc import Callable

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from kalshiflow.exchange.environments import is_loopback
from kalshiflow.exchange.times import iso_time
from kalshiflow.market.portfolio import Position
from kalshiflow.venue.core import Venue
from kalshiflow.venue.floor.accounts import Account
from kalshiflow.venue.floor.refusals import Refused
from kalshiflow.venue.rest import answers


class NoSuchThing(Refused):
    """Not here, or not for a caller from elsewhere."""

    status = 404
    code = "not_found"


class StatusBody(msgspec.Struct):
    """What the venue is doing. `market_time_ns` is UTC nanoseconds."""

    state: str
    market_time: str
    market_time_ns: int
    speed: float | None
    frames_sent: int
    sessions: int
    markets: int
    accounts: int


class PositionBody(msgspec.Struct):
    """A position in the ledger's integer units."""

    quantity: int
    cost: int
    realised: int
    fees: int


class OrderBody(msgspec.Struct):
    """A resting order in the ledger's integer units; side 0 is bid, 1 is ask."""

    order_id: str
    client_order_id: str
    ticker: str
    side: int
    price: int
    quantity: int
    filled: int


class AccountBody(msgspec.Struct):
    """One account's ledger in integer units: cash in 1/1000000 dollar, quantities in 1/100."""

    key_id: str
    user_id: str
    deposited: int
    cash: int
    available: int
    reserved: int
    fees_paid: int
    realised: int
    fills: int
    positions: dict[str, PositionBody]
    orders: list[OrderBody]


def routes(venue: Venue, frames_sent: Callable[[], int]) -> list[BaseRoute]:
    """Give the admin routes, below /venue."""
    admin = _Admin(venue, frames_sent)
    return [
        Route("/status", admin.status),
        Route("/start", admin.start, methods=["POST"]),
        Route("/account/{key_id}", admin.account),
    ]


class _Admin:
    def __init__(self, venue: Venue, frames_sent: Callable[[], int]) -> None:
        self._venue = venue
        self._frames_sent = frames_sent

    async def status(self, request: Request) -> Response:
        only_from_here(request)
        return answers.body(self._status())

    async def start(self, request: Request) -> Response:
        only_from_here(request)
        self._venue.clock.begin()
        return answers.body(self._status())

    async def account(self, request: Request) -> Response:
        only_from_here(request)
        account = self._venue.floor.accounts.by_key(request.path_params["key_id"])
        if account is None:
            raise NoSuchThing
        return answers.body(_account_body(account))

    def _status(self) -> StatusBody:
        venue = self._venue
        now = venue.clock.now()
        speed = venue.clock.speed
        return StatusBody(
            state=venue.state.value,
            market_time=iso_time(now),
            market_time_ns=now,
            speed=None if speed == float("inf") else speed,
            frames_sent=self._frames_sent(),
            sessions=len(venue.hub.sessions()),
            markets=sum(1 for _ in venue.floor.markets()),
            accounts=len(venue.floor.accounts.with_keys()),
        )


def only_from_here(request: Request) -> None:
    """Raise `NoSuchThing` for a caller from another machine, or a page from elsewhere."""
    client, origin = request.client, request.headers.get("origin")
    if client is None or not ipaddress.ip_address(client.host).is_loopback:
        raise NoSuchThing
    if origin is not None and not is_loopback(origin):  # a browser that a website has sent
        raise NoSuchThing


def _account_body(account: Account) -> AccountBody:
    portfolio = account.portfolio
    return AccountBody(
        key_id=account.key_id,
        user_id=account.user_id,
        deposited=account.deposited,
        cash=portfolio.cash,
        available=portfolio.available,
        reserved=portfolio.reserved,
        fees_paid=portfolio.fees_paid,
        realised=portfolio.realised,
        fills=len(account.fills),
        positions={ticker: _position(held) for ticker, held in portfolio.positions.items()},
        orders=[
            OrderBody(
                order.order_id,
                order.client_order_id,
                order.ticker,
                int(order.side),
                order.price,
                order.quantity,
                order.filled,
            )
            for order in portfolio.orders.values()
        ],
    )


def _position(held: Position) -> PositionBody:
    return PositionBody(held.quantity, held.cost, held.realised, held.fees)

"""Who calls: a request's account, its signature verified and its cost charged."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TypeVar

from starlette.requests import Request
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from kalshiflow.exchange.credentials import SIGNATURE_HEADER
from kalshiflow.venue.auth import Gate, Unauthenticated
from kalshiflow.venue.floor.accounts import Account
from kalshiflow.venue.floor.refusals import Refused
from kalshiflow.venue.limits import Limits
from kalshiflow.venue.rest.answers import BadBody

ItemT = TypeVar("ItemT")


class Callers:
    """Finds the account behind a request; raises `Unauthenticated` or `TooManyRequests`."""

    def __init__(self, gate: Gate, limits: Limits) -> None:
        self._gate = gate
        self._limits = limits

    def account(self, request: Request, *, items: int = 1) -> Account:
        """Give whose request it is, charged for `items` times its cost.

        A batch says 0 here, and charges its items once it is read.
        """
        account = self._gate.account_of(request.headers, request.method, request.url.path)
        self.charge(request, account, items)
        return account

    def charge(self, request: Request, account: Account, items: int) -> None:
        """Charge an account for `items` things of a request, or refuse the whole request."""
        self._limits.charge(account, request.method, request.url.path, items)

    def read_batch(
        self, request: Request, account: Account, read: Callable[[], list[ItemT]]
    ) -> list[ItemT]:
        """Read a batch and charge for all of it; one that is empty or unreadable costs one item."""
        try:
            items = read()
        except (BadBody, Refused):
            self.charge(request, account, 1)
            raise
        self.charge(request, account, len(items) or 1)
        return items

    def charge_signed(self, request: Request) -> None:
        """Charge a request that needs no signature, where it has a valid one."""
        if SIGNATURE_HEADER in request.headers:
            with suppress(Unauthenticated):
                self.account(request)


def charged(routes: Iterable[BaseRoute], callers: Callers) -> list[BaseRoute]:
    """Give routes that anybody may call, and that cost whoever signs them."""
    found = list(routes)
    for route in found:
        if isinstance(route, Route):
            route.app = _Charged(route.app, callers)
    return found


class _Charged:
    def __init__(self, app: ASGIApp, callers: Callers) -> None:
        self._app = app
        self._callers = callers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._callers.charge_signed(Request(scope))
        await self._app(scope, receive, send)

"""REST of order groups: orders that may together fill so many contracts in 15 seconds."""

from collections.abc import Callable

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from kalshiflow.market.units import Quantity, quantity_to_contracts
from kalshiflow.venue.core import Venue
from kalshiflow.venue.floor.groups import OrderGroup
from kalshiflow.venue.rest import answers, order_requests
from kalshiflow.venue.rest.callers import Callers
from kalshiflow.venue.rest.order_reads import is_here


class LimitForm(msgspec.Struct, frozen=True):
    """A limit in contracts, as a whole number, as text, or as both."""

    contracts_limit: int | None = None
    contracts_limit_fp: str | None = None
    subaccount: int | None = None
    exchange_index: int | None = None


class CreatedGroup(msgspec.Struct):
    """A new group."""

    order_group_id: str
    subaccount: int
    exchange_index: int


class GroupAnswer(msgspec.Struct):
    """One group, with the orders in it that have not ended."""

    is_auto_cancel_enabled: bool
    orders: list[str]
    contracts_limit_fp: str
    exchange_index: int


class GroupBody(msgspec.Struct):
    """One group of several."""

    id: str
    is_auto_cancel_enabled: bool
    contracts_limit_fp: str
    exchange_index: int


class GroupList(msgspec.Struct):
    """An account's groups, oldest first."""

    order_groups: list[GroupBody]


class Nothing(msgspec.Struct):
    """An answer that says no more than that it was done."""


def routes(venue: Venue, callers: Callers, flush: Callable[[], None]) -> list[BaseRoute]:
    """Give the routes of order groups."""
    groups = _OrderGroups(venue, callers, flush)
    path = "/portfolio/order_groups"
    one = path + "/{order_group_id}"
    return [
        Route(path, groups.all_groups),
        Route(path + "/create", groups.create, methods=["POST"]),
        Route(one, groups.group),
        Route(one, groups.delete, methods=["DELETE"]),
        Route(one + "/reset", groups.reset, methods=["PUT"]),
        Route(one + "/trigger", groups.trigger, methods=["PUT"]),
        Route(one + "/limit", groups.limit, methods=["PUT"]),
    ]


class _OrderGroups:
    def __init__(self, venue: Venue, callers: Callers, flush: Callable[[], None]) -> None:
        self._venue = venue
        self._callers = callers
        self._flush = flush

    async def create(self, request: Request) -> Response:
        account = self._callers.account(request)
        limit = _limit(await request.body(), "CreateOrderGroupRequest")
        group = self._venue.create_group(account, limit)
        self._flush()
        return answers.body(CreatedGroup(group.group_id, 0, 0), 201)

    async def all_groups(self, request: Request) -> Response:
        account = self._callers.account(request)
        here = is_here(request.query_params, "GetOrderGroups")
        self._venue.catch_up()
        found = self._venue.floor.groups.of(account) if here else []
        listed = [GroupBody(g.group_id, True, _text(g), 0) for g in found]
        return answers.body(GroupList(listed))

    async def group(self, request: Request) -> Response:
        account = self._callers.account(request)
        order_requests.routed_by(request.query_params, "GetOrderGroup")
        self._venue.catch_up()
        group = self._venue.floor.groups.get(account, _group_id(request))
        return answers.body(GroupAnswer(True, group.order_ids, _text(group), 0))

    async def limit(self, request: Request) -> Response:
        account = self._callers.account(request)
        order_requests.routed_by(request.query_params, "UpdateOrderGroupLimit")
        limit = _limit(await request.body(), "UpdateOrderGroupLimitRequest")
        self._venue.limit_group(account, _group_id(request), limit)
        return self._done()

    async def reset(self, request: Request) -> Response:
        account = self._callers.account(request)
        order_requests.routed_by(request.query_params, "ResetOrderGroup")
        self._venue.reset_group(account, _group_id(request))
        return self._done()

    async def trigger(self, request: Request) -> Response:
        account = self._callers.account(request)
        order_requests.routed_by(request.query_params, "TriggerOrderGroup")
        self._venue.trigger_group(account, _group_id(request))
        return self._done()

    async def delete(self, request: Request) -> Response:
        account = self._callers.account(request)
        order_requests.routed_by(request.query_params, "DeleteOrderGroup")
        self._venue.delete_group(account, _group_id(request))
        return self._done()

    def _done(self) -> Response:
        self._flush()
        return answers.body(Nothing())


def _group_id(request: Request) -> str:
    return str(request.path_params["order_group_id"])


def _text(group: OrderGroup) -> str:
    return quantity_to_contracts(group.limit)


def _limit(raw: bytes, name: str) -> Quantity:
    form = order_requests.read(raw, LimitForm, name)
    order_requests.route(form.subaccount, form.exchange_index, None)
    text = order_requests.counted(form.contracts_limit, form.contracts_limit_fp, "contracts_limit")
    if text is None:
        raise order_requests.missing(f"{name}.contracts_limit")
    return order_requests.quantity(text)

"""REST of what an account may do: its limits, what endpoints cost, its keys."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from kalshiflow.venue.limits import DEFAULT_COST, ENDPOINT_COSTS, BucketTerms, tier_of
from kalshiflow.venue.rest import answers
from kalshiflow.venue.rest.callers import Callers

KEY_NAME = "venue"


class BucketBody(msgspec.Struct):
    """Tokens a second, and how many an idle bucket holds."""

    refill_rate: int
    bucket_capacity: int


class LimitsBody(msgspec.Struct):
    """An account's tier and its buckets; nothing is granted beyond the tier."""

    usage_tier: str
    read: BucketBody
    write: BucketBody
    grants: list[str]


class CostBody(msgspec.Struct):
    """What one request to an endpoint costs in tokens; of a batch: one item."""

    method: str
    path: str
    cost: int


class CostsBody(msgspec.Struct):
    """What endpoints cost that do not cost the default."""

    default_cost: int
    endpoint_costs: list[CostBody]


class VolumeProgressBody(msgspec.Struct):
    """How far an account is on its way to a higher tier: tiers are given here, not earned."""

    volume_progress: list[str]


class KeyBody(msgspec.Struct):
    """One key of an account."""

    api_key_id: str
    name: str
    scopes: list[str]


class KeysBody(msgspec.Struct):
    """The keys of an account."""

    api_keys: list[KeyBody]


def routes(callers: Callers) -> list[BaseRoute]:
    """Give the account's routes; what endpoints cost is told to anyone."""
    account = _Account(callers)
    return [
        Route("/account/limits", account.limits),
        Route("/account/endpoint_costs", account.endpoint_costs),
        Route("/account/api_usage_level/volume_progress", account.volume_progress),
        Route("/api_keys", account.keys),
    ]


class _Account:
    def __init__(self, callers: Callers) -> None:
        self._callers = callers

    async def limits(self, request: Request) -> Response:
        tier = tier_of(self._callers.account(request).tier)
        return answers.body(LimitsBody(tier.name, _bucket(tier.read), _bucket(tier.write), []))

    async def endpoint_costs(self, request: Request) -> Response:
        self._callers.charge_signed(request)
        costs = [CostBody(one.method, one.path, one.cost) for one in ENDPOINT_COSTS]
        return answers.body(CostsBody(DEFAULT_COST, costs))

    async def volume_progress(self, request: Request) -> Response:
        self._callers.account(request)
        return answers.body(VolumeProgressBody([]))

    async def keys(self, request: Request) -> Response:
        account = self._callers.account(request)
        key = KeyBody(account.key_id, KEY_NAME, ["read", "write"])
        return answers.body(KeysBody([key]))


def _bucket(terms: BucketTerms) -> BucketBody:
    return BucketBody(terms.rate, terms.capacity)

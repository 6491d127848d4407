"""Rate limits: token buckets of each account, by its tier, with Kalshi's costs.

What needs no signature is free to those who do not sign, and costs those who do.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from kalshiflow.exchange.environments import REST_PATH
from kalshiflow.venue.clock import SECOND
from kalshiflow.venue.floor.accounts import Account

DEFAULT_COST = 10
UNLIMITED = "unlimited"
ENDLESS = 1_000_000_000  # what an account without limits is told of its buckets


class TooManyRequests(Exception):
    """A request beyond the account's limits: answered by HTTP 429."""


class TooManyBody(msgspec.Struct):
    """What is said under HTTP 429, and nothing more: no header tells when to come back."""

    error: str


TOO_MANY = TooManyBody("too many requests")


@dataclass(frozen=True, slots=True)
class EndpointCost:
    """What one request (of a batch: one item) costs; `:name` in the path stands for any part."""

    method: str
    path: str
    cost: int


# The endpoints of ours that do not cost the default.
ENDPOINT_COSTS = tuple(
    EndpointCost(method, REST_PATH + path, cost)
    for method, path, cost in (
        ("DELETE", "/portfolio/events/orders/:order_id", 2),
        ("DELETE", "/portfolio/events/orders/batched", 2),
        ("POST", "/portfolio/orders", 20),
        ("DELETE", "/portfolio/orders/:order_id", 4),
        ("GET", "/portfolio/orders/:order_id", 2),
        ("POST", "/portfolio/orders/:order_id/amend", 20),
        ("POST", "/portfolio/orders/:order_id/decrease", 20),
        ("DELETE", "/portfolio/orders/batched", 4),
        ("POST", "/portfolio/orders/batched", 20),
    )
)


@dataclass(frozen=True, slots=True)
class BucketTerms:
    """Tokens a second, and how many an idle bucket holds."""

    rate: int
    capacity: int


@dataclass(frozen=True, slots=True)
class Tier:
    """The limits of a usage level: GET requests draw on `read`, all others on `write`."""

    name: str
    read: BucketTerms
    write: BucketTerms


def _tier(name: str, read: int, write: int, *, read_seconds: int = 1) -> Tier:
    return Tier(name, BucketTerms(read, read * read_seconds), BucketTerms(write, write * 2))


# Basic's read bucket is documented as two seconds of tokens and was recorded as one: the recorded
# one stands, as whoever keeps to it keeps to both.
TIERS = {
    tier.name: tier
    for tier in (
        Tier("basic", BucketTerms(200, 200), BucketTerms(100, 100)),
        _tier("advanced", 300, 300, read_seconds=2),
        _tier("expert", 600, 600),
        _tier("premier", 1000, 1000),
        _tier("paragon", 2000, 2000),
        _tier("prime", 4000, 4000),
        _tier("prestige", 10_000, 8000),
        Tier(UNLIMITED, BucketTerms(ENDLESS, ENDLESS), BucketTerms(ENDLESS, ENDLESS)),
    )
}


def tier_of(name: str) -> Tier:
    """Give the tier of a name; raises `ValueError`."""
    try:
        return TIERS[name]
    except KeyError:
        raise ValueError(f"there is no tier {name}; there are {', '.join(TIERS)}") from None


def cost_of(method: str, path: str) -> int:
    """Give the tokens that a request takes; `path` begins with /trade-api."""
    parts = path.split("/")
    for endpoint, template in _TEMPLATES:
        if endpoint.method == method and _fits(parts, template):
            return endpoint.cost
    return DEFAULT_COST


_TEMPLATES = [(endpoint, endpoint.path.split("/")) for endpoint in ENDPOINT_COSTS]
# Endpoints of their own, where an order's id stands elsewhere.
_NO_IDS = frozenset({"batched", "queue_positions"})


def _fits(parts: list[str], template: list[str]) -> bool:
    return len(parts) == len(template) and all(
        wanted == part or (wanted.startswith(":") and part not in _NO_IDS)
        for part, wanted in zip(parts, template, strict=True)
    )


class Bucket:
    """Tokens that come back evenly, up to the capacity. Exact: counted in 1/1000000000 token.

    `now` is monotonic nanoseconds, so that a rate a second is as many parts a nanosecond.
    """

    __slots__ = ("_at", "_full", "_rate", "_tokens")

    def __init__(self, terms: BucketTerms, now: int) -> None:
        self._rate = terms.rate
        self._full = terms.capacity * SECOND
        self._tokens = self._full
        self._at = now

    def take(self, cost: int, now: int) -> bool:
        """Take so many tokens, or none where there are too few; say which."""
        self._tokens = min(self._full, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if cost * SECOND > self._tokens:
            return False
        self._tokens -= cost * SECOND
        return True


class Limits:
    """The buckets of all accounts. `monotonic` gives nanoseconds, whatever market time does."""

    def __init__(self, monotonic: Callable[[], int] = time.monotonic_ns) -> None:
        self._monotonic = monotonic
        self._buckets: dict[Account, tuple[Bucket, Bucket]] = {}

    def charge(self, account: Account, method: str, path: str, items: int = 1) -> None:
        """Take the cost of a request from the account's bucket; raises `TooManyRequests`.

        A batch of `items` is paid for as a whole, or not at all.
        """
        if account.tier == UNLIMITED or not items:
            return
        now = self._monotonic()
        buckets = self._buckets.get(account)
        if buckets is None:
            tier = tier_of(account.tier)
            buckets = self._buckets[account] = Bucket(tier.read, now), Bucket(tier.write, now)
        bucket = buckets[0] if method in {"GET", "HEAD"} else buckets[1]
        if not bucket.take(items * cost_of(method, path), now):
            raise TooManyRequests

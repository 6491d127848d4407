"""Rate limits: what a request costs, what a bucket gives, and what a flooding client is told."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshiflow.exchange.credentials import Credentials
from kalshiflow.exchange.environments import REST_PATH
from kalshiflow.market.units import Cash
from kalshiflow.venue.app import build_venue
from kalshiflow.venue.auth import Gate
from kalshiflow.venue.config import VenueConfig
from kalshiflow.venue.floor.accounts import Account
from kalshiflow.venue.keys import client_key
from kalshiflow.venue.limits import (
    DEFAULT_COST,
    ENDPOINT_COSTS,
    TIERS,
    Bucket,
    BucketTerms,
    Limits,
    TooManyRequests,
    cost_of,
    tier_of,
)
from kalshiflow.venue.rest.app import rest_app

SECOND = 1_000_000_000
ORDERS = f"{REST_PATH}/portfolio/events/orders"


def account(tier: str) -> Account:
    return Account("somebody", Cash(0), key_id="key", tier=tier)


def granted(limits: Limits, of: Account, method: str, path: str, items: int = 1) -> bool:
    try:
        limits.charge(of, method, path, items)
    except TooManyRequests:
        return False
    return True


# --- costs and tiers ---------------------------------------------------------------------------


def test_costs_are_those_that_the_exchange_told(recorded_data: Path) -> None:
    told = json.loads(
        (recorded_data / "kalshi-demo-rest-2026-06" / "account__endpoint_costs.json").read_text()
    )

    assert told["default_cost"] == DEFAULT_COST
    recorded = {(cost["method"], cost["path"]): cost["cost"] for cost in told["endpoint_costs"]}
    assert {(cost.method, cost.path): cost.cost for cost in ENDPOINT_COSTS}.items() <= (
        recorded.items()
    )
    assert {key for key in recorded if "/portfolio/" in key[1]} == {
        (cost.method, cost.path) for cost in ENDPOINT_COSTS
    }


def test_the_basic_tier_is_the_recorded_one(recorded_data: Path) -> None:
    told = json.loads(
        (recorded_data / "kalshi-demo-rest-2026-06" / "account__limits.json").read_text()
    )

    tier = tier_of(told["usage_tier"])
    for terms, recorded in ((tier.read, told["read"]), (tier.write, told["write"])):
        assert recorded == {"bucket_capacity": terms.capacity, "refill_rate": terms.rate}


@pytest.mark.parametrize(
    ("method", "below", "cost"),
    [
        ("POST", "/portfolio/events/orders", 10),
        ("DELETE", "/portfolio/events/orders", 10),
        ("DELETE", "/portfolio/events/orders/some-id", 2),
        ("DELETE", "/portfolio/events/orders/batched", 2),
        ("POST", "/portfolio/events/orders/batched", 10),
        ("POST", "/portfolio/events/orders/some-id/amend", 10),
        ("POST", "/portfolio/orders", 20),
        ("POST", "/portfolio/orders/batched", 20),
        ("POST", "/portfolio/orders/some-id/decrease", 20),
        ("DELETE", "/portfolio/orders/some-id", 4),
        ("GET", "/portfolio/orders/some-id", 2),
        ("GET", "/portfolio/orders/queue_positions", 10),
        ("GET", "/portfolio/orders", 10),
        ("GET", "/markets", 10),
    ],
)
def test_a_request_costs_what_its_endpoint_does(method: str, below: str, cost: int) -> None:
    assert cost_of(method, REST_PATH + below) == cost


def test_an_unknown_tier_is_refused_with_the_names_of_all() -> None:
    with pytest.raises(ValueError, match="there is no tier gold; there are basic, advanced, .*"):
        tier_of("gold")


# --- buckets -----------------------------------------------------------------------------------

schedules = st.lists(
    st.tuples(st.integers(0, 3 * SECOND), st.integers(0, 60)), min_size=1, max_size=60
)
terms = st.builds(BucketTerms, st.integers(1, 10_000), st.integers(1, 20_000))


@given(terms, schedules)
def test_no_window_grants_more_than_the_capacity_and_what_came_back_meanwhile(
    terms: BucketTerms, schedule: list[tuple[int, int]]
) -> None:
    now = 0
    bucket = Bucket(terms, now)
    taken: list[tuple[int, int]] = []
    for pause, cost in schedule:
        now += pause
        if bucket.take(cost, now):
            taken.append((now, cost))

    for first in range(len(taken)):
        total = 0
        for at, cost in taken[first:]:
            total += cost
            assert total * SECOND <= terms.capacity * SECOND + terms.rate * (at - taken[first][0])


@given(terms, schedules)
def test_an_idle_bucket_fills_to_its_capacity_exactly(
    terms: BucketTerms, schedule: list[tuple[int, int]]
) -> None:
    now = 0
    bucket = Bucket(terms, now)
    for pause, cost in schedule:
        now += pause
        bucket.take(cost, now)

    now += -(-terms.capacity * SECOND // terms.rate)
    assert not bucket.take(terms.capacity + 1, now)
    assert bucket.take(terms.capacity, now)
    assert not bucket.take(1, now)


@given(terms, st.integers(1, 60))
def test_a_refused_request_costs_nothing(terms: BucketTerms, cost: int) -> None:
    bucket = Bucket(terms, 0)
    assert not bucket.take(terms.capacity + cost, 0)
    assert bucket.take(terms.capacity, 0)


# --- accounts ----------------------------------------------------------------------------------


def test_basic_allows_ten_creates_or_fifty_cancels_or_twenty_reads_at_once() -> None:
    for method, path, allowed in (
        ("POST", ORDERS, 10),
        ("DELETE", f"{ORDERS}/some-id", 50),
        ("GET", f"{REST_PATH}/portfolio/balance", 20),
    ):
        limits, somebody = Limits(lambda: 0), account("basic")
        assert [granted(limits, somebody, method, path) for _ in range(allowed + 1)] == [
            *[True] * allowed,
            False,
        ]


def test_reads_and_writes_have_buckets_of_their_own_and_so_do_accounts() -> None:
    limits, somebody = Limits(lambda: 0), account("basic")
    while granted(limits, somebody, "POST", ORDERS):
        pass

    assert granted(limits, somebody, "GET", ORDERS)
    assert granted(limits, account("basic"), "POST", ORDERS)


def test_a_batch_is_paid_for_as_a_whole_or_not_at_all() -> None:
    limits, somebody = Limits(lambda: 0), account("basic")

    assert not granted(limits, somebody, "POST", f"{ORDERS}/batched", 11)
    assert granted(limits, somebody, "POST", f"{ORDERS}/batched", 10)
    assert not granted(limits, somebody, "POST", f"{ORDERS}/batched", 1)


def test_a_batch_beyond_the_capacity_never_fits_whatever_the_wait() -> None:
    now = [0]
    limits, somebody = Limits(lambda: now[0]), account("basic")
    now[0] = 3600 * SECOND

    assert not granted(limits, somebody, "POST", f"{ORDERS}/batched", 11)


@pytest.mark.parametrize("tier", TIERS)
def test_every_tier_refills_at_its_rate(tier: str) -> None:
    now = [0]
    limits, somebody = Limits(lambda: now[0]), account(tier)
    if tier == "unlimited":
        assert all(granted(limits, somebody, "POST", ORDERS, 10**6) for _ in range(100))
        return
    while granted(limits, somebody, "POST", ORDERS):
        pass
    now[0] += SECOND

    again = 0
    while granted(limits, somebody, "POST", ORDERS):
        again += 1
    assert again == TIERS[tier].write.rate // 10


# --- over REST ---------------------------------------------------------------------------------


class Flood:
    """A client without a socket or a clock: time stands still, so nothing comes back."""

    def __init__(self, folder: Path, tier: str = "basic") -> None:
        key = client_key(folder)
        venue = build_venue(VenueConfig(markets=1, hold=True, tier=tier), key)
        gate = Gate(venue.floor.accounts, lambda: 1_000_000)
        self.now = 0
        limits = Limits(lambda: self.now)
        app = rest_app(
            venue,
            gate,
            hosts=["venue"],
            frames_sent=lambda: 0,
            flush=lambda: None,
            limits=limits,
        )
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app), base_url="http://venue"
        )
        self.credentials = Credentials.from_pem(key.key_id, key.private_key_path.read_text())

    async def ask(
        self, method: str, below: str, body: Any = None, *, signed: bool = True
    ) -> httpx.Response:
        path = REST_PATH + below
        headers = self.credentials.headers(method, path, 1_000_000) if signed else {}
        return await self.http.request(method, path, json=body, headers=headers)


@pytest.fixture
async def flood(key_dir: Path) -> Any:
    flood = Flood(key_dir)
    async with flood.http:
        yield flood


def _first(count: int) -> Iterator[int]:
    return iter(range(count))


async def test_one_request_too_many_is_answered_429_in_few_words(flood: Flood) -> None:
    statuses = [(await flood.ask("GET", "/portfolio/balance")).status_code for _ in _first(20)]
    refused = await flood.ask("GET", "/portfolio/balance")

    assert set(statuses) == {200}
    assert refused.status_code == 429
    assert refused.json() == {"error": "too many requests"}
    assert set(refused.headers) <= {"content-length", "content-type"}
    flood.now += SECOND // 20
    assert (await flood.ask("GET", "/portfolio/balance")).status_code == 200
    assert (await flood.ask("GET", "/portfolio/balance")).status_code == 429


async def test_what_needs_no_signature_is_free_for_those_who_do_not_sign(flood: Flood) -> None:
    free = [
        (await flood.ask("GET", "/exchange/status", signed=False)).status_code for _ in _first(30)
    ]
    signed = [(await flood.ask("GET", "/exchange/status")).status_code for _ in _first(21)]
    wrong = await flood.http.get(
        f"{REST_PATH}/exchange/status", headers={"KALSHI-ACCESS-SIGNATURE": "bm8="}
    )

    assert set(free) == {200}
    assert signed == [*[200] * 20, 429]
    assert wrong.status_code == 200


async def test_a_request_that_is_refused_for_its_body_was_paid_for(flood: Flood) -> None:
    for _ in _first(10):
        assert (await flood.ask("POST", "/portfolio/events/orders", {})).status_code == 400

    assert (await flood.ask("POST", "/portfolio/events/orders", {})).status_code == 429


async def test_a_batch_that_does_not_fit_places_nothing(flood: Flood) -> None:
    order = {"count": "1.00", "price": "0.0100", "side": "bid", "ticker": "SYN-7-01"}
    terms = {
        "time_in_force": "good_till_canceled",
        "self_trade_prevention_type": "taker_at_cross",
    }
    answer = await flood.ask(
        "POST", "/portfolio/events/orders/batched", {"orders": [order | terms] * 11}
    )

    assert answer.status_code == 429
    assert (await flood.ask("GET", "/portfolio/orders")).json()["orders"] == []
    answer = await flood.ask(
        "POST", "/portfolio/events/orders/batched", {"orders": [order | terms] * 10}
    )
    assert answer.status_code == 201

"""What an account may do: its limits, what endpoints cost, its keys."""

from typing import Any

import pytest
from order_desk import ORDERS, UNKNOWN, Desk

from kalshiflow.venue.limits import TIERS


async def test_the_limits_are_those_of_the_tier(desk_of: Any) -> None:
    for name in ("basic", "advanced", "prestige", "unlimited"):
        told = await desk_of(tier=name).get("/account/limits")
        tier = TIERS[name]
        assert told == {
            "usage_tier": name,
            "read": {"refill_rate": tier.read.rate, "bucket_capacity": tier.read.capacity},
            "write": {"refill_rate": tier.write.rate, "bucket_capacity": tier.write.capacity},
            "grants": [],
        }


async def test_the_costs_that_are_told_are_those_that_are_charged(desk_of: Any) -> None:
    desk = desk_of(tier="basic")
    told = await desk.get("/account/endpoint_costs")
    costs = {(one["method"], one["path"]): one["cost"] for one in told["endpoint_costs"]}

    paid = 0
    while (await desk.ask("DELETE", f"{ORDERS}/{UNKNOWN}")).status == 404:
        paid += costs["DELETE", "/trade-api/v2/portfolio/events/orders/:order_id"]

    assert paid == TIERS["basic"].write.capacity
    assert told["default_cost"] == 10


async def test_anybody_is_told_what_endpoints_cost(desk: Desk) -> None:
    assert (await desk.ask("GET", "/account/endpoint_costs", headers={})).status == 200


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/account/api_usage_level/volume_progress", {"volume_progress": []}),
        ("/portfolio/deposits", {"deposits": [], "cursor": ""}),
        ("/portfolio/withdrawals", {"withdrawals": [], "cursor": ""}),
        ("/historical/fills", {"fills": [], "cursor": ""}),
        ("/historical/orders", {"orders": [], "cursor": ""}),
        (
            "/historical/positions",
            {"market_positions": [], "event_positions": [], "cursor": ""},
        ),
    ],
)
async def test_what_does_not_happen_here_is_told_as_nothing(
    desk: Desk, path: str, told: dict[str, Any]
) -> None:
    assert await desk.get(path) == told
    assert (await desk.ask("GET", path, headers={})).status == 401


async def test_the_key_that_signs_is_the_one_there_is(desk: Desk) -> None:
    [key] = (await desk.get("/api_keys"))["api_keys"]

    assert key["api_key_id"] == desk.key_id
    assert key["scopes"] == ["read", "write"]


async def test_more_transfers_than_a_page_holds_cannot_be_asked_for(desk: Desk) -> None:
    assert (await desk.ask("GET", "/portfolio/deposits?limit=501")).status == 400
    assert (await desk.ask("GET", "/portfolio/withdrawals?limit=500")).status == 200

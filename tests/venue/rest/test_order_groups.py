"""Order groups over REST: made, read, triggered, reset, limited and deleted."""

from typing import Any

import pytest
from order_desk import ORDERS, UNKNOWN, Desk

GROUPS = "/portfolio/order_groups"


async def group_of(desk: Desk, **limit: Any) -> str:
    created = await desk.ask("POST", f"{GROUPS}/create", limit or {"contracts_limit": 10})
    assert created.status == 201, created.text
    assert (created.json["subaccount"], created.json["exchange_index"]) == (0, 0)
    return str(created.json["order_group_id"])


async def test_a_group_tells_its_limit_and_its_orders(desk: Desk) -> None:
    group = await group_of(desk)
    order_id = await desk.placed("bid", "0.1000", "1.00", order_group_id=group)

    one = await desk.get(f"{GROUPS}/{group}")
    listed = await desk.get(GROUPS)
    read = (await desk.get(f"/portfolio/orders/{order_id}"))["order"]

    assert one == {
        "is_auto_cancel_enabled": True,
        "orders": [order_id],
        "contracts_limit_fp": "10.00",
        "exchange_index": 0,
    }
    assert listed["order_groups"] == [
        {
            "id": group,
            "is_auto_cancel_enabled": True,
            "contracts_limit_fp": "10.00",
            "exchange_index": 0,
        }
    ]
    assert read["order_group_id"] == group


@pytest.mark.parametrize(
    ("limit", "told"),
    [
        ({"contracts_limit": 5}, "5.00"),
        ({"contracts_limit_fp": "2.50"}, "2.50"),
        ({"contracts_limit": 5, "contracts_limit_fp": "5"}, "5.00"),
    ],
)
async def test_a_limit_is_told_as_a_number_as_text_or_as_both(
    desk: Desk, limit: dict[str, Any], told: str
) -> None:
    group = await group_of(desk, **limit)

    assert (await desk.get(f"{GROUPS}/{group}"))["contracts_limit_fp"] == told


@pytest.mark.parametrize(
    ("limit", "code"),
    [
        ({}, "missing_parameters"),
        ({"contracts_limit": 0}, "invalid_order_size"),
        ({"contracts_limit": -3}, "invalid_order_size"),
        ({"contracts_limit": 10**40}, "invalid_order_size"),
        ({"contracts_limit_fp": "many"}, "invalid_order_size"),
        ({"contracts_limit": 5, "contracts_limit_fp": "6.00"}, "invalid_parameters"),
        ({"contracts_limit": "5"}, "bad_request"),
        ({"contracts_limit": 5, "subaccount": 2}, "invalid_parameters"),
    ],
)
async def test_a_limit_that_is_none_makes_no_group(
    desk: Desk, limit: dict[str, Any], code: str
) -> None:
    created = await desk.ask("POST", f"{GROUPS}/create", limit)

    assert (created.status, created.code) == (400, code)
    assert (await desk.get(GROUPS))["order_groups"] == []


async def test_a_triggered_group_takes_no_orders_until_it_is_reset(desk: Desk) -> None:
    group = await group_of(desk)
    order_id = await desk.placed("bid", "0.1000", "1.00", order_group_id=group)

    triggered = await desk.ask("PUT", f"{GROUPS}/{group}/trigger", {})
    refused = await desk.create("bid", "0.1000", "1.00", order_group_id=group)
    reset = await desk.ask("PUT", f"{GROUPS}/{group}/reset")
    taken = await desk.create("bid", "0.1000", "1.00", order_group_id=group)

    assert (triggered.status, triggered.json) == (200, {})
    assert (await desk.get(f"/portfolio/orders/{order_id}"))["order"]["status"] == "canceled"
    assert (refused.status, refused.code) == (400, "invalid_order")
    assert (reset.status, reset.json, taken.status) == (200, {}, 201)


async def test_fills_beyond_the_limit_within_fifteen_seconds_trigger_the_group(desk: Desk) -> None:
    group = await group_of(desk, contracts_limit=3)
    for price in ("0.3000", "0.2000"):
        await desk.placed("bid", price, "3.00", order_group_id=group)

    desk.takes("ask", "0.3000", "2.00")
    desk.wait(16)
    desk.takes("ask", "0.3000", "1.00")
    within = await desk.get("/portfolio/orders?status=resting")
    desk.takes("ask", "0.2000", "2.00")
    at_the_limit = await desk.get("/portfolio/orders?status=resting")
    lowered = await desk.ask("PUT", f"{GROUPS}/{group}/limit", {"contracts_limit_fp": "2.00"})
    beyond = await desk.get("/portfolio/orders?status=resting")

    assert [len(page["orders"]) for page in (within, at_the_limit, beyond)] == [1, 1, 0]
    assert (lowered.status, lowered.json) == (200, {})
    assert (await desk.get(f"{GROUPS}/{group}"))["contracts_limit_fp"] == "2.00"


async def test_a_deleted_group_takes_its_orders_with_it(desk: Desk) -> None:
    group = await group_of(desk)
    order_id = await desk.placed("bid", "0.1000", "1.00", order_group_id=group)

    deleted = await desk.ask("DELETE", f"{GROUPS}/{group}")

    assert (deleted.status, deleted.json) == (200, {})
    assert (await desk.ask("GET", f"{GROUPS}/{group}")).status == 404
    assert (await desk.ask("DELETE", f"{ORDERS}/{order_id}")).status == 404
    assert (await desk.get(GROUPS))["order_groups"] == []


@pytest.mark.parametrize(
    ("method", "below"),
    [("GET", ""), ("DELETE", ""), ("PUT", "/reset"), ("PUT", "/trigger"), ("PUT", "/limit")],
)
async def test_a_group_that_is_not_there_is_not_found(desk: Desk, method: str, below: str) -> None:
    answer = await desk.ask(method, f"{GROUPS}/{UNKNOWN}{below}", {"contracts_limit": 5})

    assert (answer.status, answer.code) == (404, "not_found")


async def test_groups_of_another_subaccount_are_none(desk: Desk) -> None:
    group = await group_of(desk)

    assert (await desk.get(f"{GROUPS}?subaccount=4"))["order_groups"] == []
    assert (await desk.ask("DELETE", f"{GROUPS}/{group}?subaccount=4")).status == 400
    assert (await desk.ask("GET", f"{GROUPS}?subaccount=99")).status == 400

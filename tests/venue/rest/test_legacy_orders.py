"""The order endpoints of old, on the same books as today's: served, or gone."""

from typing import Any

import pytest
from order_desk import FIRST, ORDERS, UNKNOWN, Desk

OLD = "/portfolio/orders"


def old(side: str, action: str, count: int = 1, **options: Any) -> dict[str, Any]:
    return {"ticker": FIRST, "side": side, "action": action, "count": count, **options}


async def test_an_order_of_old_is_answered_whole_in_its_own_words(desk: Desk) -> None:
    created = await desk.ask("POST", OLD, old("no", "buy", 3, no_price=40, client_order_id="mine"))

    assert created.status == 201
    order = created.json["order"]
    assert (order["side"], order["action"], order["client_order_id"]) == ("no", "buy", "mine")
    assert (order["outcome_side"], order["book_side"]) == ("no", "ask")
    assert (order["yes_price_dollars"], order["no_price_dollars"]) == ("0.6000", "0.4000")
    assert (order["yes_price"], order["no_price"]) == (60, 40)
    assert (order["initial_count"], order["remaining_count"], order["fill_count"]) == (3, 3, 0)
    assert order["status"] == "resting"
    assert "self_trade_prevention_type" not in order
    assert (await desk.get(f"{OLD}/{order['order_id']}"))["order"] == order


@pytest.mark.parametrize(
    ("side", "action", "price", "book_side", "yes_price"),
    [
        ("yes", "buy", {"yes_price": 30}, "bid", "0.3000"),
        ("yes", "sell", {"yes_price": 30}, "ask", "0.3000"),
        ("no", "buy", {"no_price": 30}, "ask", "0.7000"),
        ("no", "sell", {"no_price": 30}, "bid", "0.7000"),
        ("no", "buy", {"yes_price": 30}, "ask", "0.3000"),
        ("yes", "buy", {"no_price": 30}, "bid", "0.7000"),
        ("yes", "buy", {"yes_price_dollars": "0.3000"}, "bid", "0.3000"),
        ("no", "buy", {"no_price_dollars": "0.3000"}, "ask", "0.7000"),
    ],
)
async def test_yes_and_no_become_bids_and_asks_on_yes(
    desk: Desk, side: str, action: str, price: dict[str, Any], book_side: str, yes_price: str
) -> None:
    created = await desk.ask("POST", OLD, old(side, action, **price))

    order = created.json["order"]
    assert (order["book_side"], order["yes_price_dollars"]) == (book_side, yes_price)
    assert (order["side"], order["action"]) == (side, action)


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"yes_price": None}, 400, "invalid_order"),
        ({"no_price": 20}, 400, "invalid_order"),
        ({"yes_price": 0}, 400, "invalid_price"),
        ({"yes_price": 100}, 400, "invalid_price"),
        ({"yes_price": 10.5}, 400, "bad_request"),
        ({"yes_price": "10"}, 400, "bad_request"),
        ({"count": "1"}, 400, "bad_request"),
        ({"count": None}, 400, "missing_parameters"),
        ({"count": 0}, 400, "invalid_order_size"),
        ({"count": 2, "count_fp": "1.00"}, 400, "invalid_parameters"),
        ({"side": "bid"}, 400, "bad_request"),
        ({"action": "hold"}, 400, "bad_request"),
        ({"action": ""}, 400, "missing_parameters"),
        ({"time_in_force": "gtt"}, 400, "bad_request"),
        ({"sell_position_floor": 2}, 400, "invalid_order"),
        ({"sell_position_floor": 0}, 400, "invalid_order"),
        ({"expiration_ts": 1}, 400, "invalid_order"),
        ({"post_only": True, "yes_price": 60}, 400, "invalid_order"),
        ({"ticker": "KXNO"}, 404, "not_found"),
        ({"count": 100_000}, 400, "insufficient_balance"),
        ({"subaccount": 4}, 400, "invalid_parameters"),
    ],
)
async def test_an_order_of_old_that_cannot_be_is_refused(
    desk: Desk, change: dict[str, Any], status: int, code: str
) -> None:
    desk.rests("ask", "0.6000", "1.00")

    answer = await desk.ask("POST", OLD, {**old("yes", "buy", yes_price=10), **change})

    assert (answer.status, answer.code) == (status, code)
    assert desk.account.orders == {}


async def test_an_order_with_a_most_cost_is_filled_whole_within_it_or_not_at_all(
    desk: Desk,
) -> None:
    desk.rests("ask", "0.5000", "1.00")
    desk.rests("ask", "0.6000", "1.00")
    asked = old("yes", "buy", 2, yes_price=99)

    dear = await desk.ask("POST", OLD, {**asked, "buy_max_cost": 109})
    many = await desk.ask("POST", OLD, {**asked, "count": 3, "buy_max_cost": 500})
    paid = await desk.ask("POST", OLD, {**asked, "buy_max_cost": 110})

    assert (dear.status, dear.code) == (409, "invalid_order")
    assert (many.status, many.code) == (409, "invalid_order")
    assert (paid.json["order"]["status"], paid.json["order"]["taker_fill_cost"]) == (
        "executed",
        110,
    )


async def test_a_cancel_tells_the_order_and_what_it_took(desk: Desk) -> None:
    order_id = await desk.placed("bid", "0.1000", "2.50")

    first = await desk.ask("DELETE", f"{OLD}/{order_id}")
    second = await desk.ask("DELETE", f"{OLD}/{order_id}")

    assert (first.json["reduced_by"], first.json["reduced_by_fp"]) == (3, "2.50")
    assert (first.json["order"]["status"], first.json["order"]["remaining_count"]) == (
        "canceled",
        0,
    )
    assert (second.status, second.code) == (404, "not_found")


async def test_an_amendment_tells_the_order_before_and_after(desk: Desk) -> None:
    created = await desk.ask("POST", OLD, old("no", "buy", 3, no_price=40, client_order_id="mine"))
    order_id = created.json["order"]["order_id"]
    terms = {"ticker": FIRST, "side": "no", "action": "buy", "client_order_id": "mine"}

    answer = await desk.ask(
        "POST", f"{OLD}/{order_id}/amend", {**terms, "updated_client_order_id": "x", "no_price": 45}
    )

    before, after = answer.json["old_order"], answer.json["order"]
    assert (before["no_price"], before["client_order_id"]) == (40, "mine")
    assert (after["no_price"], after["client_order_id"]) == (45, "x")
    assert after["remaining_count"] == 3


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"no_price": None}, 400, "invalid_order"),
        ({"side": "yes"}, 400, "order_side_mismatch"),
        ({"client_order_id": "other"}, 400, "order_id_and_client_order_id_mismatch"),
        ({"count": "5"}, 400, "bad_request"),
        ({"ticker": ""}, 400, "missing_parameters"),
    ],
)
async def test_an_amendment_of_old_that_cannot_be_is_refused(
    desk: Desk, change: dict[str, Any], status: int, code: str
) -> None:
    created = await desk.ask("POST", OLD, old("no", "buy", 3, no_price=40, client_order_id="mine"))
    order_id = created.json["order"]["order_id"]
    terms = {"ticker": FIRST, "side": "no", "action": "buy", "no_price": 45, **change}

    answer = await desk.ask("POST", f"{OLD}/{order_id}/amend", terms)

    assert (answer.status, answer.code) == (status, code)


async def test_an_unknown_order_is_neither_amended_nor_decreased(desk: Desk) -> None:
    terms = {"ticker": FIRST, "side": "no", "action": "buy", "no_price": 45}

    assert (await desk.ask("POST", f"{OLD}/{UNKNOWN}/amend", terms)).status == 404
    assert (await desk.ask("POST", f"{OLD}/{UNKNOWN}/decrease", {"reduce_by": 1})).status == 404


async def test_an_order_is_decreased_by_or_to_whole_contracts(desk: Desk) -> None:
    order_id = await desk.placed("bid", "0.1000", "5.00")
    path = f"{OLD}/{order_id}/decrease"

    by = await desk.ask("POST", path, {"reduce_by": 2})
    to = await desk.ask("POST", path, {"reduce_to_fp": "1.50"})
    both = await desk.ask("POST", path, {"reduce_by": 1, "reduce_to": 1})
    none = await desk.ask("POST", path, {"reduce_to": 0})

    assert by.json["order"]["remaining_count_fp"] == "3.00"
    assert to.json["order"]["remaining_count_fp"] == "1.50"
    assert (both.status, both.code) == (400, "missing_parameters")
    assert none.json["order"]["status"] == "canceled"


async def test_batches_of_old_keep_the_order_of_the_request(desk: Desk) -> None:
    asked = [
        old("yes", "buy", yes_price=10, client_order_id="a"),
        old("yes", "buy", yes_price=100, client_order_id="b"),
        old("no", "sell", no_price=80),
    ]

    created = await desk.ask("POST", f"{OLD}/batched", {"orders": asked})
    made = [item["order"]["order_id"] for item in created.json["orders"] if item["order"]]
    cancelled = await desk.ask("DELETE", f"{OLD}/batched", {"ids": [made[1], UNKNOWN, made[0]]})
    again = await desk.ask("DELETE", f"{OLD}/batched", {"orders": [{"order_id": made[0]}]})
    nothing = await desk.ask("DELETE", f"{OLD}/batched", {})

    assert created.status == 201
    assert [item["client_order_id"] for item in created.json["orders"]] == ["a", "b", None]
    assert [item["error"] and item["error"]["code"] for item in created.json["orders"]] == [
        None,
        "invalid_price",
        None,
    ]
    assert [(item["order_id"], item["reduced_by"]) for item in cancelled.json["orders"]] == [
        (made[1], 1),
        (UNKNOWN, 0),
        (made[0], 1),
    ]
    assert cancelled.json["orders"][1]["error"]["code"] == "not_found"
    assert cancelled.json["orders"][0]["order"]["status"] == "canceled"
    assert again.json["orders"][0]["error"]["code"] == "not_found"
    assert (nothing.status, nothing.code) == (400, "missing_parameters")


async def test_old_and_new_endpoints_see_the_same_orders(desk: Desk) -> None:
    created = await desk.ask("POST", OLD, old("yes", "buy", 2, yes_price=10))
    order_id = created.json["order"]["order_id"]

    cancelled = await desk.ask("DELETE", f"{ORDERS}/{order_id}")

    assert cancelled.json["reduced_by"] == "2.00"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", OLD),
        ("DELETE", f"{OLD}/{UNKNOWN}"),
        ("POST", f"{OLD}/{UNKNOWN}/amend"),
        ("POST", f"{OLD}/{UNKNOWN}/decrease"),
        ("POST", f"{OLD}/batched"),
        ("DELETE", f"{OLD}/batched"),
    ],
)
async def test_where_they_are_gone_they_say_where_to_go(
    desk_of: Any, method: str, path: str
) -> None:
    desk = desk_of(strict_v1=True)

    answer = await desk.ask(method, path, old("yes", "buy", yes_price=10))

    assert answer.status == 410
    assert answer.json["error"]["code"] == "deprecated_v1_order_endpoint"
    assert answer.json["error"]["message"] == "Please switch to the V2 endpoints"
    assert answer.json["error"]["details"].startswith("https://docs.kalshi.com/")
    assert desk.account.orders == {}


async def test_where_they_are_gone_orders_are_still_read(desk_of: Any) -> None:
    desk = desk_of(strict_v1=True)
    order_id = await desk.placed("bid", "0.1000", "1.00")

    assert (await desk.get(f"{OLD}/{order_id}"))["order"]["order_id"] == order_id
    assert len((await desk.get(OLD))["orders"]) == 1

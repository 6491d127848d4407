"""Several orders in one request: each by itself, all in their order, paid for as a whole."""

from typing import Any

from order_desk import FIRST, ORDERS, START, UNKNOWN, Desk, order

BATCH = f"{ORDERS}/batched"
NOW_MS = START // 1_000_000
# What is told of an order that was refused.
NOTHING: dict[str, Any] = {
    "fill_count": None,
    "remaining_count": None,
    "average_fill_price": None,
    "average_fee_paid": None,
    "ts_ms": None,
}


async def test_each_order_is_taken_or_refused_by_itself_in_the_order_of_the_request(
    desk: Desk,
) -> None:
    desk.rests("ask", "0.6000", "1.00")
    desk.rests("ask", "0.8000", "1.00")
    asked = [
        order("bid", "0.1000", "1.00", client_order_id="a"),
        order("bid", "0.1050", "1.00", client_order_id="b"),
        order("bid", "0.6000", "2.00"),
        order("bid", "0.2000", "1.00", client_order_id="a"),
        order("bid", "0.2000", "1.00", ticker="KXNO"),
        order("bid", "0.9000", "1.00", post_only=True),
    ]

    answer = await desk.ask("POST", BATCH, {"orders": asked})

    assert answer.status == 201
    first, *refused = answer.json["orders"]
    taken = refused.pop(1)
    assert (first["client_order_id"], first["remaining_count"], first["ts_ms"]) == (
        "a",
        "1.00",
        NOW_MS,
    )
    assert "error" not in first
    assert (taken["fill_count"], taken["remaining_count"]) == ("1.00", "1.00")
    assert (taken["average_fill_price"], taken["average_fee_paid"]) == ("0.6000", "0.0168")
    assert [(one["client_order_id"], one["error"]["code"]) for one in refused] == [
        ("b", "invalid_price"),
        ("a", "order_already_exists"),
        (None, "not_found"),
        (None, "invalid_order"),
    ]
    assert refused[0] == {
        "client_order_id": "b",
        **NOTHING,
        "error": {"code": "invalid_price", "message": "invalid price"},
    }
    assert refused[3]["error"]["details"] == "post only cross"
    assert list(desk.account.orders) == [first["order_id"], taken["order_id"]]


async def test_a_batch_with_an_order_that_cannot_be_read_is_refused_whole(desk: Desk) -> None:
    good = order("bid", "0.1000", "1.00")

    numbers = await desk.ask("POST", BATCH, {"orders": [good, {**good, "count": 1}]})
    words = await desk.ask("POST", BATCH, {"orders": [good, {**good, "side": "yes"}]})
    absent = await desk.ask("POST", BATCH, {"orders": [good, {"ticker": FIRST}]})
    nothing = await desk.ask("POST", BATCH, {})

    assert numbers.status == 400
    assert "CreateOrderV2Request.orders.count of type string" in numbers.json["details"]
    assert (words.status, words.code) == (400, "bad_request")
    assert (absent.status, absent.code) == (400, "missing_parameters")
    assert "BatchCreateOrdersV2Request.Orders[1].Side" in absent.json["error"]["details"]
    assert (nothing.status, nothing.code) == (400, "missing_parameters")
    assert desk.account.orders == {}


async def test_a_batch_of_cancels_tells_of_each_what_it_took(desk: Desk) -> None:
    one = await desk.placed("bid", "0.1000", "3.00", client_order_id="mine")
    two = await desk.placed("bid", "0.2000", "1.00")
    asked = [
        {"order_id": two},
        {"order_id": UNKNOWN},
        {"order_id": one, "subaccount": 0, "exchange_index": -1, "market_ticker": FIRST},
        {"order_id": one, "subaccount": 5},
        {"order_id": two},
    ]

    answer = await desk.ask("DELETE", BATCH, {"orders": asked})

    assert answer.status == 200
    told = answer.json["orders"]
    assert [(item["order_id"], item["reduced_by"]) for item in told] == [
        (two, "1.00"),
        (UNKNOWN, "0.00"),
        (one, "3.00"),
        (one, "0.00"),
        (two, "0.00"),
    ]
    assert [item.get("error", {}).get("code") for item in told] == [
        None,
        "not_found",
        None,
        "invalid_parameters",
        "not_found",
    ]
    assert (told[2]["client_order_id"], told[2]["ts_ms"]) == ("mine", NOW_MS)
    assert told[1]["ts_ms"] is None


async def test_an_empty_batch_does_nothing(desk: Desk) -> None:
    created = await desk.ask("POST", BATCH, {"orders": []})
    cancelled = await desk.ask("DELETE", BATCH, {"orders": []})

    assert (created.status, created.json) == (201, {"orders": []})
    assert (cancelled.status, cancelled.json) == (200, {"orders": []})


async def test_a_batch_is_paid_for_as_a_whole_or_not_taken_at_all(desk_of: Any) -> None:
    desk = desk_of(tier="basic")  # a hundred tokens: ten creates

    async def batch(count: int) -> Any:
        asked = [order("bid", "0.1000", "1.00") for _ in range(count)]
        return (await desk.ask("POST", BATCH, {"orders": asked})).status

    assert await batch(11) == 429
    assert desk.account.orders == {}
    assert await batch(7) == 201
    assert await batch(4) == 429
    assert len(desk.account.orders) == 7
    desk.wait(0.1)
    assert await batch(4) == 201


async def test_a_cancel_in_a_batch_costs_what_a_cancel_costs(desk_of: Any) -> None:
    desk = desk_of(tier="basic")
    asked = {"orders": [{"order_id": UNKNOWN}] * 50}

    first = await desk.ask("DELETE", BATCH, asked)
    second = await desk.ask("DELETE", f"{ORDERS}/{UNKNOWN}")

    assert (first.status, second.status) == (200, 429)
    assert second.json == {"error": "too many requests"}


async def test_a_batch_that_cannot_be_read_costs_one_order(desk_of: Any) -> None:
    desk = desk_of(tier="basic")

    statuses = [(await desk.ask("POST", BATCH, raw=b"{")).status for _ in range(11)]

    assert statuses == [400] * 10 + [429]

"""Orders of one's own: created, changed, cancelled and read, and how each wrong one is refused."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from order_desk import CLOSE, FINE, FIRST, ORDERS, SECOND_ONE, START, UNKNOWN, Desk, order

from kalshiflow.venue.clock import SECOND

LATER = START // SECOND + 60


async def test_a_new_order_rests_and_is_read_back(desk: Desk) -> None:
    created = await desk.create("bid", "0.5600", "10.00", client_order_id="mine")

    assert created.status == 201
    order_id = created.json["order_id"]
    assert created.json == {
        "order_id": order_id,
        "client_order_id": "mine",
        "fill_count": "0.00",
        "remaining_count": "10.00",
        "ts_ms": START // 1_000_000,
    }
    read = (await desk.get(f"/portfolio/orders/{order_id}"))["order"]
    assert read["status"] == "resting"
    assert (read["side"], read["action"], read["book_side"]) == ("yes", "buy", "bid")
    assert (read["yes_price_dollars"], read["no_price_dollars"]) == ("0.5600", "0.4400")
    assert (read["yes_price"], read["no_price"]) == (56, 44)
    assert (read["initial_count_fp"], read["initial_count"]) == ("10.00", 10)
    assert read["queue_position"] == 0
    assert desk.flushes == 1


async def test_an_ask_is_told_as_selling_yes(desk: Desk) -> None:
    order_id = await desk.placed("ask", "0.5600", "1.00")

    read = (await desk.get(f"/portfolio/orders/{order_id}"))["order"]

    assert (read["side"], read["action"]) == ("yes", "sell")
    assert (read["outcome_side"], read["book_side"]) == ("no", "ask")


async def test_a_taker_is_told_its_average_price_and_fee(desk: Desk) -> None:
    desk.rests("ask", "0.5000", "1.00")
    desk.rests("ask", "0.5200", "1.00")

    taken = await desk.create("bid", "0.9900", "2.00", time_in_force="immediate_or_cancel")

    assert taken.json["fill_count"] == "2.00"
    assert taken.json["remaining_count"] == "0.00"
    assert taken.json["average_fill_price"] == "0.5100"
    assert taken.json["average_fee_paid"] == "0.0175"


async def test_whole_numbers_are_rounded_and_text_is_exact(desk: Desk) -> None:
    order_id = await desk.placed("bid", "0.5550", "2.50", ticker=FINE)

    read = (await desk.get(f"/portfolio/orders/{order_id}"))["order"]

    assert (read["yes_price_dollars"], read["remaining_count_fp"]) == ("0.5550", "2.50")
    assert (read["yes_price"], read["no_price"], read["remaining_count"]) == (56, 44, 3)


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"side": "up"}, 400, "bad_request"),
        ({"time_in_force": "forever"}, 400, "bad_request"),
        ({"self_trade_prevention_type": "none"}, 400, "bad_request"),
        ({"ticker": ""}, 400, "missing_parameters"),
        ({"ticker": None}, 400, "missing_parameters"),
        ({"price": None}, 400, "missing_parameters"),
        ({"side": ""}, 400, "missing_parameters"),
        ({"count": "0.00"}, 400, "invalid_order_size"),
        ({"count": "-1.00"}, 400, "invalid_order_size"),
        ({"count": "1.005"}, 400, "invalid_order_size"),
        ({"count": "9" * 5000}, 400, "invalid_order_size"),
        ({"price": "0.0000"}, 400, "invalid_price"),
        ({"price": "1.0000"}, 400, "invalid_price"),
        ({"price": "0.5550"}, 400, "invalid_price"),
        ({"price": "cheap"}, 400, "invalid_price"),
        ({"ticker": "KXNO"}, 404, "not_found"),
        ({"count": "1800.00"}, 400, "insufficient_balance"),
        ({"expiration_time": 1}, 400, "invalid_order"),
        ({"expiration_time": 10**30}, 400, "invalid_order"),
        (
            {"expiration_time": LATER, "time_in_force": "immediate_or_cancel"},
            400,
            "invalid_order",
        ),
        ({"time_in_force": "fill_or_kill"}, 409, "invalid_order"),
        ({"post_only": True, "price": "0.6000"}, 400, "invalid_order"),
        ({"reduce_only": True}, 400, "invalid_order"),
        ({"order_group_id": UNKNOWN}, 404, "not_found"),
        ({"subaccount": 3}, 400, "invalid_parameters"),
        ({"exchange_index": 2}, 400, "invalid_parameters"),
    ],
)
async def test_an_order_that_cannot_be_is_refused_in_kalshis_words(
    desk: Desk, change: dict[str, Any], status: int, code: str
) -> None:
    desk.rests("ask", "0.6000", "1.00")

    answer = await desk.create(**{**order("bid", "0.5600", "2.00"), **change})

    assert (answer.status, answer.code) == (status, code)
    assert desk.account.orders == {}


@pytest.mark.parametrize(
    ("change", "details"),
    [
        ({"count": 1}, "cannot unmarshal number into Go struct field {}.count of type string"),
        ({"price": 0.5}, "cannot unmarshal number into Go struct field {}.price of type string"),
        ({"ticker": []}, "cannot unmarshal array into Go struct field {}.ticker of type string"),
        ({"side": True}, "cannot unmarshal bool into Go struct field {}.side of type string"),
        ({"post_only": "x"}, "cannot unmarshal string into Go struct field {}.post_only of type"),
        (
            {"expiration_time": "now"},
            "cannot unmarshal string into Go struct field {}.expiration_time of type int64",
        ),
    ],
)
async def test_a_field_of_the_wrong_type_is_a_flat_400(
    desk: Desk, change: dict[str, Any], details: str
) -> None:
    answer = await desk.create(**{**order("bid", "0.5600", "2.00"), **change})

    assert answer.status == 400
    assert set(answer.json) == {"code", "message", "details"}
    assert details.format("CreateOrderV2Request") in answer.json["details"]


async def test_a_missing_field_is_named(desk: Desk) -> None:
    body = order("bid", "0.5600", "1.00")
    del body["self_trade_prevention_type"]

    answer = await desk.ask("POST", ORDERS, body)

    assert (answer.status, answer.code) == (400, "missing_parameters")
    assert "'SelfTradePreventionType' failed on the 'required'" in answer.json["error"]["details"]


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000, b'"\\ud800"'])
async def test_what_is_no_order_at_all_is_a_400(desk: Desk, raw: bytes) -> None:
    for method, path in (
        ("POST", ORDERS),
        ("POST", f"{ORDERS}/batched"),
        ("DELETE", f"{ORDERS}/batched"),
        ("POST", f"{ORDERS}/{UNKNOWN}/amend"),
        ("POST", f"{ORDERS}/{UNKNOWN}/decrease"),
        ("POST", "/portfolio/orders"),
        ("POST", "/portfolio/orders/batched"),
        ("POST", "/portfolio/order_groups/create"),
    ):
        answer = await desk.ask(method, path, raw=raw)
        assert (answer.status, answer.code) == (400, "bad_request"), path


async def test_a_client_order_id_is_used_up_for_ever(desk: Desk) -> None:
    order_id = await desk.placed("bid", "0.1000", "1.00", client_order_id="mine")
    await desk.ask("DELETE", f"{ORDERS}/{order_id}")

    again = await desk.create("bid", "0.1000", "1.00", client_order_id="mine")

    assert (again.status, again.code) == (409, "order_already_exists")


async def test_a_cancel_tells_what_it_took_and_a_second_one_finds_nothing(desk: Desk) -> None:
    order_id = await desk.placed("bid", "0.1000", "3.00", client_order_id="mine")
    path = f"{ORDERS}/{order_id}?subaccount=0&exchange_index=-1&market_ticker={FIRST}"

    first, second = await desk.ask("DELETE", path), await desk.ask("DELETE", path)

    assert first.json == {
        "order_id": order_id,
        "client_order_id": "mine",
        "reduced_by": "3.00",
        "ts_ms": START // 1_000_000,
    }
    assert (second.status, second.json) == (
        404,
        {"error": {"code": "not_found", "message": "not found"}},
    )
    read = (await desk.get(f"/portfolio/orders/{order_id}"))["order"]
    assert (read["status"], read["remaining_count_fp"]) == ("canceled", "0.00")
    assert read["initial_count_fp"] == "3.00"


async def test_somebody_elses_order_is_not_found(desk: Desk) -> None:
    theirs = desk.rests("bid", "0.1000", "1.00").order.order_id

    for method, path in (
        ("DELETE", f"{ORDERS}/{theirs}"),
        ("GET", f"/portfolio/orders/{theirs}"),
        ("GET", f"/portfolio/orders/{theirs}/queue_position"),
        ("DELETE", f"/portfolio/orders/{theirs}"),
    ):
        assert (await desk.ask(method, path)).status == 404, path
    amended = await desk.ask("POST", f"{ORDERS}/{theirs}/amend", terms("0.2000", "1.00"))
    assert amended.status == 404


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("subaccount=64", 400),
        ("subaccount=-1", 400),
        ("subaccount=x", 400),
        ("exchange_index=-1", 400),
        ("subaccount=5", 400),
        ("exchange_index=7", 400),
    ],
)
async def test_a_cancel_that_is_sent_elsewhere_is_refused(
    desk: Desk, query: str, status: int
) -> None:
    order_id = await desk.placed("bid", "0.1000", "1.00")

    assert (await desk.ask("DELETE", f"{ORDERS}/{order_id}?{query}")).status == status
    assert desk.account.orders[order_id].remaining


async def test_cancelling_all_leaves_nothing(desk: Desk) -> None:
    for price in ("0.1000", "0.2000", "0.3000"):
        await desk.placed("bid", price, "1.00")

    answer = await desk.ask("DELETE", ORDERS)

    assert (answer.status, answer.text) == (204, "")
    assert (await desk.get("/portfolio/orders?status=resting"))["orders"] == []
    assert desk.account.portfolio.reserved == 0


async def test_after_the_close_nothing_may_be_placed_or_cancelled(desk: Desk) -> None:
    order_id = await desk.placed("bid", "0.1000", "1.00")
    desk.wait((CLOSE - START) / SECOND)

    placed = await desk.create("bid", "0.1000", "1.00")
    cancelled = await desk.ask("DELETE", f"{ORDERS}/{order_id}")

    assert (placed.status, placed.code) == (400, "MARKET_INACTIVE")
    assert cancelled.status in {400, 404}
    read = (await desk.get(f"/portfolio/orders/{order_id}"))["order"]
    assert read["status"] in {"resting", "canceled"}


async def test_an_expiring_order_ends_at_its_time(desk: Desk) -> None:
    order_id = await desk.placed("bid", "0.1000", "1.00", expiration_time=LATER)

    desk.wait(59)
    before = (await desk.get(f"/portfolio/orders/{order_id}"))["order"]
    desk.wait(1)
    after = (await desk.get(f"/portfolio/orders/{order_id}"))["order"]

    assert (before["status"], after["status"]) == ("resting", "canceled")
    assert before["expiration_time"] == "2026-11-20T09:01:00Z"


# --- amend and decrease ------------------------------------------------------------------------


def terms(price: str, count: str, **options: Any) -> dict[str, Any]:
    return {"ticker": FIRST, "side": "bid", "price": price, "count": count, **options}


async def test_an_amendment_tells_what_it_changed(desk: Desk) -> None:
    order_id = await desk.placed("bid", "0.1000", "5.00", client_order_id="mine")
    path = f"{ORDERS}/{order_id}/amend"

    fewer = await desk.ask("POST", path, terms("0.1000", "3.00", client_order_id="mine"))
    priced = await desk.ask("POST", path, terms("0.2000", "3.00", updated_client_order_id="new"))

    assert fewer.json == {
        "order_id": order_id,
        "client_order_id": "mine",
        "remaining_count": "3.00",
        "fill_count": "0.00",
        "average_fill_price": None,
        "average_fee_paid": None,
        "ts_ms": START // 1_000_000,
    }
    assert (priced.json["remaining_count"], priced.json["client_order_id"]) == (None, "new")
    read = (await desk.get(f"/portfolio/orders/{order_id}"))["order"]
    assert (read["yes_price_dollars"], read["remaining_count_fp"]) == ("0.2000", "3.00")
    again = await desk.create("bid", "0.1000", "1.00", client_order_id="new")
    assert again.code == "order_already_exists"


async def test_an_amendment_that_crosses_tells_its_own_fills_only(desk: Desk) -> None:
    desk.rests("ask", "0.3000", "1.00")
    order_id = await desk.placed("bid", "0.3000", "5.00")
    desk.rests("ask", "0.4000", "2.00")

    crossed = await desk.ask("POST", f"{ORDERS}/{order_id}/amend", terms("0.4500", "6.00"))

    assert (crossed.json["fill_count"], crossed.json["remaining_count"]) == ("2.00", "3.00")
    assert crossed.json["average_fill_price"] == "0.4000"
    assert crossed.json["average_fee_paid"] == "0.0168"


async def test_fewer_contracts_keep_the_place_in_the_queue_and_more_lose_it(desk: Desk) -> None:
    order_id = await desk.placed("bid", "0.1000", "5.00")
    desk.rests("bid", "0.1000", "7.00")

    async def ahead() -> tuple[str, int]:
        told = await desk.get(f"/portfolio/orders/{order_id}/queue_position")
        return told["queue_position_fp"], told["queue_position"]

    await desk.ask("POST", f"{ORDERS}/{order_id}/amend", terms("0.1000", "4.00"))
    assert await ahead() == ("0.00", 0)
    await desk.ask("POST", f"{ORDERS}/{order_id}/decrease", {"reduce_by": "1.00"})
    assert await ahead() == ("0.00", 0)
    await desk.ask("POST", f"{ORDERS}/{order_id}/amend", terms("0.1000", "8.00"))
    assert await ahead() == ("7.00", 7)


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"ticker": SECOND_ONE}, 400, "order_ticker_mismatch"),
        ({"side": "ask"}, 400, "order_side_mismatch"),
        ({"client_order_id": "other"}, 400, "order_id_and_client_order_id_mismatch"),
        ({"updated_client_order_id": "taken"}, 409, "order_already_exists"),
        ({"price": "0.1050"}, 400, "invalid_price"),
        ({"count": "0.00"}, 400, "invalid_order_size"),
        ({"count": "90000.00"}, 400, "insufficient_balance"),
        ({"expiration": 5}, 400, "invalid_order"),
        ({"side": ""}, 400, "missing_parameters"),
        ({"price": None}, 400, "missing_parameters"),
        ({"count": 1}, 400, "bad_request"),
        ({"exchange_index": 4}, 400, "invalid_parameters"),
    ],
)
async def test_an_amendment_that_cannot_be_changes_nothing(
    desk: Desk, change: dict[str, Any], status: int, code: str
) -> None:
    await desk.placed("bid", "0.0500", "1.00", client_order_id="taken")
    order_id = await desk.placed("bid", "0.1000", "5.00", client_order_id="mine")

    answer = await desk.ask(
        "POST", f"{ORDERS}/{order_id}/amend", {**terms("0.2000", "6.00"), **change}
    )

    assert (answer.status, answer.code) == (status, code)
    read = (await desk.get(f"/portfolio/orders/{order_id}"))["order"]
    assert (read["yes_price_dollars"], read["remaining_count_fp"]) == ("0.1000", "5.00")


async def test_an_order_is_decreased_by_or_to_and_nothing_left_ends_it(desk: Desk) -> None:
    order_id = await desk.placed("bid", "0.1000", "5.00")
    path = f"{ORDERS}/{order_id}/decrease"

    by = await desk.ask("POST", path, {"reduce_by": "1.50", "market_ticker": FIRST})
    to = await desk.ask("POST", path, {"reduce_to": "2.00"})
    none = await desk.ask("POST", path, {"reduce_to": "0.00"})
    ended = await desk.ask("POST", path, {"reduce_to": "0.00"})

    assert [answer.json["remaining_count"] for answer in (by, to, none)] == ["3.50", "2.00", "0.00"]
    assert set(by.json) == {"order_id", "remaining_count", "ts_ms"}
    assert (ended.status, ended.code) == (404, "not_found")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "missing_parameters"),
        ({"reduce_by": "1.00", "reduce_to": "1.00"}, "missing_parameters"),
        ({"reduce_by": "0.00"}, "invalid_order_size"),
        ({"reduce_by": "9.00"}, "invalid_order_size"),
        ({"reduce_to": "-1.00"}, "invalid_order_size"),
        ({"reduce_to": "lots"}, "invalid_order_size"),
        ({"reduce_by": 1}, "bad_request"),
        ({"reduce_by": "1.00", "exchange_index": -1}, "missing_parameters"),
    ],
)
async def test_a_decrease_that_cannot_be_is_refused(
    desk: Desk, body: dict[str, Any], code: str
) -> None:
    order_id = await desk.placed("bid", "0.1000", "5.00")

    answer = await desk.ask("POST", f"{ORDERS}/{order_id}/decrease", body)

    assert (answer.status, answer.code) == (400, code)


# --- reads ---------------------------------------------------------------------------------------


async def ids_of(desk: Desk, query: str) -> list[str]:
    return [one["order_id"] for one in (await desk.get(f"/portfolio/orders?{query}"))["orders"]]


async def test_orders_are_filtered_and_the_newest_comes_first(desk: Desk) -> None:
    first = await desk.placed("bid", "0.1000", "1.00")
    desk.wait(10)
    second = await desk.placed("bid", "0.1000", "1.00", ticker=SECOND_ONE)
    desk.wait(10)
    third = await desk.placed("bid", "0.1000", "1.00", ticker=FINE)
    await desk.ask("DELETE", f"{ORDERS}/{second}")
    now = START // SECOND

    assert await ids_of(desk, "") == [third, second, first]
    assert await ids_of(desk, f"ticker={FINE}") == [third]
    assert await ids_of(desk, "event_ticker=KXA-26") == [second, first]
    assert await ids_of(desk, "event_ticker=KXA-26,KXB-26") == [third, second, first]
    assert await ids_of(desk, "status=canceled") == [second]
    assert await ids_of(desk, "status=resting") == [third, first]
    assert await ids_of(desk, "status=executed") == []
    assert await ids_of(desk, f"min_ts={now + 5}&max_ts={now + 15}") == [second]
    assert await ids_of(desk, "subaccount=0&exchange_index=0") == [third, second, first]
    assert await ids_of(desk, "subaccount=1") == []
    assert await ids_of(desk, "exchange_index=2") == []


@pytest.mark.parametrize(
    "query",
    [
        "limit=1001",
        "limit=-1",
        "limit=x",
        "status=open",
        "min_ts=soon",
        "subaccount=64",
        "exchange_index=-1",
        "event_ticker=" + ",".join(f"KX{n}" for n in range(11)),
    ],
)
async def test_a_query_that_fails_validation_is_told_so(desk: Desk, query: str) -> None:
    answer = await desk.ask("GET", f"/portfolio/orders?{query}")

    assert answer.status == 400
    assert list(answer.json) == ["msg"]
    assert "GetOrdersParams" in answer.json["msg"]


async def test_new_orders_between_two_pages_shift_nothing(desk: Desk) -> None:
    told = [await desk.placed("bid", "0.1000", "1.00") for _ in range(5)]
    seen: list[str] = []
    cursor = ""
    for _ in range(3):
        page = await desk.get(f"/portfolio/orders?limit=2&cursor={cursor}")
        seen += [one["order_id"] for one in page["orders"]]
        cursor = page["cursor"]
        await desk.placed("bid", "0.1000", "1.00")

    assert seen == told[::-1]
    assert cursor == ""


async def test_an_order_that_ends_between_two_pages_hides_none(desk: Desk) -> None:
    told = [await desk.placed("bid", "0.1000", "1.00") for _ in range(4)]
    first = await desk.get("/portfolio/orders?status=resting&limit=2")
    for order_id in told[2:]:
        await desk.ask("DELETE", f"{ORDERS}/{order_id}")

    rest = await ids_of(desk, f"status=resting&limit=2&cursor={first['cursor']}")

    assert rest == [told[1], told[0]]


async def test_a_cursor_of_nobodys_begins_anew(desk: Desk) -> None:
    told = await desk.placed("bid", "0.1000", "1.00")

    for cursor in ("garbage", "%C3%A4", "x" * 2000, "OTk5OTk5OS8"):
        assert await ids_of(desk, f"cursor={cursor}") == [told]


async def test_queue_positions_are_told_of_what_rests(desk: Desk) -> None:
    desk.rests("bid", "0.1000", "7.00")
    first = await desk.placed("bid", "0.1000", "1.00")
    second = await desk.placed("ask", "0.9000", "1.00", ticker=SECOND_ONE)
    third = await desk.placed("bid", "0.1000", "1.00", ticker=FINE)

    async def places(query: str) -> list[tuple[str, str, int]]:
        told = (await desk.get(f"/portfolio/orders/queue_positions?{query}"))["queue_positions"]
        return [(one["order_id"], one["queue_position_fp"], one["queue_position"]) for one in told]

    assert await places("") == [(first, "7.00", 7), (second, "0.00", 0), (third, "0.00", 0)]
    assert await places(f"market_tickers={FIRST},{FINE}") == [
        (first, "7.00", 7),
        (third, "0.00", 0),
    ]
    assert await places("event_ticker=KXA-26") == [(first, "7.00", 7), (second, "0.00", 0)]
    assert await places("subaccount=3") == []


async def test_what_rests_is_worth_its_limits(desk: Desk) -> None:
    await desk.placed("bid", "0.1000", "3.00")
    await desk.placed("ask", "0.9000", "2.00")

    told = await desk.get("/portfolio/summary/total_resting_order_value")

    assert told == {
        "total_resting_order_value": 50,
        "resting_order_value_breakdown": [{"exchange_index": 0, "balance": "0.500000"}],
    }


# --- anything ------------------------------------------------------------------------------------

WORDS = st.sampled_from(
    [
        *("bid", "ask", "yes", "no", "buy", "sell", FIRST, "KXNO", "", "mine", UNKNOWN),
        *("good_till_canceled", "immediate_or_cancel", "fill_or_kill", "taker_at_cross", "maker"),
        *("0.5000", "0.5", "1.00", "10", "-1.00", "0", "1e3", "١", "0.00001"),
    ]
)
VALUES = st.one_of(
    WORDS,
    st.text(max_size=4),
    st.integers(-(10**30), 10**30),
    st.integers(-2, 120),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.none(),
    st.lists(WORDS, max_size=2),
)
FIELDS = (
    *("ticker", "side", "action", "count", "price", "count_fp", "yes_price", "no_price"),
    *("yes_price_dollars", "no_price_dollars", "time_in_force", "self_trade_prevention_type"),
    *("client_order_id", "updated_client_order_id", "expiration_time", "expiration_ts"),
    *("expiration", "post_only", "reduce_only", "buy_max_cost", "sell_position_floor"),
    *("order_group_id", "cancel_order_on_pause", "subaccount", "exchange_index", "reduce_by"),
    *("reduce_to", "reduce_by_fp", "reduce_to_fp", "market_ticker", "order_id", "ids", "orders"),
    *("contracts_limit", "contracts_limit_fp"),
)
THINGS = st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=8)
GOOD = order("bid", "0.5000", "1.00")
GOOD_OLD = {"ticker": FIRST, "side": "no", "action": "buy", "count": 1, "no_price": 50}
BODIES = st.one_of(
    THINGS,
    THINGS.map(lambda change: {**GOOD, **change}),
    THINGS.map(lambda change: {**GOOD_OLD, **change}),
    st.lists(THINGS.map(lambda change: {**GOOD, **change}), max_size=3).map(
        lambda orders: {"orders": orders}
    ),
    VALUES,
)
QUERIES = st.dictionaries(
    st.sampled_from(
        [
            *("limit", "cursor", "status", "ticker", "event_ticker", "min_ts", "max_ts"),
            *("subaccount", "exchange_index", "market_ticker", "market_tickers", "count_filter"),
        ]
    ),
    st.one_of(WORDS, st.integers(-5, 2000).map(str), st.text(st.characters(codec="ascii"))),
    max_size=3,
)
PATHS = st.sampled_from(
    [
        ("POST", ORDERS),
        ("DELETE", ORDERS),
        ("POST", f"{ORDERS}/batched"),
        ("DELETE", f"{ORDERS}/batched"),
        ("DELETE", f"{ORDERS}/{{}}"),
        ("POST", f"{ORDERS}/{{}}/amend"),
        ("POST", f"{ORDERS}/{{}}/decrease"),
        ("POST", "/portfolio/orders"),
        ("POST", "/portfolio/orders/batched"),
        ("DELETE", "/portfolio/orders/batched"),
        ("DELETE", "/portfolio/orders/{}"),
        ("POST", "/portfolio/orders/{}/amend"),
        ("POST", "/portfolio/orders/{}/decrease"),
        ("GET", "/portfolio/orders"),
        ("GET", "/portfolio/orders/{}"),
        ("GET", "/portfolio/orders/{}/queue_position"),
        ("GET", "/portfolio/orders/queue_positions"),
        ("GET", "/portfolio/fills"),
        ("GET", "/portfolio/positions"),
        ("GET", "/portfolio/settlements"),
        ("GET", "/portfolio/balance"),
        ("POST", "/portfolio/order_groups/create"),
        ("GET", "/portfolio/order_groups"),
        ("PUT", "/portfolio/order_groups/{}/limit"),
        ("PUT", "/portfolio/order_groups/{}/reset"),
        ("DELETE", "/portfolio/order_groups/{}"),
        ("PATCH", "/portfolio/orders/{}"),
        ("GET", "/portfolio/{}"),
    ]
)
LETTERS = st.characters(categories=("L", "N"), include_characters="-_ ")
NAMES = st.one_of(st.sampled_from(["0", "1", UNKNOWN, "batched"]), st.text(LETTERS, max_size=5))


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(PATHS, NAMES, BODIES, QUERIES)
async def test_whatever_is_asked_is_answered_and_never_by_a_fault_of_ours(
    desk: Desk, endpoint: tuple[str, str], name: str, body: Any, query: dict[str, str]
) -> None:
    if not desk.account.orders:
        desk.rests("ask", "0.6000", "5.00")
        await desk.placed("bid", "0.5000", "5.00", client_order_id="mine")

    answer = await desk.ask_anything(*endpoint, name, body, query)

    assert answer.status in {200, 201, 204, 400, 404, 405, 409}, answer
    if answer.status != 204:
        assert answer.json is not None

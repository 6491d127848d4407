"""One's own balance, fills, positions and settlements over REST."""

from typing import Any

import pytest
from order_desk import FINE, FIRST, SECOND_ONE, START, Desk

from kalshiflow.market.listing import MarketResult
from kalshiflow.market.units import Price
from kalshiflow.venue.clock import SECOND
from kalshiflow.venue.floor.lifecycle import Lifecycle

NOW = START // SECOND


async def bought(desk: Desk, price: str, count: str, ticker: str = FIRST) -> str:
    """Buy YES from somebody who asks that price."""
    desk.rests("ask", price, count, ticker)
    return await desk.placed("bid", price, count, ticker=ticker)


async def sold(desk: Desk, price: str, count: str, ticker: str = FIRST) -> str:
    """Sell YES to somebody who bids that price."""
    desk.rests("bid", price, count, ticker)
    return await desk.placed("ask", price, count, ticker=ticker)


def end(desk: Desk, ticker: str, result: MarketResult, value: int | None = None) -> None:
    """Let a market end and be paid."""
    price = None if value is None else Price(value)

    def move(life: Lifecycle, now: int) -> None:
        life.determine(ticker, result, now, price)
        life.settle(ticker, now)

    desk.venue.steer(move)


# --- balance -------------------------------------------------------------------------------------


async def test_a_new_account_has_its_cash_and_nothing_else(desk: Desk) -> None:
    assert await desk.get("/portfolio/balance") == {
        "balance": 100_000,
        "balance_dollars": "1000.0000",
        "portfolio_value": 0,
        "updated_ts": NOW,
        "balance_breakdown": [{"exchange_index": 0, "balance": "1000.0000"}],
    }


async def test_cents_are_cut_off_and_dollars_have_four_decimals(desk: Desk) -> None:
    await bought(desk, "0.5200", "1.00")
    desk.rests("bid", "0.5100", "9.00")

    told = await desk.get("/portfolio/balance")

    # 1000 - 0.52 - 0.0175 of fees
    assert (told["balance"], told["balance_dollars"]) == (99_946, "999.4625")
    assert told["portfolio_value"] == 51


async def test_what_orders_reserve_is_not_there_to_be_spent(desk: Desk) -> None:
    await desk.placed("bid", "0.5000", "100.00")

    told = await desk.get("/portfolio/balance")

    reserved = 100_000 - told["balance"]
    assert 5_000 <= reserved <= 5_200


async def test_another_subaccount_or_shard_holds_nothing(desk: Desk) -> None:
    for query in ("subaccount=3", "exchange_index=2"):
        told = await desk.get(f"/portfolio/balance?{query}")
        assert (told["balance"], told["balance_dollars"]) == (0, "0.0000")
    [primary] = (await desk.get("/portfolio/subaccounts/balances"))["subaccount_balances"]
    assert (primary["subaccount_number"], primary["balance"]) == (0, "1000.0000")


# --- fills ---------------------------------------------------------------------------------------


async def test_a_fill_is_told_today_and_as_of_old(desk: Desk) -> None:
    order_id = await bought(desk, "0.5550", "2.50", FINE)

    [fill] = (await desk.get("/portfolio/fills"))["fills"]

    assert fill["order_id"] == order_id
    assert fill["fill_id"] == fill["trade_id"]
    assert (fill["ticker"], fill["market_ticker"]) == (FINE, FINE)
    assert (fill["count_fp"], fill["count"]) == ("2.50", 3)
    assert (fill["yes_price_dollars"], fill["yes_price_fixed"]) == ("0.5550", "0.5550")
    assert (fill["no_price_dollars"], fill["no_price_fixed"]) == ("0.4450", "0.4450")
    assert (fill["yes_price"], fill["no_price"], fill["price"]) == (56, 44, 0.555)
    assert fill["fee_cost"] == "0.043300"
    assert (fill["is_taker"], fill["ts"]) == (True, NOW)


async def test_fills_are_filtered_and_the_newest_comes_first(desk: Desk) -> None:
    first = await bought(desk, "0.5000", "1.00")
    desk.wait(10)
    second = await sold(desk, "0.4000", "1.00", FINE)
    desk.wait(10)
    third = await bought(desk, "0.6000", "1.00")

    async def orders(query: str) -> list[str]:
        page = await desk.get(f"/portfolio/fills?{query}")
        return [fill["order_id"] for fill in page["fills"]]

    assert await orders("") == [third, second, first]
    assert await orders(f"ticker={FIRST}") == [third, first]
    assert await orders(f"order_id={second}") == [second]
    assert await orders(f"min_ts={NOW + 5}&max_ts={NOW + 15}") == [second]
    assert await orders("subaccount=2") == []
    assert await orders("exchange_index=0") == [third, second, first]


async def test_new_fills_between_two_pages_shift_nothing(desk: Desk) -> None:
    told = [await bought(desk, "0.5000", "1.00") for _ in range(3)]

    first = await desk.get("/portfolio/fills?limit=2")
    await bought(desk, "0.5000", "1.00")
    second = await desk.get(f"/portfolio/fills?limit=2&cursor={first['cursor']}")

    seen = [fill["order_id"] for page in (first, second) for fill in page["fills"]]
    assert seen == told[::-1]
    assert second["cursor"] == ""


# --- positions -----------------------------------------------------------------------------------


async def test_positions_are_told_by_market_and_by_event(desk: Desk) -> None:
    await bought(desk, "0.5000", "3.00")
    await sold(desk, "0.4000", "2.00", SECOND_ONE)
    await desk.placed("bid", "0.1000", "1.00")

    told = await desk.get("/portfolio/positions")

    yes, no = told["market_positions"]
    assert (yes["ticker"], yes["position_fp"], yes["position"]) == (FIRST, "3.00", 3)
    assert (yes["market_exposure_dollars"], yes["market_exposure"]) == ("1.500000", 150)
    assert (yes["total_traded_dollars"], yes["total_traded"]) == ("1.500000", 150)
    assert (yes["fees_paid_dollars"], yes["fees_paid"]) == ("0.052500", 5)
    assert yes["resting_orders_count"] == 1
    assert (no["position_fp"], no["position"]) == ("-2.00", -2)
    assert no["market_exposure_dollars"] == "1.200000"
    [event] = told["event_positions"]
    assert event["event_ticker"] == "KXA-26"
    assert (event["total_cost_dollars"], event["total_cost"]) == ("2.700000", 270)
    assert (event["total_cost_shares_fp"], event["total_cost_shares"]) == ("5.00", 5)
    assert (event["event_exposure_dollars"], event["event_exposure"]) == ("2.700000", 270)
    assert event["fees_paid_dollars"] == "0.086100"


async def test_positions_are_filtered(desk: Desk) -> None:
    await bought(desk, "0.5000", "3.00")
    await sold(desk, "0.6000", "3.00")
    await bought(desk, "0.5000", "1.00", SECOND_ONE)
    await bought(desk, "0.5000", "1.00", FINE)

    async def tickers(query: str) -> list[str]:
        page = await desk.get(f"/portfolio/positions?{query}")
        return [one["ticker"] for one in page["market_positions"]]

    assert await tickers("") == [FIRST, SECOND_ONE, FINE]
    assert await tickers("count_filter=position") == [SECOND_ONE, FINE]
    assert await tickers("count_filter=position,total_traded") == [FIRST, SECOND_ONE, FINE]
    assert await tickers("event_ticker=KXA-26") == [FIRST, SECOND_ONE]
    assert await tickers("event_ticker=KXA-26,KXB-26") == [FIRST, SECOND_ONE, FINE]
    assert await tickers(f"ticker={FINE}") == [FINE]
    assert await tickers("subaccount=1") == []
    wrong = await desk.ask("GET", "/portfolio/positions?count_filter=resting")
    assert (wrong.status, list(wrong.json)) == (400, ["msg"])


async def test_a_page_of_positions_tells_of_its_events_whole(desk: Desk) -> None:
    for ticker in (FIRST, SECOND_ONE, FINE):
        await bought(desk, "0.5000", "1.00", ticker)

    first = await desk.get("/portfolio/positions?limit=1")
    second = await desk.get(f"/portfolio/positions?limit=2&cursor={first['cursor']}")

    assert [one["total_cost_shares_fp"] for one in first["event_positions"]] == ["2.00"]
    assert [one["ticker"] for one in second["market_positions"]] == [SECOND_ONE, FINE]
    assert second["cursor"] == ""


async def test_a_closed_position_tells_what_it_brought(desk: Desk) -> None:
    await bought(desk, "0.5000", "3.00")
    await sold(desk, "0.6000", "3.00")

    [told] = (await desk.get("/portfolio/positions"))["market_positions"]

    assert (told["position_fp"], told["market_exposure_dollars"]) == ("0.00", "0.000000")
    assert (told["realized_pnl_dollars"], told["realized_pnl"]) == ("0.300000", 30)


# --- settlements ---------------------------------------------------------------------------------


async def test_a_settled_market_is_told_with_what_it_cost_and_paid(desk: Desk) -> None:
    await bought(desk, "0.5200", "3.00")
    before = (await desk.get("/portfolio/balance"))["balance"]
    end(desk, FIRST, MarketResult.YES)

    [row] = (await desk.get("/portfolio/settlements"))["settlements"]

    assert (row["ticker"], row["event_ticker"], row["market_result"]) == (FIRST, "KXA-26", "yes")
    assert (row["yes_count_fp"], row["yes_count"]) == ("3.00", 3)
    assert (row["yes_total_cost_dollars"], row["yes_total_cost"]) == ("1.560000", 156)
    assert (row["no_count_fp"], row["no_total_cost_dollars"]) == ("0.00", "0.000000")
    assert (row["revenue"], row["value"]) == (300, 100)
    assert row["fee_cost"] == "0.052500"
    assert (await desk.get("/portfolio/balance"))["balance"] == before + 300
    [position] = (await desk.get("/portfolio/positions"))["market_positions"]
    assert position["position_fp"] == "0.00"


async def test_settlements_are_filtered_and_the_newest_comes_first(desk: Desk) -> None:
    for ticker in (FIRST, SECOND_ONE, FINE):
        await sold(desk, "0.5000", "1.00", ticker)
        end(desk, ticker, MarketResult.NO)
        desk.wait(10)

    async def tickers(query: str) -> list[str]:
        page = await desk.get(f"/portfolio/settlements?{query}")
        return [row["ticker"] for row in page["settlements"]]

    assert await tickers("") == [FINE, SECOND_ONE, FIRST]
    assert await tickers("event_ticker=KXA-26") == [SECOND_ONE, FIRST]
    assert await tickers(f"ticker={FINE}") == [FINE]
    assert await tickers(f"min_ts={NOW + 5}&max_ts={NOW + 15}") == [SECOND_ONE]
    first = await desk.get("/portfolio/settlements?limit=2")
    assert await tickers(f"limit=2&cursor={first['cursor']}") == [FIRST]


@pytest.mark.parametrize("result", [MarketResult.SCALAR, MarketResult.VOID])
async def test_a_market_that_pays_a_value_is_told_as_scalar(
    desk: Desk, result: MarketResult
) -> None:
    await bought(desk, "0.5000", "2.00")
    end(desk, FIRST, result, 4_250)

    [row] = (await desk.get("/portfolio/settlements"))["settlements"]

    assert (row["market_result"], row["value"], row["revenue"]) == ("scalar", 42, 85)


# --- all of them ---------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["fills", "positions", "settlements"])
async def test_a_page_has_its_bounds_and_a_cursor_of_nobodys_begins_anew(
    desk: Desk, path: str
) -> None:
    await bought(desk, "0.5000", "2.00")
    end(desk, FIRST, MarketResult.YES)

    async def ask(query: str) -> Any:
        return await desk.ask("GET", f"/portfolio/{path}?{query}")

    assert [(await ask(f"limit={n}")).status for n in (1, 1000, 1001, -1, "x")] == [
        *(200, 200),
        *(400, 400, 400),
    ]
    assert (await ask("cursor=garbage")).json == (await ask("")).json


@pytest.mark.parametrize(
    "path",
    [
        *("balance", "fills", "positions", "settlements", "orders", "orders/queue_positions"),
        *("order_groups", "summary/total_resting_order_value", "subaccounts/balances"),
    ],
)
async def test_nobody_else_may_read_it(desk: Desk, path: str) -> None:
    assert (await desk.ask("GET", f"/portfolio/{path}", headers={})).status == 401

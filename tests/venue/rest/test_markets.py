"""GET /markets and what belongs to it: filters, pages, bodies, books and trades."""

from collections import deque
from typing import Any

import gallery
import pytest
from gallery import SERIES, ticker_of
from hypothesis import given
from hypothesis import strategies as st
from order_desk import CLOSE, FINE, FIRST, SECOND_ONE, START, Desk

from kalshiflow.exchange.times import nanoseconds
from kalshiflow.market.events import Side
from kalshiflow.market.listing import Market, MarketResult, MarketStatus, PriceBand, PriceGrid
from kalshiflow.market.units import Price, Quantity
from kalshiflow.venue.clock import SECOND
from kalshiflow.venue.floor.facts import Traded
from kalshiflow.venue.floor.listed import ListedMarket
from kalshiflow.venue.floor.structures import STRUCTURES, grid_named
from kalshiflow.venue.matching.engine import MatchingBook
from kalshiflow.venue.rest.market_bodies import MarketWriter
from kalshiflow.venue.rest.pages import cursor_of, place_of
from kalshiflow.venue.rest.trades import newest_first

UNIX = START // SECOND
LONG = "KXG-26-LONG"  # open for thirty days


@pytest.fixture
def full(desk: Desk) -> Desk:
    """Give a desk with one market of each stage of life beside its own three."""
    gallery.fill(desk)
    return desk


async def tickers(desk: Desk, query: str) -> list[str]:
    return [market["ticker"] for market in (await desk.get(f"/markets?{query}"))["markets"]]


async def refused(desk: Desk, path: str) -> Any:
    answer = await desk.ask("GET", path, headers={})
    assert answer.status == 400, answer.text
    return answer.json


# --- lists ---------------------------------------------------------------------------------------


async def test_the_latest_made_comes_first_then_the_last_of_the_alphabet(desk: Desk) -> None:
    gallery.show(desk, "KXG-26-OLD", made_at=START)
    gallery.show(desk, "KXG-26-NEW", made_at=START + SECOND)

    assert await tickers(desk, "") == ["KXG-26-NEW", "KXG-26-OLD", "KXB-26-T1", SECOND_ONE, FIRST]


async def test_a_market_that_is_listed_between_two_pages_moves_none(desk: Desk) -> None:
    first = await desk.get("/markets?limit=2")
    gallery.show(desk, "KXG-26-NEW", made_at=START + SECOND)
    gallery.show(desk, "KXA-00-OLD", made_at=START)
    second = await desk.get(f"/markets?limit=2&cursor={first['cursor']}")

    seen = [market["ticker"] for page in (first, second) for market in page["markets"]]
    assert seen == ["KXB-26-T1", SECOND_ONE, FIRST, "KXA-00-OLD"]
    assert (first["cursor"] != "", second["cursor"]) == (True, "")


@pytest.mark.parametrize("cursor", ["garbage", "%C3%A4", "MTIz", "====", "A" * 3000, "LTEvWA"])
async def test_a_cursor_that_is_none_begins_anew(desk: Desk, cursor: str) -> None:
    assert await tickers(desk, f"cursor={cursor}") == await tickers(desk, "")


@given(st.integers(0, 2**62), st.text(max_size=60))
def test_a_cursor_names_a_place(number: int, name: str) -> None:
    assert place_of(cursor_of((number, name))) == (number, name)


async def test_markets_are_filtered(full: Desk) -> None:
    stages = {
        "unopened": {"initialized"},
        "open": {"active"},
        "paused": {"inactive"},
        "closed": {"closed", "determined", "disputed"},
        "settled": {"finalized"},
    }
    for status, found in stages.items():
        listed = await tickers(full, f"status={status}&series_ticker={SERIES}")
        assert set(listed) == {ticker_of(stage) for stage in found}
    assert set(await tickers(full, "event_ticker=KXA-26")) == {FIRST, SECOND_ONE}
    assert await tickers(full, f"tickers={FIRST},KXNO,{SECOND_ONE}") == [SECOND_ONE, FIRST]
    assert await tickers(full, "mve_filter=only") == []
    assert len(await tickers(full, "mve_filter=exclude")) == 10


async def test_markets_are_filtered_by_time(full: Desk) -> None:
    of_series = f"series_ticker={SERIES}"
    assert await tickers(full, f"{of_series}&min_created_ts={UNIX + 5}") == [
        ticker_of("finalized"),
        ticker_of("disputed"),
    ]
    assert await tickers(full, f"{of_series}&max_created_ts={UNIX}") == [ticker_of("initialized")]
    assert set(await tickers(full, f"max_close_ts={CLOSE // SECOND}")) >= {FIRST, SECOND_ONE}
    assert await tickers(full, f"min_close_ts={CLOSE // SECOND + 1}&tickers={FIRST}") == []
    assert await tickers(full, f"min_settled_ts={UNIX}") == [ticker_of("finalized")]
    assert await tickers(full, f"max_settled_ts={UNIX - 1}") == []
    full.wait(60)
    full.venue.floor.lifecycle.deactivate(FIRST, full.venue.clock.now())
    assert await tickers(full, f"min_updated_ts={UNIX + 60}") == [FIRST]


@pytest.mark.parametrize(
    "query",
    [
        "min_created_ts=1&min_close_ts=1",
        "max_settled_ts=1&max_close_ts=1",
        "min_created_ts=1&status=closed",
        "min_close_ts=1&status=open",
        "min_settled_ts=1&status=closed",
        "min_updated_ts=1&status=open",
        "min_updated_ts=1&event_ticker=KXA-26",
        "min_updated_ts=1&tickers=KXA-26-T1",
        "min_updated_ts=1&series_ticker=KXA",
        "min_updated_ts=1&mve_filter=only",
    ],
)
async def test_filters_that_exclude_each_other_are_refused(desk: Desk, query: str) -> None:
    assert (await refused(desk, f"/markets?{query}"))["error"]["code"] == "invalid_parameters"


@pytest.mark.parametrize(
    ("query", "field", "tag"),
    [
        ("limit=1001", "Limit", "lte"),
        ("limit=-1", "Limit", "gte"),
        ("limit=many", "Limit", "number"),
        ("status=odd", "Status", "oneof"),
        ("status=open,closed", "Status", "oneof"),
        ("mve_filter=some", "MveFilter", "oneof"),
        ("min_close_ts=soon", "MinCloseTs", "number"),
    ],
)
async def test_a_parameter_that_fails_validation_is_named(
    desk: Desk, query: str, field: str, tag: str
) -> None:
    told = await refused(desk, f"/markets?{query}")

    assert told == {
        "msg": f"Parameter validation failed for GetMarkets: Key: 'GetMarketsParams.{field}' "
        f"Error:Field validation for '{field}' failed on the '{tag}' tag"
    }


# --- bodies --------------------------------------------------------------------------------------


async def market(desk: Desk, ticker: str = FIRST) -> dict[str, Any]:
    return (await desk.get(f"/markets/{ticker}"))["market"]


async def test_a_market_tells_its_touch_its_trades_and_their_former_figures(desk: Desk) -> None:
    desk.rests("bid", "0.4700", "3.00")
    await desk.placed("ask", "0.5200", "2.50")
    desk.takes("bid", "0.5200", "0.75")

    told = await market(desk)

    assert (told["yes_bid_dollars"], told["yes_bid_size_fp"]) == ("0.4700", "3.00")
    assert (told["yes_ask_dollars"], told["yes_ask_size_fp"]) == ("0.5200", "1.75")
    assert (told["no_bid_dollars"], told["no_ask_dollars"]) == ("0.4800", "0.5300")
    assert (told["last_price_dollars"], told["volume_fp"]) == ("0.5200", "0.75")
    assert (told["volume_24h_fp"], told["open_interest_fp"]) == ("0.75", "0.75")
    assert (told["yes_bid"], told["yes_ask"], told["no_bid"], told["no_ask"]) == (47, 52, 48, 53)
    assert (told["last_price"], told["volume"], told["open_interest"]) == (52, 1, 1)


async def test_former_prices_of_yes_and_no_make_a_dollar_together(desk: Desk) -> None:
    desk.rests("bid", "0.0050", "3.00", FINE)
    await desk.placed("ask", "0.9950", "3.00", ticker=FINE)
    desk.takes("bid", "0.9950", "1.00", FINE)

    told = await market(desk, FINE)
    [trade] = (await desk.get(f"/markets/trades?ticker={FINE}"))["trades"]

    assert (told["yes_bid"], told["no_ask"]) == (1, 99)
    assert (told["yes_ask"], told["no_bid"]) == (100, 0)
    assert (trade["yes_price"], trade["no_price"]) == (100, 0)


async def test_an_empty_side_is_nothing_or_a_dollar_without_size(desk: Desk) -> None:
    told = await market(desk)

    assert (told["yes_bid_dollars"], told["yes_bid_size_fp"]) == ("0.0000", "0.00")
    assert (told["yes_ask_dollars"], told["yes_ask_size_fp"]) == ("1.0000", "0.00")
    assert (told["no_bid_dollars"], told["no_ask_dollars"]) == ("0.0000", "1.0000")


async def test_what_was_a_day_ago_is_told(desk: Desk) -> None:
    gallery.show(desk, LONG, made_at=START)
    await desk.placed("ask", "0.5200", "9.00", ticker=LONG)
    desk.takes("bid", "0.5200", "1.00", ticker=LONG)
    desk.rests("bid", "0.4700", "3.00", ticker=LONG)
    desk.wait(86_000)
    desk.takes("bid", "0.5200", "2.00", ticker=LONG)
    young = await market(desk, LONG)
    desk.wait(1_000)
    told = await market(desk, LONG)

    assert (young["previous_price_dollars"], young["volume_24h_fp"]) == ("0.0000", "3.00")
    assert told["previous_price_dollars"] == "0.5200"
    assert told["previous_yes_bid_dollars"] == "0.4700"
    assert told["previous_yes_ask_dollars"] == "0.5200"
    assert (told["previous_price"], told["previous_yes_bid"]) == (52, 47)
    assert (told["volume_fp"], told["volume_24h_fp"]) == ("3.00", "2.00")


async def test_a_market_tells_how_it_ended(full: Desk) -> None:
    determined = await market(full, ticker_of("determined"))
    finalized = await market(full, ticker_of("finalized"))
    active = await market(full, ticker_of("active"))

    for told in (determined, finalized):
        assert (told["result"], told["settlement_value_dollars"]) == ("yes", "1.0000")
    assert "settlement_ts" not in determined
    assert finalized["settlement_ts"] == "2026-11-20T09:00:00Z"
    assert (active["result"], active.get("settlement_value_dollars")) == ("", None)


@pytest.mark.parametrize("result", [MarketResult.SCALAR, MarketResult.VOID])
async def test_a_market_that_paid_a_value_is_told_as_a_scalar_one(
    desk: Desk, result: MarketResult
) -> None:
    ticker = gallery.determined_as(desk, result, Price(3_750))

    told = await market(desk, ticker)

    assert (told["result"], told["settlement_value_dollars"]) == ("scalar", "0.3750")


async def test_statuses_are_in_the_words_of_today(full: Desk) -> None:
    told = {stage: (await market(full, ticker_of(stage)))["status"] for stage in gallery.STAGES}

    assert told == {stage: stage for stage in gallery.STAGES}


@pytest.mark.parametrize("status", MarketStatus)
def test_with_compat_the_former_models_read_every_stage(status: MarketStatus) -> None:
    import msgspec
    from kalshi_python_sync.models import Market as FormerMarket

    result = MarketResult.SCALAR if status is MarketStatus.FINALIZED else MarketResult.UNKNOWN
    listed = _listed(Market("KXA-1", "KXA", "A", status=status, result=result))
    body = MarketWriter(lambda _: "Tests", START, compat=True).body(listed, START)

    former = FormerMarket.from_json(msgspec.json.encode(body).decode())

    assert former is not None
    words = {"inactive": "active", "disputed": "determined", "amended": "determined"}
    assert former.status == {**words, "finalized": "settled"}.get(status.value, status.value)


@pytest.mark.parametrize("name", STRUCTURES)
def test_each_price_grid_is_named_and_told_in_ranges(name: str) -> None:
    grid = grid_named(name)
    body = MarketWriter(lambda _: "", START).body(_listed(Market("KXA-1", "KXA", "A", grid)), START)

    assert body.price_level_structure == name
    assert body.price_ranges is not None
    assert len(body.price_ranges) == len(grid.bands)


def test_a_grid_without_a_name_is_told_as_banded() -> None:
    bands = (PriceBand(Price(0), Price(40), Price(1)), PriceBand(Price(40), Price(10_000), 20))
    market = Market("KXA-1", "KXA", "A", PriceGrid(bands))

    body = MarketWriter(lambda _: "", START).body(_listed(market), START)

    assert body.price_level_structure == "banded_centi_cent"


def test_a_market_without_times_or_book_has_them_all_the_same() -> None:
    body = MarketWriter(lambda _: "", START).body(_listed(Market("KXA-1", "KXA", "A")), START)

    assert body.created_time == body.open_time == body.updated_time == "2026-11-20T09:00:00Z"
    assert body.close_time == body.latest_expiration_time == "2255-03-14T16:00:00Z"


def _listed(market: Market) -> ListedMarket:
    return ListedMarket(market, MatchingBook(market.ticker, market.grid), "id")


# --- books ---------------------------------------------------------------------------------------


async def test_a_book_is_told_to_the_depth_that_is_asked_for(desk: Desk) -> None:
    for price in ("0.4500", "0.4600", "0.4700"):
        desk.rests("bid", price, "1.00")
    desk.rests("ask", "0.5200", "2.00")

    whole = await desk.get(f"/markets/{FIRST}/orderbook")
    top = await desk.get(f"/markets/{FIRST}/orderbook?depth=1")

    assert whole["orderbook_fp"]["yes_dollars"] == [
        ["0.4500", "1.00"],
        ["0.4600", "1.00"],
        ["0.4700", "1.00"],
    ]
    assert whole["orderbook_fp"]["no_dollars"] == [["0.4800", "2.00"]]
    assert whole["orderbook"] == whole["orderbook_fp"]
    assert top["orderbook_fp"]["yes_dollars"] == [["0.4700", "1.00"]]
    assert await desk.get(f"/markets/{FIRST}/orderbook?depth=0") == whole
    for depth in ("-1", "101", "deep"):
        await refused(desk, f"/markets/{FIRST}/orderbook?depth={depth}")


async def test_many_books_are_told_at_once(desk: Desk) -> None:
    desk.rests("bid", "0.4500", "1.00")

    repeated = await desk.get(f"/markets/orderbooks?tickers={SECOND_ONE}&tickers={FIRST}")
    listed = await desk.get(f"/markets/orderbooks?tickers={SECOND_ONE},KXNO,{FIRST}")

    assert listed == repeated
    assert listed["orderbooks"] == [
        {"ticker": SECOND_ONE, "orderbook_fp": {"yes_dollars": [], "no_dollars": []}},
        {"ticker": FIRST, "orderbook_fp": {"yes_dollars": [["0.4500", "1.00"]], "no_dollars": []}},
    ]
    await refused(desk, "/markets/orderbooks")
    await refused(desk, "/markets/orderbooks?tickers=" + ",".join(["KXA"] * 101))


# --- trades --------------------------------------------------------------------------------------


async def test_trades_come_newest_first_and_new_ones_move_no_page(desk: Desk) -> None:
    for ticker in (FIRST, SECOND_ONE):
        await desk.ask("POST", "/portfolio/events/orders", _asks(ticker))
    for number in range(5):
        desk.wait(0.5 if number % 2 else 0)
        desk.takes("bid", "0.5200", f"{number + 1}.00", ticker=(FIRST, SECOND_ONE)[number % 2])

    first = await desk.get("/markets/trades?limit=2")
    desk.takes("bid", "0.5200", "9.00")
    second = await desk.get(f"/markets/trades?limit=2&cursor={first['cursor']}")
    desk.takes("bid", "0.5200", "9.00", ticker=SECOND_ONE)
    third = await desk.get(f"/markets/trades?limit=2&cursor={second['cursor']}")

    seen = [trade for page in (first, second, third) for trade in page["trades"]]
    assert sorted(trade["count"] for trade in seen) == [1, 2, 3, 4, 5]
    times = [nanoseconds(trade["created_time"]) for trade in seen]
    assert times == sorted(times, reverse=True)
    assert third["cursor"] == ""


async def test_trades_are_filtered(desk: Desk) -> None:
    await desk.placed("ask", "0.5200", "9.00")
    for _ in range(3):
        desk.takes("bid", "0.5200", "1.00")
        desk.wait(10)

    async def count(query: str) -> int:
        return len((await desk.get(f"/markets/trades?{query}"))["trades"])

    assert await count(f"ticker={FIRST}") == await count("is_block_trade=false") == 3
    assert await count("is_block_trade=true") == await count("ticker=KXNO") == 0
    assert await count(f"min_ts={UNIX + 10}") == 2
    assert await count(f"max_ts={UNIX + 10}") == 2
    assert await count(f"min_ts={UNIX + 10}&max_ts={UNIX + 10}") == 1
    for query in ("is_block_trade=perhaps", "limit=1001", "min_ts=x"):
        await refused(desk, f"/markets/trades?{query}")


async def test_a_trade_has_its_former_figures(desk: Desk) -> None:
    await desk.placed("ask", "0.5200", "9.00")
    desk.takes("bid", "0.5200", "2.50")

    [trade] = (await desk.get("/markets/trades"))["trades"]

    assert (trade["taker_side"], trade["taker_book_side"]) == ("yes", "bid")
    assert (trade["price"], trade["yes_price"], trade["no_price"]) == (0.52, 52, 48)
    assert (trade["count_fp"], trade["count"]) == ("2.50", 3)


Tapes = list[list[int]]


@given(
    st.lists(st.lists(st.integers(0, 6), max_size=12), max_size=4),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), max_size=8),
    st.integers(1, 5),
)
def test_whatever_is_traded_between_pages_each_earlier_trade_is_seen_once(
    steps: Tapes, later: list[tuple[int, int]], limit: int
) -> None:
    """Trades of one time, in one market and in several, are the hard case."""
    tapes: list[deque[Traded]] = [deque() for _ in range(4)]
    for number, waits in enumerate(steps):
        at = 0
        for wait in waits:
            at += wait // 3
            tapes[number].append(_traded(number, len(tapes[number]), at))
    before = {trade.trade_id for tape in tapes for trade in tape}
    now = max((trade.at for tape in tapes for trade in tape), default=0)
    seen: list[Traded] = []
    after, arrivals = None, list(later)
    while page := list(newest_first(tapes, 0, None, after))[:limit]:
        seen += page
        after = (page[-1].at, page[-1].trade_id)
        if arrivals:
            number, wait = arrivals.pop()
            now += wait
            tapes[number].append(_traded(number, len(tapes[number]), now))

    ids = [trade.trade_id for trade in seen]
    assert len(ids) == len(set(ids))
    assert set(ids) >= before
    assert [trade.at for trade in seen] == sorted((trade.at for trade in seen), reverse=True)


def _traded(tape: int, number: int, at: int) -> Traded:
    return Traded(f"KX-{tape}", f"{tape}/{number}", Price(5_000), Quantity(100), Side.BID, at)


def _asks(ticker: str) -> dict[str, str]:
    return {
        "ticker": ticker,
        "side": "ask",
        "price": "0.5200",
        "count": "50.00",
        "time_in_force": "good_till_canceled",
        "self_trade_prevention_type": "taker_at_cross",
    }

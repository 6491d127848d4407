"""Candlesticks: what is kept of each minute, and how REST tells it."""

from typing import Any

import gallery
import pytest
from gallery import EVENT, SERIES
from hypothesis import given
from hypothesis import strategies as st
from order_desk import FIRST, START, Desk

from kalshiflow.market.listing import Market
from kalshiflow.market.units import Price, Quantity
from kalshiflow.venue.clock import SECOND
from kalshiflow.venue.floor.candles import DAY, HOUR, KEPT, MINUTE, Candle, Candles, Range, Touch
from kalshiflow.venue.floor.listed import ListedMarket
from kalshiflow.venue.matching.engine import MatchingBook

UNIX = START // SECOND  # a whole minute and hour
LONG = f"{EVENT}-LONG"  # open for thirty days
PATH = f"/series/{SERIES}/markets/{LONG}/candlesticks"


@pytest.fixture
async def traded(desk: Desk) -> Desk:
    """Give a desk whose market has quotes at once, two trades in minute 1 and one in minute 3."""
    gallery.fill(desk)
    gallery.show(desk, LONG, made_at=START)
    desk.wait(1)
    desk.rests("bid", "0.4700", "3.00", ticker=LONG)
    await desk.placed("ask", "0.5200", "1.00", ticker=LONG)
    await desk.placed("ask", "0.5300", "5.00", ticker=LONG)
    desk.takes("bid", "0.5200", "1.00", ticker=LONG)
    desk.takes("bid", "0.5300", "3.00", ticker=LONG)
    desk.wait(150)
    desk.takes("bid", "0.5300", "0.50", ticker=LONG)
    return desk


async def candles(desk: Desk, query: str, path: str = PATH) -> list[dict[str, Any]]:
    return (await desk.get(f"{path}?{query}"))["candlesticks"]


async def test_a_minute_tells_its_quotes_and_trades(traded: Desk) -> None:
    first, third = await candles(traded, f"start_ts={UNIX}&end_ts={UNIX + 600}&period_interval=1")

    assert (first["end_period_ts"], third["end_period_ts"]) == (UNIX + 60, UNIX + 180)
    assert first["yes_bid"] == {
        "open": 0,
        "low": 0,
        "high": 47,
        "close": 47,
        "open_dollars": "0.0000",
        "low_dollars": "0.0000",
        "high_dollars": "0.4700",
        "close_dollars": "0.4700",
    }
    asks = {key: value for key, value in first["yes_ask"].items() if key.endswith("dollars")}
    assert asks == {
        "open_dollars": "1.0000",
        "low_dollars": "0.5200",
        "high_dollars": "1.0000",
        "close_dollars": "0.5300",
    }
    assert first["price"] == {
        "open": 52,
        "low": 52,
        "high": 53,
        "close": 53,
        "mean": 53,
        "open_dollars": "0.5200",
        "low_dollars": "0.5200",
        "high_dollars": "0.5300",
        "close_dollars": "0.5300",
        "mean_dollars": "0.5275",
    }
    assert (first["volume_fp"], first["open_interest_fp"]) == ("4.00", "4.00")
    assert (third["volume_fp"], third["open_interest_fp"]) == ("0.50", "4.50")
    assert third["price"]["previous_dollars"] == "0.5300"


async def test_hours_and_days_hold_the_same(traded: Desk) -> None:
    [hour] = await candles(traded, f"start_ts={UNIX}&end_ts={UNIX + 3600}&period_interval=60")
    [day] = await candles(traded, f"start_ts={UNIX}&end_ts={UNIX + 86400}&period_interval=1440")

    assert hour["end_period_ts"] == UNIX + 3600
    assert day["end_period_ts"] % 86_400 == 0
    assert hour["volume_fp"] == day["volume_fp"] == "4.50"
    assert hour["price"] == day["price"]
    assert hour["price"]["close_dollars"] == "0.5300"


async def test_periods_are_given_by_their_ends(traded: Desk) -> None:
    async def ends(begin: int, end: int) -> list[int]:
        query = f"start_ts={UNIX + begin}&end_ts={UNIX + end}&period_interval=1"
        return [candle["end_period_ts"] - UNIX for candle in await candles(traded, query)]

    assert await ends(60, 180) == [60, 180]
    assert await ends(61, 180) == [180]
    assert await ends(60, 179) == [60]
    assert await ends(181, 10) == []


async def test_the_latest_before_the_start_is_carried_forward(traded: Desk) -> None:
    query = f"start_ts={UNIX + 100}&end_ts={UNIX + 600}&period_interval=1"

    carried, third = await candles(traded, f"{query}&include_latest_before_start=true")

    assert carried["end_period_ts"] == UNIX + 120
    assert carried["price"] == {"previous": 53, "previous_dollars": "0.5300"}
    assert carried["yes_bid"]["close_dollars"] == carried["yes_bid"]["open_dollars"] == "0.4700"
    assert carried["volume_fp"] == "0.00"
    assert third["end_period_ts"] == UNIX + 180


async def test_several_markets_and_an_event_are_told_at_once(traded: Desk) -> None:
    query = f"start_ts={UNIX}&end_ts={UNIX + 600}&period_interval=1"
    alone = await candles(traded, query)

    batch = await traded.get(f"/markets/candlesticks?market_tickers={LONG},KXNO,{FIRST}&{query}")
    event = await traded.get(f"/series/{SERIES}/events/{EVENT}/candlesticks?{query}")

    assert batch["markets"] == [
        {"market_ticker": LONG, "candlesticks": alone},
        {"market_ticker": FIRST, "candlesticks": []},
    ]
    assert event["market_candlesticks"][event["market_tickers"].index(LONG)] == alone
    assert event["adjusted_end_ts"] == UNIX + 600


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"{PATH}?start_ts=1&end_ts=2", 400),
        (f"{PATH}?start_ts=1&period_interval=1", 400),
        (f"{PATH}?start_ts=1&end_ts=2&period_interval=5", 400),
        (f"{PATH}?start_ts=1&end_ts=x&period_interval=1", 400),
        (f"{PATH}?start_ts=1&end_ts=2&period_interval=1&include_latest_before_start=maybe", 400),
        ("/markets/candlesticks?start_ts=1&end_ts=2&period_interval=1", 400),
        (f"/series/KXNO/markets/{LONG}/candlesticks?start_ts=1&end_ts=2&period_interval=1", 404),
        (f"/series/{SERIES}/markets/KXNO/candlesticks?start_ts=1&end_ts=2&period_interval=1", 404),
        (f"/series/{SERIES}/events/KXNO/candlesticks?start_ts=1&end_ts=2&period_interval=1", 404),
        (f"/series/KXNO/events/{EVENT}/candlesticks?start_ts=1&end_ts=2&period_interval=1", 404),
    ],
)
async def test_a_wrong_request_for_candlesticks_is_refused(
    traded: Desk, path: str, status: int
) -> None:
    assert (await traded.ask("GET", path, headers={})).status == status


async def test_too_many_markets_are_refused(traded: Desk) -> None:
    many = ",".join(["KXA"] * 101)
    path = f"/markets/candlesticks?market_tickers={many}&start_ts=1&end_ts=2&period_interval=1"

    assert (await traded.ask("GET", path, headers={})).status == 400


# --- what is kept --------------------------------------------------------------------------------

Steps = list[tuple[int, str, int]]
# Seconds to wait, then a trade, a bid or an ask at a price.
steps = st.lists(
    st.tuples(
        st.sampled_from((0, 1, 29, 60, 61, 3_600, 90_000)),
        st.sampled_from(("trade", "bid", "ask")),
        st.integers(1, 99),
    ),
    max_size=40,
)


class Told:
    """A market's figures, as a story moves them."""

    def __init__(self) -> None:
        self.last_price = Price(0)
        self.volume = self.open_interest = Quantity(0)
        self.bid, self.ask = Price(0), Price(10_000)

    def touch(self) -> Touch:
        return self.bid or None, 1, self.ask, 1


@given(steps)
def test_candles_are_what_the_whole_story_says(story: Steps) -> None:
    figures = Told()
    candles = Candles(figures)
    at = START
    trades: list[tuple[int, Price]] = []
    quotes = [(0, figures.bid, figures.ask)]
    for wait, what, cents in story:
        at += wait * SECOND
        price = Price(cents * 100)
        if what == "trade":
            candles.trade(price, Quantity(10), at)
            figures.last_price, figures.volume = price, Quantity(figures.volume + 10)
            trades.append((at, price))
        else:
            before = figures.touch()
            setattr(figures, what, price)
            candles.move(before, figures.touch(), at)
            quotes.append((at, figures.bid, figures.ask))

    for length in (MINUTE, HOUR, DAY):
        kept = candles.of(length)
        times = [when for when, _ in trades] + [when for when, _, _ in quotes[1:]]
        assert [candle.end for candle in kept] == sorted({_end(when, length) for when in times})
        for candle in kept:
            begin = (candle.end - length) * SECOND
            standing = [q for q in quotes if q[0] <= begin][-1:]
            inside = [q for q in quotes if begin < q[0] <= candle.end * SECOND]
            for told, place in ((candle.bid, 1), (candle.ask, 2)):
                assert told == _range([quote[place] for quote in (*standing, *inside)])
            _check_trades(candle, [p for when, p in trades if begin < when <= candle.end * SECOND])


def _check_trades(candle: Candle, prices: list[Price]) -> None:
    assert candle.volume == 10 * len(prices)
    assert candle.price == (_range(prices) if prices else None)
    if prices:
        assert abs(2 * len(prices) * (candle.mean() or 0) - 2 * sum(prices)) <= len(prices)


def _range(prices: list[Price]) -> Range:
    return Range(prices[0], min(prices), max(prices), prices[-1])


def test_only_the_latest_periods_are_kept() -> None:
    listed = _listed()
    candles = Candles(listed)
    for minute in range(KEPT[MINUTE] + 200):
        candles.trade(Price(5_000), Quantity(1), START + minute * MINUTE * SECOND)
        listed.volume = Quantity(listed.volume + 1)
    now = START + (KEPT[MINUTE] + 199) * MINUTE * SECOND

    assert len(candles.of(MINUTE)) == KEPT[MINUTE] + 1
    assert candles.volume_since(now) == 24 * 60
    assert candles.day_before(now) is not None


def test_a_market_that_was_silent_for_a_day_is_told_as_it_was_by_then() -> None:
    candles = Candles(_listed())
    candles.trade(Price(4_000), Quantity(1), START + SECOND)
    candles.trade(Price(6_000), Quantity(1), START + (MINUTE + 1) * SECOND)

    before = candles.day_before(START + 3 * DAY * SECOND)

    assert before is not None
    assert before.price is not None
    assert before.price.close == 6_000


def test_of_a_market_in_which_nothing_happened_nothing_is_told() -> None:
    candles = Candles(_listed())

    assert candles.of(MINUTE) == []
    assert candles.volume_since(START) == 0
    assert candles.day_before(START) is None


def _listed() -> ListedMarket:
    return ListedMarket(Market("KXA-1", "KXA", "A"), MatchingBook("KXA-1"), "id")


def _end(at: int, length: int) -> int:
    return -(-at // (length * SECOND)) * length

"""Markets as they are listed, and how lifecycle events change what is stored."""

import asyncio
from dataclasses import replace
from fractions import Fraction

import pytest

from kalshiflow.market.listing import (
    CENT_GRID,
    FeeTerms,
    FeeType,
    Market,
    MarketResult,
    MarketStatus,
    PriceBand,
    PriceGrid,
)
from kalshiflow.store.markets import markets, save_markets

pytestmark = pytest.mark.integration

TAPERED = PriceGrid(
    (PriceBand(0, 1_000, 10), PriceBand(1_000, 9_000, 100), PriceBand(9_000, 10_000, 10))
)
MARKET = Market(
    ticker="A",
    event_ticker="E",
    title="Will it?",
    grid=TAPERED,
    open_time=1,
    close_time=2,
    series_ticker="S",
    fees=FeeTerms(FeeType.QUADRATIC_WITH_MAKER_FEES, Fraction(7, 3)),
)


async def test_a_market_comes_back_equal_and_a_later_listing_replaces_it(store):
    await save_markets(store, [MARKET], at=1)
    assert await markets(store) == {"A": MARKET}

    odd = replace(MARKET, title="a\x00b", event_ticker="E\x00")  # PostgreSQL has no NUL
    await save_markets(store, [odd], at=2)
    assert (await markets(store))["A"].title == "a\\x00b"

    changed = replace(MARKET, grid=CENT_GRID, status=MarketStatus.CLOSED)
    await save_markets(store, [changed], at=2)
    assert await markets(store, ["A", "B"]) == {"A": changed}


async def test_listings_that_are_stored_at_once_wait_for_each_other(store):
    listed = [replace(MARKET, ticker=f"M{number:03}") for number in range(300)]
    async with asyncio.TaskGroup() as group:
        for at in range(6):
            group.create_task(save_markets(store, listed if at % 2 else listed[::-1], at=at))

    assert len(await markets(store)) == 300


async def test_a_lifecycle_frame_brings_the_stored_market_up_to_date(store, record):
    await save_markets(store, [MARKET], at=1)
    recording = record("A")
    recording.take_all(
        [
            {
                "type": "orderbook_snapshot",
                "sid": 1,
                "seq": 1,
                "msg": {"market_ticker": "A", "yes_dollars_fp": [["0.4000", "10.00"]]},
            },
            {
                "type": "market_lifecycle_v2",
                "sid": 3,
                "seq": 1,
                "msg": {
                    "market_ticker": "A",
                    "event_type": "settled",
                    "settled_ts": 1_795_000_000,
                },
            },
            {
                "type": "market_lifecycle_v2",
                "sid": 3,
                "seq": 2,
                "msg": {
                    "market_ticker": "A",
                    "event_type": "determined",
                    "determination_ts": 1_795_000_000,
                    "result": "yes",
                    "settlement_value": "1.0000",
                },
            },
        ]
    )
    closed = await recording.writer.close("done", recording.books)

    assert (closed.verdict, closed.lifecycle) == ("ok", 2)
    stored = (await markets(store))["A"]
    assert (stored.result, stored.settlement_value) == (MarketResult.YES, 10_000)
    assert stored.status is recording.events[-1].status
    assert stored.grid == TAPERED

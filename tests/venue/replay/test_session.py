"""A session that was recorded in PostgreSQL, replayed: subscribers hear what is stored."""

import asyncio
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from stored_session import CLOSE, WALL, frames_of, store_session

from kalshiflow.exchange.capture import CaptureError
from kalshiflow.exchange.feed import Feed
from kalshiflow.market.books import Books, books_sha256
from kalshiflow.market.events import BookDelta, BookSnapshot, MarketEvent, PublicTrade
from kalshiflow.market.listing import FeeTerms, Market, MarketStatus
from kalshiflow.store import read
from kalshiflow.store.database import Store
from kalshiflow.venue.app import serve
from kalshiflow.venue.config import RecordedSession, VenueConfig
from kalshiflow.venue.replay.session import load_session
from kalshiflow.venue.traders.synthetic import Recording, record

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def synthetic() -> Recording:
    """Give the recording of three synthetic markets, one in tenths of a cent."""
    return record(markets=6, seconds=60.0)


async def test_subscribers_hear_the_stored_changes_and_trades_and_have_the_stored_books(
    postgres_url: str, synthetic: Recording, key_dir: Path, client_of: Any
) -> None:
    async with await Store.open(postgres_url) as store:
        frames = frames_of(synthetic.events)
        session_id, books = await store_session(store, synthetic.markets, frames)
        stored = await read.session_events(store, session_id)
    config = VenueConfig(
        recorded=RecordedSession(session_id, postgres_url), speed=math.inf, key_dir=key_dir
    )
    feed, heard = Feed(uses_yes_price=True), Books(grids_of(synthetic.markets))
    told: list[MarketEvent] = []
    async with serve(config) as serving:
        assert serving.venue.position() == 0
        async with client_of(serving).wire() as wire, asyncio.timeout(20):
            await wire.send(
                "subscribe",
                channels=["orderbook_delta", "trade"],
                market_tickers=[market.ticker for market in synthetic.markets],
                use_yes_price=True,
            )
            while len(told) < len(synthetic.markets) + len(stored):
                event = feed.receive(await wire.connection.recv(decode=False), 0).event
                if event is not None:
                    told.append(event)
                if isinstance(event, BookDelta | BookSnapshot):
                    heard.apply(event)
        assert serving.venue.position() == len(frames)

    assert list(map(said, told[len(synthetic.markets) :])) == list(map(said, stored))
    assert books_sha256(heard.values()) == books_sha256(books.values())


def grids_of(markets: Sequence[Market]) -> dict[str, Any]:
    return {market.ticker: market.grid for market in markets}


def said(event: MarketEvent) -> tuple[Any, ...]:
    """Give what an event tells, with its market time where it is told."""
    match event:
        case BookDelta():
            moment = event.stamp.market_time
            return event.ticker, event.side, event.price, event.change, moment
        case BookSnapshot():
            return event.ticker, event.bids, event.asks
        case PublicTrade():
            assert event.stamp.exchange_ts is not None
            moment = event.stamp.exchange_ts // 1_000_000  # trades tell milliseconds
            return (
                event.ticker,
                event.trade_id,
                event.price,
                event.quantity,
                event.taker_side,
                moment,
            )
    raise TypeError(f"{type(event).__name__} is not told")


async def test_its_markets_are_as_they_were_listed_when_it_began(
    postgres_url: str, synthetic: Recording
) -> None:
    fees = FeeTerms(multiplier=synthetic.markets[0].fees.multiplier / 2)
    ended = [
        Market(
            market.ticker,
            market.event_ticker,
            f"Title of {market.ticker}",
            market.grid,
            MarketStatus.FINALIZED,
            market.open_time,
            WALL,
            series_ticker="SYN",
            fees=fees,
        )
        for market in synthetic.markets
    ]
    async with await Store.open(postgres_url) as store:
        session_id, _ = await store_session(store, ended, frames_of(synthetic.events[:500]))

    capture = await load_session(RecordedSession(session_id, postgres_url))

    assert grids_of(capture.markets) == grids_of(synthetic.markets)
    assert {market.close_time for market in capture.markets} == {CLOSE}
    assert {market.status for market in capture.markets} == {MarketStatus.ACTIVE}
    assert {market.title for market in capture.markets} == {market.title for market in ended}
    assert [(each.ticker, each.fees) for each in capture.series] == [("SYN", fees)]
    assert capture.skipped == 0


async def test_what_came_between_a_gap_and_its_snapshot_is_left_out(
    postgres_url: str, synthetic: Recording
) -> None:
    market = synthetic.markets[0]
    events = [event for event in synthetic.events if event.ticker == market.ticker]
    book = [event for event in events if not isinstance(event, PublicTrade)][:20]
    frames = frames_of(book)
    lost = frames.pop(7)
    async with await Store.open(postgres_url) as store:
        session_id, _ = await store_session(store, [market], frames)

    capture = await load_session(RecordedSession(session_id, postgres_url))

    assert json.loads(lost)["seq"] == 6
    assert [timed.frame_no for timed in capture.events] == [3, 4, 5, 6, 7]
    assert capture.skipped == 14


async def test_lifecycle_rows_are_part_of_the_recording(
    postgres_url: str, synthetic: Recording
) -> None:
    market = synthetic.markets[0]
    life = {"event_type": "deactivated", "market_ticker": market.ticker, "is_deactivated": True}
    frames = [
        *frames_of(synthetic.events[:1]),
        json.dumps({"type": "market_lifecycle_v2", "sid": 3, "seq": 1, "msg": life}).encode(),
    ]
    async with await Store.open(postgres_url) as store:
        session_id, _ = await store_session(store, [market], frames)

    capture = await load_session(RecordedSession(session_id, postgres_url))

    assert [timed.frame_no for timed in capture.events] == [3, 4]


async def test_a_session_that_is_not_there_makes_no_venue(postgres_url: str) -> None:
    with pytest.raises(CaptureError, match="no session"):
        await load_session(RecordedSession("20261120T143000Z-4f09ac", postgres_url))


async def test_a_database_that_is_not_there_makes_no_venue(free_port: int) -> None:
    url = f"postgresql://nobody@127.0.0.1:{free_port}/app"

    with pytest.raises(CaptureError, match="cannot be reached"):
        await load_session(RecordedSession("20261120T143000Z-4f09ac", url))

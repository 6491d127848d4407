"""The recorded demo session through the venue over a real socket, frame by frame."""

import asyncio
import math
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from kalshiflow.exchange.feed import Feed
from kalshiflow.market.books import Books
from kalshiflow.market.events import BookDelta, BookSnapshot
from kalshiflow.venue.app import Serving, serve
from kalshiflow.venue.config import VenueConfig
from kalshiflow.venue.replay.capture import load_capture

pytestmark = [pytest.mark.integration, pytest.mark.recorded]

BOOK_FRAMES = 2_890
Serves = Callable[[VenueConfig], AbstractAsyncContextManager[Serving]]


@pytest.fixture(params=["ready-made frames", "one by one"])
def serves(request: pytest.FixtureRequest, serve_venue: Serves) -> Serves:
    """Give `serve`: with a log, each frame goes its own way through the floor."""
    return serve if request.param == "ready-made frames" else serve_venue


@pytest.mark.parametrize("uses_yes_price", [True, False])
async def test_a_subscriber_has_the_recorded_book_after_every_one_of_the_recorded_frames(
    recorded_data: Path, key_dir: Path, client_of: Any, serves: Serves, uses_yes_price: bool
) -> None:
    path = recorded_data / "kalshi-demo-ws-2026-07" / "session.jsonl"
    capture = load_capture(path)
    grids = {market.ticker: market.grid for market in capture.markets}
    feed, heard, recorded = Feed(uses_yes_price=uses_yes_price), Books(grids), Books(grids)
    compared = 0
    config = VenueConfig(capture=path, speed=math.inf, key_dir=key_dir)
    async with serves(config) as serving, client_of(serving).wire() as wire, asyncio.timeout(20):

        async def next_event() -> BookSnapshot | BookDelta:
            while True:
                received = feed.receive(await wire.connection.recv(decode=False), 0)
                assert (received.gap, received.error) == (None, None)
                if isinstance(received.event, BookSnapshot | BookDelta):
                    return received.event

        await wire.send(
            "subscribe",
            channels=["orderbook_delta"],
            market_tickers=list(grids),
            use_yes_price=uses_yes_price,
        )
        for _ in grids:  # the empty books of before the first frame
            heard.apply(await next_event())
        for timed in capture.events:
            event = timed.event
            assert isinstance(event, BookSnapshot | BookDelta)
            heard.apply(await next_event())
            recorded.apply(event)
            assert heard[event.ticker] == recorded[event.ticker]
            compared += 1

    assert compared == BOOK_FRAMES
    assert heard.stale() == frozenset()

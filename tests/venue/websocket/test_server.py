"""The venue over real sockets: handshakes, live frames, captures at top speed."""

import asyncio
import json
import math
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from kalshiflow.exchange.environments import WS_PATH
from kalshiflow.exchange.feed import Feed
from kalshiflow.market.books import Books
from kalshiflow.market.events import BookDelta, BookSnapshot, Side
from kalshiflow.venue.app import Serving, serve
from kalshiflow.venue.config import VenueConfig
from kalshiflow.venue.replay.capture import load_capture

pytestmark = pytest.mark.integration

START = 1_795_165_200_000_000_000


@pytest.fixture
async def live(key_dir: Path, client_of: Any, serve_venue: Any) -> AsyncIterator[Any]:
    """Give a client of a venue of three markets at forty times the speed of life."""
    config = VenueConfig(markets=3, speed=40.0, key_dir=key_dir, heartbeat_seconds=0.05)
    async with serve_venue(config) as serving:
        yield client_of(serving)


def tickers(serving: Serving) -> list[str]:
    return [listed.market.ticker for listed in serving.venue.floor.markets()]


async def refused(serving: Serving, headers: dict[str, str], path: str = "") -> tuple[int, bytes]:
    with pytest.raises(InvalidStatus) as caught:
        async with connect(serving.ws + path, additional_headers=headers, proxy=None):
            pass
    return caught.value.response.status_code, caught.value.response.body


async def test_a_handshake_without_a_valid_signature_is_a_401_before_the_upgrade(
    live: Any,
) -> None:
    good = live.credentials.headers("GET", WS_PATH, time.time_ns() // 1_000_000)
    stale = live.credentials.headers("GET", WS_PATH, time.time_ns() // 1_000_000 - 60_000)

    status, body = await refused(live.serving, {**good, "KALSHI-ACCESS-SIGNATURE": "bm8="})
    assert status == 401
    assert json.loads(body)["error"]["details"] == "INCORRECT_API_KEY_SIGNATURE"
    assert (await refused(live.serving, {}))[0] == 401
    assert (await refused(live.serving, stale))[0] == 401
    assert (await refused(live.serving, good, "/other"))[0] == 404
    with pytest.raises(InvalidStatus, match="400"):
        async with connect(
            live.serving.ws,
            additional_headers={**good, "Host": "evil.example"},
            proxy=None,
        ):
            pass


async def test_live_frames_are_whole_and_lead_to_the_book_that_rest_shows(live: Any) -> None:
    names = tickers(live.serving)
    feed = Feed(uses_yes_price=True)
    venue = live.serving.venue
    books = Books({listed.market.ticker: listed.market.grid for listed in venue.floor.markets()})
    async with live.wire() as wire:
        await wire.send(
            "subscribe",
            channels=["orderbook_delta", "trade"],
            market_tickers=names,
            use_yes_price=True,
        )
        for count in range(400):
            raw = await wire.connection.recv(decode=False)
            received = feed.receive(raw, time.time_ns())
            assert received.error is None
            assert received.gap is None
            if isinstance(received.event, BookSnapshot | BookDelta):
                books.apply(received.event)
            if count == 200:
                await wire.send(
                    "update_subscription",
                    sid=1,
                    action="get_snapshot",
                    market_tickers=names[:1],
                )
        venue.clock.speed = 1e-9  # let time stand still, and catch up with what was sent
        asked = await wire.send(
            "update_subscription", sid=1, action="get_snapshot", market_tickers=names
        )
        snapshots = 0
        while snapshots < len(names):
            raw = await wire.connection.recv(decode=False)
            received = feed.receive(raw, time.time_ns())
            if not isinstance(received.event, BookSnapshot | BookDelta):
                continue
            if received.command_id == asked:
                snapshots += 1
                name = received.event.ticker
                before = books[name].copy()
                books.apply(received.event)
                assert books[name] == before
            else:
                books.apply(received.event)
    ledgers = feed.ledgers()
    assert all(not ledger.missing for ledger in ledgers.values())
    assert ledgers[1].sequenced
    assert ledgers[1].first == 1


async def test_a_fill_reaches_its_owner_while_the_request_is_answered(live: Any) -> None:
    name = tickers(live.serving)[0]
    async with live.wire() as wire:
        await wire.ask("subscribe", channels=["fill", "user_orders"])
        await wire.read()
        answer = await live.create(
            ticker=name,
            side="bid",
            count="3.00",
            price="0.9900",
            client_order_id="mine",
            time_in_force="immediate_or_cancel",
        )
        fill = await wire.until(lambda frame: frame["type"] == "fill")
        order = await wire.until(lambda frame: frame["type"] == "user_order")

    assert answer.status_code == 201
    assert fill["msg"]["client_order_id"] == order["msg"]["client_order_id"] == "mine"
    assert order["msg"]["status"] == "executed"


async def test_the_exchange_pings_with_its_own_body(live: Any) -> None:
    pinged = asyncio.Event()
    bodies: list[bytes] = []

    async with live.wire() as wire:
        protocol = wire.connection.protocol
        events = protocol.events_received

        def watched() -> list[Any]:
            received = events()
            for frame in received:
                if getattr(frame, "opcode", None) == 0x9:
                    bodies.append(bytes(frame.data))
                    pinged.set()
            return received

        protocol.events_received = watched
        async with asyncio.timeout(5):
            await pinged.wait()

    assert bodies[0] == b"heartbeat"


async def test_two_venues_with_one_seed_and_no_orders_send_the_same_bytes(
    key_dir: Path, serve_venue: Any, client_of: Any
) -> None:
    config = VenueConfig(markets=3, seed=11, start=START, hold=True, speed=2_000.0, key_dir=key_dir)

    first, second = [
        await _everything_told(serve_venue, client_of, config, frames=600) for _ in range(2)
    ]

    assert first == second
    assert len({json.loads(frame)["type"] for frame in first}) > 2


async def _everything_told(
    serve_venue: Any, client_of: Any, config: VenueConfig, frames: int
) -> list[bytes]:
    """Give the first frames of all public channels, from the beginning of market time."""
    async with serve_venue(config) as serving:
        client = client_of(serving)
        async with client.wire() as wire, asyncio.timeout(20):
            await wire.send("subscribe", channels=["trade", "ticker", "market_lifecycle_v2"])
            await wire.send(
                "subscribe", channels=["orderbook_delta"], market_tickers=tickers(serving)
            )
            told = [await wire.connection.recv(decode=False) for _ in range(4)]
            await client.admin("POST", "/venue/start")
            return told + [await wire.connection.recv(decode=False) for _ in range(frames)]


async def test_a_callers_error_leaves_the_venue_as_it_is_and_frees_its_ports(
    key_dir: Path,
) -> None:
    addresses: list[str] = []

    async def fail() -> None:
        async with serve(VenueConfig(markets=1, key_dir=key_dir)) as serving:
            addresses.append(serving.rest)
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await fail()

    async with httpx.AsyncClient() as http:
        with pytest.raises(httpx.ConnectError):
            await http.get(addresses[0] + "/exchange/status")


@pytest.mark.recorded
@pytest.mark.parametrize(
    ("file", "deltas"),
    [
        ("kalshi-demo-ws-2026-07/session.jsonl", 2_885),
        ("kalshi-prod-inxd-2023-08-31/INXD-23AUG31-B4512.jsonl", 35_898),
    ],
)
async def test_a_real_capture_arrives_whole_at_top_speed(
    recorded_data: Path, key_dir: Path, client_of: Any, file: str, deltas: int
) -> None:
    path = recorded_data / file
    loaded = load_capture(path)
    grids = {market.ticker: market.grid for market in loaded.markets}
    expected, heard = Books(grids), Books(grids)
    for timed in loaded.events:
        assert isinstance(timed.event, BookSnapshot | BookDelta)
        expected.apply(timed.event)
    feed, count = Feed(uses_yes_price=True), 0
    async with serve(VenueConfig(capture=path, speed=math.inf, key_dir=key_dir)) as serving:
        client = client_of(serving)
        async with client.wire() as wire:
            await wire.send(
                "subscribe",
                channels=["orderbook_delta"],
                market_tickers=list(grids),
                use_yes_price=True,
            )
            async with asyncio.timeout(20):
                while count < deltas:
                    received = feed.receive(await wire.connection.recv(decode=False), 0)
                    assert received.error is None
                    assert received.gap is None
                    if isinstance(received.event, BookSnapshot | BookDelta):
                        heard.apply(received.event)
                        count += isinstance(received.event, BookDelta)
        status = await client.admin("GET", "/venue/status")

    assert status["state"] == "finished"
    for ticker in grids:
        assert heard[ticker] == expected[ticker]
        assert heard[ticker].levels(Side.BID)

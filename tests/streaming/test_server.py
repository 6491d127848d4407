"""The collector's pages and sockets, as a browser meets them."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake

from kalshiflow.market.book import Book
from kalshiflow.market.events import BookDelta, Side, Stamp
from kalshiflow.serving import bind, serving
from streaming.broadcast import QUEUE_LIMIT, Hub, encode, snapshot_message
from streaming.health import Health, State
from streaming.server import MARKETS_WATCHED, application

pytestmark = pytest.mark.integration

STAMP = Stamp(5, 1_000_000_000, 2_000_000_000, "exchange", 2_000_000_000, 1, 4)


@dataclass
class Served:
    health: Health
    hub: Hub
    books: dict[str, Book]
    port: int

    def connect(self, **options) -> connect:
        return connect(f"ws://127.0.0.1:{self.port}/rl/ws", proxy=None, **options)

    def change(self, ticker: str) -> None:
        book = self.books[ticker]
        book.apply_delta(Side.BID, 4_000, 100)
        self.hub.changed(BookDelta(ticker, Side.BID, 4_000, 100, STAMP), book)


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    health = Health(0, "local", state=State.RECORDING, markets=("A", "B"), session_id="s")
    hub, books = Hub(), {ticker: Book(ticker) for ticker in ("A", "B")}

    def whole(ticker: str) -> bytes | None:
        book = books.get(ticker)
        return None if book is None else encode(snapshot_message(book, STAMP))

    with bind(0, "RL_COLLECTOR_PORT") as listener:
        port = listener.getsockname()[1]
        async with serving(application(health, hub, whole, lambda: 10**9), listener):
            yield Served(health, hub, books, port)


async def told(screen: ClientConnection) -> dict:
    async with asyncio.timeout(5):
        return json.loads(await screen.recv())


async def watch(screen: ClientConnection, *tickers: str) -> None:
    await screen.send(json.dumps({"cmd": "watch", "markets": tickers}))


async def test_a_screen_is_greeted_then_shown_what_it_watches(served: Served) -> None:
    async with served.connect() as screen:
        greeting = await told(screen)
        assert (greeting["type"], greeting["data"]["markets"]) == ("connection", ["A", "B"])

        await watch(screen, "A")
        whole = await told(screen)
        assert (whole["type"], whole["data"]["market_ticker"]) == ("orderbook_snapshot", "A")
        for _ in range(3):
            served.change("A")
            served.change("B")
        sizes = [(await told(screen))["data"]["new_size"] for _ in range(3)]
        assert sizes == ["1.00", "2.00", "3.00"]


async def test_what_a_screen_says_wrong_is_answered(served: Served) -> None:
    async with served.connect() as screen:
        await told(screen)
        for said, words in (
            ("{", "not a command"),
            ('{"cmd": "buy"}', "known is watch"),
            (json.dumps({"cmd": "watch", "markets": ["C"]}), "not recorded now: C"),
            (json.dumps({"cmd": "watch", "markets": ["A"] * (MARKETS_WATCHED + 1)}), "may watch"),
        ):
            await screen.send(said)
            answer = await told(screen)
            assert answer["type"] == "error"
            assert words in answer["data"]["message"]


async def test_a_screen_that_leaves_is_forgotten(served: Served) -> None:
    async with served.connect() as screen:
        await watch(screen, "A")
        await told(screen)
        assert len(served.hub.screens) == 1
    async with served.connect() as screen:
        await screen.send(b"bytes, which no screen sends")
        async with asyncio.timeout(5):
            await screen.wait_closed()

    async with asyncio.timeout(5):
        while served.hub.screens:
            await asyncio.sleep(0.01)
    assert not served.hub.is_watched("A")


async def test_a_screen_that_does_not_read_costs_the_others_nothing(served: Served) -> None:
    stuck = socket.create_connection(("127.0.0.1", served.port))
    stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    request = (
        f"GET /rl/ws HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    stuck.sendall(request.encode())
    command = json.dumps({"cmd": "watch", "markets": ["A"]}).encode()
    with stuck:
        async with served.connect() as screen, asyncio.timeout(20):
            await told(screen)
            while len(served.hub.screens) < 2:
                await asyncio.sleep(0.01)
            stuck.sendall(bytes((0x81, 0x80 | len(command), 0, 0, 0, 0)) + command)
            await watch(screen, "A")
            await told(screen)
            total = 12 * QUEUE_LIMIT
            sizes = []
            for count in range(total):
                served.change("A")
                if count % 64 == 63:
                    sizes += [(await told(screen))["data"]["new_size"] for _ in range(64)]

            assert [float(size) for size in sizes] == [float(n) for n in range(1, total + 1)]
            (slow,) = (each for each in served.hub.screens if each.conflated)
            assert len(slow._waiting) <= QUEUE_LIMIT
            assert slow._outlet.transport.get_write_buffer_size() < 300_000


async def test_pages_of_elsewhere_may_not_read_along(served: Served) -> None:
    with pytest.raises(InvalidHandshake):
        async with served.connect(origin="https://evil.example"):
            pass


async def test_figures_are_there_for_prometheus(served: Served) -> None:
    served.health.spool_bytes, served.health.records_behind = 123, 45
    async with served.connect() as screen, httpx.AsyncClient(trust_env=False) as client:
        await told(screen)
        page = (await client.get(f"http://127.0.0.1:{served.port}/metrics")).text

    for line in (
        "kalshiflow_collector_spool_bytes 123.0",
        "kalshiflow_collector_records_behind 45.0",
        "kalshiflow_collector_screens 1.0",
        "kalshiflow_collector_screens_conflated_total 0.0",
        'kalshiflow_collector_state{state="recording"} 1.0',
        'kalshiflow_collector_state{state="spool_full"} 0.0',
        'kalshiflow_collector_audits_total{verdict="agrees"} 0.0',
    ):
        assert f"{line}\n" in page

"""What the feeds make of what the programs say, over a real socket."""

import json
import threading
from collections.abc import Iterator

import pytest
from websockets.sync.server import ServerConnection, serve

from app_streamlit.feeds import CollectorFeed, TraderFeed

WAIT = 10

SNAPSHOT = {
    "type": "orderbook_snapshot",
    "data": {
        "market_ticker": "A",
        "yes_bids": {"0.4000": "10.00"},
        "yes_asks": {"0.4200": "5.00"},
    },
}


def delta(side: str, price: str, new_size: str) -> dict:
    data = {"market_ticker": "A", "side": side, "price": price, "new_size": new_size}
    return {"type": "orderbook_delta", "data": data}


class Program:
    """A program that says what it is told to, and hears commands."""

    def __init__(self, *messages: object) -> None:
        self.messages = messages
        self.heard: list[dict] = []
        self.said, self.listened = threading.Event(), threading.Event()

    def talk(self, socket: ServerConnection) -> None:
        for message in self.messages:
            socket.send(message if isinstance(message, str) else json.dumps(message))
        self.said.set()
        for text in socket:
            self.heard.append(json.loads(text))
            self.listened.set()


@pytest.fixture
def start() -> Iterator:
    """Give a function that serves a program and gives its address; all end after the test."""
    servers = []

    def run(program: Program) -> str:
        server = serve(program.talk, "127.0.0.1", 0)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"ws://127.0.0.1:{server.socket.getsockname()[1]}"

    yield run
    for server in servers:
        server.shutdown()


class Told:
    """Adds to a feed an event that is set once `kind` has been taken in."""

    kind = "stats"

    def __init__(self, url: str) -> None:
        self.told = threading.Event()
        super().__init__(url)

    def receive(self, kind: str, data: dict) -> None:
        super().receive(kind, data)
        if kind == self.kind:
            self.told.set()


class ToldCollector(Told, CollectorFeed):
    """A collector's feed that tells when the figures came."""


class ToldTrader(Told, TraderFeed):
    """A trader's feed that tells when a move between states came."""

    kind = "state_transition"


def test_a_watched_book_follows_its_changes(start) -> None:
    program = Program(
        SNAPSHOT, delta("bid", "0.4100", "7.00"), delta("ask", "0.4200", "0.00"),
        {"type": "stats", "data": {"gaps": 0}},
    )  # fmt: skip
    feed = ToldCollector(start(program))

    assert feed.told.wait(WAIT)
    assert feed.book("A") == {
        "yes_bids": {"0.4000": "10.00", "0.4100": "7.00"},
        "yes_asks": {},
    }
    assert list(feed.stats) == [{"gaps": 0}]
    feed.stop()


def test_a_message_that_cannot_be_read_ends_nothing(start) -> None:
    program = Program("no json", "[1]", {"type": "stats", "data": {"gaps": 3}})
    feed = ToldCollector(start(program))

    assert feed.told.wait(WAIT)
    assert (feed.unreadable, feed.stats[-1]) == (2, {"gaps": 3})
    feed.stop()


def test_watching_a_market_is_asked_of_the_collector(start) -> None:
    program = Program({"type": "stats", "data": {}})
    feed = ToldCollector(start(program))
    assert feed.told.wait(WAIT)

    feed.watch("A")

    assert program.listened.wait(WAIT)
    assert program.heard == [{"cmd": "watch", "markets": ["A"]}]
    feed.stop()


def test_the_traders_state_is_the_last_that_it_told(start) -> None:
    program = Program(
        {"type": "trader_state", "data": {"cash_balance": "1.00"}},
        {"type": "trader_state", "data": {"cash_balance": "2.00"}},
        {"type": "state_transition", "data": {"from_state": "ready", "to_state": "acting"}},
    )
    feed = ToldTrader(start(program))

    assert feed.told.wait(WAIT)
    assert feed.state == {"cash_balance": "2.00"}
    assert [move["to_state"] for move in feed.transitions] == ["acting"]
    feed.stop()

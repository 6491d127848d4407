"""Screens: what they are sent, in which order, and what happens to a slow one."""

import asyncio
import json

import pytest

from kalshiflow.market.book import Book
from kalshiflow.market.events import BookDelta, Side, Stamp
from kalshiflow.sockets import text_frame
from streaming import broadcast
from streaming.broadcast import BOOKS_IN_TICK, Hub, Screen, delta_message, snapshot_message

STAMP = Stamp(5, 1_000_000_000, 2_000_000_000, "exchange", 2_000_000_000, 1, 4)


class Shelf:
    """An outlet that keeps what it is given, as texts."""

    def __init__(self) -> None:
        self.is_ready = True
        self.writes = []

    def write(self, frames):
        self.writes.append([_text(frame) for frame in frames])

    def taken(self):
        texts = [text for write in self.writes for text in write]
        self.writes.clear()
        return texts


def _text(frame):
    assert frame == text_frame(text := frame[2 if frame[1] < 126 else 4 :])
    return text.decode()


def book_of(ticker="A", bids=((4_000, 100),), asks=((6_100, 300),)):
    book = Book(ticker)
    book.apply_snapshot(bids, asks)
    return book


def change(ticker="A", size=50):
    return BookDelta(ticker, Side.BID, 4_000, size, STAMP)


@pytest.fixture
def hub():
    hub = Hub()
    hub.whole = lambda ticker: f"whole {ticker}".encode()
    return hub


def watching(hub, *tickers, limit=10):
    shelf = Shelf()
    screen = Screen(shelf, limit)
    hub.join(screen)
    hub.watch(screen, tickers)
    hub.tick()
    return screen, shelf


def kinds(texts):
    return [text if text.startswith("whole") else json.loads(text)["type"] for text in texts]


def test_a_snapshot_tells_both_scales():
    data = snapshot_message(book_of(), STAMP)["data"]

    assert (data["market_ticker"], data["timestamp_ms"], data["sequence_number"]) == ("A", 2_000, 4)
    assert data["yes_bids"] == {"0.4000": "1.00"}
    assert data["yes_asks"] == {"0.6100": "3.00"}
    assert data["no_bids"] == {"0.3900": "3.00"}
    assert data["no_asks"] == {"0.6000": "1.00"}
    assert (data["yes_mid_price"], data["no_mid_price"]) == ("0.50500", "0.49500")


def test_a_book_with_one_side_has_no_mid_price():
    data = snapshot_message(book_of(asks=()), None)["data"]

    assert (data["yes_asks"], data["yes_mid_price"], data["sequence_number"]) == ({}, None, None)


def test_a_change_tells_the_level_as_it_is_now():
    assert json.loads(delta_message(change(), book_of())) == {
        "type": "orderbook_delta",
        "data": {
            "market_ticker": "A",
            "timestamp_ms": 2_000,
            "sequence_number": 4,
            "side": "bid",
            "price": "0.4000",
            "delta": "0.50",
            "new_size": "1.00",
        },
    }


async def test_a_watched_book_is_sent_whole_and_then_its_changes(hub):
    _, shelf = watching(hub, "A")

    assert shelf.taken() == ["whole A"]
    assert hub.is_watched("A")
    assert not hub.is_watched("B")
    hub.changed(change(), book_of())
    hub.tick()
    assert kinds(shelf.taken()) == ["orderbook_delta"]


async def test_what_is_due_is_written_at_once_and_soon(hub):
    _, shelf = watching(hub, "A")
    shelf.taken()
    for _ in range(5):
        hub.changed(change(), book_of())
    assert shelf.writes == []

    async with asyncio.timeout(5):
        while not shelf.writes:
            await asyncio.sleep(broadcast.TICK_SECONDS)

    assert [len(write) for write in shelf.writes] == [5]


async def test_a_message_is_encoded_once_for_all_screens(hub):
    shelves = [watching(hub, "A")[1] for _ in range(3)]
    frames = []
    for shelf in shelves:
        shelf.write = frames.extend
    hub.changed(change(), book_of())
    hub.tick()

    assert len(frames) == 3
    assert len({id(frame) for frame in frames}) == 1


async def test_a_change_before_the_whole_book_was_sent_is_in_that_book_already(hub):
    screen, shelf = watching(hub)
    hub.watch(screen, ["A"])
    hub.changed(change(), book_of())
    hub.tick()

    assert shelf.taken() == ["whole A"]


async def test_a_change_that_still_waits_is_sent_before_the_book_that_replaces_it(hub):
    _, shelf = watching(hub, "A")
    shelf.taken()
    hub.changed(change(), book_of())
    hub.replaced("A")
    hub.tick()

    assert kinds(shelf.taken()) == ["orderbook_delta", "whole A"]


async def test_a_slow_screen_gets_its_books_whole_instead_of_a_backlog(hub):
    slow, shelf = watching(hub, "A", "B", limit=3)
    _, other = watching(hub, "A", limit=100)
    shelf.is_ready = False
    shelf.taken()
    other.taken()
    for _ in range(10):
        hub.changed(change(), book_of())
        hub.tick()
    assert shelf.writes == []
    assert kinds(other.taken()) == ["orderbook_delta"] * 10

    shelf.is_ready = True
    hub.tell({"type": "stats", "data": {}})
    hub.tick()

    assert kinds(shelf.taken()) == ["stats", "whole A", "whole B"]
    assert (slow.conflated, hub.conflated) == (1, 1)
    hub.leave(slow)
    assert hub.conflated == 1


async def test_many_books_are_sent_over_several_ticks(hub):
    tickers = [f"M{number:03}" for number in range(2 * BOOKS_IN_TICK + 5)]
    _, shelf = watching(hub, *tickers)
    _, other = watching(hub, *tickers)
    assert len(shelf.writes[0]) == BOOKS_IN_TICK

    async with asyncio.timeout(5):
        while sum(map(len, (*shelf.writes, *other.writes))) < 2 * len(tickers):
            await asyncio.sleep(broadcast.TICK_SECONDS)

    assert shelf.taken() == other.taken() == [f"whole {ticker}" for ticker in tickers]


async def test_only_the_newest_stats_wait(hub):
    _, shelf = watching(hub)
    for number in range(3):
        hub.tell({"type": "stats", "data": {"number": number}})
    hub.tick()

    (text,) = shelf.taken()
    assert json.loads(text)["data"] == {"number": 2}


async def test_a_book_that_cannot_be_trusted_is_not_sent(hub):
    hub.whole = lambda _ticker: None
    _, shelf = watching(hub, "A")

    assert shelf.writes == []


async def test_a_screen_that_watches_others_is_told_of_those_only(hub):
    screen, shelf = watching(hub, "A")
    hub.changed(change(), book_of())
    hub.watch(screen, ["B"])
    hub.changed(change("A"), book_of("A"))
    hub.tick()

    assert shelf.taken() == ["whole A", "whole B"]
    assert not hub.is_watched("A")


async def test_a_screen_that_left_is_told_nothing(hub):
    screen, shelf = watching(hub, "A")
    shelf.taken()
    hub.changed(change(), book_of())
    hub.leave(screen)
    hub.tick()

    assert not hub.is_watched("A")
    assert (hub.screens, shelf.writes) == (set(), [])


async def test_thinned_screens_get_one_of_so_many_changes_and_are_right_again_soon(monkeypatch):
    monkeypatch.setattr(broadcast, "COMPLETION_SECONDS", 0.02)
    hub = Hub(sample_rate=4)
    hub.whole = lambda ticker: f"whole {ticker}".encode()
    _, shelf = watching(hub, "A", "B", limit=100)
    shelf.taken()
    for _ in range(9):
        hub.changed(change("A"), book_of("A"))
    hub.changed(change("B"), book_of("B"))
    hub.tick()
    assert kinds(shelf.taken()) == ["orderbook_delta"] * 4  # three of A's nine, and B's only one

    async with asyncio.timeout(5):
        while not shelf.writes:
            await asyncio.sleep(0.005)

    assert shelf.taken() == ["whole A"]  # nothing of B was left out

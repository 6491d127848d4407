"""Screens: what they are sent, in which order, and what happens to a slow one."""

import json

from kalshiflow.market.book import Book
from kalshiflow.market.events import BookDelta, Side, Stamp
from streaming.broadcast import Hub, Screen, snapshot_message

STAMP = Stamp(5, 1_000_000_000, 2_000_000_000, "exchange", 2_000_000_000, 1, 4)


def book_of(ticker="A", bids=((4_000, 100),), asks=((6_100, 300),)):
    book = Book(ticker)
    book.apply_snapshot(bids, asks)
    return book


def change(ticker="A", size=50):
    return BookDelta(ticker, Side.BID, 4_000, size, STAMP)


def whole(ticker):
    return f"whole {ticker}"


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


async def test_a_watched_book_is_sent_whole_and_then_its_changes():
    hub, screen = Hub(), Screen()
    hub.join(screen)
    hub.watch(screen, ["A"])

    assert await screen.next(whole) == ["whole A"]
    assert hub.is_watched("A")
    assert not hub.is_watched("B")
    hub.changed(change(), book_of())
    (text,) = await screen.next(whole)
    told = json.loads(text)["data"]
    assert (told["side"], told["price"], told["delta"]) == ("bid", "0.4000", "0.50")
    assert told["new_size"] == "1.00"


async def test_a_change_before_the_whole_book_was_sent_is_in_that_book_already():
    hub, screen = Hub(), Screen()
    hub.join(screen)
    hub.watch(screen, ["A"])
    hub.changed(change(), book_of())

    assert await screen.next(whole) == ["whole A"]


async def test_a_change_that_still_waits_is_sent_before_the_book_that_replaces_it():
    hub, screen = Hub(), Screen()
    hub.join(screen)
    hub.watch(screen, ["A"])
    await screen.next(whole)
    hub.changed(change(), book_of())
    hub.replaced("A")

    texts = await screen.next(whole)
    assert [text[:7] for text in texts] == ['{"type"', "whole A"]


async def test_a_slow_screen_gets_its_books_whole_instead_of_a_backlog():
    hub, screen = Hub(), Screen(limit=3)
    hub.join(screen)
    hub.watch(screen, ["A", "B"])
    await screen.next(whole)
    for _ in range(10):
        hub.changed(change(), book_of())

    assert await screen.next(whole) == ["whole A", "whole B"]
    assert screen.conflated == 1


async def test_only_the_newest_stats_wait():
    hub, screen = Hub(), Screen()
    hub.join(screen)
    for number in range(3):
        hub.tell({"type": "stats", "data": {"number": number}})

    (text,) = await screen.next(whole)
    assert json.loads(text)["data"] == {"number": 2}


async def test_a_book_that_cannot_be_trusted_is_not_sent():
    screen = Screen()
    screen.watch(["A"])

    assert await screen.next(lambda _ticker: None) == []


def test_a_screen_that_left_is_told_nothing():
    hub, screen = Hub(), Screen()
    hub.join(screen)
    hub.watch(screen, ["A"])
    hub.leave(screen)

    assert not hub.is_watched("A")
    assert hub.screens == set()

"""Batches of rows, and what one session puts into them."""

import pytest

from kalshiflow.exchange.feed import Feed
from kalshiflow.market.books import Books
from kalshiflow.market.events import MarketStatusChanged, Stamp, TimeSource
from kalshiflow.market.listing import CENT_GRID, Market
from kalshiflow.store import rows
from kalshiflow.store.batch import Batch, NewSession, SessionEnd, new_session_id
from kalshiflow.store.session_rows import SessionRows

BOOK = b'{"type":"orderbook_snapshot","sid":1,"seq":1,"msg":{"market_ticker":"A"}}'
TRADE = (
    b'{"type":"trade","sid":2,"seq":1,"msg":{"market_ticker":"A","trade_id":"t",'
    b'"yes_price_dollars":"0.5000","count_fp":"1.00","taker_side":"yes"}}'
)
AT = 1_795_000_000_000_000_000


def session(follows: str | None = None) -> SessionRows:
    new = NewSession("one", "collector", "local", False, AT, {"A": CENT_GRID}, follows=follows)
    return SessionRows(new)


@pytest.fixture
def feed() -> Feed:
    return Feed()


def test_ids_of_sessions_sort_by_time_and_never_come_twice():
    ids = [new_session_id(AT + second * 10**9) for second in range(3)]
    assert ids == sorted(ids)
    assert new_session_id(AT) != new_session_id(AT)
    assert new_session_id(AT).startswith("20261118T")


def test_rows_are_held_until_the_first_book_and_then_are_all_there(feed):
    writer, batch = session(), Batch()
    writer.add(batch, feed.receive(TRADE, AT), TRADE)
    assert (batch.count, batch.earliest) == (0, None)
    writer.add(batch, feed.receive(BOOK, AT + 1), BOOK)
    assert batch.count == 2
    assert (batch.earliest, batch.latest) == (AT, AT + 1)
    assert batch.parts["one"].frames == 2


def test_held_rows_go_into_the_batch_of_the_deciding_frame(feed):
    writer, second = session(), Batch()
    writer.add(None, feed.receive(TRADE, AT), TRADE)
    writer.add(second, feed.receive(BOOK, AT + 1), BOOK)
    assert len(second.tables[rows.TRADES]) == 1


def test_a_session_that_is_decided_without_a_batch_has_its_rows_with_another_recorder(feed):
    writer, batch = session(), Batch()
    writer.add(None, feed.receive(TRADE, AT), TRADE)
    writer.add(None, feed.receive(BOOK, AT), BOOK)
    writer.add(batch, feed.receive(TRADE, AT), TRADE)
    assert [row[1] for row in batch.tables[rows.TRADES]] == [3]
    assert not batch.tables[rows.SNAPSHOTS]


def test_a_frame_that_was_refused_is_a_gap_and_begins_no_session(feed):
    writer, batch = session(), Batch()
    writer.add(batch, feed.receive(BOOK, AT), BOOK, refused="it cannot be true")
    assert writer.is_held
    writer.add(batch, feed.receive(BOOK, AT), BOOK)
    gaps = [(row[1], row[2], row[9]) for row in batch.tables[rows.GAPS]]
    assert gaps == [
        (1, "bad_frame", "it cannot be true"),
        (2, "missing", "expected seq 2, received 1"),
    ]


def test_an_ended_session_has_its_end_in_the_last_batch_only(feed):
    writer, first, second = session(), Batch(), Batch()
    writer.add(first, feed.receive(BOOK, AT), BOOK)
    end = SessionEnd("closed", "enough", AT, None)
    writer.end(second, end)
    assert first.parts["one"].end is None
    assert second.parts["one"].end == end
    assert second.parts["one"].frames == 1


def test_a_held_session_leaves_nothing_at_its_end(feed):
    writer, batch = session(), Batch()
    writer.add(batch, feed.receive(TRADE, AT), TRADE)
    writer.end(batch, SessionEnd("closed", "enough", AT, None))
    assert not batch.parts


def test_one_that_goes_on_from_another_begins_with_its_books_and_any_frame(feed):
    writer, batch, books = session(follows="zero"), Batch(), Books({"A": CENT_GRID})
    books.apply(feed.receive(BOOK, AT).event)
    books.mark_stale("B")
    writer.add_seam(batch, books, Stamp(0, AT, AT, TimeSource.CARRIED))
    assert not batch.count
    assert writer.has_book
    feed.restart_numbers()
    writer.add(batch, feed.receive(TRADE, AT), TRADE)
    assert [row[3] for row in batch.tables[rows.SNAPSHOTS]] == ["seam"]
    assert [row[2] for row in batch.tables[rows.GAPS]] == ["carried"]


def test_a_batch_that_takes_in_another_has_both_and_the_later_word_on_a_market():
    early, late = Batch(after=3, position=4), Batch(after=4, position=9)
    stamp = Stamp(1, AT, AT, TimeSource.RECEIVE)
    for batch, at in ((early, AT), (late, AT + 5)):
        batch.put(rows.FRAMES, ("one", 1))
        batch.deltas.append(b"row")
        batch.life.append(MarketStatusChanged("A", "activated", stamp))
        batch.reach(at)
    late.list_markets([Market("A", "E", "listed later")], AT)
    late.life.append(MarketStatusChanged("A", "settled", stamp))

    early.extend(late)

    assert early.count == 4
    assert (early.after, early.position) == (3, 4)
    assert (early.earliest, early.latest) == (AT, AT + 5)
    assert early.listed["A"].title == "listed later"
    assert [event.event_type for event in early.life] == ["settled"]

"""Which books are told of while no socket is to be had."""

import pytest

from streaming.polling import STILL, Poller

EMPTY = ((), ())
BOOK = (((4_000, 100),), ((6_000, 100),))


class Told:
    """A poller that was given books at moments."""

    def __init__(self):
        self.now = 0
        self.notes = []
        self.poller = Poller(None, self.notes.append, lambda: self.now)

    def at(self, now, **books):
        self.now = now
        before = len(self.notes)
        self.poller.take(books)
        return [note.ticker for note in self.notes[before:]]


@pytest.fixture
def told():
    return Told()


def test_a_book_is_told_when_it_is_new_and_when_it_changed(told):
    assert told.at(1, A=BOOK, B=EMPTY) == ["A", "B"]
    assert told.at(2, A=BOOK, B=BOOK) == ["B"]
    assert told.notes[0].bids == [(4_000, 100)]
    assert told.notes[0].asks == [(6_000, 100)]


def test_a_book_that_stands_still_is_told_once_a_minute(told):
    told.at(0, A=BOOK)

    assert told.at(STILL - 1, A=BOOK) == []
    assert told.at(STILL, A=BOOK) == ["A"]


def test_after_a_connection_every_book_is_news(told):
    told.at(0, A=BOOK)
    told.poller.forget()

    assert told.at(1, A=BOOK) == ["A"]

"""What the trader's tape takes down, in what order, and what it does where it cannot."""

import json

import pytest
from batches import named_rows
from book_frames import delta, snapshot, subscribed
from full_disk import files_end_at
from structlog.testing import capture_logs

from kalshiflow.agent.account import MarketAccount
from kalshiflow.market.listing import Market
from kalshiflow.market.units import Cash, Quantity
from kalshiflow.recording.notes import decode_note
from kalshiflow.recording.reading import SpoolReader
from kalshiflow.recording.recorder import Recorder
from kalshiflow.recording.spool import Kind, Spool, SpoolFull
from kalshiflow.store import rows
from kalshiflow.store.batch import Batch
from trader.behind import Behind
from trader.tape import Tape

SECOND = 1_000_000_000
BEGAN = 1_795_000_000 * SECOND
MEBIBYTE = 2**20
A = Market("A", "E", "a market")


class Taped:
    """A tape over a spool in a folder, with an account in market A."""

    def __init__(self, folder, limit=16 * MEBIBYTE):
        self.spool = Spool.open(folder, limit_bytes=limit)
        self.recorder = Recorder(Batch())
        self.spool.begin_segment(self.recorder.checkpoint(), 0)
        self.recorder.position = self.spool.position
        self.failures = []
        self.decisions = 0
        self.account = MarketAccount(Cash(100))
        self.now = BEGAN
        self.tape = Tape(
            lambda: self.decisions, lambda: [("A", self.account)], clock=lambda: self.now
        )
        self.tape.put_behind(
            Behind(self.spool, self.recorder, "local", "main", 1, self.failures.append)
        )

    def read(self, *frames):
        return [self.tape.read(json.dumps(frame).encode(), self.now) for frame in frames]

    def sends(self, quantity):
        self.account.order_sent(Quantity(quantity), self.now)
        self.tape.account("A", self.account)

    def rows(self, table, *columns):
        found = named_rows(self.recorder.batch)[table]
        return [tuple(row[name] for name in columns) for row in found]

    def changes(self):
        return self.rows(rows.ACCOUNTS, "frame_no", "change_no", "decision_no", "ordered")


@pytest.fixture
def taped(tmp_path):
    """Give a tape of a connection whose first book has come."""
    made = Taped(tmp_path)
    made.tape.begin([A])
    made.tape.asked(1, ["A"])
    made.read(subscribed(), snapshot(1))
    made.tape.keep()
    yield made
    made.spool.abandon()


def test_a_frame_is_numbered_once_for_the_trading_and_for_its_row(taped):
    numbers = [received.frame_no for received in taped.read(delta(2), delta(3))]
    taped.tape.keep()

    assert numbers == [3, 4]
    assert taped.rows(rows.DELTAS, "frame_no") == [(3,), (4,)]
    assert taped.tape.session_id == taped.rows(rows.DELTAS, "session_id")[0][0]


def test_a_session_is_the_traders_own_and_one_it_traded_in(taped):
    session = taped.recorder.session

    assert (session.origin, session.traded, session.shard) == ("trader", True, "main")
    assert taped.rows(rows.LISTINGS, "ticker", "reason") == [("A", "begun")]


def test_a_change_of_the_account_stands_after_its_frame_and_the_decisions_before_it(taped):
    taped.read(delta(2))
    taped.sends(5)
    taped.decisions = 1
    taped.sends(6)
    taped.read(delta(3))
    taped.tape.keep()
    taped.sends(7)  # by an answer, between two frames
    taped.tape.keep()

    assert taped.changes() == [(0, 1, 0, 1), (3, 2, 0, 5), (3, 3, 1, 6), (4, 4, 1, 7)]


def test_an_account_that_is_as_before_is_no_change(taped):
    taped.tape.account("A", taped.account)
    taped.tape.keep()

    assert taped.changes() == [(0, 1, 0, 1)]


def test_what_the_spool_holds_gives_the_same_rows_again(taped):
    taped.read(delta(2), delta(4))  # with a gap
    taped.sends(5)
    taped.tape.keep()
    taped.tape.rotate()
    taped.read(snapshot(5), delta(6))
    taped.sends(6)
    taped.tape.end("the connection ended")

    reader = SpoolReader(taped.spool, 0)
    while reader.step(seconds=1, rows=10**6):
        pass
    assert named_rows(reader.give()) == named_rows(taped.recorder.batch)


def test_a_rotation_begins_with_the_account_and_numbers_anew(taped):
    before = taped.tape.session_id
    taped.now += 3601 * SECOND
    taped.tape.tend(3600)
    (received,) = taped.read(delta(2))
    taped.sends(5)
    taped.tape.keep()

    assert received.frame_no == 1
    assert taped.tape.session_id not in {before, None}
    assert taped.recorder.session.follows == before
    assert taped.changes() == [(0, 1, 0, 1), (0, 1, 0, 1), (1, 2, 0, 5)]


def test_a_session_without_a_frame_of_its_own_is_not_followed_by_another(taped):
    taped.tape.rotate()
    session_id = taped.tape.session_id
    taped.tape.rotate()

    assert taped.tape.session_id == session_id


def test_nothing_is_written_between_the_reading_of_frames_and_what_is_decided_on_them(taped):
    written = taped.spool.flushed
    taped.read(delta(2), delta(3))
    assert taped.spool.position == written

    taped.tape.keep()
    assert taped.spool.flushed == written + 2


def test_a_disk_that_is_full_ends_the_recording_and_not_the_reading(taped, tmp_path):
    taped.read(delta(2))
    with capture_logs() as told, files_end_at(100):
        taped.tape.keep()
    (received,) = taped.read(delta(3))
    taped.tape.keep()

    assert isinstance(taped.failures[0], SpoolFull)
    assert [entry["event"] for entry in told] == ["the tape ends here"]
    assert (received.frame_no, received.gap) == (4, None)  # as if nothing had happened
    assert taped.tape.session_id is None
    assert (taped.tape.frames, taped.tape.missed) == (4, 2)


def test_a_fault_of_the_recording_is_no_fault_of_the_trading(taped, monkeypatch):
    def fail(*_):
        raise KeyError("a mistake of ours")

    monkeypatch.setattr(taped.recorder, "add", fail)
    position = taped.spool.position + 1
    taped.read(delta(2))
    taped.tape.keep()

    assert isinstance(taped.failures[0], KeyError)
    assert taped.spool.mark_poison(position) == 2  # the first was the tape's
    assert taped.read(delta(3))[0].error is None


def test_without_anything_behind_it_frames_are_read_and_counted():
    tape = Tape(int, lambda: [("A", MarketAccount(Cash(1)))])
    tape.begin([A])
    tape.asked(1, ["A"])
    for frame in (subscribed(), snapshot(1), delta(3)):
        received = tape.read(json.dumps(frame).encode(), BEGAN)
    tape.account("A", MarketAccount(Cash(2)))
    tape.keep()
    tape.tend(0)
    tape.end("over")

    assert received.gap.tickers == ("A",)
    assert tape.sid_of("orderbook_delta") == 1
    assert (tape.session_id, tape.frames, tape.missed) == (None, 3, 3)


def test_what_is_put_behind_it_amid_a_connection_waits_for_the_next(taped):
    behind = taped.tape._behind
    taped.tape.end("cut")
    taped.tape.take_away()
    taped.tape.begin([A])
    taped.read(subscribed(), snapshot(1))
    taped.tape.put_behind(behind)
    taped.read(delta(2))
    taped.tape.keep()
    assert (taped.tape.session_id, taped.tape.missed) == (None, 3)

    taped.tape.begin([A])
    taped.read(subscribed(), snapshot(1))
    taped.tape.keep()
    assert taped.tape.session_id is not None


def test_a_segment_that_is_long_enough_is_turned_between_two_frames(tmp_path):
    taped = Taped(tmp_path, limit=MEBIBYTE)
    taped.tape.begin([A])
    taped.read(
        subscribed(), *(snapshot(seq, bids=[["0.4000", "1.00"]] * 6_000) for seq in (1, 2, 3))
    )
    taped.tape.keep()
    first = taped.spool.segment_start(taped.spool.position)
    taped.tape.tend(3600)
    taped.read(delta(4))
    taped.tape.keep()

    kinds = [record.kind for record in taped.spool.read(taped.spool.segment_start(10**9) - 1)]
    assert kinds == [Kind.CHECKPOINT, Kind.FRAME]
    assert taped.spool.segment_start(taped.spool.position) > first
    assert not taped.failures
    taped.spool.abandon()


def test_the_last_note_tells_why_the_connection_ended(taped):
    taped.tape.end("the exchange said goodbye")

    *_, last = taped.spool.read(0)
    assert decode_note(last.content).reason == "the exchange said goodbye"
    assert taped.tape.session_id is None

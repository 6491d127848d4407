"""What is received: in the spool first, then with the recorder, in one order, also in a full spool."""

import json

import pytest
from full_disk import files_end_at, room_for_a_segment

from kalshiflow.exchange.connection import RawFrame
from kalshiflow.market.listing import Market
from kalshiflow.recording.notes import Connected, Disconnected, decode_note, listed
from kalshiflow.recording.recorder import Recorder
from kalshiflow.recording.spool import Kind, Spool
from kalshiflow.store.batch import Batch
from streaming.health import SECOND
from streaming.intake import Intake, Pace

MEBIBYTE = 2**20


def book(seq, padding=""):
    body = {"market_ticker": "A", "yes_dollars_fp": [["0.4000", "1.00"]], "padding": padding}
    frame = {"type": "orderbook_snapshot", "sid": 1, "seq": seq, "msg": body}
    return RawFrame(json.dumps(frame).encode(), seq * SECOND)


def change(seq):
    body = {
        "market_ticker": "A",
        "price_dollars": "0.4000",
        "delta_fp": "1.00",
        "side": "yes",
        "ts_ms": seq * 1000,
    }
    frame = {"type": "orderbook_delta", "sid": 1, "seq": seq, "msg": body}
    return RawFrame(json.dumps(frame).encode(), seq * SECOND)


CONNECTED = Connected(
    session_id="s",
    origin="collector",
    environment="local",
    traded=False,
    markets=listed([Market("A", "E", "a market")]),
)


class Taken:
    """An intake over a small spool in a folder."""

    def __init__(self, folder, limit=16 * MEBIBYTE):
        self.folder = folder
        self.limit = limit
        self.spool = Spool.open(folder, limit_bytes=limit)
        self.recorder = Recorder(Batch())
        self.spool.begin_segment(self.recorder.checkpoint(), 0)
        self.intake = Intake(self.spool, self.recorder, lambda: 0)
        self.seen = []
        self.intake.look = self.seen.append

    def records(self):
        return [record for record in self.spool.read(0) if record.kind != Kind.CHECKPOINT]


@pytest.fixture
def taken(tmp_path):
    one = Taken(tmp_path / "spool", limit=2 * MEBIBYTE)
    yield one
    one.spool.close()


def test_frames_and_notes_are_in_the_spool_in_the_order_in_which_they_came(taken):
    taken.intake.note(CONNECTED)
    taken.intake.frames([book(1), change(2)])
    taken.intake.note(Disconnected(reason="enough"))

    kinds = [record.kind for record in taken.records()]
    assert kinds == [Kind.NOTE, Kind.FRAME, Kind.FRAME, Kind.NOTE]
    assert decode_note(taken.records()[0].content) == CONNECTED
    assert taken.recorder.position == taken.spool.flushed
    assert taken.intake.sessions == {"s"}


def test_changes_of_books_are_looked_at_only_where_somebody_watches(taken):
    taken.intake.note(CONNECTED)
    taken.intake.frames([book(1), change(2)])
    assert [received.kind for received in taken.seen] == ["orderbook_snapshot"]

    taken.intake.looks_closely = lambda: True
    taken.intake.frames([change(3)])
    assert taken.seen[-1].seq == 3


def test_ages_are_those_of_frames_with_a_time_of_the_exchanges(taken):
    taken.intake.note(CONNECTED)
    for frame in (book(1), change(2), change(3)):
        taken.intake.frames([frame])

    assert list(taken.intake.ages) == [0, 0]
    assert taken.intake.newest_time == (3 * SECOND, 3 * SECOND)


def test_what_a_full_spool_cannot_take_waits_in_order_until_there_is_room(taken):
    taken.intake.note(CONNECTED)
    seq = 0
    while not taken.intake.is_stuck:
        seq += 1
        taken.intake.frames([book(seq, "x" * 100_000)])
    taken.intake.note(Disconnected(reason="the exchange had enough"))
    before = taken.recorder.frames

    assert before < seq
    assert taken.spool.trouble is not None
    assert taken.recorder.session is not None

    taken.spool.release(taken.recorder.position)
    taken.intake.retry()

    assert not taken.intake.is_stuck
    assert taken.recorder.position == taken.spool.flushed == taken.spool.position
    assert taken.recorder.session is None
    assert taken.recorder.counts.frames_total == seq


def test_a_disk_that_is_full_within_one_segment_is_emptied_once_that_is_committed(
    taken, monkeypatch
):
    taken.intake.note(CONNECTED)
    taken.intake.frames([book(1, "x" * 10_000)])
    spared = (taken.folder / "spare").stat().st_size
    with files_end_at(taken.spool.bytes_held), room_for_a_segment(monkeypatch, spared):
        taken.intake.frames([change(2), change(3)])
        taken.intake.note(Disconnected(reason="the exchange had enough"))
        taken.intake.retry()
        assert taken.intake.is_waiting  # nothing was committed
        flushed = taken.spool.flushed

        taken.spool.release(taken.recorder.position)
        taken.intake.retry()

    assert not taken.intake.is_stuck
    assert taken.spool.first == flushed + 1
    found = list(taken.spool.read(flushed))
    kinds = [Kind.CHECKPOINT, Kind.FRAME, Kind.FRAME, Kind.NOTE]
    assert [record.kind for record in found] == kinds
    assert [record.position for record in found] == list(range(flushed + 1, flushed + 5))
    assert taken.recorder.position == taken.spool.flushed == taken.spool.position
    assert taken.recorder.counts.deltas == 2
    restored = Recorder.restore(found[0].content, found[0].position)
    for record in found[1:]:
        restored.take(record)
    assert restored.checkpoint() == taken.recorder.checkpoint()


def test_a_segment_that_is_full_is_followed_by_one_that_stands_alone(taken):
    taken.intake.note(CONNECTED)
    for seq in range(1, 8):
        taken.intake.frames([book(seq, "x" * 100_000)])

    start = taken.spool.segment_start(taken.spool.flushed)
    first = next(taken.spool.read(start - 1))
    assert start > 1
    assert first.kind == Kind.CHECKPOINT
    restored = Recorder.restore(first.content, first.position)
    for record in taken.spool.read(first.position):
        restored.take(record)
    assert restored.checkpoint() == taken.recorder.checkpoint()


def test_a_record_that_ends_the_recorder_is_marked_and_the_error_passes(taken, monkeypatch):
    taken.intake.note(CONNECTED)
    monkeypatch.setattr(taken.recorder, "frame", _broken)

    with pytest.raises(ZeroDivisionError):
        taken.intake.frames([book(1)])
    with pytest.raises(ZeroDivisionError):
        taken.intake._take(2, 0, b"")

    poisoned = taken.spool.flushed
    assert taken.spool.mark_poison(poisoned) >= 2


def _broken(*_record):
    raise ZeroDivisionError


@pytest.mark.parametrize("speed", [0.5, 1.0, 20.0])
def test_pace_is_exchange_seconds_in_one_of_ours(speed):
    pace = Pace()
    found = [
        pace.see((second * SECOND, 1_000 * SECOND + int(second * speed * SECOND)))
        for second in range(30)
    ]

    assert found[:10] == [None] * 10
    assert found[10:] == pytest.approx([speed] * 20)
    assert pace.see(None) is None

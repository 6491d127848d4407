"""Faults of frames: what a session gets of what was sent to it."""

from hypothesis import given
from hypothesis import strategies as st

from kalshiflow.market.units import Cash
from kalshiflow.venue.faults.frames import FrameFaults, Line
from kalshiflow.venue.faults.language import read_fault
from kalshiflow.venue.faults.live import Faults
from kalshiflow.venue.floor.accounts import Account
from kalshiflow.venue.websocket.sessions import Session, Subscription

MILLISECOND = 1_000_000
BOOK, TRADE = 1, 2


class Wire:
    """One session's frames passed through faults by a clock that only this moves."""

    def __init__(self, *faults: str) -> None:
        self.now = 0
        self.faults = Faults(7, lambda: self.now, lambda _: "trader")
        for fault in faults:
            self.faults.add(read_fault(fault))
        self.frame_faults = FrameFaults(self.faults)
        self.session = Session(Account("somebody", Cash(0), key_id="key"))
        for sid, channel in ((BOOK, "orderbook_delta"), (TRADE, "trade")):
            self.session.by_sid[sid] = Subscription(
                self.session, sid, channel, None, uses_yes_price=False
            )
        self.line = Line(1, "key")

    def send(self, *frames: bytes, after_ms: int = 0) -> list[bytes]:
        self.now += after_ms * MILLISECOND
        return self.frame_faults.pass_on(self.line, self.session, list(frames))


def delta(seq: int, ticker: str = "A") -> bytes:
    return b'{"type":"orderbook_delta","sid":%d,"seq":%d,"msg":{"market_ticker":"%b"}}' % (
        BOOK,
        seq,
        ticker.encode(),
    )


def trade(seq: int) -> bytes:
    return b'{"type":"trade","sid":%d,"seq":%d,"msg":{"market_ticker":"A"}}' % (TRADE, seq)


def ok(seq: int) -> bytes:
    return b'{"type":"ok","id":3,"sid":%d,"seq":%d,"msg":{"market_tickers":["A"]}}' % (BOOK, seq)


def deltas(*seqs: int) -> list[bytes]:
    return [delta(seq) for seq in seqs]


def test_a_dropped_frame_is_missing_and_the_others_stay_as_they_are() -> None:
    wire = Wire("drop every=3")

    assert wire.send(*deltas(1, 2, 3, 4)) == deltas(1, 2, 4)
    assert wire.send(*deltas(5, 6, 7)) == deltas(5, 7)


def test_a_fault_keeps_to_its_channel_its_market_and_its_account() -> None:
    frames = (delta(1, "A"), delta(2, "B"), trade(1))

    assert Wire("drop channel=trade").send(*frames) == [frames[0], frames[1]]
    assert Wire("drop ticker=B").send(*frames) == [frames[0], frames[2]]
    assert Wire("drop account=trader").send(*frames) == []
    assert Wire("drop account=key").send(*frames) == []
    assert Wire("drop account=trader-2").send(*frames) == list(frames)


def test_an_answer_to_a_command_is_only_lost_by_name() -> None:
    assert Wire("drop").send(delta(1), ok(2)) == [ok(2)]
    assert Wire("drop channel=control").send(delta(1), ok(2)) == [delta(1)]


def test_a_doubled_frame_comes_twice_in_a_row() -> None:
    assert Wire("duplicate every=2").send(*deltas(1, 2, 3)) == deltas(1, 2, 2, 3)


def test_a_swapped_frame_comes_after_the_next_of_its_own_subscription() -> None:
    wire = Wire("reorder channel=orderbook_delta every=2")

    assert wire.send(delta(1), delta(2), trade(1)) == [delta(1), trade(1)]
    assert wire.send(delta(3)) == deltas(3, 2)


def test_a_swapped_frame_that_nothing_follows_comes_a_second_later() -> None:
    wire = Wire("reorder count=1")

    assert wire.send(delta(1)) == []
    assert wire.send(after_ms=999) == []
    assert wire.send(after_ms=1) == [delta(1)]


def test_a_late_frame_holds_up_its_own_subscription_only() -> None:
    wire = Wire("delay ms=300 channel=orderbook_delta count=1")

    assert wire.send(delta(1), trade(1)) == [trade(1)]
    assert wire.send(delta(2), trade(2), after_ms=100) == [trade(2)]
    assert wire.send(after_ms=199) == []
    assert wire.send(delta(3), after_ms=1) == deltas(1, 2, 3)


def test_what_is_held_back_comes_though_the_fault_has_ended() -> None:
    wire = Wire("delay ms=300")
    wire.send(delta(1))
    wire.faults.end_all()

    assert wire.send(delta(2), after_ms=300) == deltas(1, 2)
    assert not wire.line.holds_back


def test_a_connection_ends_once_so_many_frames_have_gone_out_on_it() -> None:
    wire = Wire("disconnect after=3")

    assert wire.send(*deltas(1, 2)) == deltas(1, 2)
    assert not wire.line.is_cut
    assert wire.send(*deltas(3, 4, 5)) == deltas(3)
    assert wire.line.is_cut


@given(
    st.lists(st.sampled_from([BOOK, TRADE]), max_size=40),
    st.sampled_from(
        ["delay ms=250 rate=0.3", "delay ms=50", "delay ms=700 every=7", "duplicate rate=0.5"]
    ),
    st.lists(st.integers(0, 400), min_size=1, max_size=40),
)
def test_lateness_never_changes_the_order_within_a_subscription(
    sids: list[int], fault: str, pauses: list[int]
) -> None:
    wire = Wire(fault)
    sent = {BOOK: 0, TRADE: 0}
    out: list[bytes] = []
    for place, sid in enumerate(sids):
        sent[sid] += 1
        frame = delta(sent[sid]) if sid == BOOK else trade(sent[sid])
        out += wire.send(frame, after_ms=pauses[place % len(pauses)])
    out += wire.send(after_ms=1_000)

    assert list(dict.fromkeys(f for f in out if b"delta" in f)) == deltas(*range(1, sent[BOOK] + 1))
    assert list(dict.fromkeys(f for f in out if b"trade" in f)) == [
        trade(seq) for seq in range(1, sent[TRADE] + 1)
    ]
    assert out == [f for f in out if b"trade" in f or b"delta" in f]
    assert not wire.line.holds_back

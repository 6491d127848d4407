"""Which close times a session is told to have begun with."""

import json

from kalshiflow.market.listing import Market
from kalshiflow.recording.notes import Connected, Rotated, listed
from kalshiflow.recording.recorder import Recorder
from kalshiflow.store.batch import Batch

SECOND = 10**9


def frame(kind: str, seq: int, sid: int, **body: object) -> bytes:
    return json.dumps({"type": kind, "sid": sid, "seq": seq, "msg": body}).encode()


def book(seq: int) -> bytes:
    levels = [["0.4000", "1.00"]]
    return frame("orderbook_snapshot", seq, 1, market_ticker="A", yes_dollars_fp=levels)


def test_a_session_knows_the_closes_of_its_beginning_not_later_ones():
    batch = Batch()
    recorder = Recorder(batch)
    market = Market("A", "E", "a market", close_time=900 * SECOND)
    moved = frame(
        *("market_lifecycle_v2", 1, 2),
        market_ticker="A",
        event_type="close_date_updated",
        close_ts=700,
    )
    begun = Connected(
        session_id="first",
        origin="collector",
        environment="local",
        traded=False,
        markets=listed([market]),
    )
    recorder.note(1, 1, begun)
    for position, raw in ((2, book(1)), (3, moved)):
        recorder.frame(position, SECOND, raw)
    recorder.note(4, 2 * SECOND, Rotated(session_id="second"))
    recorder.frame(5, 3 * SECOND, book(2))

    assert batch.parts["first"].session.closes == {"A": 900 * SECOND}
    assert batch.parts["second"].session.closes == {"A": 700 * SECOND}

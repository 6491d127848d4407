"""What the pages of a session show, and which sessions are refused."""

from dataclasses import replace

import pytest

from kalshiflow.market.events import BookDelta, BookSnapshot, PublicTrade, Side, Stamp, TimeSource
from kalshiflow.market.listing import CENT_GRID
from kalshiflow.market.units import Price, Quantity
from kalshiflow.store.read import SessionRow
from kalshiflow.store.replay import Gap
from pipelines.recordings import Recording, activity, activity_rows, refusal_in, refusal_of

ROW = SessionRow(
    session_id="s",
    origin="collector",
    environment="local",
    traded=False,
    status="closed",
    started_at=0,
    ended_at=9,
    close_seq=1,
    markets=("A", "B"),
    follows=None,
    frames=4,
    verdict="ok",
    verdict_reason="",
    end_reason="rotation",
    certificate=None,
)


def stamp(frame_no: int) -> Stamp:
    return Stamp(frame_no, frame_no * 10, frame_no * 10, TimeSource.EXCHANGE)


def snapshot(frame_no: int) -> BookSnapshot:
    bids, asks = ((Price(4000), Quantity(100)),), ((Price(6000), Quantity(100)),)
    return BookSnapshot("A", bids, asks, stamp(frame_no))


def delta(frame_no: int, price: int, change: int) -> BookDelta:
    return BookDelta("A", Side.BID, Price(price), Quantity(change), stamp(frame_no))


def recorded(*events, gaps=()) -> Recording:
    return Recording(ROW, list(events), list(gaps), {"A": CENT_GRID, "B": CENT_GRID})


def test_a_market_is_counted_and_its_mid_followed():
    trade = PublicTrade("A", "t", Price(5000), Quantity(250), Side.BID, stamp(3))

    found = activity(recorded(snapshot(1), delta(2, 5000, 100), trade))

    assert list(found) == ["A", "B"]
    assert (found["A"].snapshots, found["A"].deltas, found["A"].trades) == (1, 1, 1)
    assert found["A"].mids == [(10, 0.5), (20, 0.55)]
    assert found["B"].mids == []


def test_the_table_has_a_row_for_each_market_and_says_what_was_traded():
    trade = PublicTrade("A", "t", Price(5000), Quantity(250), Side.BID, stamp(2))

    rows = activity_rows(activity(recorded(snapshot(1), trade)), {"A": 0.5})

    assert [row["market"] for row in rows] == ["A", "B"]
    assert rows[0]["contracts traded"] == "2.50"
    assert rows[0]["book trusted, share of time"] == 0.5
    assert rows[1]["first mid"] == ""


def test_a_mid_is_not_followed_where_the_book_cannot_be_trusted():
    gap = Gap(2, "missing", ("A",), "expected seq 2, received 3", started_at=20)

    found = activity(recorded(snapshot(1), delta(2, 5000, 100), snapshot(3), gaps=[gap]))

    assert found["A"].mids == [(10, 0.5)]


def test_rows_that_cannot_be_replayed_are_counted_all_the_same():
    found = activity(recorded(snapshot(1), delta(2, 4000, -500), delta(3, 4500, 100)))

    assert found["A"].deltas == 2
    assert found["A"].mids == [(10, 0.5)]


@pytest.mark.parametrize("verdict", ["ok", "gaps"])
def test_whole_sessions_and_those_cut_at_their_gaps_are_learned_from(verdict):
    assert refusal_of(replace(ROW, verdict=verdict)) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"verdict": "failed", "verdict_reason": "no market has a snapshot"},
            "its verdict is failed: no market has a snapshot",
        ),
        ({"verdict": None, "status": "active"}, "it is active and has no verdict yet"),
        ({"traded": True}, "our own trader took part in it"),
        ({"origin": "trader"}, "our own trader took part in it"),
    ],
)
def test_other_sessions_are_refused_with_the_reason(changes, reason):
    assert refusal_of(replace(ROW, **changes)) == reason


def test_a_session_of_another_exchange_teaches_nothing_about_this_one():
    assert refusal_in(ROW, "local") is None
    assert refusal_in(ROW, "paper") == "it was recorded on local, the policy is for paper"

"""Where sessions begin and end, and what stands at their edges."""

import pytest
from spool_stand import SECOND, SpoolStand, market

from kalshiflow.market.books import books_sha256
from kalshiflow.recording.notes import (
    Disconnected,
    Joined,
    Released,
    Restarted,
    Rotated,
    listed,
)
from kalshiflow.store import rows


@pytest.fixture
def stand() -> SpoolStand:
    return SpoolStand()


def test_nothing_of_a_session_is_to_be_stored_before_its_first_book(stand):
    stand.connect(markets=[market()])
    stand.trade()
    assert not stand.batch.count
    assert not stand.batch.parts
    assert stand.recorder.is_held

    stand.book()

    assert stand.rows(rows.TRADES, "frame_no") == [(1,)]
    assert stand.rows(rows.SNAPSHOTS, "frame_no", "source") == [(2, "exchange")]
    assert stand.batch.parts["one"].frames == 2


def test_a_book_that_could_not_be_true_begins_no_session(stand):
    stand.connect(markets=[market()])
    stand.book(bid="0.7000", ask="0.6000")
    assert stand.recorder.is_held
    assert not stand.batch.count


def test_a_session_without_a_book_leaves_nothing_behind(stand):
    stand.connect(markets=[market()])
    stand.trade()
    stand.note(Disconnected(reason="the line was cut"))
    assert not stand.batch.count
    assert not stand.batch.parts
    assert stand.recorder.session is None


def test_all_positions_are_reached_also_by_records_whose_rows_are_held(stand):
    stand.connect(markets=[market()])
    stand.trade()
    assert stand.batch.position == stand.recorder.position == 2


def test_a_session_ends_closed_with_the_hash_of_the_books_it_trusts(stand):
    stand.connect(markets=[market("A"), market("B")])
    stand.book("A")
    stand.book("B")
    stand.delta("B", "0.9000")  # crosses
    books = stand.recorder.books
    expected = books_sha256([books["A"]])
    stand.note(Disconnected(reason="the line was cut"))

    end = stand.batch.parts["one"].end
    assert (end.status, end.reason, end.at) == ("closed", "the line was cut", stand.at)
    assert end.books_sha256 == expected


@pytest.mark.parametrize("how", ["restarted", "connected"])
def test_a_session_that_nobody_ended_is_repaired_and_ended_with_its_last_frame(stand, how):
    stand.connect(markets=[market()])
    stand.book()
    last_at = stand.at
    if how == "restarted":
        stand.note(Restarted())
    else:
        stand.connect("two", [market()])

    end = stand.batch.parts["one"].end
    assert (end.status, end.at) == ("repaired", last_at)
    assert end.reason == "its recorder ended without closing it"


def test_a_frame_without_a_connection_is_refused(stand):
    with pytest.raises(ValueError, match="no session is open"):
        stand.book()


# --- rotation ----------------------------------------------------------------------------------


def test_a_rotation_goes_on_from_the_books_and_the_numbers_as_they_are(stand):
    stand.connect(markets=[market("A"), market("B")])
    stand.book("A")
    stand.book("B")
    stand.delta("A")
    stand.note(Rotated(session_id="two"))
    stand.delta("A")

    first, second = stand.batch.parts["one"], stand.batch.parts["two"]
    assert first.end.reason == "its longest recording was reached"
    assert second.session.follows == "one"
    assert second.session.seams == {1: 4}
    seams = stand.rows(rows.SNAPSHOTS, "session_id", "source", "ticker", "frame_no")
    assert seams[2:] == [("two", "seam", "A", 0), ("two", "seam", "B", 0)]
    assert stand.rows(rows.DELTAS, "session_id", "frame_no") == [("one", 3), ("two", 1)]
    assert stand.gaps() == []


def test_what_was_stale_at_a_rotation_is_a_gap_of_the_new_session_from_its_beginning(stand):
    stand.connect(markets=[market("A"), market("B")])
    stand.book("A")
    stand.book("B")
    stand.delta("B", "0.9000")
    stand.note(Rotated(session_id="two"))
    stand.delta("A")
    assert stand.gaps()[1:] == [(0, "carried", ["B"])]


def test_a_released_market_stays_to_the_sessions_end_and_is_not_carried_on(stand):
    stand.connect(markets=[market("A"), market("B")])
    stand.book("A")
    stand.book("B")
    stand.note(Released(tickers=["B"], reason="settled"))
    stand.delta("B")  # it was on its way
    stand.note(Rotated(session_id="two"))
    stand.delta("A")

    assert stand.gaps() == []
    assert sorted(stand.recorder.books) == ["A"]
    assert list(stand.batch.parts["two"].session.grids) == ["A"]
    seams = stand.rows(rows.SNAPSHOTS, "source", "ticker")[2:]
    assert seams == [("seam", "A")]


def test_the_book_of_a_market_that_was_released_and_returns_is_stale_until_its_snapshot(stand):
    stand.connect(markets=[market("A"), market("B")])
    stand.book("A")
    stand.book("B")
    stand.note(Released(tickers=["B"], reason="closed"))
    stand.delta("A")
    stand.note(Joined(markets=listed([market("B")])))
    assert stand.recorder.books.is_stale("B")
    assert stand.gaps() == [(4, "missing", ["B"])]
    stand.note(Rotated(session_id="two"))
    stand.delta("A")
    assert stand.rows(rows.SNAPSHOTS, "source", "ticker")[2:] == [("seam", "A")]
    stand.book("B")
    assert not stand.recorder.books.is_stale("B")


def test_a_session_that_goes_on_from_another_waits_for_its_first_frame_only(stand):
    stand.connect(markets=[market()])
    stand.book()
    stand.note(Rotated(session_id="two"))
    assert "two" not in stand.batch.parts
    assert stand.batch.parts["one"].end is not None
    stand.trade()
    assert stand.batch.parts["two"].frames == 1


def test_a_rotation_before_the_first_row_is_passed_over(stand):
    stand.connect(markets=[market()])
    stand.note(Rotated(session_id="two"))
    stand.book()
    stand.note(Rotated(session_id="three"))
    stand.note(Rotated(session_id="four"))
    stand.trade()
    assert list(stand.batch.parts) == ["one", "three"]


# --- outages -----------------------------------------------------------------------------------


@pytest.mark.parametrize("cause", [Disconnected(reason="cut"), Restarted()])
def test_an_outage_lasts_from_the_last_frame_to_the_first_book_after_it(stand, cause):
    stand.connect(markets=[market("A"), market("B")])
    stand.book()
    began_at = stand.at
    stand.note(cause)
    stand.connect("two", [market()])
    stand.trade()
    assert stand.gaps() == []
    stand.book()

    found = stand.rows(rows.GAPS, "session_id", "frame_no", "kind", "tickers")
    assert found == [("two", 0, "outage", ["A", "B"])]
    assert stand.rows(rows.GAPS, "started_at", "recovered_at") == [(began_at, stand.at)]


def test_a_connection_that_brought_no_book_leaves_the_outage_as_it_was(stand):
    stand.connect(markets=[market()])
    stand.book()
    began_at = stand.at
    for session_id in ("two", "three"):
        stand.note(Disconnected(reason="cut"))
        stand.connect(session_id, [market()])
        stand.trade()
    stand.book()
    assert stand.rows(rows.GAPS, "session_id", "started_at") == [("three", began_at)]


def test_an_outage_that_another_spool_began_is_told_by_the_connection(stand):
    stand.connect(markets=[market()], outage_from=5 * SECOND, outage_tickers=["A", "Z"])
    stand.book()
    assert stand.rows(rows.GAPS, "kind", "started_at", "tickers") == [
        ("outage", 5 * SECOND, ["A", "Z"])
    ]


def test_an_outage_begins_where_another_spool_recorded_last_if_that_was_later(stand):
    stand.connect(markets=[market()])
    stand.book()
    stand.note(Disconnected(reason="cut"))
    others = stand.at + 100 * SECOND
    stand.at += 200 * SECOND
    stand.connect("two", [market()], outage_from=others, outage_tickers=["A", "Z"])
    stand.book()
    own = stand.at
    stand.note(Disconnected(reason="cut"))
    stand.connect("three", [market()], outage_from=others, outage_tickers=["A", "Z"])
    stand.book()
    stand.note(Disconnected(reason="cut"))
    later = stand.at + 10**6 * SECOND  # by a clock that was wrong
    stand.connect("four", [market()], outage_from=later, outage_tickers=["A", "Z"])
    stand.book()
    assert stand.rows(rows.GAPS, "session_id", "started_at")[:2] == [
        ("two", others),
        ("three", own),
    ]
    assert stand.rows(rows.GAPS, "started_at")[2] < (stand.at,)


def test_an_outage_is_told_once(stand):
    stand.connect(markets=[market()])
    stand.book()
    stand.note(Disconnected(reason="cut"))
    stand.connect("two", [market()])
    stand.book()
    stand.book()
    assert len(stand.gaps()) == 1

"""What a recorder takes down of frames, markets, and books read elsewhere."""

import json

import pytest
from batches import rows_of
from spool_stand import SECOND, SpoolStand, market

from kalshiflow.market.listing import decode_grid, encode_grid
from kalshiflow.recording.blocks import Kind, Record
from kalshiflow.recording.frames import PERIOD
from kalshiflow.recording.notes import Asked, Audited, Joined, Released, RestBook, Rotated, listed
from kalshiflow.recording.recorder import Recorder
from kalshiflow.store import rows
from kalshiflow.store.batch import Batch

NICKEL_GRID = decode_grid([[0, 10_000, 500]])


@pytest.fixture
def stand() -> SpoolStand:
    """Give a stand whose session has the books of A and B."""
    stand = SpoolStand()
    stand.connect(markets=[market("A"), market("B")])
    stand.book("A")
    stand.book("B")
    return stand


# --- gaps --------------------------------------------------------------------------------------


def test_a_missing_number_makes_its_subscriptions_books_stale_until_their_next_snapshot(stand):
    stand.delta("A", seq=5)
    assert stand.gaps() == [(3, "missing", ["A", "B"])]
    assert stand.recorder.books.stale() == {"A", "B"}
    stand.frame("orderbook_snapshot", 1, {"market_ticker": "A"}, seq=6)
    assert stand.recorder.books.stale() == {"B"}


def test_a_gap_before_any_snapshot_names_the_markets_that_were_asked_for(stand):
    stand.connect("two", [market("A"), market("B")])
    stand.raw(b'{"type":"subscribed","id":7,"msg":{"channel":"orderbook_delta","sid":1}}')
    stand.note(Asked(command_id=7, tickers=["A", "B"]))
    stand.frame("orderbook_snapshot", 1, {"market_ticker": "A"}, seq=2)
    assert (2, "missing", ["A", "B"]) in stand.gaps()


def test_a_frame_that_cannot_be_used_is_kept_as_it_came_and_may_be_about_any_market(stand):
    stand.raw(b"{nothing")
    assert stand.gaps() == [(3, "bad_frame", ["A", "B"])]
    assert stand.rows(rows.GAPS, "raw") == [("{nothing",)]
    assert stand.recorder.books.stale() == {"A", "B"}


def test_a_frame_that_ended_the_recorder_twice_is_kept_unread_and_numbered(stand):
    record = Record(99, Kind.FRAME, stand.at, b'{"type":"trade"}')
    stand.recorder.set_aside(record)
    assert stand.recorder.position == stand.batch.position == 99
    assert stand.rows(rows.GAPS, "frame_no", "reason", "raw") == [
        (3, "it ended the recorder twice", '{"type":"trade"}')
    ]
    assert stand.recorder.books.stale() == {"A", "B"}
    assert stand.recorder.frames == 3


def test_a_note_that_ended_the_recorder_twice_is_passed_over(stand):
    stand.recorder.set_aside(Record(99, Kind.NOTE, stand.at, b"?"))
    assert stand.recorder.position == stand.batch.position == 99
    assert stand.recorder.frames == 2


def test_a_book_that_does_not_fit_its_new_grid_leaves_a_gap_that_says_so(stand):
    stand.delta("A", "0.4100")
    ranges = [{"start": "0", "end": "1", "step": "0.05"}]
    stand.life("A", "price_level_structure_updated", price_ranges=ranges)
    stand.life("B", "price_level_structure_updated", price_ranges=ranges)
    assert stand.gaps() == [(4, "grid", ["A"])]
    assert stand.recorder.books.stale() == {"A"}
    assert stand.recorder.books["B"].grid == NICKEL_GRID


def test_a_stale_book_leaves_no_second_gap_at_a_new_grid(stand):
    stand.raw(b"{nothing")
    ranges = [{"start": "0", "end": "1", "step": "0.05"}]
    stand.life("A", "price_level_structure_updated", price_ranges=ranges)
    assert [kind for _, kind, _ in stand.gaps()] == ["bad_frame"]


# --- markets -----------------------------------------------------------------------------------


def test_each_listing_stands_with_the_frame_from_which_it_holds(stand):
    stand.note(Joined(markets=listed([market("C")])))
    stand.life("A", "close_date_updated", close_ts=900)
    stand.life("A", "activated")  # which changes nothing
    stand.life("Z", "activated")  # which is not followed
    stand.note(Released(tickers=["B", "Z"], reason="settled"))
    assert stand.rows(rows.LISTINGS, "frame_no", "ticker", "reason", "close_time") == [
        (0, "A", "begun", None),
        (0, "B", "begun", None),
        (3, "C", "joined", None),
        (3, "A", "lifecycle", 900 * SECOND),
        (6, "B", "released", None),
    ]
    assert sorted(stand.recorder.markets) == ["A", "C"]


def test_a_market_that_joins_is_told_to_the_session_and_to_the_list_of_markets(stand):
    fine = market("C", grid=NICKEL_GRID)
    stand.note(Joined(markets=listed([fine])))
    assert stand.batch.parts["one"].joined == {"C": fine}
    assert stand.batch.listed["C"] == fine
    assert stand.batch.listed_at == stand.at
    stand.book("C", "0.4500", "0.5500")
    assert stand.recorder.books["C"].grid == NICKEL_GRID


def test_a_listing_covers_what_was_told_of_the_market_before_it(stand):
    stand.life("C", "activated")
    stand.life("A", "activated")
    stand.note(Joined(markets=listed([market("C")])))
    assert [event.ticker for event in stand.batch.life] == ["A"]


def test_markets_of_a_connection_are_listed_even_if_no_book_comes(stand):
    stand.connect("two", [market("D")])
    assert "D" in stand.batch.listed


def test_a_rotation_begins_with_the_listings_as_they_are_then(stand):
    ranges = [{"start": "0", "end": "1", "step": "0.05"}]
    stand.life("A", "price_level_structure_updated", price_ranges=ranges)
    stand.note(Rotated(session_id="two"))
    stand.trade()
    session = stand.batch.parts["two"].session
    assert session.grids["A"] == NICKEL_GRID
    found = stand.rows(rows.LISTINGS, "session_id", "ticker", "reason", "grid")
    assert ("two", "A", "begun", encode_grid(NICKEL_GRID)) in found


# --- what is no frame --------------------------------------------------------------------------


def test_a_book_read_over_rest_belongs_to_no_session(stand):
    stand.note(RestBook(ticker="A", bids=[(4_000, 100)], asks=[(6_000, 200)]))
    rest = stand.rows(rows.SNAPSHOTS, "session_id", "source", "bid_prices", "received_at")[-1]
    assert rest == (None, "rest", [4_000], stand.at)
    assert stand.recorder.frames == 2


def test_a_comparison_of_a_book_stands_behind_the_last_frame(stand):
    stand.note(Audited(ticker="A", verdict="differs", tries=3, took=7, age=9, detail="bid\0s"))
    assert stand.rows(rows.AUDITS, "session_id", "frame_no", "verdict", "at", "detail") == [
        ("one", 2, "differs", stand.at, "bid\\x00s")
    ]


def test_every_so_many_frames_all_trusted_books_are_written_down():
    stand = SpoolStand()
    stand.connect(markets=[market("A"), market("B"), market("C")])
    for ticker in "ABC":
        stand.book(ticker)
    stand.delta("B", "0.9000")  # crosses
    frames = [delta_bytes(seq) for seq in range(5, PERIOD + 2)]
    stand.recorder.burst(stand.recorder.position + 1, [(raw, stand.at) for raw in frames])

    assert stand.recorder.frames == PERIOD + 1
    periodic = stand.rows(rows.SNAPSHOTS, "ticker", "source", "frame_no", "bid_quantities")[3:]
    assert periodic == [
        ("A", "periodic", PERIOD, [1000 + 100 * (PERIOD - 4)]),
        ("C", "periodic", PERIOD, [1000]),
    ]


# --- batches, screens --------------------------------------------------------------------------


def test_rows_go_into_the_batch_that_is_there_when_a_record_comes(stand):
    stand.delta("A")
    first, second = stand.batch, Batch(after=stand.batch.position)
    stand.recorder.batch = second
    stand.delta("A")
    stand.recorder.batch = None
    stand.delta("A")
    third = stand.recorder.batch = Batch(after=stand.recorder.position)
    stand.delta("A")

    assert [len(batch.deltas) for batch in (first, second, third)] == [1, 1, 1]
    assert [batch.parts["one"].frames for batch in (first, second, third)] == [3, 4, 6]
    assert [batch.position for batch in (first, second, third)] == [4, 5, 7]


def test_a_batch_knows_from_when_to_when_its_rows_were_received():
    stand = SpoolStand()
    stand.connect(markets=[market()])
    stand.book()
    first_at = stand.at
    stand.at -= 10 * SECOND  # a clock was set back
    stand.delta()
    assert (stand.batch.earliest, stand.batch.latest) == (stand.at, first_at)


def test_what_is_watched_is_gathered_in_order(stand):
    stand.recorder.watched.add("A")
    stand.delta("A")
    stand.delta("B")
    stand.book("A")
    stand.delta("A", "0.9000")  # crosses, so that the book did not change
    assert [event.stamp.frame_no for event in stand.recorder.changes] == [3, 5]


def test_a_burst_tells_all_frames_but_deltas_in_their_turn(stand):
    first = stand.recorder.position + 1
    burst = [delta_bytes(3), delta_bytes(4, "0.9000"), b"{nothing", delta_bytes(9)]
    told = stand.recorder.burst(first, [(raw, stand.at) for raw in burst])
    assert [received.frame_no for received in told] == [4, 5, 6]
    assert stand.recorder.position == first + 3


def test_a_burst_that_breaks_off_says_how_far_it_came(stand):
    def frames():
        yield delta_bytes(3), stand.at
        yield delta_bytes(4), stand.at
        raise MemoryError

    with pytest.raises(MemoryError):
        stand.recorder.burst(10, frames())
    assert stand.recorder.position == 11
    assert stand.batch.parts["one"].frames == 4


def test_refusals_of_the_exchange_are_gathered(stand):
    stand.raw(b'{"type":"error","id":3,"msg":{"code":26,"msg":"too many"}}')
    assert [received.command_id for received in stand.recorder.refusals] == [3]


# --- checkpoints -------------------------------------------------------------------------------


def test_a_checkpoint_has_the_rows_that_are_held_back(stand):
    stand.connect("two", [market()])
    stand.trade()
    stand.note(Joined(markets=listed([market("C")])))
    restored = Recorder.restore(stand.recorder.checkpoint(), stand.recorder.position)
    restored.batch = Batch(after=restored.position)
    raw = json.dumps(
        {"type": "orderbook_snapshot", "sid": 1, "seq": 1, "msg": {"market_ticker": "A"}}
    )
    restored.frame(restored.position + 1, stand.at, raw.encode())

    found = rows_of(restored.batch)
    assert [row["frame_no"] for row in found["tables"][rows.TRADES]] == [1]
    assert list(found["parts"]["two"]["joined"]) == ["C"]
    assert restored.batch.parts["two"].frames == 2


def delta_bytes(seq: int, price: str = "0.4000") -> bytes:
    body = {"market_ticker": "A", "price_dollars": price, "delta_fp": "1.00", "side": "yes"}
    return json.dumps({"type": "orderbook_delta", "sid": 1, "seq": seq, "msg": body}).encode()

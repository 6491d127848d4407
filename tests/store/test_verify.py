"""Verifying sessions: what was not touched holds, and what was is named."""

import pytest
from book_frames import delta, snapshot, subscribed

from kalshiflow.market.events import BookSnapshot, Stamp, TimeSource
from kalshiflow.store import rows
from kalshiflow.store.verify import verify_session

pytestmark = pytest.mark.integration

BEGAN = 1_795_000_000_000_000_000


@pytest.fixture
async def session_id(record):
    recording = record("A", "B")
    recording.take_all(
        [subscribed(), snapshot(1), snapshot(2, "B"), *map(delta, range(3, 9)), snapshot(9, "A")]
    )
    await recording.writer.close("done", recording.books)
    return recording.session.session_id


async def execute(store, statement, *arguments):
    async with store.connection() as connection:
        await connection.execute(statement, *arguments)


async def put_periodic(store, session_id, ticker, frame_no, bid_quantity):
    stamp = Stamp(frame_no, BEGAN, BEGAN, TimeSource.CARRIED)
    event = BookSnapshot(ticker, ((4000, bid_quantity),), ((6000, 500),), stamp)
    async with store.connection() as connection:
        await connection.copy_records_to_table(
            rows.SNAPSHOTS,
            columns=rows.COLUMNS[rows.SNAPSHOTS],
            records=[rows.snapshot_row(session_id, event, "periodic")],
        )


async def test_a_session_that_nobody_touched_holds_in_both_replays(store, session_id):
    found = await verify_session(store, session_id)

    assert found.holds
    assert found.frames == 10
    assert found.replayed_sha256 == (found.recorded_sha256,) * 2
    assert found.recorded_sha256 is not None


async def test_a_changed_row_is_found_in_both_replays(store, session_id):
    await execute(
        store, "UPDATE rl_orderbook_snapshots SET bid_quantities = '{999}' WHERE ticker = 'B'"
    )

    found = await verify_session(store, session_id)

    assert not found.holds
    assert found.replayed_sha256[0] == found.replayed_sha256[1] != found.recorded_sha256
    told = "\n".join(found.differences)
    assert "the first replay's as" in told
    assert "the second replay's as" in told


async def test_a_lost_row_is_told_by_the_counts(store, session_id):
    await execute(store, "DELETE FROM rl_orderbook_deltas WHERE frame_no = 5")

    found = await verify_session(store, session_id)

    assert "the certificate says frames 10, the rows say 9" in found.differences
    assert "the certificate says whole True, the rows say False" in found.differences


async def test_rows_that_cannot_be_replayed_are_told(store, session_id):
    await execute(store, "UPDATE rl_orderbook_deltas SET change = -99999 WHERE frame_no = 5")

    found = await verify_session(store, session_id)

    assert any("the rows cannot be replayed: A bid 0.4000" in one for one in found.differences)
    assert found.replayed_sha256 == (None, None)


async def test_periodic_books_are_held_against_the_replay(store, session_id):
    await put_periodic(store, session_id, "B", 4, 1000)
    right = await verify_session(store, session_id)
    await put_periodic(store, session_id, "B", 5, 1001)
    wrong = await verify_session(store, session_id)

    assert right.periodic_snapshots == 1
    assert not [one for one in right.differences if "at frame" in one]
    assert wrong.periodic_snapshots == 2
    assert "the periodic snapshot of B at frame 5 is not the book replayed up to there" in (
        wrong.differences
    )


async def test_a_periodic_book_amid_a_gap_is_one_too_many(store, record):
    recording = record("A")
    recording.take_all([subscribed(), snapshot(1), delta(5), delta(6)])
    await recording.writer.close("done", recording.books)
    await put_periodic(store, recording.session.session_id, "A", 4, 1000)

    found = await verify_session(store, recording.session.session_id)

    assert "the periodic snapshot of A at frame 4 stands where no book could be trusted" in (
        found.differences
    )


async def test_an_open_and_a_pruned_session_prove_nothing(store, record, session_id):
    recording = record("A")
    recording.take_all([subscribed(), snapshot(1)])
    await recording.writer.flush()
    await execute(
        store,
        "UPDATE rl_orderbook_sessions SET verdict = 'pruned',"
        " verdict_reason = 'old days' WHERE session_id = $1",
        session_id,
    )

    open_one = await verify_session(store, recording.session.session_id)
    pruned = await verify_session(store, session_id)

    assert open_one.unproven == "it is active and has no certificate yet"
    assert pruned.unproven == "old days"
    assert not open_one.holds
    assert not pruned.holds


async def test_a_session_that_failed_holds_when_it_fails_in_the_same_way_again(store, record):
    recording = record("A")
    recording.take_all([subscribed(), snapshot(1), delta(2), delta(3)])
    await recording.writer.flush()
    await execute(store, "DELETE FROM rl_feed_frames")
    closed = await recording.writer.close("done", recording.books)

    found = await verify_session(store, recording.session.session_id)

    assert (closed.verdict, found.differences) == ("failed", ())

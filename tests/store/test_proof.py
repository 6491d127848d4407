"""What the stored rows prove: counted anew each time, whatever counters and recorders say."""

from dataclasses import replace

import pytest
from book_frames import delta, snapshot, subscribed, trade
from plain_batches import AT, SESSION, batch_of

from kalshiflow.market.books import Books
from kalshiflow.market.events import BookSnapshot, Stamp, TimeSource
from kalshiflow.market.listing import CENT_GRID, Market, decode_grid
from kalshiflow.store import rows
from kalshiflow.store.batch import SessionEnd
from kalshiflow.store.closing import certify_session
from kalshiflow.store.ingest import commit_batch
from kalshiflow.store.partitions import A_DAY
from kalshiflow.store.proof import certificate, closing_books
from kalshiflow.store.read import get_session, session_gaps

pytestmark = pytest.mark.integration
TENTHS = decode_grid([[0, 10_000, 10]])
WHOLE = [subscribed(), snapshot(1), delta(2), delta(3), subscribed("trade", 2), trade(1)]


async def recorded(record, frames=WHOLE):
    recording = record("A")
    recording.take_all(frames)
    closed = await recording.writer.close("done", recording.books)
    return closed, recording.session.session_id


async def run(store, statement, *values):
    async with store.connection() as connection:
        return await connection.execute(statement, *values)


async def test_counts_are_those_of_the_rows_and_no_counter_is_believed(store, record):
    closed, session_id = await recorded(record)
    await run(store, "UPDATE rl_orderbook_sessions SET frames = 0, certificate = NULL")

    assert await certificate(store, session_id) == closed
    assert (closed.frames, closed.deltas, closed.trades, closed.snapshots) == (6, 2, 1, 1)


@pytest.mark.parametrize("table", [rows.DELTAS, rows.TRADES, rows.FRAMES])
async def test_a_row_that_is_gone_or_stands_there_twice_is_found(store, record, table):
    _, session_id = await recorded(record)
    await run(store, f"INSERT INTO {table} SELECT * FROM {table} ORDER BY frame_no LIMIT 1")
    doubled = await certificate(store, session_id)
    await run(store, f"DELETE FROM {table} WHERE frame_no = (SELECT min(frame_no) FROM {table})")
    gone = await certificate(store, session_id)

    for found in (doubled, gone):
        assert found.verdict == "failed"
    assert not doubled.whole


async def test_last_frames_that_are_gone_are_missed(store, record):
    _, session_id = await recorded(record)
    await run(store, "DELETE FROM rl_public_trades")

    found = await certificate(store, session_id)

    assert found.whole  # as far as it goes
    assert found.verdict == "failed"
    assert "committed up to 6" in found.reason


async def test_rows_that_give_other_books_than_the_recorder_had_fail(store, record):
    closed, session_id = await recorded(record)
    await run(store, "UPDATE rl_orderbook_deltas SET change = change + 100 WHERE frame_no = 3")

    found = await certificate(store, session_id)

    assert found.verdict == "failed"
    assert closed.books_sha256[:12] in found.reason
    assert found.books_sha256[:12] in found.reason


async def test_a_session_without_a_told_hash_gets_that_of_its_rows(store, record):
    recording = record("A")
    recording.take_all(WHOLE)
    told = await recording.writer.close("done")

    assert told.books_sha256 == (await certificate(store, told.session_id)).books_sha256
    assert told.verdict == "ok"


async def test_message_ages_are_those_between_the_exchanges_clock_and_ours(store, record):
    recording = record("A")
    recording.take(subscribed(), AT)
    recording.take(snapshot(1), AT)
    for seq in range(2, 102):
        sent = (1_795_000_000_000 + seq) * 1_000_000
        recording.take(delta(seq), sent + (seq - 1) * 1_000)
    closed = await recording.writer.close("done", recording.books)

    assert (closed.message_age_p50, closed.message_age_p99) == (50_500, 99_010)


async def test_periodic_books_are_no_frames_and_mend_nothing(store, record):
    recording = record("A")
    recording.take_all([subscribed(), snapshot(1), delta(2), delta(4)])  # seq 3 is missing
    stamp = Stamp(4, AT, AT, TimeSource.CARRIED)
    trusted = Books()
    trusted.apply(BookSnapshot("A", (), (), stamp))
    recording.writer.rows.add_books(recording.writer.batch, trusted, stamp, "periodic")
    closed = await recording.writer.close("done", recording.books)

    assert (closed.frames, closed.snapshots, closed.periodic_snapshots) == (4, 1, 1)
    assert closed.unrecovered == 1
    assert await certificate(store, closed.session_id) == closed


async def test_a_gaps_row_tells_when_its_markets_had_their_books_again(store, record):
    recording = record("A", "B")
    recording.take_all(
        [subscribed(), snapshot(1), snapshot(2, "B"), delta(5), snapshot(6), snapshot(7, "B")]
    )
    closed = await recording.writer.close("done", recording.books)

    (gap,) = await session_gaps(store, closed.session_id)
    assert gap.recovered_at == gap.started_at + 2_000_000
    assert closed.recoveries[0].seconds == closed.slowest_recovery == 0.002


async def test_a_market_that_joins_with_another_grid_replays_as_it_was(store, record):
    recording = record("A")
    recording.take_all([subscribed(), snapshot(1)])
    market = Market("B", "E", "B?", grid=TENTHS)
    recording.writer.list_market(market, "joined", at=AT + 1_500_000)
    recording.books.set_grid("B", TENTHS)
    recording.take(snapshot(2, "B", (("0.4010", "1.00"),)), AT + 2_000_000)
    recording.writer.list_market(market, "released", at=AT + 3_000_000)
    again = replace(market, grid=CENT_GRID)
    recording.writer.list_market(again, "joined", at=AT + 3_000_000)
    recording.books.set_grid("B", CENT_GRID)
    recording.take(snapshot(3, "B", (("0.4000", "1.00"),)), AT + 4_000_000)
    closed = await recording.writer.close("done", recording.books)

    assert await certificate(store, closed.session_id) == closed
    assert (closed.joined, closed.released, closed.markets) == (("B",), ("B",), 2)
    assert (await closing_books(store, closed.session_id))["B"].grid == CENT_GRID
    assert (await get_session(store, closed.session_id)).markets == ("A", "B")


async def test_frames_of_a_market_before_it_joined_are_replayed_without_its_grid(store, record):
    recording = record("A")
    recording.take_all([subscribed(), snapshot(1)])
    recording.take(snapshot(2, "B", (("0.4100", "1.00"),)), AT + 1_000_000)
    nickels = decode_grid([[0, 10_000, 500]])
    market = Market("B", "E", "B?", grid=nickels)
    recording.writer.list_market(market, "joined", at=AT + 2_000_000)
    recording.books.set_grid("B", nickels)
    recording.take(snapshot(3, "B", (("0.4500", "1.00"),)), AT + 3_000_000)
    closed = await recording.writer.close("done", recording.books)

    assert await certificate(store, closed.session_id) == closed
    assert (await closing_books(store, closed.session_id))["B"].grid == nickels


async def test_a_session_over_midnight_is_proven_from_both_its_days(store):
    end = SessionEnd("closed", "done", AT + A_DAY, None)
    await commit_batch(store, "spool", batch_of([1, 2]), None)
    await commit_batch(
        store, "spool", batch_of([3], after=2, received_at=AT + A_DAY, end=end), None
    )
    clock_set_back = replace(SESSION, session_id="t", started_at=AT)
    back = batch_of([1], session=clock_set_back, received_at=AT - 3 * A_DAY, end=end)
    await commit_batch(store, "other", back, None)

    assert (await certify_session(store, "s")).frames == 3
    assert (await certify_session(store, "t")).frames == 1
    assert (await certificate(store, "t")).verdict == "ok"


async def test_comparisons_with_the_exchange_are_counted(store, record):
    recording = record("A")
    recording.take_all([subscribed(), snapshot(1)])
    for verdict in ("agrees", "agrees", "moved"):
        audit = rows.Audit("A", AT, verdict, 1, 5, None, "")
        recording.writer.rows.add_audit(recording.writer.batch, audit)
    closed = await recording.writer.close("done", recording.books)

    assert closed.audits == {"agrees": 2, "moved": 1}

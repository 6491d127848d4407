"""Reading recordings back: which sessions, which events, from which days, in which order."""

import json
import re
from datetime import UTC, datetime

import pytest
from book_frames import delta, regridded, snapshot, subscribed, trade
from session_writer import NewSession, SessionWriter

from kalshiflow.market.events import BookSnapshot, Side, Stamp, TimeSource
from kalshiflow.market.listing import CENT_GRID
from kalshiflow.store import rows
from kalshiflow.store.errors import NotRecorded
from kalshiflow.store.moments import NotAnInstant
from kalshiflow.store.read import (
    book_at,
    get_session,
    iter_events,
    list_sessions,
    replay_books,
    session_events,
)
from kalshiflow.store.recorded import received_within
from kalshiflow.store.tape import QUERIES

pytestmark = pytest.mark.integration

STARTED_AT = 1_795_000_000_000_000_000
DAY = 86_400 * 10**9
MILLISECOND = 10**6


async def closed(recording):
    await recording.writer.close("done", recording.books)
    return recording.session.session_id


async def put_snapshot(store, session_id, ticker, source, *, frame_no=2, at=STARTED_AT):
    """Write a snapshot row beside the frames."""
    stamp = Stamp(frame_no, at, at, TimeSource.RECEIVE)
    event = BookSnapshot(ticker, ((4000, 777),), ((6000, 888),), stamp)
    async with store.connection() as connection:
        await connection.fetchval("SELECT rl_make_days($1, $1)", at)
        await connection.copy_records_to_table(
            rows.SNAPSHOTS,
            columns=rows.COLUMNS[rows.SNAPSHOTS],
            records=[rows.snapshot_row(session_id, event, source)],
        )


async def test_events_are_what_the_exchange_sent_and_nothing_that_we_wrote_beside_it(store, record):
    recording = record("A")
    recording.take_all([subscribed(), snapshot(1), delta(2), trade(1), delta(3)])
    session_id = await closed(recording)
    await put_snapshot(store, session_id, "A", "periodic")
    await put_snapshot(store, None, "A", "rest")

    assert await session_events(store, session_id) == recording.events


async def test_the_books_of_a_seam_come_first_by_ticker(store, record):
    before = record("B", "A")
    before.take_all([subscribed(), snapshot(1, "B"), snapshot(2, "A")])
    after = NewSession("later", "collector", "local", False, STARTED_AT, {}, follows="x")
    writer = SessionWriter(store, after)
    writer.add_seam(before.books, at=STARTED_AT, market_time=None)
    raw = json.dumps(delta(3)).encode()
    writer.add(before.feed.receive(raw, STARTED_AT), raw)
    await writer.flush()

    events = await session_events(store, "later")

    assert [(event.stamp.frame_no, event.ticker) for event in events[:2]] == [(0, "A"), (0, "B")]


async def test_a_session_of_one_day_is_read_from_that_days_partitions_only(store, record):
    recording = record("A")
    recording.take_all([subscribed(), snapshot(1), delta(2), delta(3)])
    session_id = await closed(recording)
    async with store.connection() as connection:
        await connection.fetchval(
            "SELECT rl_make_days($1, $2)", STARTED_AT - 3 * DAY, STARTED_AT + 3 * DAY
        )
        span = await received_within(connection, session_id)
        day = datetime.fromtimestamp(STARTED_AT // 10**9, UTC).strftime("%Y%m%d")
        for table, query in QUERIES.items():
            plan = await connection.fetch(f"EXPLAIN {query}", session_id, 0, 100, *span, None)
            days = set(re.findall(rf"{table}_(\d{{8}})", str(plan)))
            assert (table, days) == (table, {day})


async def test_naive_times_are_refused_wherever_a_time_is_asked_for(store, record):
    recording = record("A")
    recording.take_all([subscribed(), snapshot(1)])
    session_id = await closed(recording)
    naive = datetime(2026, 11, 20)

    with pytest.raises(NotAnInstant, match="names no time zone"):
        await list_sessions(store, start=naive)
    with pytest.raises(NotAnInstant, match="names no time zone"):
        async for _ in replay_books(store, session_id, start=naive):
            pass


async def test_sessions_are_listed_by_the_time_that_they_lay_in(store, record):
    recording = record("A")
    recording.take_all([subscribed(), snapshot(1), delta(2)])
    session_id = await closed(recording)
    ended_at = (await get_session(store, session_id)).ended_at

    async def listed(**asked):
        return [session.session_id for session in await list_sessions(store, **asked)]

    assert await listed(start=ended_at) == [session_id]
    assert await listed(start=ended_at + 1) == []
    assert await listed(end=STARTED_AT) == []
    assert await listed(end=STARTED_AT + 1) == [session_id]
    assert await listed(market="A") == [session_id]
    assert await listed(market="B") == []


async def test_an_unknown_session_is_told_with_the_nearest_ones(store, record):
    with pytest.raises(NotRecorded, match="nothing is recorded yet"):
        await get_session(store, "anything")
    recording = record("A")
    recording.take_all([subscribed(), snapshot(1)])
    session_id = await closed(recording)

    with pytest.raises(NotRecorded, match=f"the nearest are {session_id}"):
        await get_session(store, session_id[:12])
    with pytest.raises(NotRecorded, match=f"the nearest are {session_id}"):
        async for _ in iter_events(store, session_id + "x"):
            pass


async def test_books_are_replayed_at_most_once_in_a_span_of_market_time(store, record):
    recording = record("A", "B")
    recording.take_all([subscribed(), snapshot(1), snapshot(2, "B"), *map(delta, range(3, 23))])
    session_id = await closed(recording)

    states = [
        (state.frame_no, state.ticker, state.book.quantity_at(Side.BID, 4000))
        async for state in replay_books(store, session_id, every=10 * MILLISECOND)
    ]

    # Market time is the receive time until the first exchange time, which has the frame's number.
    assert states[-1] == (23, "A", 1000 + 20 * 100)
    frames = [frame_no for frame_no, ticker, _ in states if ticker == "A"]
    assert len(frames) == 3
    assert [state for state in states if state[1] == "B"] == [(3, "B", 1000)]


async def test_only_the_asked_markets_are_replayed(store, record):
    recording = record("A", "B")
    recording.take_all(
        [subscribed(), snapshot(1), snapshot(2, "B"), delta(3), delta(4, ticker="B")]
    )
    session_id = await closed(recording)

    found = [state.ticker async for state in replay_books(store, session_id, ["B"])]

    assert found == ["B", "B"]


async def test_a_book_follows_its_market_to_another_price_grid(store, record):
    recording = record("A")
    recording.take_all([subscribed(), snapshot(1), delta(2)])
    recording.take(regridded(1, "0.001"), STARTED_AT + 10 * MILLISECOND)
    recording.books.set_grid("A", recording.events[-1].grid)
    recording.take(delta(3, price="0.4010"), STARTED_AT + 11 * MILLISECOND)
    recording.take(snapshot(4, bids=(("0.4050", "1.00"),)), STARTED_AT + 12 * MILLISECOND)
    recording.take(delta(5, price="0.4040"), STARTED_AT + 13 * MILLISECOND)
    session_id = await closed(recording)

    before = await book_at(store, session_id, "A", 3)
    between = await book_at(store, session_id, "A", 5)
    after = await book_at(store, session_id, "A")

    assert before.grid == CENT_GRID
    assert between.levels(Side.BID) == ((4010, 100), (4000, 1100))
    assert after.levels(Side.BID) == ((4050, 100), (4040, 100))
    assert after == recording.books["A"]


async def test_a_frame_that_the_session_does_not_have_is_told(store, record):
    recording = record("A")
    recording.take_all([subscribed(), snapshot(1)])
    session_id = await closed(recording)

    with pytest.raises(NotRecorded, match="has frames up to 2, and no frame 3"):
        await book_at(store, session_id, "A", 3)
    with pytest.raises(NotRecorded, match="Z was not recorded in"):
        await book_at(store, session_id, "Z")

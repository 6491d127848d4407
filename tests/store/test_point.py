"""The book of a market at any frame or instant: in SQL, in Python, and as it was lived."""

import random

import pytest
from book_frames import delta, snapshot, subscribed, trade
from lived import KNOWN_TICKERS, live_through
from session_writer import NewSession, SessionWriter

from kalshiflow.market.events import BookSnapshot, Side, Stamp, TimeSource
from kalshiflow.market.listing import CENT_GRID, Market
from kalshiflow.store import rows
from kalshiflow.store.errors import NotRecorded
from kalshiflow.store.ingest import commit_batch
from kalshiflow.store.read import book_at, book_at_time, get_session, replay_books

pytestmark = pytest.mark.integration

SECOND = 10**9
MILLISECOND = 10**6
BEGAN = 1_795_000_000_000_000_000


def sides_of(book):
    return tuple(book.levels(side) for side in Side)


async def in_sql(store, query, *arguments):
    """Give the levels that an SQL function gives, as bids and asks; none at all is `None`."""
    async with store.connection() as connection:
        found = await connection.fetch(f"SELECT * FROM {query}", *arguments)
    sides = ([], [])
    for row in found:
        sides[row["side"]].append((row["price"], row["quantity"]))
    return tuple(map(tuple, sides)) if found else None


async def in_python(awaited):
    try:
        found = await awaited
    except NotRecorded:
        return None
    return sides_of(getattr(found, "book", found))


def visible(sides):
    """SQL tells an empty book from none as little as an empty table can."""
    return None if sides == ((), ()) else sides


@pytest.mark.parametrize("seed", range(6))
async def test_sql_and_python_give_the_book_that_was_lived_at_any_frame(store, seed):
    lived = live_through(seed, 400, periodic=0.03)
    await commit_batch(store, "spool", lived.batch, None)
    places = sorted(lived.frames)
    die = random.Random(seed)

    trusted = 0
    for session_id, frame_no in die.sample(places, min(60, len(places))):
        for ticker in KNOWN_TICKERS:
            expected = lived.frames[session_id, frame_no].get(ticker)
            place = (session_id, ticker, frame_no)
            python = await in_python(book_at(store, *place))
            sql = await in_sql(store, "rl_book_at_frame($1, $2, $3)", *place)
            assert (place, python) == (place, expected)
            assert (place, sql) == (place, visible(expected))
            trusted += expected is not None
    assert trusted


@pytest.mark.parametrize("seed", range(6))
async def test_sql_and_python_give_the_book_that_was_lived_at_any_instant(store, seed):
    lived = live_through(seed, 400, periodic=0.03)
    await commit_batch(store, "spool", lived.batch, None)
    die = random.Random(seed)

    for at in die.sample(sorted(lived.moments), min(60, len(lived.moments))):
        session_id, books = lived.moments[at]
        if await others_at(store, session_id, at):
            continue  # at a seam, or where one ends as the next begins, both are right
        if at > await newest_frame(store, session_id):
            continue  # nothing of the session is stored from then on
        for ticker in (await get_session(store, session_id)).markets:
            expected = books.get(ticker)
            found = await in_python(book_at_time(store, ticker, at, rest_within_ns=0))
            sql = await in_sql(store, "rl_book_at($1, $2)", ticker, at)
            assert (at, ticker, found) == (at, ticker, expected)
            assert (at, ticker, sql) == (at, ticker, visible(expected))


async def others_at(store, session_id, at):
    async with store.connection() as connection:
        return await connection.fetchval(
            "SELECT count(*) FROM rl_orderbook_sessions WHERE session_id <> $1"
            " AND started_at <= $2 AND (ended_at IS NULL OR ended_at >= $2)",
            session_id,
            at,
        )


async def newest_frame(store, session_id):
    session = await get_session(store, session_id)
    async with store.connection() as connection:
        return await connection.fetchval("SELECT rl_frame_time($1, $2)", session_id, session.frames)


@pytest.mark.parametrize("seed", range(4))
async def test_replayed_states_are_the_books_that_were_lived(store, seed):
    lived = live_through(seed, 300, periodic=0.03)
    await commit_batch(store, "spool", lived.batch, None)

    compared = 0
    for session_id in lived.batch.parts:
        async for state in replay_books(store, session_id):
            expected = lived.frames.get((session_id, state.frame_no), {}).get(state.ticker)
            if expected is not None:  # what was released is not among them, nor a seam
                assert sides_of(state.book) == expected
                compared += 1
    assert compared


@pytest.mark.parametrize("seed", range(4))
async def test_a_replay_of_no_time_at_all_gives_the_books_that_it_would_begin_with(store, seed):
    lived = live_through(seed, 300, periodic=0.03)
    await commit_batch(store, "spool", lived.batch, None)

    for session_id in lived.batch.parts:
        frames = [frame_no for name, frame_no in lived.frames if name == session_id]
        at = lived.times[session_id, frames[len(frames) // 2]]
        before = [each for each in frames if lived.times[session_id, each] < at]
        found = {
            state.ticker: sides_of(state.book)
            async for state in replay_books(store, session_id, start=at, end=at)
        }
        if before:
            markets = (await get_session(store, session_id)).markets
            books = lived.frames[session_id, before[-1]]
            assert found == {name: books[name] for name in markets if name in books}


def session_of(session_id, began, **more):
    return NewSession(session_id, "collector", "local", False, began, {"A": CENT_GRID}, **more)


def snapshot_at(stamp, bids=((4000, 1000),), asks=((6000, 500),), ticker="A"):
    return BookSnapshot(ticker, bids, asks, stamp)


async def put(store, session_id, event, source="exchange"):
    """Write a snapshot's row, and the day that it needs."""
    async with store.connection() as connection:
        await connection.fetchval("SELECT rl_make_days($1, $1)", event.stamp.received_at)
        await connection.copy_records_to_table(
            rows.SNAPSHOTS,
            columns=rows.COLUMNS[rows.SNAPSHOTS],
            records=[rows.snapshot_row(session_id, event, source)],
        )


async def test_where_no_session_knew_it_a_fresh_rest_book_is_given_and_marked_so(store):
    read = snapshot_at(Stamp(0, BEGAN, BEGAN, TimeSource.RECEIVE))
    await put(store, None, read, "rest")

    found = await book_at_time(store, "A", BEGAN + 20 * SECOND)

    assert (found.source, found.session_id, found.age_ns) == ("rest", None, 20 * SECOND)
    assert sides_of(found.book) == (read.bids, read.asks)
    at = BEGAN + 20 * SECOND
    assert await in_sql(store, "rl_book_at($1, $2)", "A", at) is None
    query = "rl_book_at($1, $2, $3)"
    assert await in_sql(store, query, "A", at, 30 * SECOND) == (read.bids, read.asks)
    assert await in_sql(store, query, "A", at, 20 * SECOND) is None


async def test_an_older_rest_book_is_only_named_as_the_nearest(store):
    await put(store, None, snapshot_at(Stamp(0, BEGAN, BEGAN, TimeSource.RECEIVE)), "rest")

    with pytest.raises(NotRecorded, match="the nearest is a book read over REST 1 min 01 s before"):
        await book_at_time(store, "A", BEGAN + 61 * SECOND)
    with pytest.raises(NotRecorded, match="nor at any other time"):
        await book_at_time(store, "B", BEGAN)


async def test_a_rest_book_never_enters_a_sessions_books(store, record):
    recording = record("A")
    recording.take_all([subscribed(), snapshot(1), delta(2)])
    session_id = recording.session.session_id
    await recording.writer.close("done", recording.books)
    at = BEGAN + 2 * MILLISECOND
    await put(store, None, snapshot_at(Stamp(0, at, at, TimeSource.RECEIVE)), "rest")

    found = await book_at_time(store, "A", at)

    assert (found.session_id, found.frame_no, found.source) == (session_id, 3, "exchange")
    assert found.book == recording.books["A"]


async def test_the_age_is_that_of_the_newest_frame_in_the_book(store, record):
    recording = record("A", "B")
    recording.take_all(
        [subscribed(), snapshot(1), snapshot(2, "B"), delta(3, ticker="B"), delta(4)]
    )
    await recording.writer.close("done", recording.books)

    quiet = await book_at_time(store, "B", BEGAN + 4 * MILLISECOND)

    assert (quiet.frame_no, quiet.age_ns) == (4, MILLISECOND)


async def test_between_sessions_nothing_is_recorded_and_the_nearest_are_named(store, record):
    recording = record("A")
    recording.take_all([subscribed(), snapshot(1)])
    await recording.writer.close("done", recording.books)

    with pytest.raises(NotRecorded, match=f"the nearest is {recording.session.session_id}"):
        await book_at_time(store, "A", BEGAN + SECOND)
    with pytest.raises(NotRecorded, match="that began 2026-11-18T11:06:40Z"):
        await book_at_time(store, "A", BEGAN - SECOND)


async def test_an_open_session_reaches_to_its_newest_stored_frame_and_no_further(store, record):
    recording = record("A")
    recording.take_all([subscribed(), snapshot(1), delta(2)])
    await recording.writer.flush()

    assert (await book_at_time(store, "A", BEGAN + 2 * MILLISECOND)).book == recording.books["A"]
    with pytest.raises(NotRecorded, match="and is still open"):
        await book_at_time(store, "A", BEGAN + 3 * MILLISECOND)


async def test_the_newest_session_that_knew_the_book_is_read(store, record):
    older = record("A")
    older.take_all([subscribed(), snapshot(1), *map(delta, range(2, 10))])
    await older.writer.close("done", older.books)
    newer = SessionWriter(store, session_of("newer", BEGAN + MILLISECOND))
    newer.batch.position += 1
    newer.rows.held = None
    newer.batch.part(newer.session).frames = 1
    newer.batch.reach(BEGAN + MILLISECOND)
    stamp = Stamp(1, BEGAN + 3 * MILLISECOND, BEGAN, TimeSource.RECEIVE)
    newer.batch.put(rows.SNAPSHOTS, rows.snapshot_row("newer", snapshot_at(stamp)))
    newer.batch.reach(stamp.received_at)
    await newer.flush()

    before = await book_at_time(store, "A", BEGAN + 2 * MILLISECOND)
    after = await book_at_time(store, "A", BEGAN + 3 * MILLISECOND)

    assert (before.session_id, after.session_id) == (older.session.session_id, "newer")


async def test_a_market_that_was_released_has_no_book_until_it_is_followed_and_read_again(
    store, record
):
    recording = record("A")
    recording.take_all([subscribed(), snapshot(1), delta(2)])
    market = Market("A", "E", "a market", grid=CENT_GRID)
    recording.writer.list_market(market, "released", at=BEGAN + 2 * MILLISECOND)
    recording.take(trade(1), BEGAN + 3 * MILLISECOND)
    recording.writer.list_market(market, "joined", at=BEGAN + 4 * MILLISECOND)
    recording.take(trade(2), BEGAN + 5 * MILLISECOND)
    recording.take(snapshot(3), BEGAN + 6 * MILLISECOND)
    await recording.writer.flush()
    session_id = recording.session.session_id

    assert [
        await in_python(book_at(store, session_id, "A", frame_no)) is not None
        for frame_no in range(1, 7)
    ] == [False, True, True, False, False, True]


async def test_at_its_end_a_released_market_has_the_book_that_it_had_last(store, record):
    recording = record("A")
    recording.take_all([subscribed(), snapshot(1), delta(2)])
    market = Market("A", "E", "a market", grid=CENT_GRID)
    recording.writer.list_market(market, "released", at=BEGAN + 2 * MILLISECOND)
    recording.take(trade(1), BEGAN + 3 * MILLISECOND)
    await recording.writer.flush()

    book = await book_at(store, recording.session.session_id, "A")

    assert book.levels(Side.BID) == ((4000, 1100),)

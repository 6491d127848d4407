"""Retention: whole days go, none that a session still needs, and who lost rows says so."""

from dataclasses import replace
from datetime import date

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain_batches import SESSION, batch_of, stored_frames

from kalshiflow.store.batch import SessionEnd
from kalshiflow.store.certificate import from_json
from kalshiflow.store.closing import certify_session
from kalshiflow.store.ingest import commit_batch
from kalshiflow.store.partitions import A_DAY, day_of, ensure_days, start_of
from kalshiflow.store.proof import certificate
from kalshiflow.store.read import get_session
from kalshiflow.store.retention import Holder, days_to_remove, prune

DAY = date(2026, 11, 20)
NOON = start_of(DAY) + A_DAY // 2


async def record(store, name, *times, is_open=False, origin="collector"):
    """Store a session with a frame at each time, and close it."""
    session = replace(SESSION, session_id=name, started_at=times[0], origin=origin)
    for place, at in enumerate(times):
        is_last = place == len(times) - 1 and not is_open
        end = SessionEnd("closed", "done", at, None) if is_last else None
        batch = batch_of([place + 1], after=place, session=session, received_at=at, end=end)
        await commit_batch(store, f"spool {name}", batch, None)
    return None if is_open else await certify_session(store, name)


async def days_there(store):
    async with store.connection() as connection:
        found = await connection.fetch(
            "SELECT DISTINCT right(relname, 8) AS day FROM pg_class"
            " WHERE relkind = 'r' AND relname ~ '_[0-9]{8}$' ORDER BY day"
        )
    return [row["day"] for row in found]


@pytest.mark.integration
async def test_old_days_go_and_their_sessions_keep_their_row_and_say_that_they_were_pruned(store):
    drawn = await record(store, "old", NOON, NOON + 1)
    await record(store, "new", NOON + A_DAY)

    done = await prune(store, before_day=date(2026, 11, 21))

    assert done.removed == (DAY,)
    assert done.kept == ()
    assert done.sessions == ("old",)
    assert await days_there(store) == ["20261121"]
    assert await stored_frames(store, "old") == []
    assert await stored_frames(store, "new") == [1]
    old = await get_session(store, "old")
    assert (old.status, old.verdict) == ("closed", "pruned")
    told = from_json(old.certificate)
    assert told == replace(drawn, verdict="pruned", reason=told.reason)
    assert told.reason == "its rows were removed by retention; before, ok"
    assert await certificate(store, "old") == told
    assert (await get_session(store, "new")).verdict == "ok"


@pytest.mark.integration
async def test_a_day_stays_while_a_session_reaches_out_of_it_into_a_day_that_stays(store):
    await record(store, "older", NOON, NOON + A_DAY)
    await record(store, "newer", NOON + A_DAY, NOON + 2 * A_DAY)
    await record(store, "alone", NOON - A_DAY)

    done = await prune(store, before_day=date(2026, 11, 22))

    assert done.removed == (date(2026, 11, 19),)
    assert done.kept == (date(2026, 11, 20), date(2026, 11, 21))
    assert done.sessions == ("alone",)
    assert (await certificate(store, "older")).verdict == "ok"


@pytest.mark.integration
async def test_a_cut_removes_the_days_all_the_same_and_says_which(store):
    await record(store, "over", NOON, NOON + A_DAY)

    done = await prune(store, before_day=date(2026, 11, 21), cut=True)

    assert (done.removed, done.sessions) == ((DAY,), ("over",))
    assert await stored_frames(store, "over") == [2]
    over = await get_session(store, "over")
    assert over.verdict == "pruned"
    assert "its rows of 2026-11-20 to 2026-11-20 were removed" in over.verdict_reason
    assert (await prune(store, before_day=date(2026, 11, 22))).removed == (date(2026, 11, 21),)


@pytest.mark.integration
async def test_days_of_a_session_that_is_being_recorded_always_stay(store):
    await record(store, "open", NOON, NOON + 1, is_open=True)

    done = await prune(store, before_day=date(2027, 1, 1), cut=True)

    assert (done.removed, done.kept) == ((), (DAY,))
    assert await stored_frames(store, "open") == [1, 2]


@pytest.mark.integration
async def test_two_sessions_that_meet_at_midnight_do_not_hold_each_others_day(store):
    midnight = start_of(DAY) + A_DAY
    one, two = (replace(SESSION, session_id=name, started_at=midnight - 1) for name in "ab")
    end = SessionEnd("closed", "rotated", midnight, None)
    batch = batch_of([1], session=one, received_at=midnight - 1, end=end)
    batch.extend(batch_of([1], session=two, received_at=midnight))
    batch.position = 2
    await commit_batch(store, "spool", batch, None)
    await certify_session(store, "a")

    # The batch reached over midnight, but the certificate counts each one's own rows. The second
    # is being recorded, and nobody has counted its rows yet: its batch's day stays.
    assert (await prune(store, before_day=date(2026, 11, 21))).kept == (DAY,)
    last = batch_of([2], after=2, session=two, received_at=midnight + 1, end=end)
    await commit_batch(store, "spool", last, None)
    await certify_session(store, "b")
    done = await prune(store, before_day=date(2026, 11, 21))

    assert (done.removed, done.sessions) == ((DAY,), ("a",))
    assert await stored_frames(store, "b") == [1, 2]


@pytest.mark.integration
async def test_pruning_that_was_broken_off_is_finished_by_the_next(store):
    await record(store, "old", NOON)
    async with store.connection() as connection:
        for table in ("rl_orderbook_deltas", "rl_feed_frames"):
            await connection.execute(f"ALTER TABLE {table} DETACH PARTITION {table}_20261120")
        await connection.execute("DROP TABLE rl_feed_frames_20261120")

    assert (await prune(store, before_day=date(2026, 11, 21))).removed == (DAY,)
    assert await days_there(store) == []


@pytest.mark.integration
async def test_a_day_that_somebody_wrote_into_while_it_went_stays(store, monkeypatch):
    await record(store, "old", NOON)
    real = asyncpg.Connection.execute

    async def execute(connection, query, *more):
        answer = await real(connection, query, *more)
        if "DETACH PARTITION rl_public_trades" in query:  # the last but one of its tables
            await record(store, "late", NOON + 5, is_open=True)
        return answer

    monkeypatch.setattr(asyncpg.Connection, "execute", execute)
    done = await prune(store, before_day=date(2026, 11, 21))

    assert (done.removed, done.kept) == ((), (DAY,))
    assert await stored_frames(store, "late") == [1]


@pytest.mark.integration
async def test_a_removed_day_is_made_again_where_rows_of_it_still_come(store):
    await record(store, "old", NOON)
    await prune(store, before_day=date(2026, 11, 21))

    await record(store, "late", NOON + 1)

    assert await stored_frames(store, "late") == [1]
    async with store.connection() as connection:
        assert await ensure_days(connection, NOON, NOON) == 0


@pytest.mark.integration
async def test_imported_recordings_are_old_by_nature_and_stay_unless_it_is_said(store):
    await record(store, "old", NOON, origin="import")
    await record(store, "elsewhen", NOON - 3 * A_DAY)

    spared = await prune(store, before_day=date(2027, 1, 1))
    asked = await prune(store, before_day=date(2027, 1, 1), imports=True)

    assert (spared.sessions, spared.kept) == (("elsewhen",), (DAY,))
    assert (asked.sessions, asked.removed) == (("old",), (DAY,))


def test_days_and_times_match():
    assert day_of(NOON) == day_of(start_of(DAY)) == day_of(start_of(DAY) + A_DAY - 1) == DAY
    assert day_of(start_of(DAY) - 1) == date(2026, 11, 19)


HOLDERS = st.builds(
    lambda first, length, stays: Holder("s", first, first + length, stays),
    st.integers(0, 12),
    st.integers(0, 3),
    st.booleans(),
)


@given(st.sets(st.integers(0, 15)), st.lists(HOLDERS, max_size=8), st.integers(0, 15))
def test_what_goes_is_old_whole_and_not_being_recorded(days, holders, before):
    going = days_to_remove(days, holders, before, cut=False)
    cut = days_to_remove(days, holders, before, cut=True)

    assert going <= cut <= {day for day in days if day < before}
    for holder in holders:
        held = holder.days & days
        assert not holder.stays or not held & cut
        if held & going:
            assert held <= going
            assert holder.last < before
    free = {d for d in days if d < before and not any(d in h.days for h in holders)}
    assert free <= going

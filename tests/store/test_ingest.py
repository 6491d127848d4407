"""Batches: rows and the spool's position together, each exactly once, and never by a former holder."""

import asyncio
from dataclasses import replace

import asyncpg
import pytest
from plain_batches import AT, SESSION, batch_of, stored_frames

from kalshiflow.market.events import (
    BookDelta,
    BookSnapshot,
    MarketStatusChanged,
    Side,
    Stamp,
    TimeSource,
)
from kalshiflow.market.listing import Market, MarketStatus
from kalshiflow.market.units import Price, Quantity
from kalshiflow.store import rows
from kalshiflow.store.batch import Batch, SessionEnd
from kalshiflow.store.closing import certify_session, ended_sessions, repair_sessions
from kalshiflow.store.database import Store
from kalshiflow.store.errors import LeaseLost, SessionLost, StoreUnavailable
from kalshiflow.store.ingest import commit_batch, spool_position
from kalshiflow.store.leases import acquire_lease
from kalshiflow.store.markets import markets
from kalshiflow.store.packing import DeltaPacker
from kalshiflow.store.partitions import A_DAY, BY_DAY, make_days_ahead
from kalshiflow.store.read import get_session, list_sessions

pytestmark = pytest.mark.integration


async def test_rows_and_the_position_that_they_reach_are_there_together(store):
    assert await spool_position(store, "spool") == 0

    written = await commit_batch(store, "spool", batch_of([1, 2, 3]), None)

    assert written == 3
    assert await spool_position(store, "spool") == 3
    assert await stored_frames(store) == [1, 2, 3]
    session = await get_session(store, "s")
    assert (session.status, session.frames, session.markets) == ("active", 3, ("A",))


async def test_a_batch_that_is_tried_again_is_written_once(store):
    batch = batch_of([1, 2])

    assert await commit_batch(store, "spool", batch, None) == 2
    assert await commit_batch(store, "spool", batch, None) == 0
    assert await commit_batch(store, "spool", batch_of([3], after=2), None) == 1
    assert await commit_batch(store, "spool", batch, None) == 0
    assert await stored_frames(store) == [1, 2, 3]


async def test_of_two_commits_of_one_batch_at_once_one_writes(store):
    batch = batch_of([1, 2])

    written = await asyncio.gather(*(commit_batch(store, "spool", batch, None) for _ in range(4)))

    assert sorted(written) == [0, 0, 0, 2]
    assert await stored_frames(store) == [1, 2]


async def test_a_batch_that_does_not_begin_where_the_rows_end_is_refused(store):
    await commit_batch(store, "spool", batch_of([1, 2]), None)

    with pytest.raises(SessionLost, match="end at record 2, but the batch goes on from 3"):
        await commit_batch(store, "spool", batch_of([4], after=3), None)
    assert await stored_frames(store) == [1, 2]


async def test_a_recorder_that_was_overtaken_writes_nothing(store):
    lease = await acquire_lease(store, "key", "one", 60)
    await commit_batch(store, "spool", batch_of([1]), lease)
    await acquire_lease(store, "key", "one", 60)

    with pytest.raises(LeaseLost):
        await commit_batch(store, "spool", batch_of([2], after=1), lease)
    assert await stored_frames(store) == [1]
    assert await spool_position(store, "spool") == 1


async def test_a_batch_is_filed_under_the_session_that_its_frames_were_received_in(store):
    other = replace(SESSION, session_id="t", follows="s", started_at=AT + 5)
    batch = batch_of([1, 2], end=SessionEnd("closed", "rotated", AT + 5, "hash"))
    later = batch_of([1, 2, 3], session=other, received_at=AT + 6)
    batch.extend(later)
    batch.position += 3

    await commit_batch(store, "spool", batch, None)  # long after the second one began

    assert await stored_frames(store, "s") == [1, 2]
    assert await stored_frames(store, "t") == [1, 2, 3]
    assert [one.frames for one in await list_sessions(store)] == [3, 2]


async def test_what_its_recorder_said_of_a_sessions_end_waits_for_the_certificate(store):
    end = SessionEnd("repaired", "it crashed", AT + 9, None)
    await commit_batch(store, "spool", batch_of([1], end=end), None)
    waiting = await get_session(store, "s")

    assert (waiting.status, waiting.end_status, waiting.ended_at) == ("active", "repaired", AT + 9)
    assert await ended_sessions(store, origin="collector", shard="main") == ["s"]
    assert await ended_sessions(store, shard="other") == []
    drawn = await certify_session(store, "s")
    assert await certify_session(store, "s") == drawn
    closed = await get_session(store, "s")
    assert (closed.status, closed.end_reason, closed.close_seq) == ("repaired", "it crashed", 1)
    assert (drawn.status, drawn.verdict) == ("repaired", "ok")
    assert await ended_sessions(store) == []


async def test_nothing_is_written_into_a_session_that_has_ended(store):
    end = SessionEnd("closed", "done", AT, None)
    await commit_batch(store, "spool", batch_of([1], end=end), None)

    with pytest.raises(SessionLost, match="session s has ended"):
        await commit_batch(store, "spool", batch_of([2], after=1), None)
    assert await spool_position(store, "spool") == 1


async def test_a_session_that_is_still_recorded_is_not_certified(store):
    await commit_batch(store, "spool", batch_of([1]), None)

    with pytest.raises(SessionLost, match="no end yet"):
        await certify_session(store, "s")


async def test_repair_keeps_to_its_shard_and_leaves_what_a_spool_still_has(store):
    for name, shard in (("s", "main"), ("t", "main"), ("u", "other")):
        session = replace(SESSION, session_id=name, shard=shard)
        await commit_batch(store, f"spool {name}", batch_of([1], session=session), None)

    repaired = await repair_sessions(store, ["collector"], shard="main", keep={"t"})

    assert [one.session_id for one in repaired] == ["s"]
    statuses = {one.session_id: one.status for one in await list_sessions(store)}
    assert statuses == {"s": "repaired", "t": "active", "u": "active"}


async def test_who_was_overtaken_repairs_nothing(store):
    await commit_batch(store, "spool", batch_of([1]), None)
    overtaken = await acquire_lease(store, "key", "one", 60)
    await acquire_lease(store, "key", "one", 60)

    with pytest.raises(LeaseLost):
        await repair_sessions(store, ["collector"], lease=overtaken)
    assert [one.status for one in await list_sessions(store)] == ["active"]


async def test_joined_markets_come_to_those_that_the_session_began_with(store):
    batch = batch_of([1])
    part = batch.part(SESSION)
    part.joined = {
        "C": Market("C", "E", "C?", close_time=AT + 7),
        "A": Market("A", "E", "A?", close_time=AT + 8),  # left, and came back
    }
    batch.list_markets(part.joined.values(), AT)

    await commit_batch(store, "spool", batch, None)

    async with store.connection() as connection:
        row = await connection.fetchrow("SELECT markets, grids, closes FROM rl_orderbook_sessions")
    assert row["markets"] == ["A", "C"]
    assert sorted(row["grids"]) == ["A", "C"]
    assert row["closes"] == {"A": AT + A_DAY, "C": AT + 7}
    assert sorted(await markets(store)) == ["A", "C"]


async def test_market_lives_are_applied_to_their_listings(store):
    batch = batch_of([1])
    batch.list_markets([Market("A", "E", "A?")], AT)
    stamp = Stamp(1, AT + 1, AT + 1, TimeSource.RECEIVE)
    batch.life.append(MarketStatusChanged("A", "closed", stamp, MarketStatus.CLOSED))

    await commit_batch(store, "spool", batch, None)

    assert (await markets(store))["A"].status is MarketStatus.CLOSED


async def test_a_listing_that_comes_late_from_a_spool_does_not_replace_a_newer_one(store):
    newer, older = batch_of([1]), batch_of([2], after=1)
    newer.list_markets([Market("A", "E", "new")], AT + 1)
    older.list_markets([Market("A", "E", "old")], AT)

    await commit_batch(store, "spool", newer, None)
    await commit_batch(store, "spool", older, None)

    assert (await markets(store))["A"].title == "new"


async def test_a_book_read_over_rest_belongs_to_no_session(store):
    batch = Batch(position=1)
    event = BookSnapshot("A", (), (), Stamp(0, AT, AT, TimeSource.RECEIVE))
    batch.put(rows.SNAPSHOTS, rows.snapshot_row(None, event, "rest"))
    batch.reach(AT)

    assert await commit_batch(store, "spool", batch, None) == 1
    async with store.connection() as connection:
        sql = "UPDATE rl_orderbook_snapshots SET session_id = 's'"
        with pytest.raises(asyncpg.CheckViolationError):
            await connection.execute(sql)


async def test_rows_of_any_day_find_their_place_also_when_it_was_removed_under_our_eyes(store):
    await commit_batch(store, "spool", batch_of([1]), None)
    async with store.connection() as connection:
        tables = await connection.fetch(
            "SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r'"
        )
        assert len(tables) == len(BY_DAY)
        for table in tables:
            await connection.execute(f"DROP TABLE {table['relname']}")

    await commit_batch(store, "spool", batch_of([2, 3], after=1), None)
    far = batch_of([4], after=3, received_at=AT - 900 * A_DAY)
    await commit_batch(store, "spool", far, None)

    assert await stored_frames(store) == [2, 3, 4]


async def test_a_clock_that_jumped_by_years_within_a_batch_makes_the_days_that_occur_only(store):
    batch = batch_of([1])
    for frame_no, days in ((2, -9000), (3, 0), (4, 9000)):
        at = AT + days * A_DAY
        stamp = Stamp(frame_no, at, at, TimeSource.EXCHANGE, at, 1, frame_no)
        delta = BookDelta("A", Side.BID, Price(4000), Quantity(100), stamp)
        batch.deltas.append(DeltaPacker("s").pack(delta))
        batch.reach(at)
    later = batch_of([5], received_at=AT + 5000 * A_DAY)
    batch.tables[rows.SNAPSHOTS] += later.tables[rows.SNAPSHOTS]

    assert await commit_batch(store, "spool", batch, None) == 5

    async with store.connection() as connection:
        made = await connection.fetchval(
            "SELECT count(*) FROM pg_class WHERE relispartition AND relkind = 'r'"
        )
    assert made == 4 * len(BY_DAY)


async def test_days_are_made_ahead_once(store):
    assert await make_days_ahead(store, 3) == 4 * len(BY_DAY)
    assert await make_days_ahead(store, 3) == 0
    made = await asyncio.gather(*(make_days_ahead(store, 5) for _ in range(4)))
    assert sum(made) == 2 * len(BY_DAY)


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("53100", id="disk full"),
        pytest.param("53200", id="out of memory"),
        pytest.param("53300", id="too many connections"),
        pytest.param("57P01", id="being shut down"),
        pytest.param("58030", id="disk broken"),
        pytest.param("40P01", id="deadlock"),
        pytest.param("25006", id="a standby"),
    ],
)
async def test_trouble_of_the_database_is_told_as_such_and_the_batch_can_be_tried_again(
    store, code
):
    async with store.connection() as connection:
        await connection.execute(
            "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            f" RAISE EXCEPTION 'no more' USING ERRCODE = '{code}'; END $$;"
            " CREATE TRIGGER fail AFTER UPDATE ON rl_spool_positions EXECUTE FUNCTION fail()"
        )
    batch = batch_of([1, 2])
    with pytest.raises(StoreUnavailable, match="no more"):
        await commit_batch(store, "spool", batch, None)
    assert await stored_frames(store) == []
    async with store.connection() as connection:
        await connection.execute("DROP TRIGGER fail ON rl_spool_positions")

    assert await commit_batch(store, "spool", batch, None) == 2
    assert await stored_frames(store) == [1, 2]


class CommitsThenBreaks(Store):
    """A database whose answer to each first commit gets lost on the way."""

    def transaction(self):
        outer = super().transaction()

        class Broken:
            async def __aenter__(self):
                return await outer.__aenter__()

            async def __aexit__(inner, *error):
                await outer.__aexit__(*error)
                self.broke = not self.__dict__.get("broke", False)
                if self.broke:
                    raise StoreUnavailable("the connection broke during the commit")

        return Broken()


async def test_every_commit_in_doubt_is_written_once(store):
    shaky = CommitsThenBreaks(store.pool)
    for turn in range(3):
        batch = batch_of([2 * turn + 1, 2 * turn + 2], after=2 * turn)
        with pytest.raises(StoreUnavailable):
            await commit_batch(shaky, "spool", batch, None)
        assert await commit_batch(shaky, "spool", batch, None) == 0

    assert await stored_frames(store) == [1, 2, 3, 4, 5, 6]


async def test_a_session_that_looks_empty_is_never_taken_away(store):
    await commit_batch(store, "spool", batch_of([1]), None)
    async with store.connection() as connection:
        await connection.execute("UPDATE rl_orderbook_sessions SET frames = 0")

    (repaired,) = await repair_sessions(store, ["collector"])

    assert (repaired.frames, repaired.snapshots, repaired.verdict) == (1, 1, "ok")
    assert await stored_frames(store) == [1]

"""A session's rows as columns, and its outline: all that was recorded, in its order."""

from dataclasses import replace

import numpy as np
import pytest
from columns import columns_of, outline_of
from random_session import RandomSession
from written_session import write_session

from kalshiflow.market.events import BookDelta, BookSnapshot, PublicTrade, Side, Stamp, TimeSource
from kalshiflow.market.flat import ACCOUNT_WIDTH, DELTA, OWN_DELTA
from kalshiflow.market.listing import CENT_GRID, Market, MarketResult, MarketStatus
from kalshiflow.market.units import Price, Quantity
from kalshiflow.store import bulk
from kalshiflow.store.binary import BinaryRows
from kalshiflow.store.bulk import Columns, Rows, frames_at_once, read_columns
from kalshiflow.store.errors import NotRecorded, StoreError
from kalshiflow.store.listings import Listing
from kalshiflow.store.markets import save_markets
from kalshiflow.store.outline import read_outline
from kalshiflow.store.partitions import A_DAY
from kalshiflow.store.read import list_sessions
from kalshiflow.store.replay import Gap
from kalshiflow.store.rows import AccountChange

A = Market("A", "E", "a market")
B = Market("B", "E", "another")


def stamp(frame_no, at=None, received_at=None):
    return Stamp(frame_no, received_at or frame_no, at or frame_no, TimeSource.EXCHANGE)


def snapshot(frame_no, ticker="A", **more):
    levels = ((Price(4000), Quantity(100)),), ((Price(6000), Quantity(100)),)
    return BookSnapshot(ticker, *levels, stamp(frame_no, **more))


def delta(frame_no, ticker="A", **more):
    return BookDelta(ticker, Side.BID, Price(4100), Quantity(7), stamp(frame_no, **more))


def trade(frame_no, ticker="A"):
    return PublicTrade(ticker, "t", Price(5000), Quantity(3), Side.ASK, stamp(frame_no))


async def columns_in(store, session_id="s", tickers=("A", "B"), memory_mb=64):
    found: list[Columns] = []
    await read_columns(store, session_id, tickers, found.append, memory_mb=memory_mb)
    return found


def numbers(rows: Rows):
    return [column.tolist() for column in rows]


def is_equal(one: Columns, other: Columns) -> bool:
    tables = zip(one[2:5], other[2:5], strict=True)
    return (
        one[:2] == other[:2]
        and all(numbers(left) == numbers(right) for left, right in tables)
        and np.array_equal(one.bodies, other.bodies)
        and all(
            [column.dtype for column in left] == [column.dtype for column in right]
            for left, right in zip(one[2:5], other[2:5], strict=True)
        )
    )


@pytest.mark.integration
@pytest.mark.parametrize("step", [40, 10**6])
async def test_columns_hold_every_row_in_the_order_of_frames(store, monkeypatch, step):
    monkeypatch.setattr(bulk, "FEWEST_FRAMES", step)
    monkeypatch.setattr(bulk, "MOST_FRAMES", step)
    told = RandomSession(11, 300)
    await write_session(store, "s", tuple(told.markets.values()), told.events, gaps=told.gaps)

    outline = await read_outline(store, "s")
    found = await columns_in(store, tickers=outline.tickers)

    assert len(found) == -(-301 // step)
    wanted = columns_of(told.events, outline, step)
    assert all(is_equal(one, other) for one, other in zip(found, wanted, strict=True))
    plain = outline_of(told.events, told.markets)
    assert outline.life == plain.life
    grids = {ticker: market.grid for ticker, market in told.markets.items()}
    assert {ticker: market.grid for ticker, market in outline.begun.items()} == grids


@pytest.mark.integration
async def test_own_changes_are_told_apart(store):
    own = delta(3)._replace(client_order_id="mine")
    await write_session(store, "s", [A], [snapshot(1), delta(2), own])

    (found,) = await columns_in(store)

    assert found.changes.kinds.tolist() == [DELTA, OWN_DELTA]


@pytest.mark.integration
async def test_markets_that_were_not_asked_for_and_periodic_books_are_left_out(store):
    events = [snapshot(1), snapshot(2, "B"), delta(3), delta(4, "B"), trade(5, "B")]
    await write_session(store, "s", [A, B], events)
    async with store.connection() as connection:
        await connection.execute(
            "INSERT INTO rl_orderbook_snapshots SELECT (s).* FROM (SELECT s FROM"
            " rl_orderbook_snapshots AS s WHERE ticker = 'B') AS found"
        )
        await connection.execute(
            "UPDATE rl_orderbook_snapshots SET source = 'periodic' WHERE ctid ="
            " (SELECT max(ctid) FROM rl_orderbook_snapshots WHERE ticker = 'B')"
        )

    (found,) = await columns_in(store, tickers=("B",))

    assert found.snapshots.frames.tolist() == [2]
    assert found.changes.frames.tolist() == [4]
    assert found.trades.markets.tolist() == [0]


@pytest.mark.integration
async def test_rows_that_lie_in_another_order_come_in_the_order_of_frames(store):
    await write_session(store, "s", [A], [snapshot(1), *(delta(n) for n in range(2, 9))])
    async with store.connection() as connection:
        await connection.execute(
            "WITH moved AS (DELETE FROM rl_orderbook_deltas WHERE frame_no IN (2, 5) RETURNING *)"
            " INSERT INTO rl_orderbook_deltas SELECT * FROM moved"
        )

    (found,) = await columns_in(store)

    assert found.changes.frames.tolist() == list(range(2, 9))


@pytest.mark.integration
async def test_only_the_days_of_the_session_are_read(store):
    days = [10 * A_DAY, 11 * A_DAY, 12 * A_DAY]
    for number, day in enumerate(days):
        events = [snapshot(1, received_at=day), delta(2, received_at=day + 1)]
        await write_session(store, f"s{number}", [A], events, started_at=day)
    async with store.connection() as connection:
        for day in ("19700111", "19700113"):
            await connection.execute(f"DROP TABLE rl_orderbook_deltas_{day}")

    (found,) = await columns_in(store, "s1")

    assert found.changes.frames.tolist() == [2]


@pytest.mark.integration
async def test_a_session_that_is_not_there_is_named(store):
    with pytest.raises(NotRecorded):
        await read_outline(store, "none")
    with pytest.raises(NotRecorded):
        await columns_in(store, "none")


@pytest.mark.integration
@pytest.mark.parametrize("error", [ZeroDivisionError, OSError(28, "no space left"), TimeoutError])
async def test_what_fails_while_rows_are_worked_on_is_raised_as_it_is(store, error):
    await write_session(store, "s", [A], [snapshot(1), delta(2)])

    def refuse(columns):
        raise error

    with pytest.raises(type(error) if isinstance(error, OSError) else error):
        await read_columns(store, "s", ("A",), refuse, memory_mb=64)


def test_more_memory_reads_more_frames_at_once():
    assert [frames_at_once(mb) for mb in (1, 64, 512, 10**6)] == [4_096, 32_768, 262_144, 262_144]


async def test_a_copy_that_holds_no_whole_rows_is_refused():
    rows = BinaryRows(("int8",))
    await rows.add(bytes(30))
    with pytest.raises(StoreError, match="no whole rows"):
        rows.columns()


@pytest.mark.integration
async def test_every_market_has_a_short_hash_of_its_own(store, monkeypatch):
    tickers = [f"MARKET-{number}" for number in range(2_000)]
    async with store.connection() as connection:
        _, found = await bulk._short_hashes(connection, tickers)
        # As if the hash had so few values that the first tries give two markets the same.
        monkeypatch.setattr(bulk, "_HASHES", bulk._HASHES.replace("{hash}", "{hash} % 100000"))
        told, fewer = await bulk._short_hashes(connection, tickers[:400])

    assert len(set(found)) == len(tickers)
    assert len(set(fewer)) == 400
    assert "||" in told


@pytest.mark.integration
async def test_trades_are_known_of_all_markets_where_the_feed_confirmed_them(store):
    answer = b'{"type":"subscribed","msg":{"channel":"trade","sid":2}}'
    events = [snapshot(2), snapshot(3, "B"), delta(4)]
    await write_session(store, "s", [A, B], events, answers=[(stamp(1), answer)])
    await write_session(store, "next", [A, B], events, follows="s")
    books = answer.replace(b"trade", b"orderbook_delta")
    await write_session(store, "other", [A, B], events, answers=[(stamp(1), books)])
    traded = [*events, trade(5, "B")]
    await write_session(store, "import", [A, B], traded, answers=[(stamp(1), b"no JSON")])

    found = {
        name: (await read_outline(store, name)).with_trades
        for name in ("s", "next", "other", "import")
    }

    assert found == {"s": {"A", "B"}, "next": {"A", "B"}, "other": set(), "import": {"B"}}


@pytest.mark.integration
async def test_a_market_is_known_as_it_was_listed_when_it_came_into_the_session(store):
    begun = replace(A, status=MarketStatus.INACTIVE, close_time=7, result=MarketResult.YES)
    listings = [Listing(0, "begun", begun), Listing(3, "lifecycle", replace(A, title="anew"))]
    await write_session(store, "s", [A], [snapshot(1), delta(2)], listings=listings)
    await save_markets(store, [replace(A, title="newest")], at=99)

    outline = await read_outline(store, "s")

    assert outline.begun == {"A": replace(begun, result=MarketResult.UNKNOWN)}
    assert outline.listings == listings


@pytest.mark.integration
async def test_of_a_recording_without_listings_the_newest_tells_less_its_end(store):
    closing = replace(A, close_time=7)
    await write_session(store, "s", [closing], [snapshot(1), delta(2)])
    newest = replace(A, title="newest", close_time=9, status=MarketStatus.FINALIZED)
    ended = replace(newest, result=MarketResult.NO, settlement_value=Price(0))
    await save_markets(store, [ended], at=99)

    outline = await read_outline(store, "s")

    assert outline.begun == {"A": replace(A, title="newest", close_time=7)}


@pytest.mark.integration
async def test_a_market_that_joined_is_known_on_its_grid_only_from_there_on(store):
    listings = [Listing(2, "joined", B)]
    await write_session(store, "s", [A], [snapshot(1), delta(2)], listings=listings)

    outline = await read_outline(store, "s")

    assert outline.tickers == ("A", "B")
    assert outline.begun["B"] == replace(B, grid=CENT_GRID)


@pytest.mark.integration
async def test_the_traders_account_is_in_the_outline_of_its_tape(store):
    accounts = [AccountChange(2, n, 0, "A", 2, tuple(range(ACCOUNT_WIDTH))) for n in (1, 2)]
    await write_session(store, "s", [A], [snapshot(1), delta(2)], accounts=accounts)

    outline = await read_outline(store, "s")

    assert outline.accounts == accounts
    assert [session.session_id for session in await list_sessions(store)] == ["s"]


@pytest.mark.integration
async def test_gaps_are_in_the_outline(store):
    gap = Gap(2, "missing", ("A",), "lost", 2)
    await write_session(store, "s", [A], [snapshot(1), delta(2)], gaps=[gap])

    assert (await read_outline(store, "s")).gaps == [gap]

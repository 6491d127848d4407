"""Sessions in a real database: what was received is there, once, and the rows prove it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from session_writer import SessionWriter, new_session_id

from kalshiflow.exchange.capture import capture_tickers, read_capture
from kalshiflow.market.events import Side
from kalshiflow.store.closing import repair_sessions
from kalshiflow.store.database import Store
from kalshiflow.store.errors import NotRecorded, SessionLost, StoreUnavailable
from kalshiflow.store.lock import AlreadyRecording, only_recorder
from kalshiflow.store.proof import certificate as prove
from kalshiflow.store.proof import closing_books
from kalshiflow.store.read import (
    book_at,
    get_session,
    list_sessions,
    session_events,
    session_gaps,
)

DEMO = Path("kalshi-demo-ws-2026-07/session.jsonl")
DAY_2023 = Path("kalshi-prod-inxd-2023-08-31/INXD-23AUG31-B4512.jsonl")


def subscribed(channel="orderbook_delta", sid=1):
    return {"type": "subscribed", "id": 1, "msg": {"channel": channel, "sid": sid}}


def snapshot(seq, ticker="A", bids=(("0.4000", "10.00"),), asks=(("0.6000", "5.00"),)):
    return {
        "type": "orderbook_snapshot",
        "sid": 1,
        "seq": seq,
        "msg": {
            "market_ticker": ticker,
            "yes_dollars_fp": list(bids),
            "no_dollars_fp": list(asks),
        },
    }


def delta(seq, change="1.00", price="0.4000", side="yes", ticker="A", ts_ms=1_795_000_000_000):
    return {
        "type": "orderbook_delta",
        "sid": 1,
        "seq": seq,
        "msg": {
            "market_ticker": ticker,
            "price_dollars": price,
            "delta_fp": change,
            "side": side,
            "ts_ms": ts_ms + seq,
        },
    }


def trade(seq, trade_id="t1"):
    return {
        "type": "trade",
        "sid": 2,
        "seq": seq,
        "msg": {
            "trade_id": trade_id,
            "market_ticker": "A",
            "yes_price_dollars": "0.4000",
            "no_price_dollars": "0.6000",
            "count_fp": "2.00",
            "taker_side": "no",
            "taker_outcome_side": "no",
            "taker_book_side": "ask",
            "ts_ms": 1_795_000_000_500,
        },
    }


@pytest.mark.integration
@pytest.mark.recorded
@pytest.mark.parametrize(("path", "deltas"), [(DEMO, 2_885), (DAY_2023, 35_898)])
async def test_a_real_recording_is_stored_whole_and_read_back_event_by_event(
    recorded_data, store, record, path, deltas
):
    file = recorded_data / path
    recording = record(*capture_tickers(file), uses_yes_price=False)
    frames = 0
    for frame in read_capture(file):
        recording.take(frame.raw, frame.received_at)
        frames += 1
        if frames % 10_000 == 0:
            await recording.writer.flush()
    closed = await recording.writer.close("end of file", recording.books)
    session_id = recording.session.session_id

    assert (closed.verdict, closed.frames, closed.deltas) == ("ok", frames, deltas)
    assert await session_events(store, session_id) == recording.events
    rebuilt = await closing_books(store, session_id)
    assert set(rebuilt) == set(recording.books)
    for ticker in recording.books:
        for side in Side:
            assert rebuilt[ticker].levels(side) == recording.books[ticker].levels(side)
    assert await prove(store, session_id) == closed
    assert await prove(store, session_id) == closed


@pytest.mark.integration
async def test_every_kind_of_frame_has_its_row(store, record):
    recording = record("A")
    recording.take_all(
        [
            subscribed(),
            subscribed("trade", 2),
            snapshot(1),
            delta(2),
            trade(1),
            subscribed("fill", 3),
            {"type": "something_new", "sid": 9, "msg": {}},
        ]
    )
    closed = await recording.writer.close("done", recording.books)
    findings = [(found.sid, found.channel, found.finding) for found in closed.sequences]

    assert closed.verdict == "ok"
    assert (closed.snapshots, closed.deltas, closed.trades, closed.other_frames) == (1, 1, 1, 4)
    assert findings == [
        (1, "orderbook_delta", "whole"),
        (2, "trade", "whole"),
        (9, "something_new", "cannot be proven"),
    ]
    async with store.connection() as connection:
        kinds = await connection.fetch("SELECT kind FROM rl_feed_frames ORDER BY frame_no")
    assert [row["kind"] for row in kinds] == ["subscribed"] * 3 + ["something_new"]


@pytest.mark.integration
async def test_a_missing_number_is_a_gap_row_and_the_verdict_says_so(store, record):
    recording = record("A")
    recording.take_all([subscribed(), snapshot(1), delta(2), delta(5), delta(6), snapshot(7)])
    closed = await recording.writer.close("done", recording.books)

    (gap,) = await session_gaps(store, recording.session.session_id)
    assert (gap.kind, gap.sid, gap.expected, gap.received) == ("missing", 1, 3, 5)
    assert gap.tickers == ("A",)
    assert gap.frame_no == 4
    assert gap.recovered_at is not None
    assert closed.verdict == "gaps"
    assert "misses 3 to 4" in closed.reason
    assert (closed.missing_frames, closed.unrecovered) == (2, 0)
    assert await prove(store, recording.session.session_id) == closed


@pytest.mark.integration
async def test_a_bad_frame_is_stored_raw_and_its_market_is_stale_until_a_snapshot(store, record):
    recording = record("A", "B")
    recording.take_all(
        [subscribed(), snapshot(1), snapshot(2, "B"), delta(3, change="-99.00"), delta(4)]
    )
    assert recording.books.is_stale("A")
    recording.take(snapshot(5))
    recording.take(b"not json at all \x00\xff")
    closed = await recording.writer.close("done", recording.books)
    session_id = recording.session.session_id

    negative, undecodable = await session_gaps(store, session_id)
    assert (negative.kind, negative.tickers) == ("bad_frame", ("A",))
    assert "-99.00" in negative.raw
    assert undecodable.raw == r"not json at all \x00\xff"
    assert undecodable.tickers == ("A", "B")
    assert closed.whole
    assert (closed.verdict, closed.bad_frames, closed.unrecovered) == ("gaps", 2, 1)
    assert await prove(store, session_id) == closed


POISON = [
    b"",
    b"\x00",
    b"\xff\xfe{}",
    b'{"type": "orderbook_delta"}',
    b'{"type": "kind\\u0000with nul", "sid": 1, "seq": 2, "msg": {}}',
    b'{"type": "lone \\ud800 surrogate", "msg": {}}',
    b'{"type": "ok", "sid": 9007199254740992, "seq": 9007199254740992, "msg": {}}',
    b'{"type": "ok", "sid": 123456789012345678901234567890, "msg": {}}',
    json.dumps(delta(2, change="9" * 40 + ".00")).encode(),
    json.dumps(delta(2, ticker="A\x00B")).encode(),
    json.dumps(delta(2, ticker="T" * 10_000)).encode(),
    json.dumps(delta(2, ts_ms=2**62)).encode(),
    json.dumps(trade(1, trade_id="t" * 100_000)).encode(),
    json.dumps(snapshot(2, bids=[["0.4000", "9" * 30 + ".00"]])).encode(),
    b"[" * 100_000,
    b'{"type": "new", "msg": "' + b"x" * 1_000_000 + b'"}',
]


@pytest.mark.integration
async def test_no_frame_whatever_its_bytes_keeps_the_others_from_being_stored(store, record):
    recording = record("A")
    recording.take_all([subscribed(), snapshot(1), *POISON])
    closed = await recording.writer.close("done", recording.books)

    assert closed.whole
    assert closed.frames == 2 + len(POISON)
    assert await prove(store, recording.session.session_id) == closed


@pytest.mark.integration
async def test_the_book_of_a_market_at_any_frame(store, record):
    recording = record("A")
    recording.take_all([subscribed(), snapshot(1), delta(2), delta(4), snapshot(5), delta(6)])
    await recording.writer.close("done", recording.books)
    session_id = recording.session.session_id

    assert (await book_at(store, session_id, "A", 2)).levels(Side.BID) == ((4000, 1000),)
    assert (await book_at(store, session_id, "A", 3)).levels(Side.BID) == ((4000, 1100),)
    assert await book_at(store, session_id, "A") == recording.books["A"]
    with pytest.raises(NotRecorded, match="no snapshot up to frame 1"):
        await book_at(store, session_id, "A", 1)
    with pytest.raises(NotRecorded, match="no book to be trusted at frame 4"):
        await book_at(store, session_id, "A", 4)


@pytest.mark.integration
async def test_a_connection_without_a_book_frame_leaves_no_session(store, record):
    recording = record("A")
    recording.take_all([subscribed(), trade(1)])

    assert await recording.writer.flush() == 0
    assert await recording.writer.close("done", recording.books) is None
    assert await list_sessions(store) == []


@pytest.mark.integration
async def test_a_session_that_a_crash_left_open_is_repaired_from_its_rows(store, record):
    recording = record("A")
    recording.take_all([subscribed(), snapshot(1), delta(2)])
    await recording.writer.flush()
    recording.take(delta(3))  # received, never committed: the process dies here

    (repaired,) = await repair_sessions(store, ["collector"])

    session = await get_session(store, recording.session.session_id)
    assert (session.status, session.verdict, session.frames) == ("repaired", "ok", 3)
    assert session.close_seq == 1
    assert repaired.books_sha256 is not None
    assert await repair_sessions(store, ["collector"]) == []


@pytest.mark.integration
async def test_repair_leaves_the_sessions_of_other_recorders_alone(store, record):
    recording = record("A", origin="trader")
    recording.take_all([subscribed(), snapshot(1)])
    await recording.writer.flush()

    assert await repair_sessions(store, ["collector"]) == []


@pytest.mark.integration
async def test_a_recorder_whose_session_somebody_else_closed_is_told(store, record):
    recording = record("A")
    recording.take_all([subscribed(), snapshot(1)])
    await recording.writer.flush()
    await repair_sessions(store, ["collector"])
    recording.take(delta(2))

    with pytest.raises(SessionLost, match="another recorder has closed it"):
        await recording.writer.flush()


@pytest.mark.integration
async def test_a_second_recorder_of_a_kind_is_refused(store):
    async with only_recorder(store, "collector"):
        async with only_recorder(store, "trader"):
            pass
        with pytest.raises(AlreadyRecording, match="another collector"):
            async with only_recorder(store, "collector"):
                pass
    async with only_recorder(store, "collector"):
        pass


@pytest.mark.integration
async def test_closing_numbers_are_given_in_the_order_of_closing(store, record):
    first, second = record("A"), record("A")
    for recording in (first, second):
        recording.take_all([subscribed(), snapshot(1)])
    await second.writer.close("done", second.books)
    await first.writer.close("done", first.books)

    closed = await list_sessions(store, after_close_seq=0, statuses=["closed"], verdicts=["ok"])

    assert [session.session_id for session in closed] == [
        second.session.session_id,
        first.session.session_id,
    ]
    assert [session.close_seq for session in closed] == [1, 2]
    assert await list_sessions(store, after_close_seq=2) == []


class CommitsThenBreaks(Store):
    """A database whose answer to the first commit gets lost on the way."""

    def transaction(self):
        outer = super().transaction()

        class Broken:
            async def __aenter__(self):
                return await outer.__aenter__()

            async def __aexit__(inner, *error):
                await outer.__aexit__(*error)
                if not self.__dict__.setdefault("broke", False):
                    self.broke = True
                    raise StoreUnavailable("the connection broke during the commit")

        return Broken()


@pytest.mark.integration
async def test_a_batch_whose_commit_was_in_doubt_is_stored_once(store, record):
    recording = record("A")
    recording.writer = SessionWriter(CommitsThenBreaks(store.pool), recording.session)
    recording.take_all([subscribed(), snapshot(1), delta(2)])

    with pytest.raises(StoreUnavailable):
        await recording.writer.flush()
    recording.take(delta(3))
    closed = await recording.writer.close("done", recording.books)

    assert (closed.verdict, closed.frames, closed.deltas) == ("ok", 4, 2)


@pytest.mark.integration
async def test_rotation_makes_two_whole_sessions_whose_books_go_on(store, record):
    recording = record("A", "B")
    recording.take_all([subscribed(), snapshot(1), snapshot(2, "B"), delta(3)])
    recording.take(delta(4, change="-99.00", ticker="B"))
    old = recording.writer
    old.seal(recording.books)
    recording.feed.restart_numbers()
    ledgers = recording.feed.ledgers()
    seams = {sid: one.last + 1 for sid, one in ledgers.items() if one.last is not None}
    session = replace(
        recording.session,
        session_id=new_session_id(recording.session.started_at + 1),
        follows=old.session_id,
        seams=seams,
    )
    recording.writer = SessionWriter(store, session)
    at = recording.session.started_at + 1
    recording.writer.add_seam(recording.books, at=at, market_time=recording.feed.market_time)
    recording.take_all([delta(5), delta(6, ticker="B"), snapshot(7, "B"), delta(8, ticker="B")])

    first = await old.close("rotation")
    second = await recording.writer.close("done", recording.books)

    assert first.whole
    assert second.whole
    assert (second.frames, second.seam_snapshots) == (4, 1)
    assert second.sequences[0].first == 5
    assert second.verdict == "gaps"  # B was stale at the seam
    assert second.unrecovered == 0
    assert await prove(store, first.session_id) == first
    assert await prove(store, second.session_id) == second
    assert (await get_session(store, second.session_id)).follows == first.session_id


@pytest.mark.integration
async def test_a_session_that_ends_at_its_seam_leaves_nothing(store, record):
    recording = record("A")
    recording.take_all([subscribed(), snapshot(1), delta(2)])
    old = recording.writer
    session_id = new_session_id(recording.session.started_at + 1)
    after = SessionWriter(store, replace(recording.session, session_id=session_id))
    after.add_seam(recording.books, at=1, market_time=recording.feed.market_time)

    assert await after.flush() == 0
    assert await after.close("stopped", recording.books) is None
    await old.close("rotation", recording.books)
    assert [one.session_id for one in await list_sessions(store)] == [old.session_id]


@pytest.mark.integration
async def test_two_reads_of_a_session_give_the_same(store, record):
    recording = record("A")
    recording.take_all([subscribed(), snapshot(1), delta(2), trade(1)])
    await recording.writer.close("done", recording.books)
    session_id = recording.session.session_id

    assert await session_events(store, session_id) == await session_events(store, session_id)
    assert await session_events(store, session_id, tickers=["B"]) == []
    only = await session_events(store, session_id, first_frame=3, last_frame=3)
    assert [event.stamp.frame_no for event in only] == [3]


@pytest.mark.integration
async def test_an_outage_before_a_session_is_noted_without_a_count(store, record):
    recording = record("A")
    recording.take_all([subscribed(), snapshot(1)])
    recording.writer.add_outage(["A"], began_at=1, ended_at=2)
    closed = await recording.writer.close("done", recording.books)

    (outage,) = await session_gaps(store, recording.session.session_id)
    assert (outage.kind, outage.frame_no, outage.expected) == ("outage", 0, None)
    assert (outage.started_at, outage.recovered_at) == (1, 2)
    assert closed.verdict == "ok"


@pytest.mark.integration
async def test_an_unknown_session_is_told(store):
    with pytest.raises(NotRecorded, match="no session nothing"):
        await get_session(store, "nothing")
    with pytest.raises(NotRecorded, match="no session nothing"):
        await prove(store, "nothing")


def test_session_ids_sort_by_time_and_differ():
    one, two = new_session_id(1_795_000_000 * 10**9), new_session_id(1_795_000_000 * 10**9)

    assert one[:17] == "20261118T110640Z-"
    assert one != two
    assert one < new_session_id(1_795_000_001 * 10**9)

"""The same records give the same rows: live, restored from any checkpoint, muted for a while."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from batches import by_session, rows_of
from hypothesis import given, settings
from hypothesis import strategies as st
from recorder_walk import walk

from kalshiflow.exchange.feed import Received
from kalshiflow.market.books import Books
from kalshiflow.market.listing import decode_grid
from kalshiflow.recording.blocks import Kind, Record
from kalshiflow.recording.recorder import Recorder
from kalshiflow.store import rows
from kalshiflow.store.batch import Batch
from kalshiflow.store.replay import Gap, Replay, trusted_sha256

seeds, lengths = st.integers(0, 2**32), st.integers(1, 250)  # of a random walk
places = st.lists(st.floats(0, 1), min_size=1, max_size=3)


def take_all(recorder: Recorder, records: Iterable[Record]) -> Recorder:
    for record in records:
        recorder.take(record)
    return recorder


def cut(records: Sequence[Record], shares: Iterable[float]) -> list[Sequence[Record]]:
    """Cut records into runs at the given shares of their length."""
    marks = [0, *sorted(round(share * len(records)) for share in shares), len(records)]
    return [records[low:high] for low, high in zip(marks, marks[1:], strict=False)]


@settings(max_examples=150, deadline=None)
@given(seeds, lengths, places)
def test_a_recorder_restored_in_the_middle_goes_on_with_the_very_same_rows(seed, length, shares):
    records = walk(seed, length)
    whole = take_all(Recorder(Batch()), records)
    parts: list[Batch] = []
    recorder = Recorder()
    for run in cut(records, shares):
        recorder = Recorder.restore(recorder.checkpoint(), recorder.position)
        recorder.batch = Batch(after=recorder.position, position=recorder.position)
        parts.append(recorder.batch)
        take_all(recorder, run)

    assert rows_of(*parts) == rows_of(whole.batch)
    assert recorder.checkpoint() == whole.checkpoint()
    assert [batch.position for batch in parts[:-1]] == [batch.after for batch in parts[1:]]
    assert parts[-1].position == len(records)


@settings(max_examples=150, deadline=None)
@given(seeds, lengths, places, st.booleans())
def test_a_muted_recorder_misses_no_row_that_another_one_makes_meanwhile(
    seed, length, shares, first
):
    """Whoever has the batch between two positions: the rows are those of one recorder."""
    records = walk(seed, length)
    whole = take_all(Recorder(Batch()), records)
    pair = Recorder(), Recorder()
    parts: list[Batch] = []
    turn = first
    for run in cut(records, shares):
        batch = Batch(after=pair[turn].position, position=pair[turn].position)
        pair[turn].batch, pair[not turn].batch = batch, None
        parts.append(batch)
        for recorder in pair:
            take_all(recorder, run)
        turn = not turn

    assert rows_of(*parts) == rows_of(whole.batch)
    assert pair[0].checkpoint() == pair[1].checkpoint() == whole.checkpoint()


@settings(max_examples=100, deadline=None)
@given(seeds, lengths)
def test_frames_in_bursts_give_the_same_rows_as_one_by_one(seed, length):
    records = walk(seed, length)
    whole = take_all(Recorder(Batch()), records)
    recorder = Recorder(Batch())
    run: list[Record] = []
    for record in [*records, None]:
        if record is not None and record.kind == Kind.FRAME:
            run.append(record)
            continue
        if run:
            recorder.burst(run[0].position, [(each.content, each.at) for each in run])
            run = []
        if record is not None:
            recorder.take(record)

    assert rows_of(recorder.batch) == rows_of(whole.batch)
    assert recorder.checkpoint() == whole.checkpoint()
    assert recorder.position == whole.position


@settings(max_examples=50, deadline=None)
@given(seeds, lengths)
def test_frames_that_were_read_ahead_give_the_same_rows_as_those_read_by_the_recorder(seed, length):
    """The trader reads some frames, decides, and only then has their rows made."""
    records = walk(seed, length)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kalshiflow.recording.frames.PERIOD", 7)
        whole = take_all(Recorder(Batch()), records)
        recorder = read_ahead(records)

    assert rows_of(recorder.batch) == rows_of(whole.batch)
    assert recorder.checkpoint() == whole.checkpoint()
    assert recorder.position == whole.position


def read_ahead(records: Iterable[Record]) -> Recorder:
    """Take records, frames that lie together read before the first of them is taken."""
    recorder = Recorder(Batch())
    ahead: list[tuple[Record, Received]] = []
    for record in records:
        if record.kind == Kind.FRAME:
            assert recorder.feed is not None
            ahead.append((record, recorder.feed.receive(record.content, record.at)))
            continue
        take_ahead(recorder, ahead)
        recorder.take(record)
    take_ahead(recorder, ahead)
    return recorder


def take_ahead(recorder: Recorder, ahead: list[tuple[Record, Received]]) -> None:
    for record, received in ahead:
        recorder.add(record.position, record.content, received)
    ahead.clear()


@settings(max_examples=150, deadline=None)
@given(seeds, lengths)
def test_every_session_is_whole_and_its_rows_replay_to_the_books_it_ended_with(seed, length):
    records = walk(seed, length)
    recorder = take_all(Recorder(Batch()), records)
    for session_id, tables in by_session(recorder.batch).items():
        part = recorder.batch.parts[session_id]
        numbers = [frame_no for table in tables for frame_no in frame_numbers(table, tables[table])]
        assert sorted(numbers) == list(range(1, part.frames + 1))
        assert part.frames > 0
        if part.end is not None:
            books = replayed(part.session, tables)
            assert trusted_sha256(books) == part.end.books_sha256


def frame_numbers(table: str, found: list[dict[str, Any]]) -> list[int]:
    """Give the numbers of the frames that have their row in a table."""
    if table == rows.GAPS:
        return [row["frame_no"] for row in found if row["kind"] == "bad_frame"]
    if table == rows.SNAPSHOTS:
        return [row["frame_no"] for row in found if row["source"] == "exchange"]
    if table in (rows.LISTINGS, rows.AUDITS, rows.ACCOUNTS):
        return []
    return [row["frame_no"] for row in found]


def gap_of(row: dict[str, Any]) -> Gap:
    values = {name: value for name, value in row.items() if name != "session_id"}
    return Gap(**values | {"tickers": tuple(row["tickers"])})


def replayed(session: Any, tables: dict[str, list[dict[str, Any]]]) -> Books:
    """Give the closing books, made of nothing but rows."""
    found = defaultdict(list, tables)
    gaps = [gap_of(row) for row in found[rows.GAPS]]
    joins = [
        (row["frame_no"], row["ticker"], decode_grid(row["grid"]))
        for row in found[rows.LISTINGS]
        if row["reason"] == "joined"
    ]
    replay = Replay(Books(session.grids), gaps, joins)
    readers = (
        (rows.DELTAS, rows.delta_of),
        (rows.SNAPSHOTS, rows.snapshot_of),
        (rows.LIFECYCLE, rows.lifecycle_of),
    )
    events = [read(row) for table, read in readers for row in found[table]]
    for event in sorted(events, key=lambda each: each.stamp.frame_no):
        replay.apply(event)
    replay.cut_up_to(max((gap.frame_no for gap in gaps), default=0))
    return replay.books

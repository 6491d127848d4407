"""A random recording that was lived through: its rows, and the books as they were at each frame."""

import random
from dataclasses import dataclass, field

from recorder_walk import TICKERS, walk

from kalshiflow.market.events import BookSnapshot, Levels, Side, Stamp, TimeSource
from kalshiflow.recording.blocks import Kind
from kalshiflow.recording.notes import (
    Released,
    decode_note,
)
from kalshiflow.recording.recorder import Recorder
from kalshiflow.store import rows
from kalshiflow.store.batch import Batch

Sides = tuple[Levels, Levels]
KNOWN_TICKERS = (*TICKERS, "UNKNOWN")


@dataclass
class Lived:
    """`frames` has, by session and frame, each market's book that could be trusted after it.

    `times` has when each of these frames was received; `moments` has, for the last record of each
    time, the session that was open and its books.
    """

    batch: Batch = field(default_factory=Batch)
    frames: dict[tuple[str, int], dict[str, Sides]] = field(default_factory=dict)
    times: dict[tuple[str, int], int] = field(default_factory=dict)
    moments: dict[int, tuple[str, dict[str, Sides]]] = field(default_factory=dict)


def live_through(seed: int, steps: int, *, periodic: float = 0.0) -> Lived:
    """Record a random walk; after a share of the frames all books are written as periodic ones."""
    lived, die = Lived(), random.Random(seed)
    recorder = Recorder(lived.batch)
    left: set[str] = set()  # released, and no snapshot since they are followed again
    for record in walk(seed, steps):
        if record.kind == Kind.FRAME:
            received = recorder.frame(record.position, record.at, record.content)
            event = received.event
            if isinstance(event, BookSnapshot) and event.ticker in recorder.markets:
                left.discard(event.ticker)
        else:
            note = decode_note(record.content) if record.kind == Kind.NOTE else None
            if isinstance(note, Released):
                left |= set(note.tickers)
            before = recorder.session
            recorder.take(record)
            if recorder.session is not before:
                left.clear()
        session = recorder.session
        if session is None or recorder.is_held:
            lived.moments.pop(record.at, None)
            continue
        books = _trusted(recorder, left)
        lived.moments[record.at] = session.session_id, books
        if record.kind == Kind.FRAME:
            lived.frames[session.session_id, recorder.frames] = books
            lived.times[session.session_id, recorder.frames] = record.at
            if die.random() < periodic:
                _write_books(lived.batch, recorder, record.at)
    return lived


def _trusted(recorder: Recorder, left: set[str]) -> dict[str, Sides]:
    return {
        ticker: tuple(recorder.books[ticker].levels(side) for side in Side)
        for ticker in recorder.books
        if not recorder.books.is_stale(ticker) and ticker not in left
    }


def _write_books(batch: Batch, recorder: Recorder, at: int) -> None:
    for ticker in recorder.books:
        if not recorder.books.is_stale(ticker):
            bids, asks = (recorder.books[ticker].levels(side) for side in Side)
            stamp = Stamp(recorder.frames, at, at, TimeSource.CARRIED)
            event = BookSnapshot(ticker, bids, asks, stamp)
            row = rows.snapshot_row(recorder.session.session_id, event, "periodic")
            batch.put(rows.SNAPSHOTS, row)

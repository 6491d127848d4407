"""A recorder over what the spool holds already: for catching up, and to go on after a crash."""

import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from itertools import groupby, islice

import structlog

from kalshiflow.recording.losses import tell_loss
from kalshiflow.recording.recorder import Recorder
from kalshiflow.recording.spool import Kind, Record, Spool, SpoolDamaged
from kalshiflow.store.batch import Batch

_AT_ONCE = 64  # records between two looks at the clock
log = structlog.get_logger()


class SpoolReader:
    """Takes the records of a spool into a recorder of its own, in slices of time.

    It begins at the checkpoint from which `committed` is gone on from, and makes rows of what lies
    after `committed`; with `makes_rows` false, of nothing. Damaged stretches are stepped over where
    a later checkpoint lets it go on, and told in the rows; `damaged` has the segments, each with
    the position from which it goes on.
    """

    def __init__(self, spool: Spool, committed: int, *, makes_rows: bool = True) -> None:
        self.recorder = Recorder()
        self.damaged: dict[int, int] = {}
        self.is_stuck = False  # a damaged stretch lies ahead, and no checkpoint after it
        self._spool = spool
        self._poisoned = spool.poisoned
        self._committed = committed
        self._makes_rows = makes_rows
        self._doubtful: set[str] = set()  # sessions with a hole that their recorder knows not of
        self._records: Iterator[Record] | None = None
        start = spool.segment_start(committed + 1)
        if start:
            self._begin(start)
        else:
            self.recorder.position = spool.flushed  # nothing is held

    @property
    def position(self) -> int:
        """The last record taken."""
        return self.recorder.position

    @property
    def rows(self) -> int:
        """The number of rows made since the last `give`."""
        return 0 if self.recorder.batch is None else self.recorder.batch.count

    @property
    def has_new(self) -> bool:
        """Whether anything was taken since the last `give` that the database does not know."""
        batch = self.recorder.batch
        return batch is not None and batch.position > batch.after

    def step(self, *, seconds: float, rows: int, until: int | None = None) -> bool:
        """Take records for some time, or up to a number of rows, and not beyond `until`.

        Says whether there is more to take now.
        """
        deadline = time.perf_counter() + seconds
        try:
            while True:
                if self._take_some(rows, until):
                    return until is None or self.position < until
                if self.position >= self._spool.flushed:
                    return False
                if time.perf_counter() >= deadline:
                    return True
        except SpoolDamaged as damaged:
            self._records = None
            return self._step_over(damaged)

    def give(self) -> Batch:
        """Give the rows made so far, and begin another batch after them."""
        batch = self.recorder.batch or _batch_after(max(self._committed, self.position))
        for session_id in self._doubtful & batch.parts.keys():
            part = batch.parts[session_id]
            if part.end is not None:  # the hash has to come from the rows
                part.end = replace(part.end, books_sha256=None)
        self.recorder.batch = _batch_after(batch.position)
        return batch

    def _take_some(self, rows: int, until: int | None) -> bool:
        """Take a few records; says whether a limit was reached."""
        if self._records is None:
            self._records = self._spool.read(self.position)
        count = _AT_ONCE if until is None else min(_AT_ONCE, until - self.position)
        pulled: list[Record] = []
        try:
            pulled.extend(islice(self._records, count))  # keeps what came before it raised
        finally:
            self._take(pulled)
        if len(pulled) < count:
            self._records = None
        return self.rows >= rows or (until is not None and self.position >= until)

    def _take(self, pulled: list[Record]) -> None:
        recorder = self.recorder
        if recorder.batch is None and self._makes_rows:
            known = sum(record.position <= self._committed for record in pulled)
            take_records(self._spool, recorder, pulled[:known], self._poisoned)
            pulled = pulled[known:]
            if pulled:
                recorder.batch = _batch_after(self._committed)
        take_records(self._spool, recorder, pulled, self._poisoned)

    def _begin(self, start: int) -> None:
        """Begin at the checkpoint at `start`, or at an earlier one where that cannot be read."""
        while True:
            checkpoint = self._checkpoint_at(start)
            if checkpoint is not None:
                self.recorder = checkpoint
                break
            earlier = self._spool.segment_start(start - 1)
            if earlier >= start:
                self.recorder.position = start - 1
                break
            start = earlier
        if self.position > self._committed + 1:
            # What lies between was given up: it is gone with its segment.
            self._bridge(None, self.recorder)

    def _checkpoint_at(self, start: int) -> Recorder | None:
        try:
            record = next(self._spool.read(start - 1), None)
        except SpoolDamaged:
            return None
        if record is None or record.kind != Kind.CHECKPOINT:
            return None
        return Recorder.restore(record.content, record.position)

    def _step_over(self, damaged: SpoolDamaged) -> bool:
        """Go on at the next checkpoint that can be read; says whether there is one."""
        later = self._spool.segment_after(max(damaged.segment, self.position))
        while later is not None:
            after = self._checkpoint_at(later)
            if after is not None:
                log.error(
                    "spool_damaged",
                    reason=str(damaged),
                    lost_after=self.position,
                    goes_on_at=later,
                )
                self.damaged[damaged.segment] = later
                self._bridge(self.recorder, after)
                return True
            later = self._spool.segment_after(later)
        self.is_stuck = True
        return False

    def _bridge(self, before: Recorder | None, after: Recorder) -> None:
        """Go on with another recorder's state, and tell in the rows what lies between."""
        self._records = None
        self.recorder = after
        if not self._makes_rows or after.position <= self._committed:
            return
        batch = before.batch if before is not None else None
        after.batch = batch or _batch_after(self._committed)
        self._doubtful |= tell_loss(after.batch, before, after)
        after.batch.position = after.position


def take_records(
    spool: Spool, recorder: Recorder, records: Iterable[Record], poisoned: Collection[int]
) -> None:
    """Let a recorder take records of the spool, those `poisoned` without looking at them.

    Whatever the recorder raises ends the process: the record is marked first, so that it cannot do
    so for ever.
    """
    try:
        for are_frames, run in groupby(records, _is_frame):
            if not are_frames or poisoned:
                for record in run:
                    _take_record(recorder, record, poisoned)
            else:
                first = next(run)
                frames = [(record.content, record.at) for record in (first, *run)]
                recorder.burst(first.position, frames)
    except Exception:
        spool.mark_poison(recorder.position + 1)
        raise


def _take_record(recorder: Recorder, record: Record, poisoned: Collection[int]) -> None:
    if record.position in poisoned:
        log.error("record_set_aside", position=record.position, content=record.content[:200])
        recorder.set_aside(record)
    else:
        recorder.take(record)


def _is_frame(record: Record) -> bool:
    return record.kind == Kind.FRAME


def _batch_after(position: int) -> Batch:
    return Batch(after=position, position=position)

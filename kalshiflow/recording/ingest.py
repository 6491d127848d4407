"""Carries rows from the recorder to the database; where it is away, the spool carries the load."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress

import structlog

from kalshiflow.recording.limits import Limits, Mode
from kalshiflow.recording.notes import Rotated, encode_note
from kalshiflow.recording.patience import GivenUp, Patience
from kalshiflow.recording.reading import SpoolReader
from kalshiflow.recording.recorder import Recorder
from kalshiflow.recording.recovery import recover
from kalshiflow.recording.spool import Kind, Spool, SpoolFull
from kalshiflow.store import rows
from kalshiflow.store.batch import Batch, new_session_id
from kalshiflow.store.database import Store
from kalshiflow.store.errors import SessionLost, StoreUnavailable
from kalshiflow.store.ingest import commit_batch, spool_position
from kalshiflow.store.leases import Lease

__all__ = ["Ingest", "Limits", "Mode", "recover"]

# What a row takes in memory, in rows of deltas: a gap may name every market.
_WEIGHTS = {rows.SNAPSHOTS: 20, rows.GAPS: 50}

log = structlog.get_logger()


class Ingest:
    """Commits the rows of the live recorder, in order, each exactly once.

    While the database is away rows wait in memory up to a limit. Beyond it the live recorder makes
    none any more (`batch` is `None`); once the database is back, a second recorder makes them from
    the spool until it stands where the live one does, which then goes on.
    """

    def __init__(
        self,
        store: Store,
        spool: Spool,
        recorder: Recorder,
        lease: Lease | None,
        *,
        clock: Callable[[], int],
        ended: Callable[[], None] | None = None,
        rotate: Callable[[], None] | None = None,
        limits: Limits | None = None,
    ) -> None:
        """`clock` gives UTC nanoseconds; `ended` is called when a session's end is committed.

        `rotate` has to begin another session at once: the open one has lost some of its rows.
        """
        self.mode = Mode.WAITING if recorder.batch is None else Mode.FOLLOWING
        self.rows_written = 0
        self.committed = 0  # the last record whose rows are in the database
        self._store = store
        self._spool = spool
        self._recorder = recorder
        self._lease = lease
        self._clock = clock
        self._ended = ended
        self._rotate = rotate or self._note_rotation
        self._limits = limits or Limits()
        self._patience = Patience(self._limits.retry_seconds)
        self._queue: deque[Batch] = deque()  # given up by the recorder, not committed yet
        self._damaged: dict[int, int] = {}  # segments to set aside once a position is committed
        self._one_at_a_time = asyncio.Lock()
        self._next_commit = 0.0

    @property
    def trouble(self) -> str | None:
        """What the database last refused; `None` while it takes what it is given."""
        return self._patience.trouble

    @property
    def rows_waiting(self) -> int:
        """The rows that are in memory only."""
        live = self._recorder.batch
        return sum(batch.count for batch in self._queue) + (0 if live is None else live.count)

    @property
    def behind(self) -> int:
        """The records that were received and are not in the database."""
        return max(0, self._spool.position - self.committed)

    async def run(self) -> None:
        """Commit for ever, and wait where the database is away.

        Raises `LeaseLost` where somebody else records now, `SessionLost` where our own session was
        closed by somebody else, and `SpoolError` where the disk fails.
        """
        while True:
            await self._step()

    async def drain(self) -> None:
        """Commit until all is in the database that was received so far; raises as `run` does."""
        # A checkpoint at the end makes no rows, so the recorder knows nothing of it.
        target = min(self._spool.flushed, self._recorder.position)
        while self.committed < target:
            self._next_commit = 0.0
            await self._step()

    async def _step(self) -> None:
        async with self._one_at_a_time:
            try:
                if self._recorder.batch is None:
                    await self._catch_up()
                else:
                    await self._follow()
            except GivenUp:
                if self._recorder.batch is not None:
                    self._fall_back()

    # --- following ---------------------------------------------------------------------------

    async def _follow(self) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(0.0, self._next_commit - loop.time()))
        self._next_commit = loop.time() + self._limits.tick_seconds
        if not self._queue:
            self._take_batch()
        if self._queue:
            await self._watched(asyncio.create_task(self._commit(self._queue[0])))

    def _take_batch(self) -> None:
        batch = self._recorder.batch
        if batch is not None and batch.position > batch.after:
            self._queue.append(batch)
            self._recorder.batch = _after(batch)

    async def _watched(self, commit: "asyncio.Task[None]") -> None:
        """Wait for a commit; fall back as soon as too many rows wait behind it."""
        try:
            while not commit.done():
                await asyncio.wait((commit,), timeout=self._limits.tick_seconds)
                if self._recorder.batch is not None and self._is_too_much():
                    self._fall_back()
        finally:
            await _ended(commit)
        commit.result()

    def _is_too_much(self) -> bool:
        waiting = [*self._queue, *([self._recorder.batch] if self._recorder.batch else [])]
        return sum(map(_weight, waiting)) > self._limits.rows_in_memory

    def _fall_back(self) -> None:
        """Let the live recorder make no rows: the spool has all that was received."""
        log.warning("rows_left_to_the_spool", rows=self.rows_waiting, trouble=self.trouble)
        self._recorder.batch = None
        self._queue.clear()
        self.mode = Mode.WAITING

    # --- catching up -------------------------------------------------------------------------

    async def _catch_up(self) -> None:
        self.committed = await self._ask_position()
        began_at, first = self._clock(), self.committed
        self.mode = Mode.CATCHING_UP
        reader = SpoolReader(self._spool, self.committed)
        commit: asyncio.Task[None] | None = None
        limits = self._limits
        try:
            while True:
                has_more = reader.step(seconds=limits.slice_seconds, rows=limits.batch_rows)
                self._heed_damage(reader)
                if self._hand_over(reader):
                    break
                if reader.rows >= limits.batch_rows or (not has_more and reader.has_new):
                    if commit is not None:
                        await self._watched(commit)
                    commit = asyncio.create_task(self._commit(reader.give()))
                elif not has_more:  # what the spool cannot write yet is not to be read either
                    await asyncio.sleep(limits.tick_seconds)
                await asyncio.sleep(0)
            log.info(
                "caught_up",
                records=reader.position - first,
                seconds=round((self._clock() - began_at) / 1e9, 3),
            )
            if commit is not None:
                await self._watched(commit)
        finally:
            if commit is not None:
                await _ended(commit)

    async def _ask_position(self) -> int:
        return await self._patience.until_done(
            lambda: spool_position(self._store, self._spool.spool_id)
        )

    def _hand_over(self, reader: SpoolReader) -> bool:
        """Let the live recorder go on where the second one stands, if both stand at one record."""
        if max(reader.position, self.committed) < self._recorder.position:
            return False
        batch = reader.give()
        if batch.position > batch.after:
            self._queue.append(batch)
        self._recorder.batch = _after(batch)
        self.mode = Mode.FOLLOWING
        return True

    def _heed_damage(self, reader: SpoolReader) -> None:
        if not (reader.is_stuck or reader.damaged):
            return
        if self._spool.position > self._spool.flushed:
            return  # the live recorder may not have taken what waits to be written: later
        if reader.is_stuck:  # it is in the segment that is being written
            with suppress(SpoolFull):
                self._spool.begin_segment(self._recorder.checkpoint(), self._clock())
                reader.is_stuck = False
            return
        live, torn = self._recorder.session, reader.recorder.session
        if live is not None and torn is not None and live.session_id == torn.session_id:
            self._rotate()
        self._damaged |= reader.damaged
        reader.damaged.clear()

    def _note_rotation(self) -> None:
        at = self._clock()
        note = Rotated(session_id=new_session_id(at))
        position = self._spool.append(Kind.NOTE, at, encode_note(note))
        self._recorder.note(position, at, note)
        with suppress(SpoolFull):  # it is written with whatever comes next
            self._spool.flush()

    # --- commits -----------------------------------------------------------------------------

    async def _commit(self, batch: Batch) -> None:
        while self._spool.flushed < batch.position:
            if self._spool.is_full:
                raise GivenUp  # room comes only of what is committed
            await asyncio.sleep(self._limits.tick_seconds)
        await self._spool.until_durable(batch.position)
        written = await self._patience.until_done(
            lambda: self._try(batch), lambda: self.mode is not Mode.WAITING
        )
        self.rows_written += written
        self.committed = max(self.committed, batch.position)
        if self._queue and self._queue[0] is batch:
            self._queue.popleft()
        for segment, later in tuple(self._damaged.items()):
            if later <= self.committed:
                del self._damaged[segment]
                log.error("segment_set_aside", path=str(self._spool.set_aside(segment)))
        self._spool.release(self.committed)
        if self._ended is not None and any(part.end for part in batch.parts.values()):
            self._ended()

    async def _try(self, batch: Batch) -> int:
        try:
            async with asyncio.timeout(self._limits.commit_seconds):
                return await commit_batch(self._store, self._spool.spool_id, batch, self._lease)
        except TimeoutError as late:
            raise StoreUnavailable(
                f"the database has not answered for {self._limits.commit_seconds:.0f} s"
            ) from late
        except SessionLost:
            # A commit of ours that we had given up may have come through after all.
            stored = await self._ask_position()
            if stored == batch.after:
                raise
            raise GivenUp from None


def _after(batch: Batch) -> Batch:
    return Batch(after=batch.position, position=batch.position)


def _weight(batch: Batch) -> int:
    heavy = sum((each - 1) * len(batch.tables[table]) for table, each in _WEIGHTS.items())
    return batch.count + heavy


async def _ended(task: "asyncio.Task[None]") -> None:
    """Wait for a task's end, which is hastened where it has not come by itself."""
    if not task.done():
        task.cancel()
        await asyncio.wait((task,))

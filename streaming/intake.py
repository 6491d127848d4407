"""Frames and notes in one order: into the spool, and only then into the recorder."""

from collections import deque
from collections.abc import Callable, Sequence

import structlog

from kalshiflow.exchange.connection import Arrival
from kalshiflow.exchange.feed import Received
from kalshiflow.recording.notes import AnyNote, Connected, Rotated, encode_note
from kalshiflow.recording.recorder import Recorder
from kalshiflow.recording.spool import Kind, Record, Spool, SpoolFull
from kalshiflow.store.batch import new_session_id
from streaming.health import SECOND

_AGES = 4096  # the newest that are kept
_AGES_PER_SECOND = 1000
_DELTA = "orderbook_delta"

log = structlog.get_logger()


def _look_away(_received: Received) -> None:
    pass


class Intake:
    """What is received is in the spool's file before the recorder hears of it.

    `look` is shown each frame that is no change of a book, and those too while `looks_closely`
    says so; it must not raise. Where the spool is full, what came waits in memory (`is_stuck`)
    until `retry` finds room: whoever reads from the exchange must stop so long. Where all that is
    on a full disk is in the database too, `retry` makes room itself, by another segment.
    """

    def __init__(self, spool: Spool, recorder: Recorder, clock: Callable[[], int]) -> None:
        self.spool = spool
        self.recorder = recorder
        self.look: Callable[[Received], None] = _look_away
        self.looks_closely: Callable[[], bool] = bool
        self.sessions: set[str] = set()  # begun since this process began
        self.ages: deque[int] = deque(maxlen=_AGES)  # of frames, in nanoseconds
        self.newest_time: tuple[int, int] | None = None  # received_at, exchange_ts of one frame
        self._clock = clock
        self._waiting: deque[tuple[int, bytes | AnyNote]] = deque()  # the spool's last ones
        self._is_cramped = False  # a new segment is due, and there was no room for it
        self._stride = 1
        self._sample_at = 0

    @property
    def is_stuck(self) -> bool:
        """Say whether what came last waits for room in the spool."""
        return bool(self._waiting) or self._is_cramped

    @property
    def is_waiting(self) -> bool:
        """Say whether anything that came is in memory only."""
        return bool(self._waiting)

    def frames(self, burst: Sequence[Arrival]) -> None:
        """Take frames in the order in which they came."""
        append, kind = self.spool.append, Kind.FRAME
        if self._waiting:
            for raw, at in burst:
                append(kind, at, raw)
                self._waiting.append((at, raw))
            self.retry()
            return
        first = self.spool.position + 1
        for raw, at in burst:
            append(kind, at, raw)
        try:
            self.spool.flush()
        except SpoolFull:
            self._waiting.extend((at, raw) for raw, at in burst)
            return
        self._feed(first, burst)
        self._turn_page()

    def note(self, note: AnyNote) -> None:
        """Take a fact that no frame tells; it has its effect once it is in the spool."""
        at = self._clock()
        if isinstance(note, Connected | Rotated):
            self.sessions.add(note.session_id)
        if isinstance(note, Connected):
            self.ages.clear()
        self.spool.append(Kind.NOTE, at, encode_note(note))
        self._waiting.append((at, note))
        self.retry()

    def rotate(self) -> None:
        """Let another session go on from the books as they are."""
        self.note(Rotated(session_id=new_session_id(self._clock())))

    def retry(self) -> None:
        """Write what waits, if there is room for it now."""
        if not (self._is_written() or (self._begins_anew() and self._is_written())):
            return
        while self._waiting:
            # Known only now: a segment that began ahead of them has put them one further back.
            position = self.spool.position - len(self._waiting) + 1
            self._take(position, *self._waiting.popleft())
        self._turn_page()

    def pace(self, frames_per_second: float) -> None:
        """Choose how many frames' ages are kept: all, or as many as a thousand a second."""
        self._stride = max(1, int(frames_per_second) // _AGES_PER_SECOND)

    def _feed(self, first: int, burst: Sequence[Arrival]) -> None:
        if self.looks_closely():
            for position, (raw, at) in enumerate(burst, first):
                self._show(position, self._frame(position, at, raw))
            return
        if burst and first >= self._sample_at:
            raw, at = burst[0]
            self._show(first, self._frame(first, at, raw))
            first, burst = first + 1, burst[1:]
        try:
            told = self.recorder.burst(first, burst)
        except Exception:
            self._blame(self.recorder.position + 1)
            raise
        for received in told:
            self.look(received)

    def _take(self, position: int, at: int, content: bytes | AnyNote) -> None:
        if isinstance(content, bytes):
            self._show(position, self._frame(position, at, content))
            return
        try:
            self.recorder.note(position, at, content)
        except Exception:
            self._blame(position)
            raise

    def _frame(self, position: int, at: int, raw: bytes) -> Received:
        try:
            return self.recorder.frame(position, at, raw)
        except Exception:
            self._blame(position)
            raise

    def _show(self, position: int, received: Received) -> None:
        if position >= self._sample_at:
            self._sample(position, received)
        if received.kind != _DELTA or self.looks_closely():
            self.look(received)

    def _blame(self, position: int) -> None:
        # Only here is anything caught, and the process ends with it all the same. But a record that
        # has ended it twice is set aside when the spool is read again.
        times = self.spool.mark_poison(position)
        log.error("record_ends_the_recorder", position=position, times=times)

    def _is_written(self) -> bool:
        try:
            self.spool.flush()
        except SpoolFull:
            return False
        return True

    def _begins_anew(self) -> bool:
        """Leave a full segment behind whose records are all in the database: it is released."""
        self.spool.release()
        if not self.spool.is_spent:
            return False
        at = self._clock()
        try:
            # What waits is not in the recorder yet, so that this is its state at the last record
            # of the segment.
            self.spool.begin_segment_ahead(self.recorder.checkpoint(), at)
        except SpoolFull:
            return False
        self._is_cramped = False
        self.recorder.take(Record(self.spool.flushed, Kind.CHECKPOINT, at, b""))
        return True

    def _turn_page(self) -> None:
        if not (self.spool.needs_segment or self._is_cramped):
            return
        at = self._clock()
        try:
            self.spool.begin_segment(self.recorder.checkpoint(), at)
        except SpoolFull:
            self._is_cramped = True
            self.spool.release()
            return
        self._is_cramped = False
        self.recorder.take(Record(self.spool.position, Kind.CHECKPOINT, at, b""))

    def _sample(self, position: int, received: Received) -> None:
        self._sample_at = position + self._stride
        stamp = received.stamp
        if stamp.exchange_ts is not None:
            self.ages.append(stamp.received_at - stamp.exchange_ts)
            self.newest_time = (stamp.received_at, stamp.exchange_ts)


class Pace:
    """How fast exchange time goes by our clock, over the last ten seconds or so."""

    _SPAN = 10 * SECOND

    def __init__(self) -> None:
        self._seen: deque[tuple[int, int]] = deque()

    def see(self, times: tuple[int, int] | None) -> float | None:
        """Add a frame's receive and exchange times; gives exchange seconds in one of ours."""
        if times is None:
            return None
        seen = self._seen
        if seen and times[0] < seen[-1][0]:
            seen.clear()  # our clock was set back
        if not seen or times[0] > seen[-1][0]:
            seen.append(times)
        while len(seen) > 2 and seen[-1][0] - seen[1][0] >= self._SPAN:
            seen.popleft()
        ours, theirs = seen[-1][0] - seen[0][0], seen[-1][1] - seen[0][1]
        return theirs / ours if ours >= self._SPAN else None

    def forget(self) -> None:
        """Begin anew, with a new connection."""
        self._seen.clear()

"""The figures of health, taken from those who have them when they are asked for."""

from collections.abc import Callable

from kalshiflow.exchange.client import KalshiClient
from kalshiflow.recording.closing import Closer
from kalshiflow.recording.ingest import Ingest
from streaming.health import SECOND, Health, percentile_ms
from streaming.intake import Intake, Pace
from streaming.troubles import clock_trouble


class Gauges:
    """Brings health up to date: cheaply whenever it is asked for, the rates once a second."""

    def __init__(
        self,
        health: Health,
        intake: Intake,
        ingest: Ingest,
        closer: Closer,
        client: KalshiClient,
        clock: Callable[[], int],
    ) -> None:
        self._health = health
        self._intake = intake
        self._ingest = ingest
        self._closer = closer
        self._client = client
        self._clock = clock
        self._pace = Pace()
        self._connections = 0
        self._second = (clock(), 0)
        self._reached = (clock(), 0)  # when the committed position last moved, or had no need to
        counts = intake.recorder.counts
        self._before = {name: getattr(counts, name) for name in _COUNTS}  # of earlier processes
        health.ages = intake.ages
        health.refresh = self.refresh

    def refresh(self) -> None:
        """Take the counters as they are now."""
        health, recorder, ingest = self._health, self._intake.recorder, self._ingest
        for name in _COUNTS:
            setattr(health, name, getattr(recorder.counts, name) - self._before[name])
        session = recorder.session
        health.session_id = None if session is None else session.session_id
        health.markets = tuple(sorted(recorder.markets))
        health.frames = recorder.frames
        health.last_frame_at = recorder.last_frame_at
        health.spool_bytes = self._intake.spool.bytes_held
        health.spool_trouble = self._intake.spool.trouble
        health.database_trouble = ingest.trouble or self._closer.trouble
        health.rows_written = ingest.rows_written
        health.rows_waiting = ingest.rows_waiting
        health.records_behind = ingest.behind
        health.ingest_mode = str(ingest.mode)
        health.sessions_closed = self._closer.closed

    def tick(self) -> None:
        """Take the rates; to be called about once a second."""
        self.refresh()
        health, now = self._health, self._clock()
        if self._ingest.committed != self._reached[1] or not self._ingest.behind:
            self._reached = (now, self._ingest.committed)
        health.seconds_unstored = (now - self._reached[0]) / SECOND
        began, frames = self._second
        if now > began:
            rate = (health.frames_total - frames) * 1e9 / (now - began)
            health.frames_per_second = rate
            self._intake.pace(rate)
        self._second = (now, health.frames_total)
        if health.connections != self._connections:
            self._connections = health.connections
            self._pace.forget()
        median = percentile_ms(health.ages, 0.5)
        offset = self._client.clock_offset
        health.clock_offset = None if offset is None else round(offset.seconds, 3)
        health.clock_trouble = clock_trouble(
            None if offset is None else max(0, abs(offset.estimate) - offset.uncertainty) / SECOND,
            None if median is None else int(median * 1e6),
            self._pace.see(self._intake.newest_time),
        )


_COUNTS = ("frames_total", "snapshots", "deltas", "trades", "gaps", "bad_frames")

"""What the collector knows of itself: its state, its counters and its rates."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from importlib.metadata import version
from typing import Any

SECOND = 1_000_000_000
UNSTORED_SECONDS = 5.0  # longer than any commit of a database that is well
_AGES = 4096  # the newest frames whose age is kept


class State(StrEnum):
    """What the collector is doing; `detail` beside it says why, in a sentence."""

    STARTING = "starting"
    STANDBY = "standby"  # another collector has the shard
    CONNECTING = "connecting"
    RECORDING = "recording"
    WAITING = "waiting"  # the exchange cannot be reached, or ended the connection
    UNAUTHORISED = "unauthorised"  # 401: the key, its signature or the clock
    RATE_LIMITED = "rate_limited"  # 429
    UNAVAILABLE = "unavailable"  # 5xx
    MAINTENANCE = "maintenance"
    POLLING = "polling"  # books are read over REST while no socket is to be had
    NO_MARKETS = "no_markets"
    SPOOL_FULL = "spool_full"  # nothing is read until there is room on the disk
    STOPPING = "stopping"


def _nothing() -> None:
    pass


@dataclass(slots=True)
class Health:
    """Counters of this process. Times are UTC nanoseconds; `detail` is a sentence for people.

    `database_trouble` says why rows cannot be stored now; nothing is lost while it does, for the
    spool holds what was received. `refresh` brings the figures up to date when they are asked for.
    """

    started_at: int
    environment: str
    shard: str = "main"
    state: State = State.STARTING
    detail: str = "starting"
    refresh: Callable[[], None] = _nothing
    database_trouble: str | None = None
    session_id: str | None = None
    markets: tuple[str, ...] = ()
    stale_markets: int = 0
    connected_since: int | None = None
    last_ping_at: int | None = None
    frames: int = 0
    frames_total: int = 0
    snapshots: int = 0
    deltas: int = 0
    trades: int = 0
    gaps: int = 0
    bad_frames: int = 0
    connections: int = 0
    sessions_closed: int = 0
    rows_written: int = 0
    rows_waiting: int = 0
    seconds_unstored: float = 0.0  # since when the database takes nothing, while something waits
    records_behind: int = 0  # of the spool, that the database does not hold yet
    ingest_mode: str = ""
    spool_bytes: int = 0
    spool_trouble: str | None = None
    rest_books: int = 0
    audits: dict[str, int] = field(
        default_factory=lambda: {"agrees": 0, "moved": 0, "differs": 0, "failed": 0}
    )
    last_audit_at: int | None = None
    frames_per_second: float = 0.0
    last_frame_at: int | None = None
    clock_offset: float | None = None  # seconds that the exchange's clock is ahead of ours
    clock_trouble: str | None = None  # why the ages below mean nothing
    ages: deque[int] = field(default_factory=lambda: deque(maxlen=_AGES))

    def become(self, state: State, detail: str) -> None:
        """Change the state, and say why."""
        self.state, self.detail = state, detail

    @property
    def is_well(self) -> bool:
        """Say whether frames are being recorded and stored."""
        return (
            self.state is State.RECORDING
            and self.database_trouble is None
            and self.seconds_unstored < UNSTORED_SECONDS
        )

    def message_age_ms(self, share: float) -> float | None:
        """Give how old messages were on arrival, or nothing where two clocks cannot tell."""
        return None if self.clock_trouble else percentile_ms(self.ages, share)


def health_report(health: Health, now: int) -> dict[str, Any]:
    """Give the body of `GET /rl/health`."""
    health.refresh()
    return {
        "status": "ok" if health.is_well else "degraded",
        "state": health.state.value,
        "detail": _detail(health),
        "environment": health.environment,
        "shard": health.shard,
        "version": version("kalshiflow"),
        "session_id": health.session_id,
        "markets": len(health.markets),
        "stale_markets": health.stale_markets,
        "connected_since": _text(health.connected_since),
        "frames": health.frames,
        "frames_total": health.frames_total,
        "frames_per_second": round(health.frames_per_second, 1),
        "snapshots": health.snapshots,
        "deltas": health.deltas,
        "trades": health.trades,
        "rows_written": health.rows_written,
        "rows_waiting": health.rows_waiting,
        "records_behind": health.records_behind,
        "ingest": health.ingest_mode,
        "spool_bytes": health.spool_bytes,
        "spool_trouble": health.spool_trouble,
        "gaps": health.gaps,
        "bad_frames": health.bad_frames,
        "connections": health.connections,
        "rest_books": health.rest_books,
        "sessions_closed": health.sessions_closed,
        "audits": dict(health.audits),
        "last_audit_age_seconds": _age(health.last_audit_at, now),
        "message_age_ms": _ages(health),
        "clock_offset_seconds": health.clock_offset,
        "clock_trouble": health.clock_trouble,
        "last_frame_age_seconds": _age(health.last_frame_at, now),
        "last_ping_age_seconds": _age(health.last_ping_at, now),
        "uptime_seconds": _age(health.started_at, now),
    }


def stats_message(health: Health, now: int) -> dict[str, Any]:
    """Give the `stats` message of each second."""
    return {
        "type": "stats",
        "data": {
            "session_id": health.session_id,
            "session_status": "active" if health.session_id else health.state.value,
            "state": health.state.value,
            "detail": _detail(health),
            "is_well": health.is_well,
            "shard": health.shard,
            "markets_active": len(health.markets) - health.stale_markets,
            "markets_stale": health.stale_markets,
            "snapshots_processed": health.snapshots,
            "deltas_processed": health.deltas,
            "trades_processed": health.trades,
            "messages_per_second": round(health.frames_per_second, 1),
            "message_age_ms": _ages(health),
            "clock_trouble": health.clock_trouble,
            "gaps": health.gaps,
            "bad_frames": health.bad_frames,
            "connections": health.connections,
            "spool_bytes": health.spool_bytes,
            "records_behind": health.records_behind,
            "db_queue_size": health.rows_waiting,
            "db_rows_written": health.rows_written,
            "uptime_seconds": _age(health.started_at, now),
            "last_update_ms": None
            if health.last_frame_at is None
            else health.last_frame_at // 1_000_000,
        },
    }


def connection_message(health: Health) -> dict[str, Any]:
    """Give the `connection` message that greets each screen."""
    health.refresh()
    return {
        "type": "connection",
        "data": {
            "markets": list(health.markets),
            "status": health.state.value,
            "version": version("kalshiflow"),
            "session_id": health.session_id,
        },
    }


def percentile_ms(ages: Sequence[int], share: float) -> float | None:
    """Give the age in milliseconds that `share` of the ages do not exceed."""
    if not ages:
        return None
    ordered = sorted(ages)
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))] / 1e6, 3)


def recording_words(markets: int) -> str:
    """Say in a few words what is done while all is well."""
    return f"recording {markets} market{'s' * (markets != 1)}"


def _detail(health: Health) -> str:
    if health.database_trouble is None and health.seconds_unstored >= UNSTORED_SECONDS:
        return f"{health.detail}; the database took nothing for {health.seconds_unstored:.0f} s"
    if health.database_trouble is None or health.state is State.STANDBY:
        return health.detail
    if health.state is State.RECORDING:
        return health.database_trouble
    return f"{health.detail}; and {health.database_trouble}"


def _ages(health: Health) -> dict[str, float | None]:
    return {"p50": health.message_age_ms(0.50), "p99": health.message_age_ms(0.99)}


def _age(moment: int | None, now: int) -> float | None:
    return None if moment is None else round((now - moment) / SECOND, 3)


def _text(moment: int | None) -> str | None:
    if moment is None:
        return None
    return datetime.fromtimestamp(moment / SECOND, UTC).isoformat(timespec="milliseconds")

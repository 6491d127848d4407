"""What the collector knows of itself: its state, its counters and its rates."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from importlib.metadata import version
from typing import Any

SECOND = 1_000_000_000
_AGES = 2048  # the newest frames whose age is kept


class State(StrEnum):
    """What the collector is doing."""

    STARTING = "starting"
    WAITING = "waiting"  # for the exchange; `detail` says what it answered
    NO_MARKETS = "no_markets"
    CONNECTING = "connecting"
    RECORDING = "recording"
    STOPPING = "stopping"


@dataclass(slots=True)
class Health:
    """Counters of this process. Times are UTC nanoseconds; `detail` is a sentence for people.

    `database_trouble` says why rows cannot be stored now; nothing is lost while it does, but
    reading stops when memory for rows is full.
    """

    started_at: int
    environment: str
    state: State = State.STARTING
    detail: str = "starting"
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
    frames_per_second: float = 0.0
    last_frame_at: int | None = None
    ages: deque[int] = field(default_factory=lambda: deque(maxlen=_AGES))

    def become(self, state: State, detail: str) -> None:
        """Change the state, and say why."""
        self.state, self.detail = state, detail

    @property
    def is_well(self) -> bool:
        """Say whether frames are being recorded and stored."""
        return self.state is State.RECORDING and self.database_trouble is None


def health_report(health: Health, now: int) -> dict[str, Any]:
    """Give the body of `GET /rl/health`."""
    return {
        "status": "ok" if health.is_well else "degraded",
        "state": health.state.value,
        "detail": health.database_trouble or health.detail,
        "environment": health.environment,
        "version": version("kalshiflow"),
        "session_id": health.session_id,
        "markets": len(health.markets),
        "stale_markets": health.stale_markets,
        "connected_since": _text(health.connected_since),
        "frames": health.frames,
        "frames_total": health.frames_total,
        "rows_written": health.rows_written,
        "rows_waiting": health.rows_waiting,
        "gaps": health.gaps,
        "bad_frames": health.bad_frames,
        "sessions_closed": health.sessions_closed,
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
            "markets_active": len(health.markets) - health.stale_markets,
            "snapshots_processed": health.snapshots,
            "deltas_processed": health.deltas,
            "trades_processed": health.trades,
            "messages_per_second": round(health.frames_per_second, 1),
            "message_age_ms": {
                "p50": percentile_ms(health.ages, 0.50),
                "p99": percentile_ms(health.ages, 0.99),
            },
            "gaps": health.gaps,
            "spool_bytes": 0,
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


def _age(moment: int | None, now: int) -> float | None:
    return None if moment is None else round((now - moment) / SECOND, 3)


def _text(moment: int | None) -> str | None:
    if moment is None:
        return None
    return datetime.fromtimestamp(moment / SECOND, UTC).isoformat(timespec="milliseconds")

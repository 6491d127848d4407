"""How an `Ingest` works: in which mode, and how much at once."""

from dataclasses import dataclass
from enum import StrEnum

SECOND = 1_000_000_000
DAY = 86_400 * SECOND


class Mode(StrEnum):
    """What an `Ingest` is doing."""

    FOLLOWING = "following"  # it commits what the live recorder makes
    CATCHING_UP = "catching_up"  # it makes rows of what the spool holds, behind the live recorder
    WAITING = "waiting"  # the database is away, and memory holds no more rows


@dataclass(frozen=True, slots=True)
class Limits:
    """How much at once.

    `tick_seconds` lie between two commits; `rows_in_memory` is where the live recorder falls silent
    and the spool takes over; `batch_rows` are committed together when catching up, of which a slice
    of `slice_seconds` at a time is made; a commit that takes `commit_seconds` counts as failed,
    and at most `retry_seconds` pass between two tries.
    """

    tick_seconds: float = 0.05
    rows_in_memory: int = 100_000
    batch_rows: int = 15_000
    slice_seconds: float = 0.005
    commit_seconds: float = 60.0
    retry_seconds: float = 5.0


def has_run_out(started_at: int, now: int, seconds: float) -> bool:
    """Say whether a session's time is over: its longest, or the UTC day in which it began.

    Recordings go by the day, and one that reaches into a kept day would hold its first day back.
    Where our clock was set back into an earlier day, it is over too: it would last until that day
    comes again. Times are UTC nanoseconds.
    """
    return now - started_at >= int(seconds * SECOND) or now // DAY != started_at // DAY

"""What is proven about a session: its certificate as a value, and as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

Ranges = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class SidSequence:
    """The proof for one subscription.

    `finding` is `whole`, `whole but for its gaps`, `cannot be proven` (its frames carry no
    sequence numbers) or `broken` (frames are missing that no gap row accounts for, or repeated).
    """

    sid: int | None
    channel: str
    rows: int
    first: int | None
    last: int | None
    missing: Ranges
    finding: str


@dataclass(frozen=True, slots=True)
class Recovery:
    """How long the markets of a gap had no trusted book; `None`: to the session's end."""

    frame_no: int
    kind: str
    markets: int
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Certificate:
    """What is proven about a session, computed from its rows alone.

    `whole`: frame numbers over all tables are exactly 1..`frames`. `missing_frames` counts what the
    exchange sent and we did not get; `unrecovered` the gaps after which a market had no snapshot
    again; `crossed` the frames that would have crossed a book. Per market, over the time for which
    it was followed: `coverage` is the share with a trusted book, `stale_seconds` the rest.
    `recoveries` tells of the first gaps in books, `slowest_recovery` (seconds) of all that were
    mended. `message_age_p50` and `_p99` are from the exchange's clock to ours, in nanoseconds.
    `audits` counts comparisons with the exchange by their verdict. `books_sha256` is the hash of
    the closing books, `None` where the rows cannot be replayed. `verdict` is ok, gaps (usable, but
    to be cut at its gaps), failed, or pruned (rows were removed since; the rest is as it was then).
    Fields with defaults are not in certificates of old.
    """

    session_id: str
    frames: int
    first_frame: int | None
    last_frame: int | None
    whole: bool
    snapshots: int
    seam_snapshots: int
    deltas: int
    trades: int
    lifecycle: int
    other_frames: int
    bad_frames: int
    gaps: int
    missing_frames: int
    unrecovered: int
    markets: int
    without_snapshot: tuple[str, ...]
    coverage: dict[str, float]
    sequences: tuple[SidSequence, ...]
    first_received_at: int | None
    last_received_at: int | None
    first_market_time: int | None
    last_market_time: int | None
    books_sha256: str | None
    verdict: str
    reason: str
    status: str = "closed"
    cannot_know: tuple[str, ...] = ()
    periodic_snapshots: int = 0
    grid_gaps: int = 0
    crossed: int = 0
    outages: int = 0
    outage_seconds: float = 0.0
    stale_seconds: dict[str, float] = field(default_factory=dict)
    total_stale_seconds: float = 0.0
    recoveries: tuple[Recovery, ...] = ()
    slowest_recovery: float | None = None
    message_age_p50: int | None = None
    message_age_p99: int | None = None
    joined: tuple[str, ...] = ()
    released: tuple[str, ...] = ()
    audits: dict[str, int] = field(default_factory=dict)


def to_json(certificate: Certificate) -> dict[str, Any]:
    """Give the certificate as JSON values."""
    found: dict[str, Any] = msgspec.to_builtins(certificate)
    return found


def from_json(values: Mapping[str, Any]) -> Certificate:
    """Read what `to_json` gave."""
    return msgspec.convert(dict(values), Certificate, strict=False)


def pruned(certificate: Certificate, removed: str) -> Certificate:
    """Give the certificate of a session that rows were removed of: `removed` says which."""
    before = certificate.verdict + (f": {certificate.reason}" if certificate.reason else "")
    return replace(certificate, verdict="pruned", reason=f"{removed}; before, {before}")

"""What a session's rows prove, and the verdict on it: pure functions over counted facts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from kalshiflow.store.replay import BOOK_CHANNEL, Gap

Ranges = tuple[tuple[int, int], ...]
SnapshotAt = tuple[int, str, int]  # frame_no, ticker, received_at


@dataclass(frozen=True, slots=True)
class SidFacts:
    """What the rows say of one subscription: `first`..`last` seq, `missing` ranges inclusive."""

    sid: int | None
    channel: str
    rows: int
    numbered: int
    first: int | None = None
    last: int | None = None
    repeated: int = 0
    missing: Ranges = ()


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
class SessionFacts:
    """All that is counted in a session's rows. `frames` counts the rows of received frames.

    `first_seqs` has the next seq of each subscription that was carried over at a rotation.
    """

    session_id: str
    markets: tuple[str, ...]
    frames: int
    distinct_frames: int
    first_frame: int | None
    last_frame: int | None
    counts: Mapping[str, int]
    sids: tuple[SidFacts, ...]
    first_seqs: Mapping[int, int]
    gaps: tuple[Gap, ...]
    snapshots: tuple[SnapshotAt, ...]
    first_received_at: int | None
    last_received_at: int | None
    first_market_time: int | None
    last_market_time: int | None


@dataclass(frozen=True, slots=True)
class Certificate:
    """What is proven about a session, computed from its rows alone.

    `whole`: frame numbers over all tables are exactly 1..`frames`. `missing_frames` counts what the
    exchange sent and we did not get; `unrecovered` the gaps after which a market had no snapshot
    again; `coverage` is, per market, the share of the session's time with a trusted book.
    `books_sha256` is the hash of the closing books, `None` where the rows cannot be replayed.
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


def to_json(certificate: Certificate) -> dict[str, Any]:
    """Give the certificate as JSON values."""
    found: dict[str, Any] = msgspec.to_builtins(certificate)
    return found


def from_json(values: Mapping[str, Any]) -> Certificate:
    """Read what `to_json` gave."""
    return msgspec.convert(dict(values), Certificate, strict=False)


def certify(facts: SessionFacts, books_hash: str | None, trouble: str | None = None) -> Certificate:
    """Draw the certificate from counted facts.

    `books_hash` is the hash of the closing books; `trouble` says why the rows could not be
    replayed, where that is so.
    """
    sequences = tuple(_sequence(sid, facts) for sid in facts.sids)
    covered = {ticker for _, ticker, _ in facts.snapshots}
    without = tuple(sorted(set(facts.markets) - covered))
    broken = _broken(facts, sequences, trouble)
    holes = _holes(facts, sequences, without)
    unproven = any(
        found.finding == "cannot be proven" and found.channel == BOOK_CHANNEL for found in sequences
    )
    note = ["its frames carry no sequence numbers, so a loss could not be seen"] * unproven
    return Certificate(
        session_id=facts.session_id,
        frames=facts.frames,
        first_frame=facts.first_frame,
        last_frame=facts.last_frame,
        whole=is_whole(facts),
        snapshots=facts.counts["snapshots"],
        seam_snapshots=facts.counts["seam_snapshots"],
        deltas=facts.counts["deltas"],
        trades=facts.counts["trades"],
        lifecycle=facts.counts["lifecycle"],
        other_frames=facts.counts["other_frames"],
        bad_frames=_of_kind(facts, "bad_frame"),
        gaps=_of_kind(facts, "missing"),
        missing_frames=sum(high - low + 1 for s in sequences for low, high in s.missing),
        unrecovered=_unrecovered(facts),
        markets=len(facts.markets),
        without_snapshot=without,
        coverage={ticker: _coverage(ticker, facts) for ticker in sorted(covered)},
        sequences=sequences,
        first_received_at=facts.first_received_at,
        last_received_at=facts.last_received_at,
        first_market_time=facts.first_market_time,
        last_market_time=facts.last_market_time,
        books_sha256=books_hash,
        verdict="failed" if broken else "gaps" if holes else "ok",
        reason="; ".join([*broken, *holes, *note]),
    )


def is_whole(facts: SessionFacts) -> bool:
    """Say whether the frame numbers are exactly 1..N, each once."""
    return (
        facts.frames > 0
        and facts.frames == facts.distinct_frames
        and (facts.first_frame, facts.last_frame) == (1, facts.frames)
    )


def recovery_time(gap: Gap, snapshots: Iterable[SnapshotAt]) -> int | None:
    """Give the time at which the last of the gap's markets had a snapshot again, if all had."""
    mended: dict[str, int] = {}
    for frame_no, ticker, received_at in snapshots:
        if frame_no >= gap.frame_no and ticker in gap.tickers:
            mended.setdefault(ticker, received_at)
    return max(mended.values()) if mended and len(mended) == len(gap.tickers) else None


def _sequence(sid: SidFacts, facts: SessionFacts) -> SidSequence:
    told = [
        (gap.expected, gap.received)
        for gap in facts.gaps
        if gap.kind == "missing"
        and gap.sid == sid.sid
        and gap.expected is not None
        and gap.received is not None
    ]
    # A subscription begins at 1, and one carried over at a rotation where it stood.
    begin = 1 if sid.sid is None else facts.first_seqs.get(sid.sid, 1)
    missing = sid.missing
    if sid.first is not None and sid.first > begin:
        missing = ((begin, sid.first - 1), *missing)
    repeats_told = sum(received < expected for expected, received in told)
    if not sid.numbered:
        finding = "cannot be proven"
    elif sid.repeated > repeats_told or not all(_is_told(hole, told) for hole in missing):
        finding = "broken"
    else:
        finding = "whole but for its gaps" if missing or told else "whole"
    return SidSequence(sid.sid, sid.channel, sid.rows, sid.first, sid.last, missing, finding)


def _is_told(hole: tuple[int, int], told: Sequence[tuple[int, int]]) -> bool:
    low, high = hole
    return any(expected <= low and high < received for expected, received in told)


def _of_kind(facts: SessionFacts, kind: str) -> int:
    return sum(gap.kind == kind for gap in facts.gaps)


def _unrecovered(facts: SessionFacts) -> int:
    return sum(
        gap.hurts_books and recovery_time(gap, facts.snapshots) is None for gap in facts.gaps
    )


def _broken(
    facts: SessionFacts, sequences: Sequence[SidSequence], trouble: str | None
) -> list[str]:
    found = [
        f"sid {s.sid} ({s.channel}) is broken at {_ranges(s.missing) or 'repeated numbers'}"
        for s in sequences
        if s.finding == "broken"
    ]
    if not is_whole(facts):
        found.append(
            f"{facts.frames} frames are numbered {facts.first_frame} to {facts.last_frame}"
        )
    if not facts.snapshots:
        found.append("no market has a snapshot")
    if trouble:
        found.append(f"the rows cannot be replayed: {trouble}")
    return found


def _holes(
    facts: SessionFacts, sequences: Sequence[SidSequence], without: Sequence[str]
) -> list[str]:
    found = [
        f"sid {s.sid} ({s.channel}) misses {_ranges(s.missing)}"
        for s in sequences
        if s.missing and s.finding != "broken"
    ]
    if _of_kind(facts, "missing") and not found:
        found.append("frames came twice or out of order")
    counted = (
        (_of_kind(facts, "bad_frame"), "frames that could not be used"),
        (_of_kind(facts, "carried"), "gap carried over from the session before"),
        (_unrecovered(facts), "holes not mended by a snapshot"),
        (len(without), f"markets without a snapshot ({', '.join(without[:5])})"),
    )
    return found + [f"{count} {what}" for count, what in counted if count]


def _coverage(ticker: str, facts: SessionFacts) -> float:
    begin, end = facts.first_received_at, facts.last_received_at
    if begin is None or end is None:
        return 0.0
    changes = [(frame, True, at) for frame, name, at in facts.snapshots if name == ticker]
    changes += [
        (gap.frame_no, False, gap.started_at)
        for gap in facts.gaps
        if gap.hurts_books and ticker in gap.tickers
    ]
    trusted, since = 0, None
    for _, known, at in sorted(changes):  # at one frame, the gap before the snapshot
        moment = min(max(at, begin), end)
        if known and since is None:
            since = moment
        elif not known and since is not None:
            trusted, since = trusted + moment - since, None
    trusted += 0 if since is None else end - since
    return round(trusted / (end - begin), 6) if end > begin else 1.0


def _ranges(ranges: Ranges) -> str:
    shown = ", ".join(f"{low} to {high}" if high > low else f"{low}" for low, high in ranges[:5])
    return shown + ", …" * (len(ranges) > 5)

"""Draw a session's certificate from what was counted in its rows: pure functions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kalshiflow.store.certificate import Certificate, Ranges, Recovery, SidSequence
from kalshiflow.store.replay import BOOK_CHANNEL, Gap
from kalshiflow.store.timeline import (
    Followed,
    ListingAt,
    SnapshotAt,
    Snapshots,
    follow,
    recovery_time,
    seconds,
    stale_seconds,
)

RECOVERIES_TOLD = 1000
_CROSSED = ("crosses the book", "at or above ask")  # how a book says that it would be crossed


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
class SessionFacts:
    """All that is counted in a session's rows. `frames` counts the rows of received frames.

    `first_seqs` has the next seq of each subscription that was carried over at a rotation. `ages`
    are p50 and p99 of the time from the exchange's clock to ours, in nanoseconds. `committed` is
    the last frame that was committed, by the session's own row: rows must reach so far.
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
    listings: tuple[ListingAt, ...] = ()
    ages: tuple[int | None, int | None] = (None, None)
    audits: Mapping[str, int] = field(default_factory=dict)
    cannot_know: tuple[str, ...] = ()
    status: str = "closed"
    committed: int = 0


def certify(facts: SessionFacts, books_hash: str | None, trouble: str | None = None) -> Certificate:
    """Draw the certificate from counted facts.

    `books_hash` is the hash of the closing books; `trouble` says why the rows could not be
    replayed, where that is so.
    """
    sequences = tuple(_sequence(sid, facts) for sid in facts.sids)
    snapshots = Snapshots(facts.snapshots)
    recoveries = _recoveries(facts, snapshots)
    unrecovered = sum(one.seconds is None for one in recoveries)
    without = tuple(sorted(ticker for ticker in facts.markets if ticker not in snapshots))
    broken = _broken(facts, sequences, trouble)
    holes = _holes(facts, sequences, without, unrecovered)
    outages = [gap for gap in facts.gaps if gap.kind == "outage"]
    followed = _followed(facts, snapshots)
    mended = [one.seconds for one in recoveries if one.seconds is not None]
    return Certificate(
        session_id=facts.session_id,
        frames=facts.frames,
        first_frame=facts.first_frame,
        last_frame=facts.last_frame,
        whole=is_whole(facts),
        snapshots=facts.counts["snapshots"],
        seam_snapshots=facts.counts["seam_snapshots"],
        periodic_snapshots=facts.counts.get("periodic_snapshots", 0),
        deltas=facts.counts["deltas"],
        trades=facts.counts["trades"],
        lifecycle=facts.counts["lifecycle"],
        other_frames=facts.counts["other_frames"],
        bad_frames=_of_kind(facts, "bad_frame"),
        gaps=_of_kind(facts, "missing"),
        grid_gaps=_of_kind(facts, "grid"),
        crossed=_crossed(facts, trouble),
        missing_frames=sum(high - low + 1 for s in sequences for low, high in s.missing),
        unrecovered=unrecovered,
        markets=len(facts.markets),
        without_snapshot=without,
        coverage={t: found.coverage if t in snapshots else 0.0 for t, found in followed.items()},
        stale_seconds=stale_seconds(followed),
        total_stale_seconds=seconds(sum(one.time - one.trusted for one in followed.values())),
        recoveries=tuple(recoveries[:RECOVERIES_TOLD]),
        slowest_recovery=max(mended, default=None),
        outages=len(outages),
        outage_seconds=seconds(sum(map(_length, outages))),
        sequences=sequences,
        first_received_at=facts.first_received_at,
        last_received_at=facts.last_received_at,
        first_market_time=facts.first_market_time,
        last_market_time=facts.last_market_time,
        message_age_p50=facts.ages[0],
        message_age_p99=facts.ages[1],
        joined=_listed(facts, "joined"),
        released=_listed(facts, "released"),
        audits=dict(sorted(facts.audits.items())),
        cannot_know=facts.cannot_know,
        status=facts.status,
        books_sha256=books_hash,
        verdict="failed" if broken else "gaps" if holes else "ok",
        reason="; ".join([*broken, *holes, *_notes(sequences)]),
    )


def is_whole(facts: SessionFacts) -> bool:
    """Say whether the frame numbers are exactly 1..N, each once."""
    return (
        facts.frames > 0
        and facts.frames == facts.distinct_frames
        and (facts.first_frame, facts.last_frame) == (1, facts.frames)
    )


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


def _length(outage: Gap) -> int:
    # Of none, where our clock was set back meanwhile.
    return max((outage.recovered_at or outage.started_at) - outage.started_at, 0)


def _of_kind(facts: SessionFacts, kind: str) -> int:
    return sum(gap.kind == kind for gap in facts.gaps)


def _crossed(facts: SessionFacts, trouble: str | None) -> int:
    reasons = [gap.reason for gap in facts.gaps if gap.kind == "bad_frame"]
    return sum(any(words in one for words in _CROSSED) for one in [*reasons, trouble or ""])


def _recoveries(facts: SessionFacts, snapshots: Snapshots) -> list[Recovery]:
    found = []
    for gap in facts.gaps:
        if gap.hurts_books:
            at = recovery_time(gap, snapshots)
            took = None if at is None else seconds(max(at - gap.started_at, 0))
            found.append(Recovery(gap.frame_no, gap.kind, len(gap.tickers), took))
    return found


def _listed(facts: SessionFacts, reason: str) -> tuple[str, ...]:
    return tuple(sorted({one.ticker for one in facts.listings if one.reason == reason}))


def _followed(facts: SessionFacts, snapshots: Snapshots) -> dict[str, Followed]:
    begin, end = facts.first_received_at, facts.last_received_at
    if begin is None or end is None:
        return {}
    markets = sorted(facts.markets)
    return follow(markets, facts.listings, snapshots, facts.gaps, begin, end)


def _notes(sequences: Sequence[SidSequence]) -> list[str]:
    unproven = any(
        found.finding == "cannot be proven" and found.channel == BOOK_CHANNEL for found in sequences
    )
    return ["its frames carry no sequence numbers, so a loss could not be seen"] * unproven


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
    if facts.committed > (facts.last_frame or 0):
        found.append(f"frames were committed up to {facts.committed}; its last ones are gone")
    if not facts.snapshots:
        found.append("no market has a snapshot")
    if trouble:
        found.append(f"the rows cannot be replayed: {trouble}")
    return found


def _holes(
    facts: SessionFacts,
    sequences: Sequence[SidSequence],
    without: Sequence[str],
    unrecovered: int,
) -> list[str]:
    found = [
        f"sid {s.sid} ({s.channel}) misses {_ranges(s.missing)}"
        for s in sequences
        if s.missing and s.finding != "broken"
    ]
    uncounted = sum(gap.kind == "missing" and gap.expected is None for gap in facts.gaps)
    if _of_kind(facts, "missing") > uncounted and not found:
        found.append("frames came twice or out of order")
    counted = (
        (uncounted, "gaps of unknown size"),
        (_of_kind(facts, "bad_frame"), "frames that could not be used"),
        (_of_kind(facts, "carried"), "gap carried over from the session before"),
        (_of_kind(facts, "grid"), "books that could not follow their price grid"),
        (unrecovered, "holes not mended by a snapshot"),
        (len(without), f"markets without a snapshot ({', '.join(without[:5])})"),
    )
    return found + [f"{count} {what}" for count, what in counted if count]


def _ranges(ranges: Ranges) -> str:
    shown = ", ".join(f"{low} to {high}" if high > low else f"{low}" for low, high in ranges[:5])
    return shown + ", …" * (len(ranges) > 5)

"""One connection's sessions against the frames that were sent on it, row by row."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

from plain_frames import Fact, PlainBook, follow, levels_of
from sent_frames import SentConnection
from stored_frames import OwnBook, Stored, StoredFrame, StoredGap, StoredSession

MOST_TOLD = 5  # problems of one kind in one session: the rest would only repeat them


@dataclass
class Evidence:
    """What was found. `problems` is empty where everything is proven.

    Every frame that was sent is `stored`, or in an outage that a later session tells of
    (`in_outages`), or `unfinished`: sent after the last frame that was ever stored.
    `in_gaps` counts the numbered frames that were never sent and lie in a gap; `refused` those
    stored frames that no book could take.
    """

    problems: list[str] = field(default_factory=list)
    sent: int = 0
    stored: int = 0
    refused: int = 0
    in_gaps: int = 0
    in_outages: int = 0
    unfinished: int = 0
    sessions: int = 0
    seams: int = 0

    def tell(self, problem: str) -> None:
        self.problems.append(problem)


class Chain:
    """The sessions of one connection."""

    def __init__(self, stored: Stored, sessions: list[StoredSession]) -> None:
        self.sessions = sessions
        self.name = f"session {sessions[0].session_id}"
        self.count = 0
        self.last_received_at: int | None = None
        self.first_book_at: int | None = None
        self.last_seqs: dict[int, int] = {}
        self.missing: list[StoredGap] = []
        self.outages = [gap for gap in stored.gaps(sessions[0].session_id) if gap.kind == "outage"]
        self.stored = stored
        self._head: list[StoredFrame] = []

    def frames(self) -> Iterator[StoredFrame]:
        for session in self.sessions:
            yield from self.stored.frames(session.session_id)

    def likeness(self, connection: SentConnection, most: int = 50) -> int:
        """Count the first frames that are those that were sent on a connection."""
        if not self._head:
            self._head = list(itertools.islice(self.frames(), most))
        pairs = zip(self._head, connection.frames(), strict=False)
        alike = itertools.takewhile(lambda pair: says(pair[0].fact, *pair[1]), pairs)
        return sum(1 for _ in alike)


def compare(evidence: Evidence, chain: Chain, connection: SentConnection) -> None:
    """Hold the rows of a connection's sessions against the frames that were sent on it."""
    books: dict[str, PlainBook] = {}
    told: list[str] = []
    expected_gaps: dict[str, list[tuple[int, int, int, int]]] = {}
    sent = connection.frames()
    for session in chain.sessions:
        evidence.sessions += 1
        number = 0
        gaps = expected_gaps[session.session_id] = []
        own = _own_books(chain, session)
        _check_own_books(told, session, own.pop(0, []), books)
        for frame in chain.stored.frames(session.session_id):
            number += 1
            text, fact = next(sent, ("", None))
            _check_frame(told, chain, session, frame, number, text, fact)
            chain.count += 1
            is_refused = frame.fact[0] == "refused"
            evidence.refused += is_refused
            if fact is not None and not (is_refused and frame.fact[1] is None):
                _count_seq(chain, gaps, frame.frame_no, fact)  # else nobody could read its number
            if fact is not None and not is_refused:
                follow(books, fact)
            _check_own_books(told, session, own.pop(frame.frame_no, []), books)
            chain.last_received_at = frame.received_at
            if chain.first_book_at is None and frame.fact[0] == "snapshot":
                chain.first_book_at = frame.received_at
        evidence.stored += number
        _check_gaps(told, chain, session, gaps)
        if own:
            told.append(f"{session.session_id} has books of its own after its last frame")
    evidence.seams += len(chain.sessions) - 1
    _check_dropped(evidence, told, chain, connection)
    evidence.problems += [f"{connection.name}: {problem}" for problem in told[:MOST_TOLD]]
    if len(told) > MOST_TOLD:
        evidence.tell(f"{connection.name}: and {len(told) - MOST_TOLD} more problems")


def _check_frame(
    told: list[str],
    chain: Chain,
    session: StoredSession,
    frame: StoredFrame,
    number: int,
    text: str,
    fact: Fact | None,
) -> None:
    place = f"{session.session_id} frame {frame.frame_no}"
    if frame.frame_no != number:
        told.append(f"{place} stands where frame {number} must stand")
    if fact is None:
        told.append(f"{place} was stored and never sent: {frame.fact}")
    elif not says(frame.fact, text, fact):
        told.append(f"{place} says {frame.fact}, but {fact} was sent")
    if chain.last_received_at is not None and frame.received_at < chain.last_received_at:
        told.append(f"{place} was received before the frame before it")


def says(stored: Fact, text: str, sent: Fact) -> bool:
    # A refused frame is kept whole, as text.
    return stored[3] == text if stored[0] == "refused" else stored == sent


def _count_seq(
    chain: Chain, gaps: list[tuple[int, int, int, int]], frame_no: int, fact: Fact
) -> None:
    sid, seq = fact[1], fact[2]
    if sid is None or seq is None:
        return
    expected = chain.last_seqs.get(sid, 0) + 1
    if seq != expected:
        gaps.append((frame_no, sid, expected, seq))
    chain.last_seqs[sid] = max(seq, expected - 1)


def _check_gaps(
    told: list[str],
    chain: Chain,
    session: StoredSession,
    expected: list[tuple[int, int, int, int]],
) -> None:
    rows = [gap for gap in chain.stored.gaps(session.session_id) if gap.kind == "missing"]
    chain.missing += rows
    found = [(gap.frame_no, gap.sid, gap.expected, gap.received) for gap in rows]
    for one, other in itertools.zip_longest(sorted(expected), sorted(found)):
        if one != other:
            told.append(f"{session.session_id} must have the gap {one}, and has {other}")
            return


def _check_dropped(
    evidence: Evidence, told: list[str], chain: Chain, connection: SentConnection
) -> None:
    for sid, seq in connection.dropped:
        inside = any(gap.sid == sid and gap.expected <= seq < gap.received for gap in chain.missing)
        if inside:
            evidence.in_gaps += 1
        elif seq < chain.last_seqs.get(sid, 0):
            told.append(f"seq {seq} of sid {sid} was never sent, and lies in no gap")


def _own_books(chain: Chain, session: StoredSession) -> dict[int, list[OwnBook]]:
    own: dict[int, list[OwnBook]] = {}
    for book in chain.stored.own_books(session.session_id):
        own.setdefault(book.frame_no, []).append(book)
    return own


def _check_own_books(
    told: list[str], session: StoredSession, own: list[OwnBook], books: dict[str, PlainBook]
) -> None:
    for book in own:
        known = books.get(book.ticker)
        if known is None or levels_of(known) != book.levels:
            told.append(
                f"{session.session_id}: the {book.source} book of {book.ticker} at frame"
                f" {book.frame_no} is not the book that the frames make"
            )

"""What is learned from and what is evaluated on: parted by market time, and by event.

Everything up to the moment `at` may be learned from; evaluation begins `embargo` later, and what
lies between is in neither part. A share of the events is kept from learning whole, so that the
evaluation can tell what was recognised from what was understood; what these did up to the moment
is in neither part too, for their siblings were learned from at that time.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from kalshiflow.learning.episodes.segments import Segment, changes_while_open
from kalshiflow.learning.episodes.splitting import split_segment

LOOK_BACK = 32_000_000_000  # the longest of a feature
EMBARGO = 40_000_000_000
LEAST_EVENTS = 3  # with fewer, keeping one back would leave too little to learn from
_HASHES = 1 << 64


class SplitError(ValueError):
    """Terms that part nothing."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How a dataset is parted: the share of market time to learn from, the share of events not to.

    `embargo` is market time in nanoseconds. Raises `SplitError` for terms that cannot hold.
    """

    learn_fraction: float = 0.7
    embargo: int = EMBARGO
    event_share: float = 0.2

    def __post_init__(self) -> None:
        if not 0 < self.learn_fraction < 1:
            raise SplitError(f"{self.learn_fraction} to learn from leaves nothing to one part")
        if self.embargo < LOOK_BACK:
            raise SplitError(
                f"an embargo of {self.embargo / 1e9:g} s is shorter than the {LOOK_BACK / 1e9:g} s "
                f"that an observation looks back"
            )
        if not 0 <= self.event_share <= 0.5:
            raise SplitError(f"a share of {self.event_share} events is none from 0 to 0.5")


@dataclass(frozen=True, slots=True)
class Split:
    """The moment that parts a dataset, and the markets that are not learned from."""

    at: int
    embargo: int
    unseen: frozenset[str]

    @property
    def evaluates_from(self) -> int:
        """Give the market time after which what happens is evaluated on."""
        return self.at + self.embargo

    def parts(self, segment: Segment) -> tuple[Segment | None, Segment | None]:
        """Give what of a segment is learned from and what is evaluated on; `None` for nothing.

        What is evaluated on begins after the embargo, with the book as it stood then.
        """
        learn, evaluation = split_segment(segment, self.at, self.embargo)
        if segment.ticker in self.unseen:
            learn = None
        return _decidable(learn), _begun(_decidable(evaluation), self.evaluates_from)


def _decidable(part: Segment | None) -> Segment | None:
    """Leave out a part in which nothing could be decided: its market was closed all the while."""
    return part if part is not None and changes_while_open(part) else None


def _begun(part: Segment | None, at: int) -> Segment | None:
    """Date the book that a part begins with: it may have stood so since before the split."""
    if part is None or part.starts_at >= at:
        return part
    times = part.events.times.copy()
    times[0] = at
    return replace(part, events=replace(part.events, times=times))


def moment_of(spans: Iterable[tuple[int, int]], fraction: float) -> int:
    """Give the moment by which a fraction of the time lies that the spans cover together."""
    covered = _union(spans)
    left = int(sum(end - start for start, end in covered) * fraction)
    for start, end in covered:
        if left <= end - start:
            return start + left
        left -= end - start
    return covered[-1][1]


def held_out(events: Iterable[str], share: float) -> frozenset[str]:
    """Choose the events that are not learned from, by the hash of each one's ticker.

    An event whose hash lies in the lowest `share` of all hashes is one, whatever other events there
    are: it stays one while recordings come and go. Of three events or more it is at least one and
    at most half of them, of fewer none.
    """
    known = sorted({event for event in events if event}, key=_hash)
    if share <= 0 or len(known) < LEAST_EVENTS:
        return frozenset()
    low = sum(_hash(event) < share * _HASHES for event in known)
    return frozenset(known[: max(1, min(low, len(known) // 2))])


def markets_of(events: Mapping[str, frozenset[str]], chosen: frozenset[str]) -> frozenset[str]:
    """Give the markets of the chosen events; `events` names those of each market.

    A market that different recordings list under different events goes with any of them.
    """
    return frozenset(ticker for ticker, of in events.items() if not chosen.isdisjoint(of))


def _hash(event: str) -> int:
    return int.from_bytes(hashlib.sha256(event.encode()).digest()[:8])


def _union(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    covered: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if covered and start <= covered[-1][1]:
            covered[-1] = (covered[-1][0], max(covered[-1][1], end))
        else:
            covered.append((start, end))
    return covered

"""A trader's decisions, made again from its own tape by the bulk path, and what differs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby, pairwise
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kalshiflow.agent.features import FEATURES
from kalshiflow.agent.fingerprints import mask_bits, observation_hash
from kalshiflow.learning.bulk import Stream, Terms
from kalshiflow.learning.episodes.segments import Events, Segment
from kalshiflow.market.flat import ACCOUNT, CLOSES, SNAPSHOT, STATUS
from kalshiflow.store.outline import Outline
from kalshiflow.store.rows import AccountChange
from kalshiflow.store.trading import Decision

TOLD_AT_MOST = 10

# For each frame, after how many decisions each of its changes of a market's account came.
Changes = Mapping[int, Sequence[int]]


@dataclass(slots=True)
class Remade:
    """What came of making decisions again: `equal` ones have the observation and the mask of the
    journal, bit for bit; `differences` tells of the first that have not. `rows` are observations by
    the number of their decision.
    """

    decisions: int = 0
    equal: int = 0
    differences: list[str] = field(default_factory=list)
    rows: dict[int, NDArray[Any]] = field(default_factory=dict)

    def tell(self, difference: str) -> None:
        """Take note of a difference."""
        if len(self.differences) < TOLD_AT_MOST:
            self.differences.append(difference)


class Remaker:
    """Makes decisions again, one session of a connection after the other, in their order.

    What a rotation carried over is known from the session before. A market that the trader did not
    trust then it trusts again from its next snapshot, whatever book the rotation wrote.
    """

    def __init__(self, terms: Terms) -> None:
        self._stream = Stream(terms, dtype=np.float64)
        self._places: dict[str, int] = {}
        self._open: set[str] = set()  # markets whose book could be trusted when the session ended

    def take(
        self,
        outline: Outline,
        segments: Iterable[Segment],
        accounts: NDArray[np.int64],
        decisions: Sequence[Decision],
    ) -> Remade:
        """Take a session: its segments by ticker and then by time, with their account table."""
        made = Remade(len(decisions))
        if sorted(one.change_no for one in outline.accounts) != [
            *range(1, len(outline.accounts) + 1)
        ]:
            made.tell("changes of the account are missing on the tape")
        carried, self._open = self._open, set()
        due, changes = _by_ticker(decisions), _by_ticker(outline.accounts)
        for ticker, found in groupby(segments, attrgetter("ticker")):
            parts = list(found)
            firsts = [int(part.events.frames[0]) for part in parts]
            told = changes_by_frame(changes.get(ticker, ()))
            mine = due.pop(ticker, [])
            for number, (segment, (low, high)) in enumerate(
                zip(parts, pairwise([*firsts, outline.session.frames + 1]), strict=True)
            ):
                is_seam = number == 0 and low == 0 and outline.session.follows is not None
                wanted = [one for one in mine if low <= one.frame_no < high]
                events = self._begun(segment, is_seam=is_seam, is_carried=ticker in carried)
                is_known = self._remake(ticker, events, accounts, told, wanted, made)
            if is_known and not _is_cut(outline, ticker, firsts[-1]):
                self._open.add(ticker)
        for decision in decisions:
            if decision.decision_no not in made.rows:
                made.tell(f"{_named(decision)}: there is no book on the tape")
        return made

    def _begun(self, segment: Segment, *, is_seam: bool, is_carried: bool) -> Events:
        """Begin a segment, or go on from the one before; give the events that are to be taken."""
        place = self._places.setdefault(segment.ticker, len(self._places))
        if is_seam and is_carried:
            return _chosen(segment.events, np.arange(1, len(segment.events)))
        self._stream.begin(place, segment.market)
        return from_fresh_book(segment.events) if is_seam else account_first(segment.events)

    def _remake(
        self,
        ticker: str,
        events: Events,
        accounts: NDArray[np.int64],
        changes: Changes,
        decisions: Sequence[Decision],
        made: Remade,
    ) -> bool:
        """Make a segment's decisions again; say whether there was a book."""
        if not len(events):
            return False
        numbers = [events_before(events, changes, decision) for decision in decisions]
        times = [decision.market_time for decision in decisions]
        # One more row at the end has the stream take all events in.
        wanted = (np.array([*numbers, len(events)]), np.array([*times, int(events.times[-1])]))
        owners = np.full(len(events), self._places[ticker], np.int32)
        found = self._stream.read_at(events, owners, wanted, accounts)
        for decision, row, mask in zip(decisions, found.rows, found.masks, strict=False):
            made.rows[decision.decision_no] = row
            numbers, allowed = row.tolist(), mask.tolist()
            told = (decision.observation_hash, decision.mask)
            if (observation_hash(numbers, allowed), mask_bits(allowed)) == told:
                made.equal += 1
            else:
                made.tell(difference(decision, numbers, allowed))
        return True


def changes_by_frame(changes: Iterable[AccountChange]) -> Changes:
    """Give a market's changes of the account by their frames."""
    found: dict[int, list[int]] = {}
    for change in changes:
        found.setdefault(change.frame_no, []).append(change.decision_no)
    return found


def events_before(events: Events, changes: Changes, decision: Decision) -> int:
    """Give how many of a market's events a decision has seen.

    They are those up to its frame, less what it changed itself and what was changed after it.
    """
    frame = decision.frame_no
    later = sum(number >= decision.decision_no for number in changes.get(frame, ()))
    return int(np.searchsorted(events.frames, frame, "right")) - later


def account_first(events: Events) -> Events:
    """Put the account, which stands behind a segment's first book, before it, as it was lived: the
    trader knows its orders when it sees the book.
    """
    if len(events) < 2 or events.kinds[0] != SNAPSHOT or events.kinds[1] != ACCOUNT:
        return events
    return _chosen(events, np.array([1, 0, *range(2, len(events))]))


def from_fresh_book(events: Events) -> Events:
    """Leave out the book that a seam wrote, and what came of it, up to the next one that was sent.

    There is nothing where none was sent.
    """
    books = np.flatnonzero((events.kinds == SNAPSHOT) & (events.frames > 0))
    if not len(books):
        return _chosen(events, np.arange(0))
    is_told = np.isin(events.kinds, (STATUS, CLOSES, ACCOUNT))
    is_after = np.arange(len(events)) >= books[0]
    return _chosen(events, np.flatnonzero(is_told | is_after))


def difference(decision: Decision, row: Sequence[float], mask: Sequence[int]) -> str:
    """Say how a decision that was made again is another one."""
    if mask_bits(mask) != decision.mask:
        return f"{_named(decision)}: the mask was {decision.mask:b}, is {mask_bits(mask):b}"
    if decision.observation is None:
        return f"{_named(decision)}: the observation is another one"
    seen = [
        f"{feature.name} was {was:g}, is {now:g}"
        for feature, was, now in zip(FEATURES, decision.observation, row, strict=True)
        if np.float32(was) != np.float32(now)
    ]
    return f"{_named(decision)}: {', '.join(seen) or 'it differs by less than 32 bits tell'}"


def _named(decision: Decision) -> str:
    return f"decision {decision.decision_no} ({decision.ticker}, frame {decision.frame_no})"


def _is_cut(outline: Outline, ticker: str, after: int) -> bool:
    return any(
        gap.frame_no > after and (not gap.tickers or ticker in gap.tickers) for gap in outline.gaps
    )


def _chosen(events: Events, order: NDArray[np.int64]) -> Events:
    columns = ("kinds", "sides", "indices", "quantities", "times", "frames")
    return replace(events, **{name: getattr(events, name)[order] for name in columns})


def _by_ticker(found: Iterable[Any]) -> dict[str, list[Any]]:
    by_ticker: dict[str, list[Any]] = {}
    for one in found:
        by_ticker.setdefault(one.ticker, []).append(one)
    return by_ticker

"""When each market of a session was followed, and for how long its book could be trusted; pure."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kalshiflow.store.replay import Gap

SnapshotAt = tuple[int, str, int]  # frame_no, ticker, received_at
Spans = list[tuple[int, int]]  # times from and to, in nanoseconds

_UNKNOWN, _KNOWN = 0, 1  # at one frame a gap comes before the snapshot that mends it


@dataclass(frozen=True, slots=True)
class ListingAt:
    """A market's listing, from a frame and a time on; `reason` as in `rl_market_listings`."""

    frame_no: int
    ticker: str
    reason: str
    at: int


@dataclass(frozen=True, slots=True)
class Followed:
    """How long a market was followed, and how much of it with a trusted book (nanoseconds)."""

    time: int
    trusted: int

    @property
    def coverage(self) -> float:
        """Give the trusted share; of no time at all it is whole."""
        return round(self.trusted / self.time, 6) if self.time else 1.0


class Snapshots:
    """A session's snapshots by market, in the order of frames."""

    def __init__(self, found: Iterable[SnapshotAt]) -> None:
        self._found: dict[str, tuple[list[int], list[int]]] = {}
        for frame_no, ticker, received_at in found:
            frames, times = self._found.setdefault(ticker, ([], []))
            frames.append(frame_no)
            times.append(received_at)

    def __contains__(self, ticker: object) -> bool:
        return ticker in self._found

    def of(self, ticker: str) -> list[tuple[int, int]]:
        """Give the frame numbers and receive times of a market's snapshots."""
        return list(zip(*self._found.get(ticker, ([], [])), strict=True))

    def next_time(self, ticker: str, frame_no: int) -> int | None:
        """Give when the market's first snapshot from a frame on was received."""
        frames, times = self._found.get(ticker, ([], []))
        place = bisect_left(frames, frame_no)
        return times[place] if place < len(times) else None


def recovery_time(gap: Gap, snapshots: Snapshots) -> int | None:
    """Give the time at which the last of the gap's markets had a snapshot again, if all had."""
    mended = [snapshots.next_time(ticker, gap.frame_no) for ticker in gap.tickers]
    known = [at for at in mended if at is not None]
    return max(known) if known and len(known) == len(mended) else None


def follow(
    markets: Sequence[str],
    listings: Iterable[ListingAt],
    snapshots: Snapshots,
    gaps: Iterable[Gap],
    begin: int,
    end: int,
) -> dict[str, Followed]:
    """Give for each market how it was followed between two times.

    Without a listing that says otherwise a market is followed all the time; its book is trusted
    from a snapshot to the next gap, and no more once it is released.
    """
    told: dict[str, list[ListingAt]] = {}
    for listing in listings:
        told.setdefault(listing.ticker, []).append(listing)
    hurt: dict[str, list[Gap]] = {}
    for gap in gaps:
        if gap.hurts_books:
            for ticker in gap.tickers:
                hurt.setdefault(ticker, []).append(gap)
    found = {}
    for ticker in markets:
        mine = told.get(ticker, [])
        spans = _followed(mine, begin, end)
        trusted = _trusted(snapshots.of(ticker), mine, hurt.get(ticker, []), begin, end)
        found[ticker] = Followed(_length(spans), _length(_overlaps(spans, trusted)))
    return found


def _followed(listings: Sequence[ListingAt], begin: int, end: int) -> Spans:
    turns = [one for one in listings if one.reason in {"begun", "joined", "released"}]
    joined_later = bool(turns) and turns[0].reason == "joined"
    spans, since, moment = [], None if joined_later else begin, begin
    for listing in turns:
        moment = min(max(listing.at, moment), end)
        if listing.reason == "released":
            spans += [] if since is None else [(since, moment)]
            since = None
        elif since is None:
            since = moment
    return spans + ([] if since is None else [(since, end)])


def _trusted(
    snapshots: Iterable[tuple[int, int]],
    listings: Iterable[ListingAt],
    gaps: Iterable[Gap],
    begin: int,
    end: int,
) -> Spans:
    changes = [(frame_no, _KNOWN, at) for frame_no, at in snapshots]
    changes += [(gap.frame_no, _UNKNOWN, gap.started_at) for gap in gaps]
    changes += [(one.frame_no, _UNKNOWN, one.at) for one in listings if one.reason == "released"]
    spans, since, moment = [], None, begin
    for _, state, at in sorted(changes):
        moment = min(max(at, moment), end)  # our clock may have been set back between two frames
        if state == _KNOWN and since is None:
            since = moment
        elif state == _UNKNOWN and since is not None:
            spans.append((since, moment))
            since = None
    return spans + ([] if since is None else [(since, end)])


def _overlaps(some: Spans, others: Spans) -> Spans:
    return [
        (max(low, other_low), min(high, other_high))
        for low, high in some
        for other_low, other_high in others
        if max(low, other_low) < min(high, other_high)
    ]


def _length(spans: Spans) -> int:
    return sum(max(high - low, 0) for low, high in spans)


def seconds(nanoseconds: int) -> float:
    """Write a length of time in seconds."""
    return round(nanoseconds / 1e9, 6)


def stale_seconds(found: Mapping[str, Followed]) -> dict[str, float]:
    """Give for each market how long it was followed without a trusted book."""
    return {ticker: seconds(one.time - one.trusted) for ticker, one in sorted(found.items())}

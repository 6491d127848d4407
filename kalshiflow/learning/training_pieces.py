"""Long segments cut into episodes for a training, so that lanes soon see much that differs."""

from kalshiflow.learning.episodes.segments import Segment
from kalshiflow.learning.episodes.splitting import part_of, split_segment


def training_pieces(segment: Segment, events: int, longest: int) -> list[Segment]:
    """Cut a segment into pieces of at most so many events and, unless it is 0, `longest` time.

    Each begins with its book; those without a decision are left out.
    """
    pieces = _by_events(segment, events, 0)
    return pieces if longest == 0 else [part for one in pieces for part in _by_time(one, longest)]


def _by_events(segment: Segment, events: int, seam: int) -> list[Segment]:
    """Cut in halves again and again, for the book at a cut is worked out from the beginning.

    `seam` is 1 where the first event is the book at an earlier cut, else 0.
    """
    count = -(-(len(segment) - seam) // events)
    if count <= 1:
        return [segment]
    middle = seam + count // 2 * events
    before, after = part_of(segment, 0, middle), part_of(segment, middle, len(segment))
    pieces = [] if before is None else _by_events(before, events, seam)
    return pieces if after is None else pieces + _by_events(after, events, 1)


def _by_time(segment: Segment, longest: int) -> list[Segment]:
    pieces: list[Segment] = []
    rest: Segment | None = segment
    while rest is not None and rest.ends_at - rest.starts_at > longest:
        # The first event is a book: with it alone a quiet market would be cut for ever.
        at = max(rest.starts_at + longest, int(rest.events.times[1]))
        before, rest = split_segment(rest, at)
        if before is not None:
            pieces.append(before)
    return pieces if rest is None else [*pieces, rest]

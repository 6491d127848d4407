"""Whether a file of episodes is what its session's rows are, to a policy that sees them live.

The rows are read event by event and observed as the trader does it; the file is read in columns
and observed by compiled functions. Of a long session some markets are compared, or one's beginning.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kalshiflow.agent.account import MarketAccount
from kalshiflow.agent.action import mask
from kalshiflow.agent.observation import MarketObserver
from kalshiflow.learning.episodes.files import Head, iter_parts, read_heads, segment_from
from kalshiflow.learning.episodes.plain import Stretch, segment_of, stretches_of
from kalshiflow.learning.episodes.segments import Events, Segment, is_playable, is_same, slice_of
from kalshiflow.market.events import BookDelta, BookSnapshot, MarketEvent, TimeSource
from kalshiflow.market.flatten import flatten
from kalshiflow.market.units import CASH_PER_DOLLAR, CONTRACT, Cash, Quantity
from kalshiflow.store.database import Store
from kalshiflow.store.outline import Outline
from kalshiflow.store.read import session_events

MOST_EVENTS = 100_000
MOST_OBSERVATIONS = 5_000


@dataclass(frozen=True, slots=True)
class Holder:
    """The terms of a policy that holds a dollar and no position."""

    budget: Cash = CASH_PER_DOLLAR
    order_quantity: Quantity = CONTRACT


@dataclass(frozen=True, slots=True)
class Compared:
    """How much of a session was compared, and the first difference, if there is one."""

    trouble: str | None
    markets: int
    events: int


async def compare(
    store: Store, outline: Outline, path: Path, most_events: int = MOST_EVENTS
) -> Compared:
    """Compare a session's rows with the file of its episodes."""
    heads = read_heads(path)
    tickers = chosen_markets(outline, heads, most_events)
    stored, last = beginning_of(path, heads, tickers, most_events)
    events = await session_events(
        store, outline.session.session_id, last_frame=last, tickers=tickers
    )
    begun = {ticker: outline.begun[ticker] for ticker in tickers}
    rows = stretches_of(events, outline.gaps, begun, outline.listings, outline.with_trades)
    found = difference(rows, stored, MOST_OBSERVATIONS)
    return Compared(found, len(tickers), sum(map(len, stored)))


def chosen_markets(outline: Outline, heads: Sequence[Head], most_events: int) -> list[str]:
    """Give the markets to compare: all, or by lot as many as hold so many events, and one at least.

    One with an episode is first, that something be compared; those without cost only their rows.
    """
    session_id = outline.session.session_id
    sizes = dict.fromkeys(outline.tickers, 0)
    for head in heads:
        sizes[head.ticker] += head.events
    chosen: list[str] = []
    left = most_events
    for ticker in sorted(sizes, key=lambda name: (not sizes[name], _lot(session_id, name))):
        if not chosen or sizes[ticker] <= left:
            chosen.append(ticker)
            left -= sizes[ticker]
    return chosen


def beginning_of(
    path: Path, heads: Sequence[Head], tickers: Sequence[str], most_events: int
) -> tuple[list[Segment], int | None]:
    """Give the segments of some markets, and `None` as the last frame.

    Of a single market that is larger than that, what lies up to a frame is given, and the frame.
    """
    found: dict[int, list[Events]] = {}
    left, last_frame = most_events, None
    for number, events in iter_parts(path):
        if heads[number].ticker not in tickers:
            continue
        found.setdefault(number, []).append(events)
        left -= len(events)
        if left < 0 and len(tickers) == 1:
            last_frame = int(events.frames[left]) - 1
            break
    segments = (segment_from(heads[number], parts) for number, parts in found.items())
    return [*(segments if last_frame is None else _up_to(segments, last_frame))], last_frame


def _up_to(segments: Iterable[Segment], last_frame: int) -> Iterator[Segment]:
    for segment in segments:
        count = int(segment.events.frames.searchsorted(last_frame, "right"))
        events = slice_of(segment.events, 0, count)
        if is_playable(events):
            yield replace(segment, events=events)


def difference(rows: Sequence[Stretch], stored: Sequence[Segment], observations: int) -> str | None:
    """Say where two readings of the same episodes differ, in events or in what a policy sees.

    It is seen at about so many changes of a book, all alike far apart.
    """
    if len(rows) != len(stored):
        return f"the rows give {len(rows)} segments, the file holds {len(stored)}"
    every = sum(len(one.events) for one in rows) // observations + 1
    for stretch, segment in zip(rows, stored, strict=True):
        name = f"the segment of {segment.ticker} at {segment.starts_at}"
        live = segment_of(stretch.events, stretch.market, segment.session_id, stretch.has_trades)
        if not is_same(live, segment):
            return f"{name} differs in its events"
        frame_no = _other_sight(stretch, segment, every)
        if frame_no is not None:
            return f"{name} is seen otherwise at frame {frame_no}"
    return None


def _other_sight(stretch: Stretch, segment: Segment, every: int) -> int | None:
    """Give the first frame at which the two are not seen alike, bit for bit, if there is one."""
    from kalshiflow.learning.bulk import observe_at

    live = list(_seen_live(_dated(stretch), every))
    numbers = [number for number, _ in live]
    times = segment.events.times[[number - 1 for number in numbers]]
    bulk = observe_at(segment, Holder(), numbers, times)
    for place, (number, seen) in enumerate(live):
        if seen != (bulk.rows[place].tolist(), tuple(bulk.masks[place].tolist())):
            return int(segment.events.frames[number - 1])
    return None


def _seen_live(
    stretch: Stretch, every: int
) -> Iterator[tuple[int, tuple[list[float], tuple[int, ...]]]]:
    """Give what is seen after every so manieth change, with how many rows of events came before."""
    holder = Holder()
    observer, account = MarketObserver(stretch.market), MarketAccount(holder.budget)
    number = changes = 0
    for event in stretch.events:
        observer.apply(event)
        number += _rows_of(event, stretch)
        if isinstance(event, BookDelta | BookSnapshot) and observer.is_ready:
            changes += 1
            if changes % every == 0 and event.stamp.time_source is not TimeSource.RECEIVE:
                seen = observer.observe(account, event.stamp.market_time)
                allowed = mask(observer, account, holder.order_quantity)
                yield number, (seen, tuple(map(int, allowed)))


def _dated(stretch: Stretch) -> Stretch:
    """Date what came before any exchange time by what follows, as in the episodes.

    But for snapshots, which a live policy dates so itself, and where the exchange told no times.
    """
    known = [e.stamp for e in stretch.events if e.stamp.time_source is not TimeSource.RECEIVE]
    undated = [e for e in stretch.events if e.stamp.time_source is TimeSource.RECEIVE]
    if not known or all(isinstance(event, BookSnapshot) for event in undated):
        return stretch
    first = known[0]
    early = {event.stamp: event.stamp._replace(market_time=first.market_time) for event in undated}
    told = (e._replace(stamp=early.get(e.stamp, e.stamp)) for e in stretch.events)
    dated = (e._replace(stamp=e.stamp._replace(time_source=first.time_source)) for e in told)
    return stretch._replace(events=list(dated))


def _rows_of(event: MarketEvent, stretch: Stretch) -> int:
    return len(flatten(event, stretch.market.grid.places, []))


def _lot(session_id: str, ticker: str) -> str:
    return hashlib.sha256(f"{session_id} {ticker}".encode()).hexdigest()

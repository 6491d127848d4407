"""From a session's rows to a file of its episodes, in memory that does not grow with it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kalshiflow.learning.episodes.cutter import Cutter, Ended, cut_nothing
from kalshiflow.learning.episodes.cutting import cut_rows
from kalshiflow.learning.episodes.files import ROWS_IN_GROUP, EpisodeFile, Head, Origin
from kalshiflow.learning.episodes.inputs import Inputs
from kalshiflow.learning.episodes.rows import NO_ACCOUNTS
from kalshiflow.learning.episodes.segments import Events
from kalshiflow.learning.episodes.shelves import OneMarket, Shelves
from kalshiflow.market.listing import Market
from kalshiflow.store.bulk import Columns
from kalshiflow.store.outline import Outline

COMPILED = (cut_rows,)


class EpisodeBuilder:
    """Takes a session's columns, part by part, and writes its episodes.

    What does not fit into `memory_mb` stands in files in `folder`, which is the caller's to make
    and to remove. With `every` also what nothing can be learned of is written: a book that never
    changed.
    """

    def __init__(
        self, outline: Outline, folder: Path, memory_mb: int, *, every: bool = False
    ) -> None:
        self._every = every
        from kalshiflow.learning.compiled import compiled

        self._outline = outline
        self._cutter = Cutter(outline, compiled(cut_rows))
        self._inputs = Inputs(outline)
        self._shelves = Shelves(len(outline.tickers), folder, memory_mb)
        self._markets: dict[tuple[int, int], Market] = {}
        self._ended: list[Ended] = []

    def take(self, columns: Columns) -> None:
        """Take the next part of the session's rows."""
        self._inputs.add(columns)
        for cut in self._cutter.cut(columns):
            self._shelves.add(cut.events, cut.owners)
            self._markets |= {(one.owner, one.number): one.market for one in cut.begun}
            self._ended += cut.ended

    def write(self, path: Path) -> list[Head]:
        """Write all episodes by ticker, then by time, and give their heads."""
        self._ended += self._cutter.finish()
        self._ended.sort()
        if self._every:
            self._ended = [one._replace(is_playable=1) for one in self._ended]
        session = self._outline.session
        origin = Origin(session.session_id, self._inputs.sha256(), session.verdict or "")
        heads = [self._head(one) for one in self._ended if one.is_playable]
        with EpisodeFile(path, origin, heads, accounts_of(self._outline)) as file:
            for number, events in self._events():
                file.add(number, events)
        return heads

    def _head(self, ended: Ended) -> Head:
        ticker = self._outline.tickers[ended.owner]
        return Head(
            ticker,
            self._outline.session.session_id,
            self._markets[ended.owner, ended.number],
            ticker in self._outline.with_trades,
            ended.events,
            ended.bodies,
            ended.date if ended.undated and ended.is_dated else ended.began_at,
            ended.ended_at,
        )

    def _events(self) -> Iterator[tuple[int, Events]]:
        """Give the events of what can be played, some at a time, with their segments' numbers."""
        number, owner, market = 0, -1, None
        for ended in self._ended:
            if market is None or ended.owner != owner:
                owner, market = ended.owner, self._shelves.market(ended.owner)
            for events in _dated(market, ended):
                if ended.is_playable:
                    yield number, events
            number += ended.is_playable


def accounts_of(outline: Outline) -> NDArray[np.int64]:
    """Give the account table that the ACCOUNT events of an outline's session point into."""
    if not outline.accounts:
        return NO_ACCOUNTS
    return np.array([change.values for change in outline.accounts], np.int64)


def _dated(market: OneMarket, ended: Ended) -> Iterator[Events]:
    """Take a segment's events out; those before the first exchange time get that time."""
    taken = 0
    while taken < ended.events:
        events = market.take(min(ROWS_IN_GROUP, ended.events - taken))
        if ended.is_dated and taken < ended.undated:
            events.times[: ended.undated - taken] = ended.date
        taken += len(events)
        yield events


def warm_up() -> None:
    """Compile all that is run here."""
    from kalshiflow.learning.compiled import compiled

    cut_nothing(compiled(cut_rows))

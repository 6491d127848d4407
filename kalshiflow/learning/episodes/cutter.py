"""Cuts a session's rows into segments as they are read, in memory that does not grow."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kalshiflow.learning.episodes.books import PLACES
from kalshiflow.learning.episodes.cutting import EVENTS_OF_A_ROW
from kalshiflow.learning.episodes.marks import between, keyed, marks_of, merged
from kalshiflow.learning.episodes.segments import Events
from kalshiflow.learning.episodes.state import (
    ACCOUNT_ROW,
    ASKS,
    BEGUN_MADE,
    BEGUN_SIZE,
    BEST_ASK,
    BEST_BID,
    BIDS,
    BODIES_MADE,
    CHANGES_TAKEN,
    COUNTS_SIZE,
    ENDED_MADE,
    ENDED_SIZE,
    EVENTS_MADE,
    GRID_NUMBER,
    GRID_SIZE,
    IS_OPEN,
    NOW,
    OTHERS_TAKEN,
    STATE_SIZE,
    end_segment,
)
from kalshiflow.learning.episodes.terms import JOINED, Terms
from kalshiflow.market.listing import Market, PriceGrid
from kalshiflow.store.bulk import Columns, rows_of
from kalshiflow.store.outline import Outline

EVENTS_AT_ONCE = 1 << 16
MARKS_AT_ONCE = 1 << 10
LEAST_BODIES = 1 << 16


class Begun(NamedTuple):
    """A segment that begins with event `place` of its cut; `number` counts those of its market."""

    place: int
    owner: int
    number: int
    market: Market


class Ended(NamedTuple):
    """A segment as it was at its end.

    Its first `undated` events bear our clock's time, to be replaced by `date` where `is_dated`.
    """

    owner: int
    number: int
    events: int
    bodies: int
    is_playable: int
    undated: int
    is_dated: int
    date: int
    began_at: int
    ended_at: int


class Cut(NamedTuple):
    """Events of many markets in the order of frames, each with its market's place in the outline.

    The arrays are overwritten by the next cut.
    """

    events: Events
    owners: NDArray[np.int32]
    begun: list[Begun]
    ended: list[Ended]


class Cutter:
    """Takes a session's columns, part by part, and gives the events of its segments."""

    def __init__(
        self, outline: Outline, cut: Callable[..., None], events_at_once: int = EVENTS_AT_ONCE
    ) -> None:
        """Begin; `cut` is `cutting.cut_rows`, compiled or as it stands."""
        self.outline = outline
        self._cut = cut
        self._terms = Terms(outline.begun, outline.listings, outline.life)
        grids = _grids_of(outline)
        self._grids = tuple(grids)
        self._prices = np.zeros((len(grids), max(map(len, grids), default=0)), np.int64)
        for grid, number in grids.items():
            self._prices[number, : len(grid)] = grid.prices
        owners = {ticker: place for place, ticker in enumerate(outline.tickers)}
        self._marks = marks_of(outline, owners, grids)
        self._books = _books_of(outline, grids)
        largest = 2 + 4 * max((len(grid) for grid in grids), default=0)
        self._out = _room(max(events_at_once, EVENTS_OF_A_ROW), max(LEAST_BODIES, largest))
        self._begun = np.zeros(MARKS_AT_ONCE * BEGUN_SIZE, np.int64)
        self._ended = np.zeros(MARKS_AT_ONCE * ENDED_SIZE, np.int64)

    def cut(self, columns: Columns) -> Iterator[Cut]:
        """Cut the next part of the session's rows."""
        changes = keyed(columns.changes)
        told = between(self._marks, columns.first, columns.last)
        others = merged([told, keyed(columns.snapshots), keyed(columns.trades)])
        counts = np.zeros(COUNTS_SIZE, np.int64)
        while counts[CHANGES_TAKEN] < len(changes.keys) or counts[OTHERS_TAKEN] < len(others.keys):
            counts[EVENTS_MADE : ENDED_MADE + 1] = 0
            self._cut(
                tuple(changes),
                tuple(others),
                columns.bodies,
                self._books,
                self._out,
                (self._begun, self._ended),
                counts,
            )
            yield self._made(counts)

    def finish(self) -> list[Ended]:
        """End the segments that are still open."""
        states = self._books[0]
        owners = len(self.outline.tickers)
        ended = np.zeros(owners * ENDED_SIZE, np.int64)
        counts = np.zeros(COUNTS_SIZE, np.int64)
        for owner in range(owners):
            end_segment(owner, states, (self._begun, ended), counts)
        return _ended_of(ended, int(counts[ENDED_MADE]))

    def touches(self) -> NDArray[np.int64]:
        """Give (place, market time, best bid, best ask) of each market with a book of two sides, as
        it stands now; prices as they are told.
        """
        states = self._books[0].reshape(-1, STATE_SIZE)
        bids, asks, sizes = (states[:, column] for column in (BEST_BID, BEST_ASK, GRID_SIZE))
        owners = np.flatnonzero((states[:, IS_OPEN] == 1) & (bids >= 0) & (asks < sizes))
        grids = states[owners, GRID_NUMBER]
        best = (self._prices[grids, side[owners]] for side in (bids, asks))
        return np.stack((owners, states[owners, NOW], *best), 1)

    def _made(self, counts: NDArray[np.int64]) -> Cut:
        events, bodies = int(counts[EVENTS_MADE]), int(counts[BODIES_MADE])
        kinds, sides, indices, quantities, times, frames, owners = (
            column[:events] for column in self._out[:-1]
        )
        body = self._out[-1][:bodies]
        return Cut(
            Events(kinds, sides, indices, quantities, times, frames, body),
            owners,
            self._begun_of(int(counts[BEGUN_MADE])),
            _ended_of(self._ended, int(counts[ENDED_MADE])),
        )

    def _begun_of(self, count: int) -> list[Begun]:
        table = self._begun[: count * BEGUN_SIZE].reshape(count, BEGUN_SIZE).tolist()
        return [
            Begun(place, owner, number, self._market(owner, key, grid))
            for place, owner, number, key, grid in table
        ]

    def _market(self, owner: int, key: int, grid: int) -> Market:
        return self._terms.at(self.outline.tickers[owner], key, self._grids[grid])


def _ended_of(table: NDArray[np.int64], count: int) -> list[Ended]:
    rows = table[: count * ENDED_SIZE].reshape(count, ENDED_SIZE).tolist()
    return [Ended(*row) for row in rows]


def _grids_of(outline: Outline) -> dict[PriceGrid, int]:
    """Give every price grid of the session its number."""
    told = [market.grid for market in outline.begun.values()]
    told += [one.market.grid for one in outline.listings if one.reason == JOINED]
    told += [event.grid for event in outline.life if event.grid is not None]
    return {grid: number for number, grid in enumerate(dict.fromkeys(told))}


def _books_of(outline: Outline, grids: dict[PriceGrid, int]) -> tuple[NDArray[Any], ...]:
    """Give closed books of all markets, each with room for the largest of its grids."""
    sizes = _largest_sizes(outline)
    states = np.zeros((len(sizes), STATE_SIZE), np.int64)
    for owner, ticker in enumerate(outline.tickers):
        grid = outline.begun[ticker].grid
        states[owner, GRID_NUMBER] = grids[grid]
        states[owner, GRID_SIZE] = len(grid)
    ends = np.cumsum(2 * sizes)
    states[:, BIDS] = ends - 2 * sizes
    states[:, ASKS] = ends - sizes
    states[:, ACCOUNT_ROW] = -1
    places = np.full((len(grids), PLACES), -1, np.int32)
    for grid, number in grids.items():
        places[number, list(grid.prices)] = np.arange(len(grid))
    levels = np.zeros(int(ends[-1]) if len(ends) else 0, np.int64)
    return states.ravel(), levels, places.ravel(), np.array([*map(len, grids)], np.int64)


def _largest_sizes(outline: Outline) -> NDArray[np.int64]:
    largest = {ticker: len(market.grid) for ticker, market in outline.begun.items()}
    told: list[tuple[str, PriceGrid | None]] = [
        (one.market.ticker, one.market.grid) for one in outline.listings if one.reason == JOINED
    ]
    told += [(event.ticker, event.grid) for event in outline.life]
    for ticker, grid in told:
        if ticker in largest and grid is not None:
            largest[ticker] = max(largest[ticker], len(grid))
    return np.array([largest[ticker] for ticker in outline.tickers], np.int64)


def _room(events: int, bodies: int) -> tuple[NDArray[Any], ...]:
    widths: Sequence[Any] = (np.int8, np.int8, np.int32, np.int64, np.int64, np.int64, np.int32)
    return (*(np.zeros(events, width) for width in widths), np.zeros(bodies, np.int64))


def cut_nothing(cut: Callable[..., None]) -> None:
    """Call `cut` with no rows, in the form in which a cutter calls it."""
    rows, numbers = tuple(keyed(rows_of([]))), np.zeros(0, np.int64)
    books = (numbers, numbers, np.zeros(0, np.int32), numbers)
    cut(
        rows, rows, numbers, books, _room(0, 0), (numbers, numbers), np.zeros(COUNTS_SIZE, np.int64)
    )

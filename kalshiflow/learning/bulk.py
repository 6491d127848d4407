"""Observations and masks of many recorded events at once, by the functions that the trader runs.

`observe_all` reads one segment; a `Stream` reads batches of many markets' events as they come, and
holds no more than a few hundred numbers for each market.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from kalshiflow.agent.action import ACTION_COUNT
from kalshiflow.agent.features import OBSERVATION_SIZE
from kalshiflow.agent.layout import FLOWS_SIZE, seen_size
from kalshiflow.learning.bulk_loop import begin, observe_changes, observe_wanted
from kalshiflow.learning.compiled import compiled
from kalshiflow.learning.episodes.segments import Events, Segment
from kalshiflow.market.fees import fee_numbers
from kalshiflow.market.flat import DELTA, OWN_DELTA, SNAPSHOT, STATUS_NUMBER
from kalshiflow.market.listing import CENT_GRID, Market, PriceBand
from kalshiflow.market.units import CASH_PER_DOLLAR, CONTRACT, Cash, Quantity

CHUNK = 1 << 14  # rows that a stream gives at a time: 3.4 MB of float32
NO_ACCOUNTS = np.zeros(0, np.int64)
COMPILED = (begin, observe_changes, observe_wanted)


class Terms(Protocol):
    """The terms of acting that an observation and its mask depend on."""

    @property
    def budget(self) -> Cash: ...
    @property
    def order_quantity(self) -> Quantity: ...


@dataclass(frozen=True, slots=True, eq=False)
class Observations:
    """Rows of observations and of masks (1 allowed, 0 forbidden), with market time and frame of
    each, and the place of its market where there are several.
    """

    rows: NDArray[Any]
    masks: NDArray[np.int8]
    times: NDArray[np.int64]
    frames: NDArray[np.int64]
    owners: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.rows)


def observe_all(
    segment: Segment,
    terms: Terms,
    *,
    throttle: int = 0,
    dtype: DTypeLike = np.float64,
    accounts: NDArray[np.int64] = NO_ACCOUNTS,
) -> Observations:
    """Observe a segment at each decision: at every change of its book where `throttle` is 0.

    `accounts` is the account table that its ACCOUNT events point into.
    """
    stream = Stream(terms, throttle=throttle, dtype=dtype)
    stream.begin(0, segment.market)
    events = segment.events
    most = int(np.isin(events.kinds, (SNAPSHOT, DELTA, OWN_DELTA)).sum())
    if throttle and len(events):
        most = min(most, (segment.ends_at - segment.starts_at) // throttle + 1)
    owners = np.zeros(len(events), np.int32)
    _, found = stream.read_some(events, owners, accounts, 0, most)
    return found


def observe_at(
    segment: Segment,
    terms: Terms,
    numbers: Sequence[int] | NDArray[np.int64],
    times: Sequence[int] | NDArray[np.int64],
    *,
    dtype: DTypeLike = np.float64,
    accounts: NDArray[np.int64] = NO_ACCOUNTS,
) -> Observations:
    """Observe a segment as its first events left it: so many of them, in rising order, each with
    the market time to observe at.
    """
    stream = Stream(terms, throttle=0, dtype=dtype)
    stream.begin(0, segment.market)
    owners = np.zeros(len(segment.events), np.int32)
    wanted = (np.asarray(numbers, np.int64), np.asarray(times, np.int64))
    return stream.read_at(segment.events, owners, wanted, accounts)


class Stream:
    """Observes many markets whose events come interleaved, in batches.

    A market has a place: a small number of the caller's choice, given with each of its events.
    """

    def __init__(self, terms: Terms, *, throttle: int = 0, dtype: DTypeLike = np.float32) -> None:
        self._terms = terms
        self._throttle = throttle
        self._dtype = np.dtype(dtype)
        self._grids: dict[tuple[PriceBand, ...], int] = {}
        self._prices = np.zeros((1, len(CENT_GRID)), np.int64)
        self._grid_of = np.zeros(1, np.int64)
        self._seens = np.zeros((1, seen_size(len(CENT_GRID))), np.int64)
        self._flows = np.zeros((1, FLOWS_SIZE), np.float64)
        self._dues = np.zeros(1, np.int64)

    def begin(self, place: int, market: Market) -> None:
        """Begin a segment of the market at `place`: nothing of an earlier one there is known."""
        size = len(market.grid)
        grid = self._grids.setdefault(market.grid.bands, len(self._grids))
        self._make_room(place + 1, len(self._grids), size)
        self._prices[grid, :size] = market.grid.prices
        self._grid_of[place] = grid
        self._dues[place] = 0
        quarters, _, denominator = fee_numbers(market.fees)
        budget, order_quantity = self._terms.budget, self._terms.order_quantity
        terms: Any = np.array((budget, order_quantity, quarters, denominator), np.int64)
        closing = -1 if market.close_time is None else market.close_time
        status = STATUS_NUMBER[market.status]
        compiled(begin)(self._seens[place], self._flows[place], size, status, closing, terms)

    def read(
        self,
        events: Events,
        owners: NDArray[np.int32],
        accounts: NDArray[np.int64] = NO_ACCOUNTS,
        *,
        chunk: int = CHUNK,
    ) -> Iterator[Observations]:
        """Take in a batch, all of it once all is taken from here; give its rows, at most `chunk` at
        a time.
        """
        number = 0
        while number < len(events):
            number, found = self.read_some(events, owners, accounts, number, chunk)
            if len(found):
                yield found

    def read_some(
        self,
        events: Events,
        owners: NDArray[np.int32],
        accounts: NDArray[np.int64],
        start: int,
        most: int,
    ) -> tuple[int, Observations]:
        """Take in events from number `start` on until there are `most` rows; give how many of the
        batch are now taken in, and the rows.
        """
        columns, out = _columns(events, owners, accounts), self._room(most)
        number, written = compiled(observe_changes)(
            columns, self._markets(), self._throttle, start, out
        )
        last = out[4][:written] - 1
        rows, masks = out[2][:written], out[3][:written]
        return number, Observations(
            rows, masks, events.times[last], events.frames[last], owners[last]
        )

    def read_at(
        self,
        events: Events,
        owners: NDArray[np.int32],
        wanted: tuple[NDArray[np.int64], NDArray[np.int64]],
        accounts: NDArray[np.int64] = NO_ACCOUNTS,
    ) -> Observations:
        """Take in a batch up to the last of the wanted rows: (events before it, its market time).

        A row is of the market of the event before it.
        """
        numbers, times = wanted
        out = self._room(len(numbers))
        last = numbers - 1
        asked = tuple(_fixed(column) for column in (numbers, times, owners[last]))
        compiled(observe_wanted)(_columns(events, owners, accounts), self._markets(), asked, out)
        return Observations(out[2], out[3], times, events.frames[last], owners[last])

    def _markets(self) -> tuple[NDArray[Any], ...]:
        return self._prices, self._grid_of, self._seens, self._flows, self._dues

    def _room(self, rows: int) -> tuple[NDArray[Any], ...]:
        return (
            np.zeros(OBSERVATION_SIZE, np.float64),
            np.zeros(ACTION_COUNT, np.int64),
            np.zeros((rows, OBSERVATION_SIZE), self._dtype),
            np.zeros((rows, ACTION_COUNT), np.int8),
            np.zeros(rows, np.int64),
        )

    def _make_room(self, places: int, grids: int, size: int) -> None:
        self._prices = _grown(self._prices, grids, size)
        self._seens = _grown(self._seens, places, seen_size(size))
        self._flows = _grown(self._flows, places, FLOWS_SIZE)
        if places > len(self._dues):
            more = max(places, 2 * len(self._dues)) - len(self._dues)
            self._dues = np.pad(self._dues, (0, more))
            self._grid_of = np.pad(self._grid_of, (0, more))


def warm_up() -> None:
    """Compile all that is run here."""
    from kalshiflow.learning.episodes.segments import make_events

    class _Terms:
        budget = CASH_PER_DOLLAR
        order_quantity = CONTRACT

    empty = Segment("", "", Market("", "", ""), make_events([], [], [], []))
    for dtype in (np.float32, np.float64):
        observe_all(empty, _Terms(), dtype=dtype)
        observe_at(empty, _Terms(), [], [], dtype=dtype)


def _columns(
    events: Events, owners: NDArray[np.int32], accounts: NDArray[np.int64]
) -> tuple[NDArray[Any], ...]:
    columns = (
        events.kinds, events.sides, events.indices, events.quantities, events.times, owners,
        events.bodies, accounts.reshape(-1),
    )  # fmt: skip
    return tuple(_fixed(column) for column in columns)


def _grown(array: NDArray[Any], rows: int, width: int) -> NDArray[Any]:
    """Give an array of at least this shape that holds what `array` holds."""
    if rows <= array.shape[0] and width <= array.shape[1]:
        return array
    more = 0 if rows <= array.shape[0] else max(rows - array.shape[0], array.shape[0])
    return np.pad(array, ((0, more), (0, max(width - array.shape[1], 0))))


def _fixed(column: NDArray[Any]) -> NDArray[Any]:
    """Give a column as one block that cannot be written: one type for whatever it came from."""
    block = np.ascontiguousarray(column).view()
    block.flags.writeable = False
    return block

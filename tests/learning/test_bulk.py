"""The bulk path: the loop is the same interpreted, and batches give what whole segments give."""

from dataclasses import fields

import numpy as np
import pytest
import random_history

from kalshiflow.agent.action import ACTION_COUNT
from kalshiflow.agent.features import OBSERVATION_SIZE
from kalshiflow.agent.layout import FLOWS_SIZE, seen_size
from kalshiflow.learning import bulk_loop
from kalshiflow.learning.bulk import Stream, observe_all, observe_at
from kalshiflow.learning.episodes.segments import Events, Segment, make_events
from kalshiflow.market.flat import DELTA, SNAPSHOT, STATUS_NUMBER
from kalshiflow.market.listing import Market
from kalshiflow.market.units import Cash, Quantity

SECOND = 1_000_000_000


class TERMS:
    budget = Cash(100_000_000)
    order_quantity = Quantity(1_000)


def interpreted(segment, accounts, throttle):
    """Give what `observe_changes` writes on plain lists."""
    grid, events = segment.market.grid, segment.events
    closes = -1 if segment.market.close_time is None else segment.market.close_time
    seen, flows = [0] * seen_size(len(grid)), [0.0] * FLOWS_SIZE
    terms = (TERMS.budget, TERMS.order_quantity, 4, 1)
    status = STATUS_NUMBER[segment.market.status]
    bulk_loop.begin(seen, flows, len(grid), status, closes, terms)
    names = ("kinds", "sides", "indices", "quantities", "times")
    columns = [getattr(events, name).tolist() for name in names]
    columns += [[0] * len(events), events.bodies.tolist(), np.ravel(accounts).tolist()]
    rows = [[0.0] * OBSERVATION_SIZE for _ in range(len(events))]
    masks = [[0] * ACTION_COUNT for _ in range(len(events))]
    out = ([0.0] * OBSERVATION_SIZE, [0] * ACTION_COUNT, rows, masks, [0] * len(events))
    markets = ([grid.prices], [0], [seen], [flows], [0])
    taken, written = bulk_loop.observe_changes(columns, markets, throttle, 0, out)
    assert taken == len(events)
    return rows[:written], masks[:written], events.frames[np.array(out[4][:written], int) - 1]


@pytest.fixture(scope="module")
def told():
    """Give a long random history, with accounts, and some seconds between its events."""
    steps = (
        [
            (
                random_history.KINDS[n * 7 % 10],
                n % 2,
                n * 37 % 9_973,
                1 + n * 13 % 4_999,
                n % 5 * SECOND // 4,
            )
            for n in range(600)
        ]
        + [("account", n % 2, n, 100 + n, 0) for n in range(40)]
        + [("add", 0, 1, 50, SECOND)] * 3
    )
    return random_history.tell(random_history.GRIDS[1], False, None, steps)


@pytest.mark.parametrize("throttle", [0, SECOND])
def test_the_loop_writes_the_same_bits_interpreted_and_compiled(told, throttle):
    accounts = np.array(told.accounts, np.int64)
    for segment in told.segments:
        found = observe_all(segment, TERMS, throttle=throttle, accounts=accounts)
        rows, masks, frames = interpreted(segment, accounts, throttle)
        assert len(found) == len(rows) > 0
        assert np.array(rows).tobytes() == found.rows.tobytes()
        assert np.array(masks).tolist() == found.masks.tolist()
        assert frames.tolist() == found.frames.tolist()


def test_a_decision_is_at_the_first_change_of_the_book_after_the_throttle(segments):
    for segment in segments:
        found = observe_all(segment, TERMS, throttle=SECOND)
        events = segment.events
        due, expected = 0, []
        for number in np.flatnonzero((events.kinds == DELTA) | (events.kinds == SNAPSHOT)):
            if events.times[number] >= due:
                expected.append(events.frames[number])
                due = events.times[number] + SECOND
        assert found.frames.tolist() == expected
        assert len(found) < len(observe_all(segment, TERMS))


def test_the_largest_quantities_are_seen_the_same_interpreted_and_compiled():
    most = 10**15 - 1  # of what is read from frames
    rows = [(SNAPSHOT, 0, 14, 0), *[(DELTA, n % 2, 46 + n % 2, most - n**7) for n in range(40)]]
    body = [3, 3, 46, most, 45, 7, 40, most - 5, 47, most - 1, 50, 3, 51, most - 9]
    events = make_events(rows, range(len(rows)), range(len(rows)), body)
    segment = Segment("A", "s", Market("A", "E", "a market"), events)
    found = observe_all(segment, TERMS)
    assert np.array(interpreted(segment, [], 0)[0]).tobytes() == found.rows.tobytes()


def test_narrow_rows_are_the_wide_ones_rounded(segments):
    wide = observe_all(segments[0], TERMS)
    narrow = observe_all(segments[0], TERMS, dtype=np.float32)
    assert narrow.rows.dtype == np.float32
    assert np.array_equal(narrow.rows, wide.rows.astype(np.float32))
    assert np.array_equal(narrow.masks, wide.masks)


def test_rows_can_be_asked_for_after_any_events_at_any_later_time(segments):
    segment = segments[0]
    every = observe_all(segment, TERMS)
    numbers = np.searchsorted(segment.events.frames, every.frames) + 1
    asked = observe_at(segment, TERMS, numbers[5:90:3], every.times[5:90:3])
    assert asked.rows.tobytes() == every.rows[5:90:3].tobytes()
    assert asked.masks.tobytes() == every.masks[5:90:3].tobytes()
    later = observe_at(segment, TERMS, numbers[5:6], every.times[5:6] + SECOND)
    assert later.rows.tobytes() != every.rows[5:6].tobytes()


def interleaved(segments):
    """Give the events of segments in the order of their frames, and whose they are."""
    names = [field.name for field in fields(Events) if field.name != "bodies"]
    columns = {n: np.concatenate([getattr(s.events, n) for s in segments]) for n in names}
    lengths = [len(segment) for segment in segments]
    bodies = [segment.events.bodies for segment in segments]
    starts = np.cumsum([0, *map(len, bodies[:-1])])
    columns["quantities"] += np.repeat(starts, lengths) * (columns["kinds"] == SNAPSHOT)
    order = np.argsort(columns["frames"], kind="stable")
    owners = np.repeat(np.arange(len(segments), dtype=np.int32), lengths)[order]
    return Events(*(columns[name][order] for name in names), np.concatenate(bodies)), owners


@pytest.mark.parametrize("batch", [1, 97, 10**9])
def test_batches_of_many_markets_give_what_each_segment_gives(segments, batch):
    stream = Stream(TERMS, dtype=np.float64)
    for place, segment in enumerate(segments):
        stream.begin(place, segment.market)
    events, owners = interleaved(segments)
    found = {place: [] for place in range(len(segments))}
    last = len(events) if batch > 1 else 400
    for first in range(0, last, batch):
        part = slice(first, min(first + batch, last))
        columns = [getattr(events, field.name)[part] for field in fields(Events)[:-1]]
        for rows in stream.read(Events(*columns, events.bodies), owners[part], chunk=11):
            assert len(rows) <= 11
            for place, frame, row in zip(rows.owners, rows.frames, rows.rows, strict=True):
                found[int(place)].append((int(frame), row.tobytes()))
    for place, segment in enumerate(segments):
        whole = observe_all(segment, TERMS)
        expected = [(f, row.tobytes()) for f, row in zip(whole.frames, whole.rows, strict=True)]
        assert found[place] == expected[: len(found[place])]
        assert batch == 1 or len(found[place]) == len(expected)


def test_a_place_can_be_given_to_another_market_of_another_grid(told, segments):
    """What a market leaves behind in its place is not known to the next."""
    stream = Stream(TERMS, dtype=np.float64)
    accounts = np.array(told.accounts, np.int64)
    wide, small = told.segments[0], segments[0]
    for segment in (small, wide, small):
        stream.begin(0, segment.market)
        owners = np.zeros(len(segment), np.int32)
        found = np.concatenate(
            [rows.rows for rows in stream.read(segment.events, owners, accounts)]
        )
        whole = observe_all(segment, TERMS, accounts=accounts)
        assert found.tobytes() == whole.rows.tobytes()


def test_a_segment_without_a_book_gives_no_rows(segments):
    events = segments[0].events
    none = Events(*(getattr(events, field.name)[:0] for field in fields(Events)))
    found = Stream(TERMS).read(none, np.zeros(0, np.int32))
    assert list(found) == []

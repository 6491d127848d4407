"""What is learned from and what is evaluated on never meet: not in time, and not in an event."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshiflow.learning.datasets.splits import (
    LOOK_BACK,
    Split,
    SplitError,
    Terms,
    held_out,
    markets_of,
    moment_of,
)
from kalshiflow.learning.episodes.segments import Segment, make_events
from kalshiflow.learning.world import World, WorldConfig
from kalshiflow.market.flat import DELTA, SNAPSHOT, STATUS, STATUS_NUMBER
from kalshiflow.market.listing import Market, MarketStatus

SECOND = 1_000_000_000
EVENTS = [f"KX{number}-26" for number in range(300)]

moments = st.integers(0, 600).map(lambda second: second * SECOND)
stretches = st.lists(
    st.tuples(st.sampled_from("ABCDEF"), st.lists(moments, min_size=2, max_size=12)),
    min_size=1,
    max_size=8,
)


def segment(ticker: str, times: list[int]) -> Segment:
    """Give a market whose bid grows at each of these times, after its first book."""
    rows = [(SNAPSHOT, 0, 4, 0)] + [(DELTA, 0, 40, 100)] * (len(times) - 1)
    ordered = sorted(times)
    events = make_events(rows, ordered, range(len(times)), [1, 0, 40, 500])
    return Segment(ticker, "s", Market(ticker, f"EVENT-{ticker}", ""), events)


@settings(max_examples=50)
@given(stretches, moments, st.integers(32, 120), st.sets(st.sampled_from("ABCDEF")))
def test_learning_and_evaluation_share_no_event_no_time_and_no_market_held_out(
    found, at, embargo, unseen
):
    split = Split(at, embargo * SECOND, frozenset(unseen))
    for ticker, times in found:
        whole = segment(ticker, times)

        learn, evaluation = split.parts(whole)

        if learn is not None:
            assert ticker not in unseen
            assert learn.ends_at <= at
        if evaluation is not None:
            # It begins with the book as it stood after the embargo; what is new comes after that.
            assert evaluation.starts_at >= at + embargo * SECOND
            assert np.all(evaluation.events.times[1:] > at + embargo * SECOND)
        if learn is not None and evaluation is not None:
            assert evaluation.events.times[1] - learn.ends_at > embargo * SECOND
            assert evaluation.events.frames[1] > learn.events.frames[-1]


def test_a_book_that_stood_since_before_the_split_is_evaluated_on_from_after_the_embargo():
    split = Split(150 * SECOND, 40 * SECOND, frozenset())

    _, evaluation = split.parts(segment("A", [SECOND, 2 * SECOND, 400 * SECOND]))

    assert evaluation.events.times.tolist() == [190 * SECOND, 400 * SECOND]


ACTIVE, CLOSED, FINALIZED = MarketStatus.ACTIVE, MarketStatus.CLOSED, MarketStatus.FINALIZED


@pytest.mark.parametrize(
    ("listed", "told", "is_kept"),
    [
        (ACTIVE, None, True),
        (ACTIVE, CLOSED, False),
        (ACTIVE, FINALIZED, False),
        (CLOSED, None, False),
        (CLOSED, ACTIVE, True),
    ],
)
def test_what_happens_in_a_closed_market_only_is_in_no_part(listed, told, is_kept):
    number = -1 if told is None else STATUS_NUMBER[told]
    rows = [(SNAPSHOT, 0, 4, 0), (STATUS, 0, number, -1), (DELTA, 0, 40, 100)]
    events = make_events(rows, [0, SECOND, 2 * SECOND], range(3), [1, 0, 40, 500])
    whole = Segment("A", "s", Market("A", "E", "", status=listed), events)

    learn, nothing = Split(2 * SECOND, LOOK_BACK, frozenset()).parts(whole)
    before, evaluation = Split(-LOOK_BACK - 1, LOOK_BACK, frozenset()).parts(whole)

    assert [learn is not None, evaluation is not None] == [is_kept, is_kept]
    assert (nothing, before) == (None, None)
    if is_kept:
        World(WorldConfig()).start(learn)  # raises where there is no decision


@settings(max_examples=50)
@given(stretches, moments)
def test_a_segment_parts_the_same_in_whatever_company_and_order(found, at):
    split = Split(at, LOOK_BACK, frozenset("A"))
    segments = [segment(ticker, times) for ticker, times in found]

    first = [_told(split.parts(one)) for one in segments]
    again = [_told(split.parts(one)) for one in reversed(segments)]

    assert first == again[::-1]


def _told(parts):
    return [None if part is None else (part.starts_at, part.ends_at, len(part)) for part in parts]


def test_the_moment_is_a_share_of_the_time_that_is_covered():
    assert moment_of([(0, 100)], 0.7) == 70
    assert moment_of([(0, 50), (100, 150)], 0.7) == 120
    # Two recordings of the same hundred are a hundred.
    assert moment_of([(0, 100), (20, 80), (0, 100)], 0.7) == 70


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(1, 500)), min_size=1, max_size=9))
def test_the_moment_lies_within_what_was_recorded_and_does_not_depend_on_order(found):
    spans = [(start, start + length) for start, length in found]
    moment = moment_of(spans, 0.6)

    assert moment_of(spans[::-1], 0.6) == moment
    assert any(start <= moment <= end for start, end in spans)


def test_about_the_share_of_many_events_is_held_out_and_never_an_unknown_one():
    chosen = held_out([*EVENTS, ""], 0.2)

    assert 0.12 < len(chosen) / len(EVENTS) < 0.28
    assert "" not in chosen


def test_an_event_is_held_out_whatever_other_events_there_are():
    chosen = held_out(EVENTS, 0.2)
    rng = random.Random(5)

    for _ in range(20):
        some = rng.sample(EVENTS, 60)
        assert held_out(some, 0.2) == chosen & set(some)
        rng.shuffle(some)
        assert held_out(some, 0.2) == chosen & set(some)


@pytest.mark.parametrize(("events", "expected"), [(0, 0), (1, 0), (2, 0), (3, 1), (4, 1)])
def test_of_few_events_one_is_held_out_or_none(events, expected):
    # Of three or four, one even where none of their hashes is low; never more than half.
    for start in range(0, 40, 4):
        chosen = held_out(EVENTS[start : start + events], 0.2)
        assert len(chosen) >= expected
        assert len(chosen) <= events // 2


def test_without_a_share_nothing_is_held_out():
    assert held_out(EVENTS, 0) == frozenset()


def test_a_market_goes_with_every_event_it_was_ever_listed_under():
    events = {"A": frozenset({"", "E1"}), "B": frozenset({"E2"}), "C": frozenset({""})}

    assert markets_of(events, frozenset({"E1"})) == {"A"}


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ({"learn_fraction": 0.0}, "learn from"),
        ({"learn_fraction": 1.0}, "learn from"),
        ({"embargo": 31 * SECOND}, "looks back"),
        ({"event_share": 0.6}, "events"),
    ],
)
def test_terms_that_cannot_hold_are_refused(terms, reason):
    with pytest.raises(SplitError, match=reason):
        Terms(**terms)

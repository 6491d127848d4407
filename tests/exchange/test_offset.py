"""The exchange's clock against ours, from Dates of whole seconds that may be a second old."""

from email.utils import formatdate

from hypothesis import given
from hypothesis import strategies as st

from kalshiflow.exchange.offset import ClockOffset, DateClock

SECOND = 10**9
NOW = 1_795_164_881 * SECOND


def dated(at):
    return formatdate(at // SECOND, usegmt=True)


@given(
    offset=st.integers(-100 * SECOND, 100 * SECOND),
    answers=st.lists(
        st.tuples(
            st.integers(1, 30 * SECOND),  # since the answer before
            st.integers(0, SECOND),  # on its way there
            st.integers(0, SECOND),  # on its way back
            st.integers(0, SECOND),  # how old the Date is
        ),
        min_size=1,
        max_size=80,
    ),
)
def test_the_true_offset_always_lies_between_the_bounds(offset, answers):
    clock, now = DateClock(), NOW
    for pause, there, back, age in answers:
        sent_at = now + pause
        now = sent_at + there + back
        clock.see(dated(sent_at + there + offset - age), sent_at, now)

    known = clock.offset
    assert known.lowest <= offset <= known.highest
    assert abs(known.estimate - offset) <= known.uncertainty + 1


def test_answers_all_through_a_second_narrow_the_bounds_to_one():
    clock = DateClock()
    for tenth in range(40):
        at = NOW + tenth * SECOND // 10
        clock.see(dated(at), at, at)

    assert clock.offset == ClockOffset(0, 11 * SECOND // 10)
    assert clock.offset.uncertainty < 0.6 * SECOND


def test_a_clock_that_is_set_makes_older_answers_void():
    clock = DateClock()
    clock.see(dated(NOW), NOW, NOW)
    clock.see(dated(NOW), NOW - 60 * SECOND, NOW - 60 * SECOND)

    assert clock.offset == ClockOffset(60 * SECOND, 62 * SECOND)
    assert clock.offset.seconds == 61.0


def test_without_a_date_nothing_is_known():
    clock = DateClock()
    for date in (None, "", "yesterday", "Fri, 99 Xxx 2026"):
        clock.see(date, NOW, NOW)

    assert clock.offset is None

"""When a session's time is over."""

import pytest

from kalshiflow.recording.limits import has_run_out

SECOND = 10**9
MIDNIGHT = 20_000 * 86_400 * SECOND  # of some UTC day


@pytest.mark.parametrize(
    ("began", "now", "expected"),
    [
        pytest.param(
            MIDNIGHT + 5, MIDNIGHT + 5 + 60 * SECOND - 1, False, id="just-before-its-time"
        ),
        pytest.param(MIDNIGHT + 5, MIDNIGHT + 5 + 60 * SECOND, True, id="at-its-time"),
        pytest.param(MIDNIGHT - SECOND, MIDNIGHT - 1, False, id="the-last-moment-of-the-day"),
        pytest.param(MIDNIGHT - SECOND, MIDNIGHT, True, id="the-next-day"),
        pytest.param(MIDNIGHT, MIDNIGHT, False, id="the-first-moment-of-the-day"),
        pytest.param(MIDNIGHT, MIDNIGHT - 1, True, id="a-clock-set-back-into-the-day-before"),
        pytest.param(MIDNIGHT + 9, MIDNIGHT, False, id="a-clock-set-back-within-the-day"),
    ],
)
def test_a_session_ends_at_its_longest_and_with_its_utc_day(began, now, expected):
    assert has_run_out(began, now, 60.0) is expected

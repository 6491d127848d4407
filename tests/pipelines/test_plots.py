"""Plots are pictures of bounded size."""

import base64
import re

from hypothesis import given
from hypothesis import strategies as st

from pipelines.dataset_plots import Spread, features, heat_map, timeline
from pipelines.plots import (
    MOST_BYTES,
    MOST_POINTS,
    NANOSECONDS,
    Interval,
    bars,
    comparison,
    drawn,
    mids_and_rate,
    per_second,
    thinned,
)

PNG = b"\x89PNG\r\n\x1a\n"


def picture_in(markdown: str) -> bytes:
    found = re.fullmatch(r"!\[[^]]*\]\(data:image/png;base64,([^)]+)\)", markdown)
    assert found is not None
    return base64.b64decode(found.group(1), validate=True)


def test_mids_of_many_markets_make_one_small_picture():
    mids = {
        f"M{market}": [(second * NANOSECONDS, (second % 97) / 100) for second in range(3_000)]
        for market in range(30)
    }
    events = dict.fromkeys(range(3_000), 1)

    picture = picture_in(mids_and_rate(mids, events, "a session"))

    assert picture.startswith(PNG)
    assert len(picture) <= MOST_BYTES


def test_a_session_without_a_mid_has_a_picture_too():
    assert picture_in(mids_and_rate({}, {}, "an empty session")).startswith(PNG)


def test_intervals_and_bars_make_pictures():
    intervals = [Interval("policy", -1.0, 0.5, 2.0), Interval("HOLD", 0.0, 0.0, 0.0)]

    assert picture_in(comparison(intervals, "dollars", "later")).startswith(PNG)
    assert picture_in(bars({"HOLD": 3.0, "BUY_YES_LIMIT": 1.0}, "decisions", "actions"))


def test_a_picture_that_would_be_too_large_is_told_and_left_out():
    def noise(figure):
        import numpy as np

        axes = figure.subplots()
        axes.imshow(np.random.default_rng(0).random((400, 700, 3)), interpolation="nearest")

    assert re.fullmatch(r"noise: the picture would take [\d,]+ bytes", drawn(noise, "noise"))


@given(st.dictionaries(st.integers(0, 10_000), st.integers(1, 9), max_size=200))
def test_a_rate_counts_every_event_in_bins_of_whole_seconds(events):
    rates = per_second(events)

    assert len(rates) <= MOST_POINTS
    width = rates[1][0] - rates[0][0] if len(rates) > 1 else 1
    if len(rates) > 1:
        assert round(sum(rate for _, rate in rates) * width) == sum(events.values())


@given(st.integers(0, 5_000))
def test_thinning_keeps_the_ends_and_the_order(count):
    points = [(number, float(number)) for number in range(count)]

    kept = thinned(points)

    assert len(kept) <= MOST_POINTS + 1
    assert list(kept) == sorted(kept)
    assert list(kept[:1]) == points[:1]
    assert list(kept[-1:]) == points[-1:]


def test_a_dataset_of_many_markets_hours_and_sessions_makes_small_pictures():
    hour = 3_600 * NANOSECONDS
    cells = {
        (f"MARKET-{m}", h * hour): m * h % 97 for m in range(90) for h in range(200) if m * h % 3
    }
    sessions = [(f"session-{n}", n * hour, (n + 1) * hour) for n in range(150)]
    spreads = [Spread(f"feature_{n}", n / 52, 0.2, -1.0, 1.0, n < 36) for n in range(52)]

    for shown in (
        heat_map(cells, "decisions", "coverage"),
        timeline(sessions, 100 * hour, 101 * hour, "sessions"),
        features(spreads, "features"),
        heat_map({}, "decisions", "of nothing"),
    ):
        assert picture_in(shown).startswith(PNG)

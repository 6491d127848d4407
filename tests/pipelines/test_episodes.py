"""Two readings of the same episodes are compared as a policy would see them."""

from dataclasses import replace

import pytest

from kalshiflow.learning.episode_files import read_segments, write_segments
from kalshiflow.learning.episodes import Segment, build_segments
from kalshiflow.market.events import BookDelta
from kalshiflow.market.listing import Market, PriceBand, PriceGrid
from kalshiflow.market.units import DOLLAR, Price, Quantity
from pipelines.episodes import as_it_began, difference, observations, segments_by_market
from pipelines.recordings import Recording

THROTTLE = 250_000_000


@pytest.fixture(scope="module")
def segments(recording) -> list[Segment]:
    markets = {market.ticker: market for market in recording.markets}
    return build_segments(recording.events, [], markets, "s")


def test_a_file_gives_the_observations_of_what_was_written(segments, tmp_path):
    write_segments(tmp_path / "s.parquet", segments)

    stored = read_segments(tmp_path / "s.parquet")

    assert difference(segments, stored, THROTTLE, limit=500) is None
    assert sum(1 for _ in observations(stored, THROTTLE)) > 500


def test_a_listing_is_what_was_known_when_the_session_began():
    tenths = PriceGrid((PriceBand(Price(0), DOLLAR, Price(10)),))
    recording = Recording(None, [], [], {"A": tenths}, {"A": 700})
    later = {ticker: Market(ticker, "E", "a market", close_time=900) for ticker in "AB"}

    assert as_it_began(later["A"], recording) == replace(later["A"], grid=tenths, close_time=700)
    assert as_it_began(later["B"], recording) == replace(later["B"], close_time=None)


def test_a_changed_event_is_found(segments):
    first = segments[0]
    place = next(i for i, event in enumerate(first.events) if isinstance(event, BookDelta))
    event = first.events[place]._replace(change=Quantity(first.events[place].change + 100))
    events = (*first.events[:place], event, *first.events[place + 1 :])

    found = difference(segments, [replace(first, events=events), *segments[1:]], THROTTLE, 10)

    assert found == f"a segment of {first.ticker} at {first.starts_at} differs in its events"


def test_a_missing_segment_is_found(segments):
    found = difference(segments, segments[1:], THROTTLE, 10)

    assert found == f"the rows give {len(segments)} segments, the file holds {len(segments) - 1}"


def test_observations_lie_at_least_the_throttle_apart(segments):
    longest = segments[0].ends_at - segments[0].starts_at

    count = sum(1 for _ in observations(segments[:1], THROTTLE))

    assert 0 < count <= longest // THROTTLE + 1


def test_the_table_has_one_row_for_each_market(segments):
    twice = [*segments, segments[0]]

    rows = segments_by_market(twice)

    assert [row["market"] for row in rows] == [segment.ticker for segment in segments]
    assert rows[0]["segments"] == 2
    assert sum(row["events"] for row in rows) == sum(len(s.events) for s in twice)

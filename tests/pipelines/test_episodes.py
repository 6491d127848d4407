"""A session's rows become a file of episodes, and what a policy sees of both is the same."""

from dataclasses import replace

import pytest
from columns import outline_of
from hypothesis import given, settings
from hypothesis import strategies as st
from random_session import RandomSession
from written_session import write_session

from kalshiflow.learning.episodes.files import (
    file_sha256,
    read_heads,
    read_origin,
    read_segments,
    write_segments,
)
from kalshiflow.learning.episodes.heads import head_of
from kalshiflow.learning.episodes.plain import Segment, build_segments, is_same, stretches_of
from kalshiflow.market.events import BookSnapshot
from kalshiflow.market.flat import DELTA
from kalshiflow.market.listing import Market
from kalshiflow.store.database import Store, run
from kalshiflow.store.outline import read_outline
from kalshiflow.store.read import session_events
from pipelines.comparing import Compared, beginning_of, chosen_markets, compare, difference
from pipelines.episodes import episodes_by_market, write_episodes

MOST = 10_000


@pytest.fixture(scope="module")
def stretches(recording):
    markets = {market.ticker: market for market in recording.markets}
    return stretches_of(recording.events, [], markets)


@pytest.fixture(scope="module")
def segments(recording) -> list[Segment]:
    markets = {market.ticker: market for market in recording.markets}
    return build_segments(recording.events, [], markets, "s")


@pytest.fixture(scope="module")
def outline(recording):
    return outline_of(recording.events, {market.ticker: market for market in recording.markets})


def changed(segment: Segment, **columns) -> Segment:
    return replace(segment, events=replace(segment.events, **columns))


def test_a_file_is_seen_as_the_events_are_that_it_was_made_of(stretches, segments, tmp_path):
    write_segments(tmp_path / "s.parquet", segments)

    stored = read_segments(tmp_path / "s.parquet")

    assert difference(stretches, stored, MOST) is None


@given(seed=st.integers(0, 10**9))
@settings(max_examples=20, deadline=None)
def test_whatever_happened_is_seen_alike(seed):
    told = RandomSession(seed, 150, runs_back=False)
    cut = (told.gaps, told.markets)

    found = stretches_of(told.events, *cut, told.listings)
    stored = build_segments(told.events, *cut, "s", told.listings)

    assert difference(found, stored, MOST) is None


def test_a_changed_event_is_found(stretches, segments):
    first = segments[0]
    quantities = first.events.quantities.copy()
    quantities[first.events.kinds.tolist().index(DELTA)] += 100

    found = difference(stretches, [changed(first, quantities=quantities), *segments[1:]], 10)

    assert found == f"the segment of {first.ticker} at {first.starts_at} differs in its events"


def test_a_missing_segment_is_found(stretches, segments):
    found = difference(stretches, segments[1:], 10)

    assert found == f"the rows give {len(segments)} segments, the file holds {len(segments) - 1}"


def test_another_sight_of_the_same_events_is_found(stretches, segments, monkeypatch):
    from kalshiflow.learning import bulk

    def blind(*arguments, **more):
        seen = observe_at(*arguments, **more)
        seen.rows[-1, 0] += 1e-16 + seen.rows[-1, 0] * 1e-15
        return seen

    observe_at = bulk.observe_at
    monkeypatch.setattr(bulk, "observe_at", blind)

    found = difference(stretches, segments, MOST)

    assert found is not None
    assert "is seen otherwise at frame" in found


def test_of_many_events_some_markets_are_compared_always_the_same(outline, segments, tmp_path):
    write_segments(tmp_path / "s.parquet", segments)
    heads = read_heads(tmp_path / "s.parquet")
    sizes = {head.ticker: head.events for head in heads}

    chosen = chosen_markets(outline, heads, sum(sizes.values()) // 2)

    assert chosen == chosen_markets(outline, heads, sum(sizes.values()) // 2)
    assert 0 < sum(sizes[ticker] for ticker in chosen) <= sum(sizes.values()) // 2
    assert sorted(chosen_markets(outline, heads, MOST)) == sorted(sizes)


def test_a_market_without_an_episode_is_never_compared_instead_of_one_with(segments):
    outline = outline_of([], {f"M{number}": Market(f"M{number}", "", "") for number in range(9)})

    for ticker in outline.tickers:
        head = head_of(segments[0])._replace(ticker=ticker)
        assert chosen_markets(outline, [head], head.events - 1) == [ticker]
        assert sorted(chosen_markets(outline, [head], head.events)) == list(outline.tickers)


def test_of_a_market_of_too_many_events_the_beginning_is_compared(stretches, segments, tmp_path):
    write_segments(tmp_path / "s.parquet", segments)
    heads = read_heads(tmp_path / "s.parquet")
    ticker = segments[0].ticker

    (found,), last = beginning_of(tmp_path / "s.parquet", heads, [ticker], 50)

    assert 45 <= len(found) <= 50
    events = [e for e in stretches[0].events if e.stamp.frame_no <= last]
    assert difference([stretches[0]._replace(events=events)], [found], MOST) is None


@pytest.mark.integration
def test_a_stored_session_is_cut_as_its_events_are(postgres_url, tmp_path):
    told = RandomSession(7, 400, runs_back=False)
    path = tmp_path / "episodes" / "s.parquet"

    async def work(store: Store):
        markets = tuple(told.markets.values())
        joined = [one for one in told.listings if one.reason == "joined"]
        await write_session(store, "s", markets, told.events, gaps=told.gaps, listings=joined)
        outline = await read_outline(store, "s")
        heads = await write_episodes(store, outline, path, memory_mb=64)
        once = file_sha256(path)
        await write_episodes(store, outline, path, memory_mb=1)
        events = await session_events(store, "s")
        compared = [await compare(store, outline, path, most) for most in (MOST, 40)]
        return outline, heads, once, events, compared

    outline, heads, once, events, compared = run(postgres_url, work)

    wanted = build_segments(
        events, outline.gaps, outline.begun, "s", outline.listings, outline.with_trades
    )
    assert len(wanted) > 5
    for one, other in zip(read_segments(path), wanted, strict=True):
        assert is_same(one, other)
    assert heads == read_heads(path)
    assert once == file_sha256(path)
    assert read_origin(path).session_id == "s"
    assert [found.trouble for found in compared] == [None, None]
    assert compared[0].events == sum(map(len, wanted))
    assert 0 < compared[1].events <= 40
    assert [file.name for file in path.parent.iterdir()] == ["s.parquet"]


@pytest.mark.integration
def test_a_session_in_which_no_book_changed_has_no_episodes(postgres_url, tmp_path, recording):
    path = tmp_path / "s.parquet"
    snapshots = [event for event in recording.events if isinstance(event, BookSnapshot)]

    async def work(store: Store):
        await write_session(store, "s", recording.markets, snapshots)
        outline = await read_outline(store, "s")
        heads = await write_episodes(store, outline, path, memory_mb=64)
        return heads, await compare(store, outline, path)

    assert run(postgres_url, work) == ([], Compared(None, len(recording.markets), 0))
    assert read_segments(path) == []


def test_the_table_has_one_row_for_each_market(segments, tmp_path):
    write_segments(tmp_path / "s.parquet", [*segments, segments[-1]])

    rows = episodes_by_market(read_heads(tmp_path / "s.parquet"))

    assert [row["market"] for row in rows] == [segment.ticker for segment in segments]
    assert rows[-1]["segments"] == 2
    assert sum(row["events"] for row in rows) == sum(map(len, [*segments, segments[-1]]))

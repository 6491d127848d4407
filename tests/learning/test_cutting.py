"""Rows cut into segments: fast and event by event the same, whatever happens to a recording."""

import tracemalloc

import numpy as np
import pytest
from columns import columns_of, outline_of
from hypothesis import given, settings
from hypothesis import strategies as st
from random_session import RandomSession

from kalshiflow.exchange.capture import read_capture, uses_yes_price
from kalshiflow.exchange.feed import Feed
from kalshiflow.learning.compiled import compiled
from kalshiflow.learning.episodes.builder import EpisodeBuilder
from kalshiflow.learning.episodes.cutter import Cutter
from kalshiflow.learning.episodes.cutting import cut_rows
from kalshiflow.learning.episodes.files import (
    file_sha256,
    iter_parts,
    read_heads,
    read_origin,
    read_segments,
)
from kalshiflow.learning.episodes.heads import head_of
from kalshiflow.learning.episodes.plain import build_segments, is_same, is_same_events
from kalshiflow.market.events import (
    BookDelta,
    BookSnapshot,
    MarketStatusChanged,
    Side,
    Stamp,
    TimeSource,
)
from kalshiflow.market.flat import ACCOUNT, ACCOUNT_WIDTH, DELTA, SNAPSHOT
from kalshiflow.market.listing import Market, MarketResult, MarketStatus
from kalshiflow.market.units import Price, Quantity
from kalshiflow.store.bulk import Columns, Rows, rows_of
from kalshiflow.store.listings import Listing
from kalshiflow.store.replay import Gap
from kalshiflow.store.rows import AccountChange

MARKETS = {name: Market(name, "E", "a market") for name in "AB"}
ONLY_A = {"A": MARKETS["A"]}


def built(folder, outline, columns, memory_mb=64):
    builder = EpisodeBuilder(outline, folder, memory_mb)
    for part in columns:
        builder.take(part)
    heads = builder.write(folder / "s.parquet")
    found = read_segments(folder / "s.parquet")
    assert heads == read_heads(folder / "s.parquet") == [head_of(segment) for segment in found]
    return found


def cut(folder, events, gaps=(), markets=MARKETS, **more):
    outline = outline_of(events, markets, gaps, **more)
    return built(folder, outline, columns_of(events, outline))


def stamp(frame_no):
    return Stamp(frame_no, frame_no, 1_000 * frame_no, TimeSource.EXCHANGE)


def snapshot(frame_no, ticker="A", bid=4000, ask=6000):
    bids, asks = ((Price(bid), Quantity(100)),), ((Price(ask), Quantity(100)),)
    return BookSnapshot(ticker, bids, asks, stamp(frame_no))


def delta(frame_no, ticker="A", price=4100, change=100):
    return BookDelta(ticker, Side.BID, Price(price), Quantity(change), stamp(frame_no))


def spans(segments):
    return [(s.ticker, int(s.events.frames[0]), int(s.events.frames[-1])) for s in segments]


@given(seed=st.integers(0, 10**9), length=st.integers(1, 150), step=st.sampled_from([7, 10**6]))
@settings(max_examples=50, deadline=None)
def test_any_session_is_cut_as_it_is_event_by_event(tmp_path_factory, seed, length, step):
    told = RandomSession(seed, length)
    outline = outline_of(told.events, told.markets, told.gaps, told.listings, with_trades="AB")

    found = built(tmp_path_factory.mktemp("cut"), outline, columns_of(told.events, outline, step))

    wanted = build_segments(told.events, told.gaps, told.markets, "s", told.listings, "AB")
    assert [s.ticker for s in found] == [s.ticker for s in wanted]
    for one, other in zip(found, wanted, strict=True):
        assert is_same(one, other)


@pytest.mark.recorded
@pytest.mark.parametrize(
    "path",
    [
        "kalshi-demo-ws-2026-07/session.jsonl",
        "kalshi-prod-inxd-2023-08-31/INXD-23AUG31-B4512.jsonl",
    ],
)
def test_a_real_recording_is_cut_as_it_is_event_by_event(tmp_path, recorded_data, path):
    file = recorded_data / path
    feed = Feed(uses_yes_price=uses_yes_price(file))
    received = [feed.receive(frame.raw, frame.received_at) for frame in read_capture(file)]
    events = [one.event for one in received if one.event is not None]
    markets = {event.ticker: Market(event.ticker, "", "") for event in events}
    outline = outline_of(events, markets)

    found = built(tmp_path, outline, columns_of(events, outline))

    wanted = build_segments(events, [], markets, "s")
    assert sum(map(len, wanted)) > 2_000
    for one, other in zip(found, wanted, strict=True):
        assert is_same(one, other)


@pytest.mark.parametrize("seed", range(3))
def test_compiled_and_interpreted_cuts_are_the_same(seed):
    told = RandomSession(seed, 200)
    outline = outline_of(told.events, told.markets, told.gaps, told.listings)
    cutters = [Cutter(outline, run, 5) for run in (compiled(cut_rows), on_lists)]

    for columns in columns_of(told.events, outline, 40):
        for one, other in zip(*(cutter.cut(columns) for cutter in cutters), strict=True):
            assert one.begun == other.begun
            assert one.ended == other.ended
            assert one.owners.tolist() == other.owners.tolist()
            assert is_same_events(one.events, other.events)
    assert cutters[0].finish() == cutters[1].finish()


def on_lists(*arguments):
    """Cut as interpreted code does: on lists, which are then written back."""
    lists = [listed(one) for one in arguments]
    cut_rows(*lists)
    for array, values in zip(arguments, lists, strict=True):
        write_back(array, values)


def listed(one):
    return tuple(map(listed, one)) if isinstance(one, tuple) else one.tolist()


def write_back(array, values):
    if isinstance(array, tuple):
        for part, found in zip(array, values, strict=True):
            write_back(part, found)
    else:
        array[:] = values


def test_a_gap_in_the_middle_leaves_two_episodes(tmp_path):
    events = [snapshot(1), delta(2), delta(4), snapshot(5), delta(6)]
    assert spans(cut(tmp_path, events, [Gap(4, "missing", ("A",), "lost", 0)])) == [
        ("A", 1, 2),
        ("A", 5, 6),
    ]


@pytest.mark.parametrize("again", [[], [Listing(5, "joined", MARKETS["A"])]])
def test_an_episode_ends_where_its_market_is_followed_no_more(tmp_path, again):
    events = [snapshot(1), delta(2), delta(4), snapshot(6), delta(7)]
    listings = [Listing(3, "released", MARKETS["A"]), *again]
    missed_trades = [Gap(5, "missing", ("A",), "lost", 0, "trade")]

    found = cut(tmp_path, events, missed_trades, ONLY_A, listings=listings)

    assert spans(found) == [("A", 1, 2), ("A", 6, 7)]
    wanted = build_segments(events, missed_trades, ONLY_A, "s", listings)
    assert all(is_same(one, other) for one, other in zip(found, wanted, strict=True))


def test_a_market_without_a_snapshot_has_no_episode(tmp_path):
    events = [delta(1), snapshot(2, "B"), delta(3), delta(4, "B")]
    assert spans(cut(tmp_path, events)) == [("B", 2, 4)]


@pytest.mark.parametrize(
    "crossing",
    [
        delta(3, price=6000),
        delta(3, change=-200),
        snapshot(3, bid=7000),
        delta(3, price=4150),
        delta(3, price=12_000),
        delta(3, price=-100),
        snapshot(3, ask=2_000_000),
    ],
)
def test_what_cannot_be_true_cuts_until_the_next_snapshot(tmp_path, crossing):
    events = [snapshot(1), delta(2), crossing, delta(4), snapshot(5), delta(6)]
    assert spans(cut(tmp_path, events)) == [("A", 1, 2), ("A", 5, 6)]


def test_a_session_of_one_market_gives_its_episode(tmp_path):
    assert spans(cut(tmp_path, [snapshot(1), delta(2)], markets=ONLY_A)) == [("A", 1, 2)]


def test_a_settled_market_gives_an_episode_that_tells_the_value_and_terms_that_do_not(tmp_path):
    end = MarketStatusChanged(
        "A", "x", stamp(3), MarketStatus.DETERMINED, MarketResult.YES, None, 5_000
    )
    (found,) = cut(tmp_path, [snapshot(1), delta(2), end], markets=ONLY_A)
    assert found.events.quantities.tolist()[2:] == [10_000, 5_000]
    assert found.market == MARKETS["A"]


def test_an_empty_session_gives_no_episode(tmp_path):
    assert cut(tmp_path, []) == []
    assert cut(tmp_path, [], markets={}) == []


def test_an_account_is_told_where_it_changes_and_where_an_episode_begins(tmp_path):
    account = (1,) * ACCOUNT_WIDTH
    events = [snapshot(1), delta(2), delta(4), snapshot(5), delta(6)]
    accounts = [AccountChange(frame, frame, 0, "A", 0, account) for frame in (2, 3)]
    gaps = [Gap(4, "missing", ("A",), "lost", 0)]
    first, second = cut(tmp_path, events, gaps, accounts=accounts)
    assert first.events.kinds.tolist() == [SNAPSHOT, DELTA, ACCOUNT, ACCOUNT]
    assert first.events.frames.tolist() == [1, 2, 2, 3]
    assert second.events.kinds.tolist() == [SNAPSHOT, ACCOUNT, DELTA]


def test_builds_are_the_same_to_the_byte_however_the_rows_are_parted(tmp_path):
    told = RandomSession(5, 400)
    outline = outline_of(told.events, told.markets, told.gaps, told.listings)
    hashes = set()
    for number, step in enumerate((10**6, 50, 50)):
        folder = tmp_path / str(number)
        folder.mkdir()
        built(folder, outline, columns_of(told.events, outline, step), memory_mb=number)
        hashes.add((file_sha256(folder / "s.parquet"), read_origin(folder / "s.parquet")))
    assert len(hashes) == 1


def test_one_more_event_is_another_file_of_other_inputs(tmp_path):
    events = [snapshot(1), delta(2), delta(3)]
    found = []
    for count in (2, 3):
        cut(tmp_path, events[:count])
        path = tmp_path / "s.parquet"
        found.append((file_sha256(path), read_origin(path).inputs_sha256))
    assert found[0][0] != found[1][0]
    assert found[0][1] != found[1][1]


def test_memory_does_not_grow_with_a_market_of_a_million_deltas(tmp_path):
    step, parts = 50_000, 20
    outline = outline_of([snapshot(1), delta(step * parts)], ONLY_A)
    tracemalloc.start()
    try:
        builder = EpisodeBuilder(outline, tmp_path, 16)
        for part in range(parts):
            builder.take(many_deltas(part * step, step))
        builder.write(tmp_path / "s.parquet")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 50 * 2**20
    assert sum(len(events) for _, events in iter_parts(tmp_path / "s.parquet")) == step * parts


def many_deltas(first, count):
    """Give a part of a session of one market whose best bid comes and goes."""
    frames = np.arange(first + 1, first + 1 + count)
    changes = Rows(
        frames=frames,
        markets=np.zeros(count, np.int32),
        kinds=np.full(count, DELTA, np.int8),
        sides=np.zeros(count, np.int8),
        prices=np.full(count, 4100, np.int32),
        quantities=np.where(frames % 2, -100, 100),
        times=frames * 1_000,
        sources=np.zeros(count, np.int8),
    )
    snapshots, bodies = rows_of([]), np.zeros(0, np.int64)
    if first == 0:
        changes = changes.chosen(np.arange(1, count))
        snapshots = rows_of([(1, 0, SNAPSHOT, 0, 6, 0, 1_000, 0)])
        bodies = np.array([1, 1, 4000, 100, 6000, 100])
    return Columns(first, first + count, changes, rows_of([]), snapshots, bodies)

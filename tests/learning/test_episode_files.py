"""Segments in files: nothing lost, the same bytes for the same events, other files refused."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kalshiflow.learning.episodes import files as episode_files
from kalshiflow.learning.episodes.files import (
    EpisodeFileError,
    Origin,
    count_segments,
    iter_parts,
    read_accounts,
    read_heads,
    read_origin,
    read_segments,
    write_segments,
)
from kalshiflow.learning.episodes.segments import Segment, is_same, make_events
from kalshiflow.market.flat import ACCOUNT, ACCOUNT_WIDTH, CLOSES, DELTA, SNAPSHOT, STATUS, TRADE
from kalshiflow.market.listing import FeeTerms, FeeType, Market, MarketStatus, PriceBand, PriceGrid
from kalshiflow.market.units import DOLLAR, Price

TENTHS = PriceGrid((PriceBand(Price(0), DOLLAR, Price(10)),))


def test_segments_come_back_from_a_file_as_they_were(tmp_path, segments):
    write_segments(tmp_path / "s.parquet", segments)
    for one, other in zip(read_segments(tmp_path / "s.parquet"), segments, strict=True):
        assert is_same(one, other)


def test_every_kind_of_event_and_all_terms_survive_the_file(tmp_path):
    rows = [
        (SNAPSHOT, 0, 4, 0),
        (DELTA, 1, 998, 2**40),
        (TRADE, 1, -1, 3),
        (STATUS, 0, -1, -1),
        (SNAPSHOT, 0, 2, 4),
        (STATUS, 0, 4, 10_000),
        (CLOSES, 0, 0, 2**60),
    ]
    events = make_events(rows, range(7), range(5, 12), [1, 0, 3, 9, 0, 0])
    fees = FeeTerms(FeeType.FLAT, 7)
    market = Market(
        "A", "E", "a", TENTHS, MarketStatus.INACTIVE, 1, 2, series_ticker="S", fees=fees
    )
    told = Segment("A", "s", market, events, has_trades=False)
    write_segments(tmp_path / "s.parquet", [told])
    (found,) = read_segments(tmp_path / "s.parquet")
    assert is_same(found, told)


def test_accounts_come_back_in_the_order_of_their_events(tmp_path):
    accounts = np.arange(3 * ACCOUNT_WIDTH).reshape(3, ACCOUNT_WIDTH)
    rows = [(SNAPSHOT, 0, 2, 0), (ACCOUNT, 0, 2, 0), (DELTA, 0, 1, 1), (ACCOUNT, 0, 0, 0)]
    one = Segment("A", "s", Market("A", "", ""), make_events(rows, range(4), range(4), [0, 0]))
    write_segments(tmp_path / "s.parquet", [one, one], accounts=accounts)
    found = read_segments(tmp_path / "s.parquet")
    assert read_accounts(tmp_path / "s.parquet").tolist() == accounts[[2, 0, 2, 0]].tolist()
    places = [s.events.indices[s.events.kinds == ACCOUNT].tolist() for s in found]
    assert places == [[0, 1], [2, 3]]


def test_segments_larger_than_a_group_of_rows_are_whole(tmp_path, segments, monkeypatch):
    monkeypatch.setattr(episode_files, "ROWS_IN_GROUP", 7)
    write_segments(tmp_path / "s.parquet", segments)
    assert max(len(events) for _, events in iter_parts(tmp_path / "s.parquet")) <= 7
    for one, other in zip(read_segments(tmp_path / "s.parquet"), segments, strict=True):
        assert is_same(one, other)


def test_the_same_segments_give_the_same_bytes(tmp_path, segments):
    hashes = {write_segments(tmp_path / f"{n}.parquet", segments) for n in range(2)}
    assert len(hashes) == 1
    assert write_segments(tmp_path / "less.parquet", segments[1:]) not in hashes


def test_a_files_head_tells_where_it_comes_from_and_what_it_holds(tmp_path, segments):
    origin = Origin("s", "abc", "gaps")
    write_segments(tmp_path / "s.parquet", segments, origin)
    assert read_origin(tmp_path / "s.parquet") == origin
    assert count_segments(tmp_path / "s.parquet") == len(segments)
    heads = read_heads(tmp_path / "s.parquet")
    assert [(h.events, h.numbers, h.starts_at, h.ends_at) for h in heads] == [
        (len(s), len(s.events.bodies), s.starts_at, s.ends_at) for s in segments
    ]


def test_a_file_of_no_segments_is_read(tmp_path):
    write_segments(tmp_path / "s.parquet", [])
    assert read_segments(tmp_path / "s.parquet") == []


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({}, r"x\.parquet holds no episodes, .* materialise session_episodes again"),
        ({"format": "kalshiflow-episodes-1"}, r"is in the form kalshiflow-episodes-1, .*again"),
    ],
)
def test_another_parquet_file_is_refused(tmp_path, metadata, reason):
    table = pa.table({"a": [1]}).replace_schema_metadata(metadata)
    pq.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(EpisodeFileError, match=reason):
        read_segments(tmp_path / "x.parquet")


def test_what_is_no_parquet_file_is_refused(tmp_path):
    (tmp_path / "x.parquet").write_text("nothing of the kind")
    with pytest.raises(EpisodeFileError, match=r"x\.parquet is no Parquet file"):
        read_segments(tmp_path / "x.parquet")


def test_other_terms_are_another_segment(segments):
    one = segments[0]
    assert not is_same(one, replace(one, has_trades=False))
    assert not is_same(one, replace(one, market=replace(one.market, close_time=1)))

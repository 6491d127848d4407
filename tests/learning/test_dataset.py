"""A dataset by content: parted by time and event, equal for equal sessions, or refused."""

from dataclasses import replace

import pytest

from kalshiflow.learning.datasets.dataset import (
    DatasetError,
    SessionFile,
    build_dataset,
    iter_dataset,
    load_dataset,
    load_evaluation,
    load_learn,
)
from kalshiflow.learning.datasets.manifest import DatasetManifest, ManifestError
from kalshiflow.learning.datasets.parting import EVENT_BYTES, NUMBER_BYTES
from kalshiflow.learning.datasets.splits import Terms
from kalshiflow.learning.episodes.files import read_heads, read_segments, write_segments
from kalshiflow.learning.episodes.segments import is_same
from kalshiflow.learning.episodes.splitting import split_segment

SECOND = 1_000_000_000
TERMS = Terms(embargo=32 * SECOND)


@pytest.fixture
def files(tmp_path, segments):
    """Two sessions: the recording cut in half, two markets to an event."""
    middle = segments[0].starts_at + 75 * SECOND
    listed = [
        replace(segment, market=replace(segment.market, event_ticker=f"E{number // 2}"))
        for number, segment in enumerate(segments)
    ]
    halves = zip(*(split_segment(segment, middle) for segment in listed), strict=True)
    made = []
    for number, half in enumerate(halves):
        path = tmp_path / f"s{number}.parquet"
        write_segments(path, [replace(segment, session_id=f"s{number}") for segment in half])
        made.append(SessionFile(f"s{number}", path, "gaps", "1 gap", "paper"))
    return made


def is_equal(ones, others):
    return len(ones) == len(others) and all(map(is_same, ones, others))


def test_nothing_learned_from_lies_after_the_split_nor_within_the_embargo(files, tmp_path):
    manifest = build_dataset(files, TERMS)
    dataset = load_dataset(manifest, tmp_path)

    assert max(segment.ends_at for segment in dataset.learn) <= manifest.split_at
    for segment in dataset.evaluation:
        assert segment.starts_at >= manifest.split_at + manifest.embargo
        assert segment.events.times[1] > manifest.split_at + manifest.embargo
    assert {segment.session_id for segment in dataset.evaluation} == {"s1"}


def test_nothing_of_an_event_that_is_held_out_is_learned_from(files, tmp_path):
    manifest = build_dataset(files, TERMS)
    dataset = load_dataset(manifest, tmp_path)

    learned = {segment.market.event_ticker for segment in dataset.learn}
    evaluated = {segment.market.event_ticker for segment in dataset.evaluation}
    assert 1 <= len(manifest.unseen_events) <= 2
    assert evaluated == learned | set(manifest.unseen_events)
    assert not learned & set(manifest.unseen_events)
    for segment in dataset.evaluation:
        is_unseen = segment.market.event_ticker in manifest.unseen_events
        assert dataset.is_unseen(segment) == is_unseen


def test_a_market_whose_event_one_session_does_not_know_is_held_out_there_too(files, tmp_path):
    held_out = set(build_dataset(files, TERMS).unseen_markets)
    unlisted = [
        replace(segment, market=replace(segment.market, event_ticker=""))
        for segment in read_segments(files[0].path)
    ]
    write_segments(files[0].path, unlisted)

    dataset = load_dataset(build_dataset(files, TERMS), tmp_path)

    assert dataset.unseen == held_out
    assert not held_out & {segment.ticker for segment in dataset.learn}


def test_the_share_is_one_of_recorded_time(files):
    manifest = build_dataset(files, TERMS)

    first, last = manifest.sessions  # without a pause between them
    learned = manifest.split_at - first.starts_at
    assert learned / (last.ends_at - first.starts_at) == pytest.approx(0.7, abs=0.001)


def test_the_same_sessions_give_the_same_bytes_in_any_order(files):
    manifest = build_dataset(files, TERMS)

    assert build_dataset(files[::-1], TERMS).to_json() == manifest.to_json()
    assert build_dataset(files, TERMS, memory_bytes=1 << 40).to_json() == manifest.to_json()


def test_a_manifest_comes_back_and_keeps_its_id(files):
    manifest = build_dataset(files, TERMS)
    again = DatasetManifest.from_json(manifest.to_json())

    assert again == manifest
    assert again.dataset_id == manifest.dataset_id
    others = (replace(TERMS, learn_fraction=0.6), replace(TERMS, event_share=0.0))
    assert manifest.dataset_id not in {build_dataset(files, one).dataset_id for one in others}


def test_a_manifest_says_of_each_session_what_is_known_of_it(files):
    first, _ = build_dataset(files, TERMS).sessions

    assert (first.session_id, first.verdict, first.reason) == ("s0", "gaps", "1 gap")
    assert (first.environment, first.origin) == ("paper", "collector")
    assert first.segments == 8


def test_each_part_is_read_alone_as_it_is_read_with_the_other(files, tmp_path):
    manifest = build_dataset(files, TERMS)
    dataset = load_dataset(manifest, tmp_path)

    assert is_equal(load_learn(manifest, tmp_path), dataset.learn)
    assert is_equal(load_evaluation(manifest, tmp_path).evaluation, dataset.evaluation)
    assert (len(dataset.learn), len(dataset.evaluation)) == (
        manifest.learn.segments,
        manifest.evaluation.segments,
    )
    assert manifest.rows == sum(map(len, [*dataset.learn, *dataset.evaluation]))


def test_more_than_fits_into_memory_is_left_out_by_chance_and_told(files, tmp_path):
    everything = build_dataset(files, TERMS)
    limit = everything.learn.events * EVENT_BYTES // 2
    manifest = build_dataset(files, TERMS, memory_bytes=limit)
    dataset = load_dataset(manifest, tmp_path)

    assert len(dataset.learn) == manifest.learn.segments < everything.learn.segments
    assert 0 < manifest.learn.events * EVENT_BYTES <= limit
    assert manifest.learn.segments_left_out > 0
    assert manifest.learn.events_left_out > 0
    assert manifest.dataset_id != everything.dataset_id
    assert is_equal(load_dataset(manifest, tmp_path).learn, dataset.learn)
    another = build_dataset(files, TERMS, memory_bytes=limit, seed=8)
    assert not is_equal(load_learn(another, tmp_path), dataset.learn)


def test_whole_books_take_memory_too(files):
    everything = build_dataset(files, TERMS)
    heads = [
        head
        for file in files
        for head in read_heads(file.path)
        if head.starts_at <= everything.split_at and head.ticker not in everything.unseen_markets
    ]
    events = sum(head.events for head in heads) * EVENT_BYTES
    books = sum(head.numbers for head in heads) * NUMBER_BYTES

    fits, lacks = (
        build_dataset(files, TERMS, memory_bytes=limit).learn.segments_left_out
        for limit in (events + books, events + books - 1)
    )

    assert (fits, lacks > 0) == (0, True)


def test_memory_that_holds_nothing_is_refused(files):
    with pytest.raises(DatasetError, match="do not fit into 0.00"):
        build_dataset(files, TERMS, memory_bytes=1_000)


def test_a_file_that_has_changed_is_refused(files, tmp_path, segments):
    manifest = build_dataset(files, TERMS)
    write_segments(files[0].path, segments[:1])

    with pytest.raises(DatasetError, match=r"s0\.parquet has sha256"):
        load_dataset(manifest, tmp_path)
    with pytest.raises(DatasetError, match=r"s0\.parquet has sha256"):
        next(iter_dataset(manifest, tmp_path))


def test_a_session_without_segments_is_named(files, tmp_path):
    write_segments(tmp_path / "none.parquet", [])

    with pytest.raises(DatasetError, match="no segment in session none"):
        build_dataset([*files, SessionFile("none", tmp_path / "none.parquet")])


def test_a_file_of_another_session_is_refused(files):
    with pytest.raises(DatasetError, match="holds session s1, not s0"):
        build_dataset([replace(files[0], path=files[1].path)])


def test_the_same_session_twice_and_none_at_all_are_refused(files):
    with pytest.raises(DatasetError, match="twice"):
        build_dataset([files[0], files[0]])
    with pytest.raises(DatasetError, match="no session"):
        build_dataset([])


def test_an_embargo_that_swallows_the_evaluation_is_refused(files):
    with pytest.raises(DatasetError, match="0 to evaluate on"):
        build_dataset(files, Terms(embargo=1_000 * SECOND))


def test_another_manifest_form_is_refused():
    with pytest.raises(ManifestError, match="not kalshiflow-dataset-2"):
        DatasetManifest.from_json('{"format": "x"}')

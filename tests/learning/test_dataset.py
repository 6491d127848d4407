"""A dataset by content: split by market time, equal for equal sessions, refused where it is not."""

from dataclasses import replace

import pytest

from kalshiflow.learning.dataset import (
    DatasetError,
    DatasetManifest,
    build_dataset,
    load_dataset,
)
from kalshiflow.learning.episode_files import write_segments
from kalshiflow.learning.episodes import split_segment

SECOND = 1_000_000_000


@pytest.fixture
def files(tmp_path, segments):
    """Two sessions: the recording cut in half."""
    middle = segments[0].starts_at + 75 * SECOND
    halves = zip(*(split_segment(segment, middle) for segment in segments), strict=True)
    paths = []
    for number, half in enumerate(halves):
        path = tmp_path / f"{number}.parquet"
        write_segments(path, [replace(segment, session_id=f"s{number}") for segment in half])
        paths.append(path)
    return paths


def test_nothing_learned_from_lies_after_the_split_nor_within_the_embargo(files, tmp_path):
    manifest = build_dataset(files, learn_fraction=0.7, embargo=10 * SECOND)
    dataset = load_dataset(manifest, tmp_path)
    assert max(segment.ends_at for segment in dataset.learn) <= manifest.split_at
    for segment in dataset.evaluation:
        first_new = segment.events[1].stamp.market_time
        assert first_new > manifest.split_at + 10 * SECOND
    assert {segment.session_id for segment in dataset.evaluation} == {"s1"}


def test_the_share_is_one_of_recorded_time(files):
    manifest = build_dataset(files, learn_fraction=0.7)
    spans = [(part.starts_at, part.ends_at) for part in manifest.sessions]
    total = sum(end - start for start, end in spans)
    learned = sum(max(0, min(end, manifest.split_at) - start) for start, end in spans)
    assert learned / total == pytest.approx(0.7, abs=0.001)


def test_the_order_of_files_does_not_matter(files):
    assert build_dataset(files) == build_dataset(files[::-1])


def test_a_manifest_comes_back_and_keeps_its_id(files):
    manifest = build_dataset(files)
    again = DatasetManifest.from_json(manifest.to_json())
    assert again == manifest
    assert again.dataset_id == manifest.dataset_id
    assert build_dataset(files, learn_fraction=0.6).dataset_id != manifest.dataset_id


def test_a_file_that_has_changed_is_refused(files, tmp_path, segments):
    manifest = build_dataset(files)
    write_segments(files[0], segments[:1])
    with pytest.raises(DatasetError, match=r"0\.parquet has sha256"):
        load_dataset(manifest, tmp_path)


def test_a_session_without_segments_is_named(files, tmp_path):
    write_segments(tmp_path / "none.parquet", [])
    with pytest.raises(DatasetError, match=r"no segment in none\.parquet"):
        build_dataset([*files, tmp_path / "none.parquet"])


def test_the_same_session_twice_is_refused(files):
    with pytest.raises(DatasetError, match="twice"):
        build_dataset([files[0], files[0]])


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0])
def test_both_parts_must_get_something(files, share):
    with pytest.raises(DatasetError, match="learn from"):
        build_dataset(files, learn_fraction=share)


def test_an_embargo_that_swallows_the_evaluation_is_refused(files):
    with pytest.raises(DatasetError, match="0 to evaluate on"):
        build_dataset(files, embargo=1_000 * SECOND)


def test_another_manifest_form_is_refused():
    with pytest.raises(DatasetError, match="not kalshiflow-dataset-1"):
        DatasetManifest.from_json('{"format": "x"}')

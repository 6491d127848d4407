"""A full disk is emptied by another segment, which has room spared for it."""

from pathlib import Path

import pytest
from full_disk import files_end_at, room_for_a_segment

from kalshiflow.recording.spool import Kind, Record, Spool, SpoolFull

SEGMENT = 40_000  # the room that is spared too: no more than a segment is long


@pytest.fixture
def spool(tmp_path: Path):
    """Give a spool with a checkpoint and three records."""
    opened = Spool.open(tmp_path / "spool", limit_bytes=2**20, segment_bytes=SEGMENT)
    opened.begin_segment(b"first", 1)
    append(opened, b"a", b"b", b"c")
    opened.flush()
    yield opened
    opened.abandon()


def append(spool: Spool, *contents: bytes) -> None:
    for content in contents:
        spool.append(Kind.FRAME, 2, content)


def refused_by_the_disk(spool: Spool) -> None:
    """Have some records in memory that the segment has no room for."""
    append(spool, b"d" * 500, b"e" * 500)
    with files_end_at(spool.bytes_held + 100), pytest.raises(SpoolFull):
        spool.flush()


def spared(spool: Spool) -> int:
    path = spool.folder / "spare"
    return path.stat().st_blocks * 512 if path.exists() else 0


def test_room_is_spared_and_really_taken_on_the_disk(spool: Spool) -> None:
    assert spared(spool) >= SEGMENT


def test_a_spent_segment_is_left_for_another_ahead_of_what_waits(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused_by_the_disk(spool)
    assert not spool.is_spent
    spool.release(4)
    assert spool.is_spent

    with room_for_a_segment(monkeypatch, SEGMENT):  # nothing but what is spared
        spool.begin_segment_ahead(b"second", 3)

    assert (spool.first, spool.flushed, spool.position, spool.durable) == (5, 5, 7, 5)
    assert not spool.is_spent  # its checkpoint is all it has: another would give no room
    assert spared(spool) >= SEGMENT  # what was released has made room for it again
    spool.flush()
    assert list(spool.read(4)) == [
        Record(5, Kind.CHECKPOINT, 3, b"second"),
        Record(6, Kind.FRAME, 2, b"d" * 500),
        Record(7, Kind.FRAME, 2, b"e" * 500),
    ]
    assert spool.append(Kind.FRAME, 4, b"f") == 8


def test_any_segment_takes_the_spared_room_where_there_is_no_other(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with room_for_a_segment(monkeypatch, SEGMENT):
        spool.begin_segment(b"second" * 1000, 3)

    assert [record.position for record in spool.read(0)] == [1, 2, 3, 4, 5]


def test_where_even_the_spared_room_does_not_do_all_is_left_as_it_was(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused_by_the_disk(spool)
    spool.release(4)
    with room_for_a_segment(monkeypatch, 10), pytest.raises(SpoolFull):
        spool.begin_segment_ahead(b"second", 3)

    assert (spool.first, spool.flushed, spool.position, spool.is_spent) == (1, 4, 6, True)
    assert spared(spool) >= SEGMENT


def test_more_is_spared_where_a_checkpoint_needs_more(spool: Spool) -> None:
    spool.begin_segment(b"s" * SEGMENT, 3)
    assert spared(spool) >= 2 * SEGMENT


def test_a_disk_without_room_to_spare_is_asked_again_with_the_next_segment(tmp_path: Path) -> None:
    with files_end_at(1_000):
        spool = Spool.open(tmp_path / "spool", limit_bytes=2**20, segment_bytes=SEGMENT)
        spool.begin_segment(b"first", 1)
        assert spared(spool) == 0
    spool.begin_segment(b"second", 2)
    assert spared(spool) >= SEGMENT
    spool.close()


def test_room_that_was_given_up_is_spared_again_when_the_spool_is_opened(tmp_path: Path) -> None:
    for _ in range(2):
        spool = Spool.open(tmp_path / "spool", limit_bytes=2**20, segment_bytes=SEGMENT)
        if spool.needs_segment:
            spool.begin_segment(b"first", 1)
        assert spared(spool) >= SEGMENT
        (spool.folder / "spare").unlink()
        spool.close()

"""Released segments in the archive: whole, durable, and readable by themselves."""

import gzip
from pathlib import Path

import pytest

from kalshiflow.recording.archive import read_archive
from kalshiflow.recording.spool import Kind, Record, Spool, SpoolDamaged


def filled(folder: Path, archive: Path | None) -> Spool:
    spool = Spool.open(folder / "spool", limit_bytes=2**20, archive=archive)
    for _ in range(3):
        spool.begin_segment(b"state", 5)
        for _ in range(4):
            spool.append(Kind.FRAME, spool.position, b'{"type":"orderbook_delta"}' * 20)
        spool.flush()
    spool.sync()
    return spool


def moved(spool: Spool) -> None:
    """Wait for the thread that archives, and let the spool take note."""
    assert spool._archiver is not None
    spool._archiver._executor.submit(lambda: None).result()
    spool.release(0)


def test_released_segments_are_compressed_and_read_back_as_they_were(tmp_path: Path) -> None:
    spool = filled(tmp_path, tmp_path / "archive")
    records = list(spool.read(0))
    held = spool.bytes_held

    spool.release(12)
    moved(spool)

    paths = sorted((tmp_path / "archive").iterdir())
    assert [path.name for path in paths] == [
        f"{spool.spool_id}-{first:020d}.spool.gz" for first in (1, 6)
    ]
    assert [record for path in paths for record in read_archive(path)] == records[:10]
    assert sum(path.stat().st_size for path in paths) < held / 3
    assert (spool.first, spool.bytes_held) == (11, held // 3)
    spool.close()


def test_a_plain_segment_is_read_by_itself_too(tmp_path: Path) -> None:
    spool = filled(tmp_path, None)
    records = list(spool.read(0))
    spool.close()

    paths = sorted((tmp_path / "spool").glob("*.spool"))
    assert [record for path in paths for record in read_archive(path)] == records


def test_a_segment_that_cannot_be_archived_stays_and_is_told(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    archive.write_text("a file where the folder should be")
    spool = filled(tmp_path, archive)

    spool.release(5)
    moved(spool)
    assert spool.first == 1
    assert "cannot be moved to the archive" in (spool.trouble or "")

    archive.unlink()
    spool.release(5)
    moved(spool)
    assert (spool.first, spool.trouble) == (6, None)
    assert len(list(archive.iterdir())) == 1
    spool.close()


def test_closing_leaves_what_was_not_archived_in_the_spool(tmp_path: Path) -> None:
    spool = filled(tmp_path, tmp_path / "archive")
    spool.release(12)
    spool.close()

    spool = Spool.open(tmp_path / "spool", limit_bytes=2**20, archive=tmp_path / "archive")
    archived = [
        record
        for path in sorted((tmp_path / "archive").glob("*.gz"))
        for record in read_archive(path)
    ]
    read = [record.position for record in archived]
    read += [record.position for record in spool.read(max(read[-1:], default=0))]
    assert read == list(range(1, 16))
    spool.close()


@pytest.mark.parametrize("is_packed", [True, False])
def test_a_damaged_archive_gives_what_is_before_the_damage_and_says_so(
    tmp_path: Path, is_packed: bool
) -> None:
    filled(tmp_path, None).close()
    (path, *_) = sorted((tmp_path / "spool").glob("*.spool"))
    content = path.read_bytes()
    if is_packed:
        path.write_bytes(gzip.compress(content)[:-20])
    else:
        path.write_bytes(content[:-20])

    read: list[Record] = []
    with pytest.raises(SpoolDamaged, match="record 2"):
        read.extend(read_archive(path))
    assert [record.position for record in read] == [1]


def test_what_is_no_segment_is_damage_at_its_first_byte(tmp_path: Path) -> None:
    path = tmp_path / "other"
    path.write_bytes(b"something else entirely, and long enough to be a header")

    with pytest.raises(SpoolDamaged, match="at byte 0"):
        list(read_archive(path))

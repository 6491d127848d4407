"""What goes into a spool comes out again, once and in order, whatever ends in between."""

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from full_disk import files_end_at
from hypothesis import given
from hypothesis import strategies as st

from kalshiflow.recording.spool import Kind, Record, Spool, SpoolError, SpoolFull, SpoolInUse

LIMIT = 2**20

# Hundreds of spools are opened: in memory, where there is a file system of that kind.
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None

CONTENTS = st.lists(st.binary(max_size=300), max_size=30)
BLOCKS = st.lists(CONTENTS, max_size=6)


def open_spool(folder: Path, limit_bytes: int = LIMIT, **options) -> Spool:
    return Spool.open(folder / "spool", limit_bytes=limit_bytes, **options)


@contextmanager
def spool_in(folder: Path, **options) -> Iterator[Spool]:
    spool = open_spool(folder, **options)
    try:
        yield spool
    finally:
        spool.close()


def fill(spool: Spool, count: int, content: bytes = b"frame") -> None:
    for _ in range(count):
        spool.append(Kind.FRAME, spool.position, content)
    spool.flush()


def fill_until_full(spool: Spool) -> None:
    while True:
        fill(spool, 1, b"y" * 500)


@given(segments=st.lists(BLOCKS, min_size=1, max_size=4), after=st.integers(0, 40))
def test_records_read_back_as_they_were_appended(
    segments: list[list[list[bytes]]], after: int
) -> None:
    appended = []
    with tempfile.TemporaryDirectory(dir=MEMORY) as name, spool_in(Path(name)) as spool:
        for blocks in segments:
            spool.begin_segment(b"state", 7)
            appended.append(Record(len(appended) + 1, Kind.CHECKPOINT, 7, b"state"))
            for contents in blocks:
                for content in contents:
                    at = len(appended) - 3
                    position = spool.append(Kind.NOTE, at, content)
                    appended.append(Record(position, Kind.NOTE, at, content))
                spool.flush()

        assert [record.position for record in appended] == list(range(1, len(appended) + 1))
        assert list(spool.read(after)) == appended[after:]
        assert spool.flushed == spool.position == len(appended)


def test_positions_go_on_where_they_ended_when_a_spool_is_opened_again(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.begin_segment(b"state", 1)
        fill(spool, 10)
        name = spool.spool_id

    with spool_in(tmp_path) as spool:
        assert (spool.spool_id, spool.position, spool.flushed, spool.durable) == (name, 11, 11, 11)
        assert not spool.needs_segment
        fill(spool, 2)
        spool.begin_segment(b"state", 2)
        assert [record.position for record in spool.read(0)] == list(range(1, 15))


def test_records_in_memory_are_not_read_until_they_are_flushed(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.begin_segment(b"", 1)
        spool.append(Kind.FRAME, 2, b"waits")

        assert (spool.position, spool.flushed) == (2, 1)
        assert [record.position for record in spool.read(0)] == [1]
        spool.flush()
        assert [record.position for record in spool.read(0)] == [1, 2]


def test_closing_writes_what_is_in_memory(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.begin_segment(b"", 1)
        spool.append(Kind.FRAME, 2, b"late")

    with spool_in(tmp_path) as spool:
        assert list(spool.read(1)) == [Record(2, Kind.FRAME, 2, b"late")]


def test_reading_goes_on_while_more_is_written_and_segments_change(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.begin_segment(b"", 1)
        fill(spool, 3)
        reading = spool.read(0)
        read = [next(reading).position for _ in range(4)]
        fill(spool, 2)
        spool.begin_segment(b"", 1)
        fill(spool, 2)
        read += [record.position for record in reading]

        assert read == list(range(1, 10))


def test_every_position_is_reached_from_the_checkpoint_before_it(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        assert (spool.segment_start(1), spool.first) == (0, 0)
        spool.begin_segment(b"", 1)
        fill(spool, 4)
        spool.begin_segment(b"", 1)
        fill(spool, 4)

        assert [spool.segment_start(at) for at in (0, 1, 5, 6, 10, 99)] == [1, 1, 1, 6, 6, 6]


def test_a_record_needs_a_segment(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    assert spool.needs_segment
    spool.append(Kind.FRAME, 1, b"early")

    with pytest.raises(SpoolError, match="before the first segment"):
        spool.flush()
    spool.close()


def test_a_segment_that_is_long_enough_asks_for_the_next_one(tmp_path: Path) -> None:
    with spool_in(tmp_path, segment_bytes=1000) as spool:
        spool.begin_segment(b"", 1)
        assert not spool.needs_segment
        fill(spool, 1, b"x" * 1000)
        assert spool.needs_segment
        spool.begin_segment(b"", 1)
        assert not spool.needs_segment


def test_only_one_process_has_a_spool(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib; from kalshiflow.recording.spool import Spool, SpoolInUse\n"
        "try: Spool.open(pathlib.Path(sys.argv[1]), limit_bytes=1000)\n"
        "except SpoolInUse as refused: print(refused)"
    )
    with spool_in(tmp_path):
        said = subprocess.run(
            [sys.executable, "-c", script, tmp_path / "spool"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert "another process has the spool" in said.stdout
        with pytest.raises(SpoolInUse):
            open_spool(tmp_path)

    open_spool(tmp_path).close()


def test_what_is_spooled_is_for_its_owner_only(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.begin_segment(b"", 1)
        spool.mark_poison(1)

        paths = [tmp_path / "spool", *(tmp_path / "spool").iterdir()]
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in paths}
        assert modes.pop("spool") == 0o700
        assert set(modes.values()) == {0o600}
        assert not any(os.get_inheritable(int(fd)) for fd in _open_files(tmp_path))


def _open_files(folder: Path) -> list[str]:
    links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return [link.name for link in links if str(folder) in str(link.resolve(strict=False))]


def test_a_spool_at_its_limit_says_so_keeps_what_waits_and_goes_on_later(tmp_path: Path) -> None:
    with spool_in(tmp_path, limit_bytes=4000) as spool:
        spool.begin_segment(b"", 1)
        while not spool.needs_segment:
            fill(spool, 1, b"x" * 500)
        spool.begin_segment(b"", 1)
        with pytest.raises(SpoolFull, match="the spool is full"):
            fill_until_full(spool)
        waiting = spool.position
        assert spool.is_full
        assert spool.trouble is not None
        assert (spool.flushed, spool.bytes_held <= 4000) == (waiting - 1, True)
        with pytest.raises(SpoolFull):
            spool.begin_segment(b"", 1)

        spool.sync()
        spool.release(spool.segment_start(99) - 1)
        spool.flush()

        assert (spool.is_full, spool.trouble, spool.flushed) == (False, None, waiting)
        assert [record.position for record in spool.read(spool.first - 1)] == list(
            range(spool.first, waiting + 1)
        )


def test_a_full_disk_loses_nothing_and_leaves_no_part_of_a_block(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.begin_segment(b"", 1)
        fill(spool, 2, b"x" * 1000)
        size = spool.bytes_held
        with files_end_at(size + 700), pytest.raises(SpoolFull, match="disk of the spool is full"):
            fill(spool, 2, b"y" * 1000)
        assert spool.is_full
        (segment,) = (tmp_path / "spool").glob("*.spool")
        assert segment.stat().st_size == size
        assert [record.position for record in spool.read(0)] == [1, 2, 3]

        fill(spool, 1)

        assert not spool.is_full
        assert [record.position for record in spool.read(0)] == [1, 2, 3, 4, 5, 6]


def test_a_segment_for_which_there_is_no_room_is_not_begun(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.begin_segment(b"", 1)
        fill(spool, 2)
        with files_end_at(300), pytest.raises(SpoolFull):
            spool.begin_segment(b"z" * 1000, 1)
        assert (spool.position, spool.flushed) == (3, 3)
        assert len(list((tmp_path / "spool").glob("*.spool"))) == 1

        fill(spool, 1)
        spool.begin_segment(b"z" * 1000, 1)
        assert [record.position for record in spool.read(0)] == [1, 2, 3, 4, 5]


def test_released_segments_are_gone_but_never_the_last(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        for _ in range(3):
            spool.begin_segment(b"", 1)
            fill(spool, 4)
        spool.sync()

        spool.release(9)
        assert spool.first == 6
        spool.release(15)
        assert (spool.first, spool.position) == (11, 15)
        with pytest.raises(SpoolError, match="record 6 is not held"):
            list(spool.read(5))

    with spool_in(tmp_path) as spool:
        assert (spool.first, spool.position) == (11, 15)


def test_a_segment_stays_until_the_checkpoint_behind_it_is_durable(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.begin_segment(b"", 1)
        fill(spool, 4)
        spool.begin_segment(b"", 1)
        spool.release(5)
        assert spool.first == 1

        spool.sync()
        spool.release(5)
        assert spool.first == 6


def test_what_ended_the_process_is_counted_until_it_is_released(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.begin_segment(b"", 1)
        fill(spool, 4)
        assert (spool.mark_poison(3), spool.poisoned) == (1, frozenset())

    with spool_in(tmp_path) as spool:
        assert (spool.mark_poison(3), spool.poisoned) == (2, {3})
        assert spool.mark_poison(8) == 1

    with spool_in(tmp_path) as spool:
        assert spool.poisoned == {3}
        spool.begin_segment(b"", 1)
        spool.sync()
        spool.release(4)
        assert spool.poisoned == {3}  # its segment is read again at the next start
        spool.release(5)
        assert spool.poisoned == frozenset()
        assert spool.mark_poison(8) == 2


def test_a_spool_without_its_name_is_refused(tmp_path: Path) -> None:
    with spool_in(tmp_path) as spool:
        spool.begin_segment(b"", 1)
    (tmp_path / "spool" / "spool.json").unlink()

    with pytest.raises(SpoolError, match="spool.json is missing"):
        open_spool(tmp_path)


def test_a_segment_reserves_its_room_and_gives_back_what_it_did_not_need(tmp_path: Path) -> None:
    with spool_in(tmp_path, limit_bytes=2**26, segment_bytes=2**22) as spool:
        spool.begin_segment(b"", 1)
        fill(spool, 3)
        (segment,) = (tmp_path / "spool").glob("*.spool")
        state = segment.stat()
        assert state.st_size == spool.bytes_held < 1000
        if state.st_blocks * 512 < 2**22:
            pytest.skip("this file system reserves nothing")
        spool.begin_segment(b"", 1)
        assert segment.stat().st_blocks * 512 < 2**17

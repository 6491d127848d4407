"""A spool that was cut or bent: whole blocks survive, a torn tail goes, damage is never hidden."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshiflow.recording.blocks import BLOCK_HEAD_BYTES, RECORD_BYTES, SEGMENT_HEAD_BYTES
from kalshiflow.recording.segments import segment_path
from kalshiflow.recording.spool import Kind, Record, Spool, SpoolDamaged, SpoolError

LIMIT = 2**20
# Hundreds of spools are opened: in memory, where there is a file system of that kind.
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
SIZES = st.lists(st.integers(1, 4), min_size=1, max_size=5)


@pytest.fixture
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="kalshiflow-spool-"))
    yield path
    shutil.rmtree(path)


def open_spool(folder: Path) -> Spool:
    return Spool.open(folder / "spool", limit_bytes=LIMIT)


def fill(spool: Spool, count: int) -> None:
    for _ in range(count):
        spool.append(Kind.FRAME, 1, b"%d" % (spool.position + 1) * 5)
    spool.flush()


def written(folder: Path, sizes: list[int], *, syncs: bool = False) -> tuple[Path, list[int]]:
    """Write one whole segment and one with a block of each size; gives the latter's block ends."""
    spool = open_spool(folder)
    spool.begin_segment(b"state", 1)
    fill(spool, 3)
    spool.begin_segment(b"state", 1)
    path = segment_path(folder / "spool", 5)
    ends = [SEGMENT_HEAD_BYTES, path.stat().st_size]
    for size in sizes:
        fill(spool, size)
        if syncs:
            spool.sync()
        ends.append(path.stat().st_size)
    spool.abandon()
    return path, ends


def survivors(sizes: list[int], ends: list[int], byte: int) -> int:
    """Give the last record of the whole blocks that end at a byte or before it."""
    whole = sum(end <= byte for end in ends) - 2
    return 4 if whole < 0 else 5 + sum(sizes[:whole])


def check_reopened(folder: Path, last: int, torn: int) -> None:
    spool = open_spool(folder)
    assert (spool.position, spool.flushed, spool.torn_bytes) == (last, last, torn)
    assert [record.position for record in spool.read(0)] == list(range(1, last + 1))
    if spool.needs_segment:
        spool.begin_segment(b"state", 2)
    fill(spool, 2)
    records = [(record.position, record.content) for record in spool.read(last)]
    assert [position for position, _ in records] == list(range(last + 1, spool.position + 1))
    spool.close()


@given(sizes=SIZES, data=st.data())
def test_a_segment_cut_anywhere_keeps_the_whole_blocks_before(
    sizes: list[int], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        path, ends = written(Path(name), sizes)
        size = data.draw(st.integers(0, ends[-1]))
        with path.open("r+b") as file:
            file.truncate(size)

        last = survivors(sizes, ends, size)
        good = max((end for end in ends[1:] if end <= size), default=0)
        check_reopened(Path(name), last, size - good)


@given(sizes=SIZES, data=st.data())
def test_a_bent_byte_cuts_its_block_and_what_was_not_yet_durable_behind_it(
    sizes: list[int], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        path, ends = written(Path(name), sizes)
        byte = data.draw(st.integers(0, ends[-1] - 1))
        bend(path, byte)

        last = survivors(sizes, ends if byte >= ends[0] else [], byte)
        good = max((end for end in ends[1:] if end <= byte), default=0)
        check_reopened(Path(name), last, ends[-1] - good)


@given(sizes=SIZES, tail=st.binary(min_size=1, max_size=200))
def test_bytes_that_are_no_block_are_cut_from_the_end(sizes: list[int], tail: bytes) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        path, ends = written(Path(name), sizes)
        with path.open("ab") as file:
            file.write(tail)

        check_reopened(Path(name), survivors(sizes, ends, ends[-1]), len(tail))


def bend(path: Path, byte: int) -> None:
    content = bytearray(path.read_bytes())
    content[byte] ^= 0x10
    path.write_bytes(content)


def test_a_bent_last_block_of_a_synced_spool_is_a_torn_tail_too(folder: Path) -> None:
    path, ends = written(folder, [2, 2, 2], syncs=True)
    bend(path, ends[-1] - 1)

    check_reopened(folder, 9, ends[-1] - ends[-2])


def test_damage_before_durable_records_is_told_and_not_cut(folder: Path) -> None:
    path, ends = written(folder, [2, 2, 2, 2], syncs=True)
    bend(path, ends[2] + BLOCK_HEAD_BYTES + RECORD_BYTES)
    spool = open_spool(folder)
    assert (spool.position, spool.torn_bytes, spool.needs_segment) == (13, 0, True)

    read: list[Record] = []
    with pytest.raises(SpoolDamaged, match=f"{path} at byte {ends[2]}: record 8") as damaged:
        read.extend(spool.read(0))
    assert [record.position for record in read] == [1, 2, 3, 4, 5, 6, 7]
    assert (damaged.value.segment, damaged.value.position) == (5, 8)
    spool.close()


def test_recording_goes_on_without_a_segment_that_was_set_aside(folder: Path) -> None:
    path, ends = written(folder, [2, 2, 2, 2], syncs=True)
    bend(path, ends[2])
    spool = open_spool(folder)
    kept = spool.set_aside(5)
    assert kept.parent.name == "damaged"
    assert not path.exists()
    spool.abandon()

    spool = open_spool(folder)
    assert spool.position == 13
    assert [record.position for record in spool.read(0)] == [1, 2, 3, 4]
    spool.begin_segment(b"state", 3)
    fill(spool, 2)
    for after in (0, 4, 7, 13):
        positions = [record.position for record in spool.read(after)]
        assert positions == [at for at in (1, 2, 3, 4, 14, 15, 16) if at > after]
    spool.close()


def test_a_segment_in_the_middle_may_be_set_aside_while_recording_goes_on(folder: Path) -> None:
    spool = open_spool(folder)
    for _ in range(3):
        spool.begin_segment(b"state", 1)
        fill(spool, 3)
    bend(segment_path(folder / "spool", 5), 3)
    with pytest.raises(SpoolDamaged, match="at byte 0: record 5"):
        list(spool.read(0))

    held = spool.bytes_held
    kept = spool.set_aside(5)
    assert spool.bytes_held == held - kept.stat().st_size
    fill(spool, 1)
    assert [record.position for record in spool.read(0)] == [1, 2, 3, 4, 9, 10, 11, 12, 13]
    with pytest.raises(SpoolError, match="being written"):
        spool.set_aside(9)
    spool.close()


def test_a_closed_segment_that_lost_its_end_is_damage(folder: Path) -> None:
    spool = open_spool(folder)
    for _ in range(2):
        spool.begin_segment(b"state", 1)
        fill(spool, 3)
        fill(spool, 3)
    spool.close()
    path = segment_path(folder / "spool", 1)
    whole = path.stat().st_size
    block = (whole - SEGMENT_HEAD_BYTES - BLOCK_HEAD_BYTES - RECORD_BYTES - 5) // 2
    with path.open("r+b") as file:
        file.truncate(whole - block)

    spool = open_spool(folder)
    with pytest.raises(SpoolDamaged, match=f"at byte {whole - block}: record 5"):
        list(spool.read(0))
    spool.close()


@pytest.mark.parametrize("size", [0, 10, SEGMENT_HEAD_BYTES, SEGMENT_HEAD_BYTES + 20])
def test_a_crash_while_a_segment_is_made_leaves_the_one_before(folder: Path, size: int) -> None:
    path, _ends = written(folder, [])
    with path.open("r+b") as file:
        file.truncate(size)

    check_reopened(folder, 4, size)


def test_a_bent_end_before_a_torn_segment_is_damage_and_no_endless_reading(folder: Path) -> None:
    path, _ends = written(folder, [])
    with path.open("r+b") as file:
        file.truncate(3)
    before = segment_path(folder / "spool", 1)
    content = bytearray(before.read_bytes())
    content[-1] ^= 0xFF
    before.write_bytes(content)

    spool = open_spool(folder)
    assert spool.position == 4
    with pytest.raises(SpoolDamaged, match="record 2"):
        list(spool.read(0))
    spool.begin_segment(b"state", 1)
    assert [record.position for record in spool.read(4)] == [5]
    spool.close()


def test_positions_that_are_known_elsewhere_are_passed_over(folder: Path) -> None:
    written(folder, [2])
    spool = open_spool(folder)
    spool.begin_segment(b"state", 1, after=20)
    fill(spool, 2)
    spool.close()
    spool = open_spool(folder)
    assert [record.position for record in spool.read(20)] == [21, 22, 23]
    with pytest.raises(SpoolDamaged, match="record 8"):
        list(spool.read(0))
    spool.sync()
    spool.release(20)
    assert spool.first == 21
    spool.close()


def test_no_position_is_given_twice_when_the_only_segment_is_torn(folder: Path) -> None:
    path, _ends = written(folder, [])
    segment_path(folder / "spool", 1).unlink()
    with path.open("r+b") as file:
        file.truncate(3)

    spool = open_spool(folder)
    assert (spool.position, spool.first, spool.torn_bytes) == (4, 0, 3)
    spool.abandon()
    spool = open_spool(folder)
    spool.begin_segment(b"state", 1)
    assert spool.position == 5
    spool.close()


def test_a_segment_of_another_spool_is_not_read(folder: Path) -> None:
    path, _ends = written(folder, [2])
    other = open_spool(folder / "other")
    other.begin_segment(b"state", 1)
    other.close()
    shutil.copy(segment_path(folder / "other" / "spool", 1), segment_path(folder / "spool", 1))

    spool = open_spool(folder)
    with pytest.raises(SpoolDamaged, match="at byte 0"):
        list(spool.read(0))
    spool.close()

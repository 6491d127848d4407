"""The bytes of a spool: records gathered into blocks, each with a checksum; pure.

A segment file is a header and then blocks; all numbers are little-endian, as the machine's.

    header   8s magic, 16s spool id, Q first position, I crc32 of what is before it
    block    4s magic, I payload length, I records, Q first position, Q durable position,
             I crc32 of what is before it and of the payload; then the payload:
             B kind of each record, q receive time of each, I length of each, their contents

The durable position is how far the spool was known to survive a loss of power when the block was
written. It tells a torn tail from damage: what some later block calls durable was never a tail.
"""

from array import array
from collections.abc import Callable, Iterator
from enum import IntEnum
from struct import Struct
from typing import NamedTuple
from zlib import crc32

MAGIC = b"KFB1"
SEGMENT_MAGIC = b"KFSPOOL1"

_segment_head = Struct("<8s16sQ")
_block_head = Struct("<4sIIQQ")
_checksum = Struct("<I")

SEGMENT_HEAD_BYTES = _segment_head.size + _checksum.size
BLOCK_HEAD_BYTES = _block_head.size + _checksum.size
RECORD_BYTES = 13  # what a record takes in its block beside its content


class Kind(IntEnum):
    """What a record holds."""

    FRAME = 1
    NOTE = 2
    CHECKPOINT = 3


class Record(NamedTuple):
    """One record: its dense position (from 1), kind, time in UTC nanoseconds, and content."""

    position: int
    kind: int
    at: int
    content: bytes


class Block(NamedTuple):
    """A block that was read and whose checksum holds."""

    first: int
    last: int
    durable: int
    size: int  # in bytes, head included
    payload: bytes | memoryview


def segment_head(spool_id: str, first: int) -> bytes:
    """Write a segment's header; `first` is the position of its first record."""
    head = _segment_head.pack(SEGMENT_MAGIC, bytes.fromhex(spool_id), first)
    return head + _checksum.pack(crc32(head))


def read_segment_head(head: bytes) -> tuple[str, int] | None:
    """Read a segment's header: its spool's id and its first position; None where it is damaged."""
    if len(head) < SEGMENT_HEAD_BYTES:
        return None
    body, checksum = head[: _segment_head.size], head[_segment_head.size : SEGMENT_HEAD_BYTES]
    magic, spool_id, first = _segment_head.unpack(body)
    if magic != SEGMENT_MAGIC or checksum != _checksum.pack(crc32(body)):
        return None
    return spool_id.hex(), first


def encode_block(
    first: int, durable: int, kinds: bytearray, times: "array[int]", contents: list[bytes]
) -> tuple[bytes, bytes]:
    """Write records as a block: its head and its payload."""
    payload = b"".join((kinds, times, array("I", map(len, contents)), *contents))
    head = _block_head.pack(MAGIC, len(payload), len(contents), first, durable)
    return head + _checksum.pack(crc32(payload, crc32(head))), payload


def read_block(read: Callable[[int], bytes]) -> Block | None:
    """Read the next block from a stream; None where there is no whole one."""
    head = read(BLOCK_HEAD_BYTES)
    length = _length(head)
    if length is None:
        return None
    return _checked(head, read(length))


def block_at(view: memoryview, offset: int) -> Block | None:
    """Read the block at an offset of a segment; None where there is no whole one."""
    begin = offset + BLOCK_HEAD_BYTES
    head = bytes(view[offset:begin])
    length = _length(head)
    if length is None or begin + length > len(view):
        return None
    return _checked(head, view[begin : begin + length])


def records(block: Block) -> Iterator[Record]:
    """Give a block's records in order."""
    payload = bytes(block.payload)
    count = block.last + 1 - block.first
    times, lengths = array("q"), array("I")
    times.frombytes(payload[count : 9 * count])
    lengths.frombytes(payload[9 * count : RECORD_BYTES * count])
    positions = range(block.first, block.last + 1)
    contents = _cut(payload, RECORD_BYTES * count, lengths)
    rows = zip(positions, payload[:count], times, contents, strict=True)
    return map(Record._make, rows)


def _cut(payload: bytes, offset: int, lengths: "array[int]") -> Iterator[bytes]:
    for length in lengths:
        end = offset + length
        yield payload[offset:end]
        offset = end


def _length(head: bytes) -> int | None:
    if len(head) < BLOCK_HEAD_BYTES:
        return None
    magic, length, count, _first, _durable = _block_head.unpack_from(head)
    if magic != MAGIC or length < RECORD_BYTES * count:
        return None
    return int(length)


def _checked(head: bytes, payload: bytes | memoryview) -> Block | None:
    _magic, length, count, first, durable = _block_head.unpack_from(head)
    checksum = crc32(payload, crc32(head[: _block_head.size]))
    if len(payload) != length or head[_block_head.size :] != _checksum.pack(checksum):
        return None
    return Block(first, first + count - 1, durable, BLOCK_HEAD_BYTES + length, payload)

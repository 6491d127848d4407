"""Which segments a part of a dataset takes where there are more than fit into memory."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wanted:
    """A segment that a part would take: its file and number there, its size."""

    file: str
    number: int
    events: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Taken:
    """The segments that are taken, as (file, number), and how much is left out."""

    segments: frozenset[tuple[str, int]]
    segments_left_out: int = 0
    events_left_out: int = 0


def take(wanted: Iterable[Wanted], memory_bytes: int | None, seed: int) -> Taken:
    """Take all that fit, in an order by chance that depends on nothing but the seed.

    A segment that is too large for what is left is passed over; without a limit none is. Sizes are
    those of the columns in the file, also where a part takes only some of a segment's events.
    """
    wanted = tuple(wanted)
    left = sum(one.bytes for one in wanted) if memory_bytes is None else memory_bytes
    taken: set[tuple[str, int]] = set()
    out = events_out = 0
    for one in sorted(wanted, key=lambda each: _chance(each, seed)):
        if one.bytes <= left:
            left -= one.bytes
            taken.add((one.file, one.number))
        else:
            out += 1
            events_out += one.events
    return Taken(frozenset(taken), out, events_out)


def _chance(one: Wanted, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}/{one.file}/{one.number}".encode()).digest()

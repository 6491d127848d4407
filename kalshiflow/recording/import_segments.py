"""Segments of a spool, archived or set aside, as the records of sessions of their own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from kalshiflow.recording import checkpoint
from kalshiflow.recording.archive import GZIP_MAGIC, read_archive
from kalshiflow.recording.blocks import SEGMENT_MAGIC, Kind, Record
from kalshiflow.recording.notes import (
    AnyNote,
    Connected,
    Disconnected,
    Restarted,
    RestBook,
    Rotated,
    decode_note,
    encode_note,
)

OTHERS_END = "it is a part of a spool; what lay before and behind it is elsewhere"
ENDED = "the segment ends here"
Names = Callable[[str], str]


def is_segment(path: Path) -> bool:
    """Say whether a file is a segment of a spool, plain or compressed."""
    with path.open("rb") as file:
        begin = file.read(len(SEGMENT_MAGIC))
    return begin == SEGMENT_MAGIC or (begin.startswith(GZIP_MAGIC) and ".spool" in path.name)


def records(path: Path, names: Names) -> Iterator[Record]:
    """Give a segment's records, with sessions under other names; raises `SpoolDamaged`.

    `names` gives a session's name here for the one it had. Where it begins within a session, that
    one is rotated at once: the first two records then make no rows.
    """
    position, is_open, at = 0, False, 0
    for record in read_archive(path):
        at = record.at or at
        for kind, content in _renamed(record, names, is_first=position == 0):
            position += 1
            yield Record(position, kind, at, content)
            is_open = _is_open_after(kind, content, is_open)
    if is_open:
        yield Record(position + 1, Kind.NOTE, at, encode_note(Disconnected(reason=ENDED)))


def quiet_records(path: Path) -> int:
    """Give how many records at the beginning only say what was before."""
    first = next(read_archive(path), None)
    return 2 if first is not None and first.kind == Kind.CHECKPOINT else 0


def _renamed(record: Record, names: Names, *, is_first: bool) -> Iterator[tuple[int, bytes]]:
    if record.kind == Kind.CHECKPOINT:
        if is_first:
            yield from _first(record.content, names)
    elif record.kind == Kind.FRAME:
        yield record.kind, record.content
    else:
        note = decode_note(record.content)
        if isinstance(note, Connected):
            note = msgspec.structs.replace(
                note,
                session_id=names(note.session_id),
                origin="import",
                shard="main",
                epoch=0,
                cannot_know=[*note.cannot_know, OTHERS_END],
            )
        elif isinstance(note, Rotated):
            note = Rotated(session_id=names(note.session_id))
        if not isinstance(note, RestBook):  # those belong to no session, and are stored
            yield record.kind, encode_note(note)


def _first(content: bytes, names: Names) -> Iterator[tuple[int, bytes]]:
    """Give what was before as a checkpoint, and a rotation if that was within a session."""
    state = checkpoint.decode(content)
    session = state.session
    note: AnyNote = Restarted()
    if session is not None:
        held = session.held
        session_id = session.session_id if held is None else names(session.session_id)
        session = msgspec.structs.replace(
            session,
            session_id=session_id,
            origin="import",
            shard="main",
            epoch=0,
            cannot_know=[*session.cannot_know, OTHERS_END],
            held=None if held is None else _renamed_rows(held, session_id),
        )
        note = Rotated(session_id=names(session.session_id))
    yield Kind.CHECKPOINT, checkpoint.encode(msgspec.structs.replace(state, session=session))
    yield Kind.NOTE, encode_note(note)


def _renamed_rows(held: checkpoint.HeldState, session_id: str) -> checkpoint.HeldState:
    tables = {
        table: [(session_id, *row[1:]) for row in found] for table, found in held.tables.items()
    }
    return msgspec.structs.replace(held, tables=tables)


def _is_open_after(kind: int, content: bytes, was_open: bool) -> bool:
    if kind == Kind.CHECKPOINT:
        return checkpoint.decode(content).session is not None
    if kind == Kind.FRAME:
        return was_open
    note = decode_note(content)
    if isinstance(note, Connected):
        return True
    return was_open and not isinstance(note, Disconnected | Restarted)

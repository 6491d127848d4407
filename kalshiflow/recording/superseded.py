"""What was received while somebody else had the lease: a second recording of the same time.

A recorder that was overtaken goes on for a while before it knows. What it received from the other's
beginning on is not stored, for the other one has it; it is kept in a file of its own, which
`kalshiflow import` reads.
"""

import asyncio
import os
from array import array
from collections.abc import AsyncIterator, Iterator
from itertools import chain, islice
from pathlib import Path

import structlog

from kalshiflow.recording import checkpoint
from kalshiflow.recording.blocks import encode_block, segment_head
from kalshiflow.recording.notes import (
    AnyNote,
    Connected,
    Disconnected,
    Restarted,
    Rotated,
    decode_note,
)
from kalshiflow.recording.reading import SpoolReader
from kalshiflow.recording.recorder import Recorder
from kalshiflow.recording.segments import SUFFIX
from kalshiflow.recording.spool import Kind, Record, Spool, SpoolDamaged
from kalshiflow.recording.spool_folder import make_folder, open_new, sync_folder
from kalshiflow.store.batch import Batch
from kalshiflow.store.database import Store
from kalshiflow.store.errors import NotRecorded, SessionLost
from kalshiflow.store.ingest import commit_batch, spool_position
from kalshiflow.store.leases import Lease, superseded_at
from kalshiflow.store.read import get_session

FOLDER = "superseded"
SLICE_SECONDS = 0.02
BATCH_ROWS = 15_000
_BLOCK_RECORDS = 4096
_YIELD_EVERY = 20_000
log = structlog.get_logger()


async def find_superseded(
    store: Store, spool: Spool, lease: Lease | None, committed: int
) -> int | None:
    """Give the first record that somebody else's recording supersedes, if there is one.

    That is all that is not committed, where its session was closed by somebody else: nothing can be
    written into that any more. Else it is the first one received after the lease had gone to
    another holder.
    """
    if lease is None:
        return None
    epoch, session_id = await _newest(spool, committed)
    if epoch is None or epoch >= lease.epoch:
        return None
    if session_id is not None and await _is_closed(store, session_id):
        return committed + 1
    began_at = await superseded_at(store, lease.key, epoch, holder=lease.holder)
    if began_at is None:
        return None
    async for record in _records(spool, spool.segment_start(committed + 1) - 1):
        if record.at >= began_at:
            return record.position
    return None


async def set_superseded_aside(
    store: Store, spool: Spool, lease: Lease | None, committed: int, first: int
) -> Recorder:
    """Store what was received before `first`, keep the rest apart, and pass it over for good.

    Gives a recorder that knows nothing of what was superseded; its last session has ended.
    """
    last, end = max(first - 1, committed), spool.position
    reader = SpoolReader(spool, committed)
    try:
        while reader.position < last and _step(reader, last):
            if reader.rows >= BATCH_ROWS:
                await commit_batch(store, spool.spool_id, reader.give(), lease)
            await asyncio.sleep(0)
        if reader.has_new:
            await commit_batch(store, spool.spool_id, reader.give(), lease)
    except SessionLost:  # closed by somebody else just now
        committed = await spool_position(store, spool.spool_id)
        return await set_superseded_aside(store, spool, lease, committed, committed + 1)
    recorder = reader.recorder
    if last < end:
        path = await _keep(spool, recorder, last)
        log.error("superseded_recording_set_aside", first=last + 1, last=end, path=str(path))
        recorder.batch = Batch(after=last, position=last)
    recorder.note(end, 0, Restarted())
    if recorder.batch is not None:
        await _commit_end(store, spool, lease, recorder.batch)
    recorder.batch = None
    return recorder


def _step(reader: SpoolReader, last: int) -> bool:
    return reader.step(seconds=SLICE_SECONDS, rows=BATCH_ROWS, until=last)


async def _commit_end(store: Store, spool: Spool, lease: Lease | None, batch: Batch) -> None:
    """Commit that the session ended and that the rest was passed over."""
    try:
        await commit_batch(store, spool.spool_id, batch, lease)
    except SessionLost:  # it has ended already
        bare = Batch(after=batch.after, position=batch.position)
        await commit_batch(store, spool.spool_id, bare, lease)


async def _newest(spool: Spool, committed: int) -> tuple[int | None, str | None]:
    """Give the newest epoch in the spool, and the session that was open at `committed`."""
    epoch: int | None = None
    session_id: str | None = None
    async for record in _records(spool, spool.segment_start(committed + 1) - 1):
        if record.kind == Kind.CHECKPOINT and epoch is None:
            session = checkpoint.decode(record.content).session
            if session is not None:
                epoch, session_id = session.epoch, session.session_id
        elif record.kind == Kind.NOTE:
            note = decode_note(record.content)
            if isinstance(note, Connected):
                epoch = note.epoch
            if record.position <= committed:
                session_id = _session_after(note, session_id)
    return epoch, session_id


def _session_after(note: AnyNote, session_id: str | None) -> str | None:
    if isinstance(note, Connected | Rotated):
        return note.session_id
    return None if isinstance(note, Disconnected | Restarted) else session_id


async def _is_closed(store: Store, session_id: str) -> bool:
    try:
        return (await get_session(store, session_id)).status != "active"
    except NotRecorded:
        return False


async def _records(spool: Spool, after: int) -> AsyncIterator[Record]:
    """Give what can be read after a position, and let others work in between."""
    for count, record in enumerate(_readable(spool, max(after, 0))):
        if count % _YIELD_EVERY == 0:
            await asyncio.sleep(0)
        yield record


def _readable(spool: Spool, after: int) -> Iterator[Record]:
    while after < spool.flushed:
        try:
            yield from spool.read(after)
        except SpoolDamaged as damaged:
            later = spool.segment_after(max(damaged.segment, damaged.position - 1))
            if later is None:
                return
            after = later - 1
        else:
            return


async def _keep(spool: Spool, recorder: Recorder, last: int) -> Path:
    """Write all records after `last` to a segment file of their own; gives its path."""
    folder = spool.folder / FOLDER
    make_folder(folder)
    path = folder / f"{last + 1:020d}{SUFFIX}"
    position = last
    with open_new(path) as file:
        file.write(segment_head(spool.spool_id, last))
        records = _readable(spool, last)
        first = next(records)
        state = Record(last, Kind.CHECKPOINT, first.at, recorder.checkpoint())
        file.writelines(_block(position, [state]))
        records = chain([first], records)
        while block := list(islice(records, _BLOCK_RECORDS)):
            file.writelines(_block(position + 1, block))
            position += len(block)
            await asyncio.sleep(0)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(folder)
    return path


def _block(first: int, records: list[Record]) -> tuple[bytes, bytes]:
    return encode_block(
        first,
        first - 1 if first else 0,
        bytearray(record.kind for record in records),
        array("q", (record.at for record in records)),
        [record.content for record in records],
    )

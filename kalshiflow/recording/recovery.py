"""Begin to record: go on from what the spool holds, whoever wrote it and however that ended."""

import asyncio
from collections.abc import Callable

import structlog

from kalshiflow.recording.notes import Restarted, encode_note
from kalshiflow.recording.reading import SpoolReader
from kalshiflow.recording.recorder import Recorder
from kalshiflow.recording.spool import Kind, Spool
from kalshiflow.recording.superseded import find_superseded, set_superseded_aside
from kalshiflow.store.database import Store
from kalshiflow.store.ingest import spool_position
from kalshiflow.store.leases import Lease

SLICE_SECONDS = 0.02
_NO_LIMIT = 2**62
log = structlog.get_logger()


async def recover(
    store: Store, spool: Spool, lease: Lease | None, clock: Callable[[], int]
) -> Recorder:
    """Give the live recorder at the spool's end, which has a new segment and a note `Restarted`.

    It makes no rows yet (`batch` is `None`): an `Ingest` brings those that are left, and then lets
    it go on. What the spool received while somebody else had the lease is moved to `superseded/`.
    Raises `StoreUnavailable`, `SpoolFull` where the spool can take nothing before the database has
    taken some of it, and `SpoolDamaged` never: a damaged end is left behind and told in the rows.
    Where the database knows of records that this spool does not (it is an older copy, or lost its
    files), their positions are passed over: what comes next would be taken for committed.
    """
    committed = await spool_position(store, spool.spool_id)
    first = await find_superseded(store, spool, lease, committed)
    if first is None:
        recorder = await _replayed(spool)
    else:
        recorder = await set_superseded_aside(store, spool, lease, committed, first)
    at = clock()
    if committed > spool.position:
        log.error("spool_behind_database", position=spool.position, committed=committed)
        recorder.note(committed, 0, Restarted())  # what was open then is no business of ours now
    spool.begin_segment(recorder.checkpoint(), at, after=committed)
    position = spool.append(Kind.NOTE, at, encode_note(Restarted()))
    recorder.note(position, at, Restarted())
    spool.flush()
    log.info("recovered", position=position, committed=committed, torn_bytes=spool.torn_bytes)
    return recorder


async def _replayed(spool: Spool) -> Recorder:
    """Give a recorder that has taken all the spool holds, and made no rows of it."""
    reader = SpoolReader(spool, spool.position, makes_rows=False)
    has_more = True
    while has_more:
        has_more = reader.step(seconds=SLICE_SECONDS, rows=_NO_LIMIT)
        await asyncio.sleep(0)
    return reader.recorder

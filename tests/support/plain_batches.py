"""Batches of a small session, made without frames: a snapshot of one market per frame number."""

from collections.abc import Sequence

from kalshiflow.market.events import BookSnapshot, Stamp, TimeSource
from kalshiflow.market.listing import CENT_GRID
from kalshiflow.market.units import Price, Quantity
from kalshiflow.store import rows
from kalshiflow.store.batch import Batch, NewSession, SessionEnd
from kalshiflow.store.database import Store

AT = 1_795_000_000_000_000_000
_A_DAY = 86_400 * 10**9
SESSION = NewSession("s", "collector", "local", False, AT, {"A": CENT_GRID}, {"A": AT + _A_DAY})
_BIDS = ((Price(4000), Quantity(100)),)
_ASKS = ((Price(6000), Quantity(100)),)


def batch_of(
    frames: Sequence[int],
    *,
    after: int = 0,
    session: NewSession = SESSION,
    received_at: int = AT,
    end: SessionEnd | None = None,
) -> Batch:
    """Give a batch with a row per frame number, one record of the spool each."""
    batch = Batch(after=after, position=after + len(frames))
    for frame_no in frames:
        stamp = Stamp(frame_no, received_at, received_at, TimeSource.RECEIVE, None, 1, frame_no)
        event = BookSnapshot("A", _BIDS, _ASKS, stamp)
        batch.put(rows.SNAPSHOTS, rows.snapshot_row(session.session_id, event))
    batch.reach(received_at)
    part = batch.part(session)
    part.frames, part.end = frames[-1], end
    return batch


async def stored_frames(store: Store, session_id: str = "s") -> list[int]:
    """Give the frame numbers whose rows a session has."""
    async with store.connection() as connection:
        found = await connection.fetch(
            "SELECT frame_no FROM rl_orderbook_snapshots WHERE session_id = $1 ORDER BY frame_no",
            session_id,
        )
    return [row["frame_no"] for row in found]

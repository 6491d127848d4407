"""Prove a session from its rows: count them in SQL, replay them, draw the certificate."""

from typing import Any

from kalshiflow.market.book import BookCorrupt
from kalshiflow.market.books import Books
from kalshiflow.store.certificate import Certificate, SessionFacts, SidFacts, certify
from kalshiflow.store.database import Store
from kalshiflow.store.errors import NotRecorded
from kalshiflow.store.read import iter_events, session_gaps, session_grids
from kalshiflow.store.replay import Gap, Replay, trusted_sha256

# Every received frame has exactly one row among these; seam and REST snapshots are no frames.
_FRAMES = """
WITH frame AS (
    SELECT frame_no, sid, seq, 'deltas' AS kind, 'orderbook_delta' AS channel,
           received_at, market_time
      FROM rl_orderbook_deltas WHERE session_id = $1
    UNION ALL
    SELECT frame_no, sid, seq, 'snapshots', 'orderbook_delta', received_at, market_time
      FROM rl_orderbook_snapshots WHERE session_id = $1 AND source = 'exchange'
    UNION ALL
    SELECT frame_no, sid, seq, 'trades', 'trade', received_at, market_time
      FROM rl_public_trades WHERE session_id = $1
    UNION ALL
    SELECT frame_no, sid, seq, 'lifecycle', 'market_lifecycle_v2', received_at, market_time
      FROM rl_market_lifecycle WHERE session_id = $1
    UNION ALL
    SELECT frame_no, sid, seq, 'other_frames',
           CASE WHEN sid IS NOT NULL AND kind NOT IN ('subscribed', 'ok', 'unsubscribed', 'error')
                THEN kind END,
           received_at, market_time
      FROM rl_feed_frames WHERE session_id = $1
    UNION ALL
    SELECT frame_no, sid, seq, 'bad_frames', NULL, started_at, NULL
      FROM rl_feed_gaps WHERE session_id = $1 AND kind = 'bad_frame'
)
"""
_TOTALS = (
    _FRAMES
    + """
SELECT count(*) AS frames, count(DISTINCT frame_no) AS distinct_frames,
       min(frame_no) AS first_frame, max(frame_no) AS last_frame,
       min(received_at) AS first_received_at, max(received_at) AS last_received_at,
       min(market_time) AS first_market_time, max(market_time) AS last_market_time,
       count(*) FILTER (WHERE kind = 'deltas') AS deltas,
       count(*) FILTER (WHERE kind = 'snapshots') AS snapshots,
       count(*) FILTER (WHERE kind = 'trades') AS trades,
       count(*) FILTER (WHERE kind = 'lifecycle') AS lifecycle,
       count(*) FILTER (WHERE kind = 'other_frames') AS other_frames
  FROM frame
"""
)
_SIDS = (
    _FRAMES  # noqa: S608
    + """
, stepped AS (
    SELECT sid, seq, channel, lag(seq) OVER (PARTITION BY sid ORDER BY seq) AS before FROM frame
)
SELECT sid, coalesce(min(channel), '') AS channel, count(*) AS rows, count(seq) AS numbered,
       min(seq) AS first, max(seq) AS last, count(*) FILTER (WHERE seq = before) AS repeated
  FROM stepped
 GROUP BY sid
HAVING count(seq) > 0 OR count(channel) > 0
 ORDER BY sid
"""
)
_HOLES = (
    _FRAMES  # noqa: S608
    + """
SELECT sid, before + 1 AS low, seq - 1 AS high FROM (
    SELECT sid, seq, lag(seq) OVER (PARTITION BY sid ORDER BY seq) AS before
      FROM frame WHERE seq IS NOT NULL
) AS stepped WHERE seq > before + 1 ORDER BY sid, seq
"""
)
_SNAPSHOTS = """
SELECT frame_no, ticker, received_at FROM rl_orderbook_snapshots
 WHERE session_id = $1 ORDER BY frame_no, ticker
"""


async def certificate(store: Store, session_id: str) -> Certificate:
    """Compute a session's certificate from its rows, the books' hash by replaying them.

    Raises `NotRecorded` where there is no such session.
    """
    gaps = await session_gaps(store, session_id)
    async with store.connection() as connection:
        facts = await session_facts(connection, session_id, gaps)
    try:
        books = await closing_books(store, session_id)
    except BookCorrupt as corrupt:
        return certify(facts, None, str(corrupt))
    return certify(facts, trusted_sha256(books))


async def closing_books(store: Store, session_id: str) -> Books:
    """Give the books at the end of a session, replayed from its rows.

    Raises `BookCorrupt` for rows that no recorder of ours can have written.
    """
    books = Books(await session_grids(store, session_id))
    gaps = await session_gaps(store, session_id)
    replay = Replay(books, gaps)
    async for batch in iter_events(store, session_id):
        for event in batch:
            replay.apply(event)
    replay.cut_up_to(max((gap.frame_no for gap in gaps), default=0))
    return books


async def session_facts(connection: Any, session_id: str, gaps: list[Gap]) -> SessionFacts:
    """Count what the rows of a session say, on a caller's connection."""
    session = await connection.fetchrow(
        "SELECT markets, seams FROM rl_orderbook_sessions WHERE session_id = $1", session_id
    )
    if session is None:
        raise NotRecorded(f"there is no session {session_id}")
    totals = await connection.fetchrow(_TOTALS, session_id)
    snapshots = await connection.fetch(_SNAPSHOTS, session_id)
    seams = len(snapshots) - totals["snapshots"]
    kinds = ("deltas", "snapshots", "trades", "lifecycle", "other_frames")
    return SessionFacts(
        session_id=session_id,
        markets=tuple(session["markets"]),
        counts={kind: totals[kind] for kind in kinds} | {"seam_snapshots": seams},
        sids=await _sids(connection, session_id),
        first_seqs={int(sid): seq for sid, seq in session["seams"].items()},
        gaps=tuple(gaps),
        snapshots=tuple(map(tuple, snapshots)),
        **{name: value for name, value in totals.items() if name not in kinds},
    )


async def _sids(connection: Any, session_id: str) -> tuple[SidFacts, ...]:
    holes: dict[int, list[tuple[int, int]]] = {}
    for row in await connection.fetch(_HOLES, session_id):
        holes.setdefault(row["sid"], []).append((row["low"], row["high"]))
    return tuple(
        SidFacts(**row, missing=tuple(holes.get(row["sid"], ())))
        for row in await connection.fetch(_SIDS, session_id)
    )

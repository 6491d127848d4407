"""Count what a session's rows say, in SQL: the facts that its certificate is drawn from."""

from typing import Any

from kalshiflow.store.errors import NotRecorded
from kalshiflow.store.replay import Gap
from kalshiflow.store.timeline import ListingAt
from kalshiflow.store.verdict import SessionFacts, SidFacts

# Every received frame has exactly one row among these; seam, periodic and REST snapshots are no
# frames. $2 and $3 bound the receive times, so that only the session's days are read.
_FRAMES = """
WITH frame AS (
    SELECT frame_no, sid, seq, 'deltas' AS kind, 'orderbook_delta' AS channel,
           received_at, market_time
      FROM rl_orderbook_deltas WHERE session_id = $1 AND received_at BETWEEN $2 AND $3
    UNION ALL
    SELECT frame_no, sid, seq, 'snapshots', 'orderbook_delta', received_at, market_time
      FROM rl_orderbook_snapshots
     WHERE session_id = $1 AND received_at BETWEEN $2 AND $3 AND source = 'exchange'
    UNION ALL
    SELECT frame_no, sid, seq, 'trades', 'trade', received_at, market_time
      FROM rl_public_trades WHERE session_id = $1 AND received_at BETWEEN $2 AND $3
    UNION ALL
    SELECT frame_no, sid, seq, 'lifecycle', 'market_lifecycle_v2', received_at, market_time
      FROM rl_market_lifecycle WHERE session_id = $1 AND received_at BETWEEN $2 AND $3
    UNION ALL
    SELECT frame_no, sid, seq, 'other_frames',
           CASE WHEN kind IN ('event_lifecycle', 'event_fee_update') THEN 'market_lifecycle_v2'
                WHEN sid IS NOT NULL AND kind NOT IN ('subscribed', 'ok', 'unsubscribed', 'error')
                THEN kind END,
           received_at, market_time
      FROM rl_feed_frames WHERE session_id = $1 AND received_at BETWEEN $2 AND $3
    UNION ALL
    SELECT frame_no, sid, seq, 'bad_frames', NULL, started_at, NULL
      FROM rl_feed_gaps WHERE session_id = $1 AND kind = 'bad_frame'
)
"""
_KINDS = ("deltas", "snapshots", "trades", "lifecycle", "other_frames")
_TOTALS = (
    _FRAMES
    + """
SELECT count(*) AS frames, count(DISTINCT frame_no) AS distinct_frames,
       min(frame_no) AS first_frame, max(frame_no) AS last_frame,
       min(received_at) AS first_received_at, max(received_at) AS last_received_at,
       min(market_time) AS first_market_time, max(market_time) AS last_market_time,
"""
    + ", ".join(f"count(*) FILTER (WHERE kind = '{kind}') AS {kind}" for kind in _KINDS)
    + " FROM frame"
)
_SIDS = (
    _FRAMES
    + """
SELECT sid, coalesce(min(channel), '') AS channel, count(*) AS rows, count(seq) AS numbered,
       min(seq) AS first, max(seq) AS last, count(seq) - count(DISTINCT seq) AS repeated
  FROM frame GROUP BY sid HAVING count(seq) > 0 OR count(channel) > 0 ORDER BY sid
"""
)
# Costs a sort: asked only of subscriptions whose count says that numbers are missing.
_HOLES = (
    _FRAMES  # noqa: S608
    + """
SELECT before + 1 AS low, seq - 1 AS high FROM (
    SELECT seq, lag(seq) OVER (ORDER BY seq) AS before
      FROM frame WHERE sid IS NOT DISTINCT FROM $4::bigint AND seq IS NOT NULL
) AS stepped WHERE seq > before + 1 ORDER BY seq
"""
)
_AGES = """
SELECT percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (ORDER BY age) FROM (
    SELECT received_at - exchange_ts AS age FROM rl_orderbook_deltas
     WHERE session_id = $1 AND received_at BETWEEN $2 AND $3 AND exchange_ts IS NOT NULL
    UNION ALL
    SELECT received_at - exchange_ts FROM rl_public_trades
     WHERE session_id = $1 AND received_at BETWEEN $2 AND $3 AND exchange_ts IS NOT NULL
) AS frame
"""
_SNAPSHOTS = """
SELECT frame_no, ticker, received_at FROM rl_orderbook_snapshots
 WHERE session_id = $1 AND received_at BETWEEN $2 AND $3 AND source IN ('exchange', 'seam')
 ORDER BY frame_no, ticker
"""
_OTHER_BOOKS = """
SELECT source, count(*) FROM rl_orderbook_snapshots
 WHERE session_id = $1 AND received_at BETWEEN $2 AND $3 GROUP BY source
"""
_GAPS = """
SELECT frame_no, kind, channel, sid, seq, expected, received, tickers, reason, started_at,
       recovered_at
  FROM rl_feed_gaps WHERE session_id = $1 ORDER BY frame_no, kind DESC
"""
_LISTINGS = """
SELECT frame_no, ticker, reason, at FROM rl_market_listings
 WHERE session_id = $1 AND reason <> 'lifecycle' ORDER BY at, frame_no
"""
_AUDITS = "SELECT verdict, count(*) FROM rl_book_audits WHERE session_id = $1 GROUP BY verdict"
_SESSION = """
SELECT markets, seams, status, cannot_know, frames, low, high
  FROM rl_orderbook_sessions, rl_session_span($1) WHERE session_id = $1
"""


async def session_facts(connection: Any, session_id: str) -> SessionFacts:
    """Count what the rows of a session say, on a caller's connection.

    All is counted in the database; what comes back are snapshots' places, gaps and listings.
    Raises `NotRecorded` where there is no such session.
    """
    session = await connection.fetchrow(_SESSION, session_id)
    if session is None:
        raise NotRecorded(f"there is no session {session_id}")
    rows = session_id, session["low"], session["high"]
    totals = await connection.fetchrow(_TOTALS, *rows)
    sources = dict(await connection.fetch(_OTHER_BOOKS, *rows))
    ages = await connection.fetchval(_AGES, *rows)
    return SessionFacts(
        session_id=session_id,
        markets=tuple(session["markets"]),
        counts={kind: totals[kind] for kind in _KINDS}
        | {f"{source}_snapshots": sources.get(source, 0) for source in ("seam", "periodic")},
        sids=await _sids(connection, rows),
        first_seqs={int(sid): seq for sid, seq in session["seams"].items()},
        gaps=tuple(
            Gap(**{**gap, "tickers": tuple(gap["tickers"])})
            for gap in await connection.fetch(_GAPS, session_id)
        ),
        snapshots=tuple(map(tuple, await connection.fetch(_SNAPSHOTS, *rows))),
        listings=tuple(ListingAt(**row) for row in await connection.fetch(_LISTINGS, session_id)),
        ages=(None, None) if ages is None else (round(ages[0]), round(ages[1])),
        audits=dict(await connection.fetch(_AUDITS, session_id)),
        cannot_know=tuple(session["cannot_know"]),
        status=session["status"],
        committed=session["frames"],
        **{name: value for name, value in totals.items() if name not in _KINDS},
    )


async def _sids(connection: Any, rows: tuple[str, int, int]) -> tuple[SidFacts, ...]:
    found = []
    for row in await connection.fetch(_SIDS, *rows):
        missing: tuple[tuple[int, int], ...] = ()
        distinct = row["numbered"] - row["repeated"]
        if distinct and row["last"] - row["first"] + 1 != distinct:
            missing = tuple(map(tuple, await connection.fetch(_HOLES, *rows, row["sid"])))
        found.append(SidFacts(**row, missing=missing))
    return tuple(found)

"""Recorded sessions as values: their list, what stands in their own rows, their gaps."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kalshiflow.market.listing import PriceGrid, decode_grid
from kalshiflow.store.database import Store
from kalshiflow.store.errors import NotRecorded
from kalshiflow.store.moments import Instant, as_nanoseconds
from kalshiflow.store.replay import Gap

_SESSION_COLUMNS = (
    "session_id, origin, environment, traded, status, started_at, ended_at, close_seq, markets,"
    " follows, frames, verdict, verdict_reason, end_reason, certificate, shard, epoch, cannot_know,"
    " books_sha256, end_status"
)
_NAMED_AT_MOST = 3


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One session's own row. `status` is active, closed, repaired or failed.

    `verdict` is ok, gaps (usable, but to be cut at its gaps), failed or pruned (days of it are
    deleted), `None` while active; `close_seq` numbers the closed ones in the order of their
    closing; `frames` is the last committed frame number; `certificate` is the JSON form of
    `certificate.Certificate`. `cannot_know` says what no row can prove; `books_sha256` is the hash
    of the closing books as its recorder had them; `end_status` is closed or repaired from when the
    recorder ended it, while `status` stays active until the certificate is drawn.
    """

    session_id: str
    origin: str
    environment: str
    traded: bool
    status: str
    started_at: int
    ended_at: int | None
    close_seq: int | None
    markets: tuple[str, ...]
    follows: str | None
    frames: int
    verdict: str | None
    verdict_reason: str | None
    end_reason: str | None
    certificate: dict[str, Any] | None
    shard: str = "main"
    epoch: int = 0
    cannot_know: tuple[str, ...] = ()
    books_sha256: str | None = None
    end_status: str | None = None


async def list_sessions(
    store: Store,
    *,
    after_close_seq: int | None = None,
    statuses: Sequence[str] | None = None,
    verdicts: Sequence[str] | None = None,
    origins: Sequence[str] | None = None,
    market: str | None = None,
    start: Instant | None = None,
    end: Instant | None = None,
    limit: int = 1000,
) -> list[SessionRow]:
    """Give sessions that match all that is asked.

    With `after_close_seq`: closed ones above it, in the order of their closing (a cursor's way of
    reading). Without: all, newest first. With `start` or `end`: those that lay, if only in part, in
    that time, `end` itself not included.
    """
    order = "started_at DESC, session_id DESC" if after_close_seq is None else "close_seq"
    async with store.connection() as connection:
        found = await connection.fetch(
            f"SELECT {_SESSION_COLUMNS} FROM rl_orderbook_sessions"  # noqa: S608
            " WHERE (close_seq > $1 OR $1 IS NULL) AND (status = ANY($2) OR $2 IS NULL)"
            " AND (verdict = ANY($3) OR $3 IS NULL) AND (origin = ANY($4) OR $4 IS NULL)"
            " AND ($5 = ANY(markets) OR $5 IS NULL)"
            " AND (ended_at >= $6 OR ended_at IS NULL OR $6 IS NULL)"
            " AND (started_at < $7 OR $7 IS NULL)"
            f" ORDER BY {order} LIMIT $8",
            after_close_seq,
            _array(statuses),
            _array(verdicts),
            _array(origins),
            market,
            None if start is None else as_nanoseconds(start),
            None if end is None else as_nanoseconds(end),
            limit,
        )
    return [_session_of(record) for record in found]


async def get_session(store: Store, session_id: str) -> SessionRow:
    """Give one session; raises `NotRecorded`, which names the nearest ids, where there is none."""
    async with store.connection() as connection:
        record = await connection.fetchrow(
            f"SELECT {_SESSION_COLUMNS} FROM rl_orderbook_sessions"  # noqa: S608
            " WHERE session_id = $1",
            session_id,
        )
        if record is None:
            raise await _unknown(connection, session_id)
    return _session_of(record)


async def session_grids(store: Store, session_id: str) -> dict[str, PriceGrid]:
    """Give the price grids of the session's markets, as they were when each came into it."""
    async with store.connection() as connection:
        return await grids_of(connection, session_id)


async def grids_of(connection: Any, session_id: str) -> dict[str, PriceGrid]:
    """Give what `session_grids` gives, on a caller's connection."""
    found = await connection.fetchval(
        "SELECT grids FROM rl_orderbook_sessions WHERE session_id = $1", session_id
    )
    return {ticker: decode_grid(bands) for ticker, bands in (found or {}).items()}


async def begun_grids_of(connection: Any, session_id: str) -> dict[str, PriceGrid]:
    """Give the price grids with which a session began: those that `joins_of` adds come later.

    So its recorder had them: frames of a market before it joined were read without its grid.
    """
    found = await connection.fetchval(
        "SELECT grids - ARRAY(SELECT ticker FROM rl_market_listings WHERE session_id = $1"
        " GROUP BY ticker HAVING bool_or(reason = 'joined') AND NOT bool_or(reason = 'begun'))"
        " FROM rl_orderbook_sessions WHERE session_id = $1",
        session_id,
    )
    return {ticker: decode_grid(bands) for ticker, bands in (found or {}).items()}


async def session_closes(store: Store, session_id: str) -> dict[str, int]:
    """Give its markets' close times (nanoseconds), as known when each came into it."""
    async with store.connection() as connection:
        found = await connection.fetchval(
            "SELECT closes FROM rl_orderbook_sessions WHERE session_id = $1", session_id
        )
    return dict(found or {})


async def session_gaps(store: Store, session_id: str) -> list[Gap]:
    """Give a session's gap rows in the order of frames."""
    async with store.connection() as connection:
        return await gaps_of(connection, session_id)


async def gaps_of(connection: Any, session_id: str) -> list[Gap]:
    """Give what `session_gaps` gives, on a caller's connection."""
    found = await connection.fetch(
        "SELECT frame_no, kind, channel, sid, seq, expected, received, tickers, reason, raw,"
        " started_at, recovered_at FROM rl_feed_gaps WHERE session_id = $1"
        " ORDER BY frame_no, kind DESC",
        session_id,
    )
    return [Gap(**{**record, "tickers": tuple(record["tickers"])}) for record in found]


async def joins_of(connection: Any, session_id: str) -> list[tuple[int, str, PriceGrid]]:
    """Give the price grids with which markets came in later: frame from which, ticker, grid."""
    found = await connection.fetch(
        "SELECT frame_no, ticker, grid FROM rl_market_listings"
        " WHERE session_id = $1 AND reason = 'joined' ORDER BY frame_no, at, ticker",
        session_id,
    )
    return [(row["frame_no"], row["ticker"], decode_grid(row["grid"])) for row in found]


async def received_within(connection: Any, session_id: str) -> tuple[int, int]:
    """Give the receive times (nanoseconds, both included) between which a session's rows lie.

    A query that names them reads the days that it must, and no other. Raises `NotRecorded` where
    there is no such session.
    """
    found = await connection.fetchrow("SELECT low, high FROM rl_session_span($1)", session_id)
    if found is None:
        raise await _unknown(connection, session_id)
    return found["low"], found["high"]


async def _unknown(connection: Any, session_id: str) -> NotRecorded:
    known = [
        record["session_id"]
        for record in await connection.fetch(
            "SELECT session_id FROM rl_orderbook_sessions"
            " ORDER BY starts_with(session_id, $1) DESC, started_at DESC LIMIT 500",
            session_id,
        )
    ]
    begun_so = [name for name in known if session_id and name.startswith(session_id)]
    near = begun_so or difflib.get_close_matches(session_id, known, _NAMED_AT_MOST, 0.4) or known
    if not near:
        return NotRecorded(f"there is no session {session_id}; nothing is recorded yet")
    names = ", ".join(near[:_NAMED_AT_MOST])
    return NotRecorded(f"there is no session {session_id}; the nearest are {names}")


def _array(values: Sequence[str] | None) -> list[str] | None:
    return None if values is None else list(values)


def _session_of(record: Any) -> SessionRow:
    tuples = {name: tuple(record[name]) for name in ("markets", "cannot_know")}
    return SessionRow(**{**record, **tuples})

"""End sessions: draw the certificate, give the next closing number, repair what a crash left."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from kalshiflow.market.book import BookCorrupt
from kalshiflow.store.certificate import Certificate, from_json, to_json
from kalshiflow.store.database import Store
from kalshiflow.store.errors import SessionLost
from kalshiflow.store.facts import session_facts
from kalshiflow.store.leases import Lease, check_lease
from kalshiflow.store.proof import closing_books
from kalshiflow.store.read import get_session
from kalshiflow.store.replay import trusted_sha256
from kalshiflow.store.timeline import Snapshots, recovery_time
from kalshiflow.store.verdict import SessionFacts, certify

UNENDED = "its recorder ended without closing it"
_LOCK = 0x6B636C6F  # any number of our own: sessions are closed one after the other
_CLOSE = """
UPDATE rl_orderbook_sessions SET status = $2, certificate = $3, verdict = $4, verdict_reason = $5,
    ended_at = greatest(started_at, coalesce(ended_at, $6)),
    first_row_at = least($7, (SELECT min(received_at) FROM rl_orderbook_snapshots
        WHERE session_id = $1 AND received_at BETWEEN first_row_at AND last_row_at),
        (SELECT min(received_at) FROM rl_account_changes
        WHERE session_id = $1 AND received_at BETWEEN first_row_at AND last_row_at)),
    last_row_at = greatest($6, (SELECT max(received_at) FROM rl_orderbook_snapshots
        WHERE session_id = $1 AND received_at BETWEEN first_row_at AND last_row_at),
        (SELECT max(received_at) FROM rl_account_changes
        WHERE session_id = $1 AND received_at BETWEEN first_row_at AND last_row_at)),
    close_seq = (SELECT coalesce(max(close_seq), 0) + 1 FROM rl_orderbook_sessions)
 WHERE session_id = $1 AND status = 'active' RETURNING close_seq
"""


async def ended_sessions(
    store: Store,
    *,
    environment: str | None = None,
    origin: str | None = None,
    shard: str | None = None,
) -> list[str]:
    """Give the sessions that their recorder ended and that have no certificate yet, oldest first.

    Asked are all, or those of an environment, an origin, a shard.
    """
    async with store.connection() as connection:
        found = await connection.fetch(
            "SELECT session_id FROM rl_orderbook_sessions"
            " WHERE status = 'active' AND end_status IS NOT NULL"
            " AND (environment = $1 OR $1 IS NULL) AND (origin = $2 OR $2 IS NULL)"
            " AND (shard = $3 OR $3 IS NULL) ORDER BY ended_at, started_at, session_id",
            environment,
            origin,
            shard,
        )
    return [row["session_id"] for row in found]


async def certify_session(store: Store, session_id: str) -> Certificate:
    """Close a session that its recorder ended, on the strength of its rows; gives its certificate.

    Its status becomes what its recorder said, closed or repaired, or failed where the rows do not
    prove it. Its books' hash is the one its recorder told, else that of its rows, replayed. Of a
    session that is closed already the stored certificate is given. Raises `NotRecorded`, and
    `SessionLost` where its recorder has not ended it.
    """
    session = await get_session(store, session_id)
    if session.status != "active" and session.certificate is not None:
        return from_json(session.certificate)
    if session.end_status is None:
        raise SessionLost(f"session {session_id} is being recorded; it has no end yet")
    async with store.connection() as connection:
        facts = await session_facts(connection, session_id)
    facts = replace(facts, status=session.end_status)
    books_hash, trouble = session.books_sha256, None
    if books_hash is None:
        try:
            books_hash = trusted_sha256(await closing_books(store, session_id))
        except BookCorrupt as corrupt:
            trouble = str(corrupt)
    drawn = certify(facts, books_hash, trouble)
    if drawn.verdict == "failed":
        drawn = replace(drawn, status="failed")
    if await _close(store, drawn, facts):
        return drawn
    return await certify_session(store, session_id)  # somebody else was faster


async def repair_sessions(
    store: Store,
    origins: Sequence[str],
    *,
    environment: str | None = None,
    shard: str | None = None,
    keep: Collection[str] = (),
    lease: Lease | None = None,
) -> list[Certificate]:
    """Close the sessions that crashed recorders left open, as `repaired` or `failed`.

    To be called by the only recorder of these origins (and of this environment and shard, where
    they are given). `keep` are the sessions that a spool still has frames of. A session that its
    recorder ended gets its certificate with the end that it had; one is never taken away, however
    little it holds. With a `lease` that somebody else has taken over meanwhile, nothing is closed
    and `LeaseLost` is raised: an open session is then the other's.
    """
    async with store.connection() as connection:
        left = await connection.fetch(
            "SELECT session_id FROM rl_orderbook_sessions"
            " WHERE status = 'active' AND origin = ANY($1)"
            " AND (environment = $2 OR $2 IS NULL) AND (shard = $3 OR $3 IS NULL)"
            " AND session_id <> ALL($4) ORDER BY started_at, session_id",
            list(origins),
            environment,
            shard,
            list(keep),
        )
    return [await _repair(store, row["session_id"], lease) for row in left]


async def _repair(store: Store, session_id: str, lease: Lease | None) -> Certificate:
    async with store.transaction() as connection:
        if lease is not None:
            await check_lease(connection, lease)
        await connection.execute(
            "UPDATE rl_orderbook_sessions SET end_status = 'repaired', end_reason = $2"
            " WHERE session_id = $1 AND status = 'active' AND end_status IS NULL",
            session_id,
            UNENDED,
        )
    return await certify_session(store, session_id)


async def _close(store: Store, drawn: Certificate, facts: SessionFacts) -> bool:
    async with store.transaction() as connection:
        await connection.execute(f"SELECT pg_advisory_xact_lock({_LOCK})")
        await _store_recoveries(connection, facts)
        closed = await connection.fetchval(
            _CLOSE,
            drawn.session_id,
            drawn.status,
            to_json(drawn),
            drawn.verdict,
            drawn.reason,
            drawn.last_received_at,
            drawn.first_received_at,
        )
    return closed is not None


async def _store_recoveries(connection: Any, facts: SessionFacts) -> None:
    snapshots = Snapshots(facts.snapshots)
    found = [
        (facts.session_id, gap.frame_no, gap.kind, list(gap.tickers), mended_at)
        for gap in facts.gaps
        if gap.hurts_books and (mended_at := recovery_time(gap, snapshots)) is not None
    ]
    if found:
        await connection.executemany(
            "UPDATE rl_feed_gaps SET recovered_at = $5"
            " WHERE session_id = $1 AND frame_no = $2 AND kind = $3 AND tickers = $4",
            found,
        )

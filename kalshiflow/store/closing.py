"""End sessions: store the certificate, give the next closing number, repair what a crash left."""

from collections.abc import Sequence
from typing import Any

from kalshiflow.market.book import BookCorrupt
from kalshiflow.store.certificate import (
    Certificate,
    SessionFacts,
    certify,
    from_json,
    recovery_time,
    to_json,
)
from kalshiflow.store.database import Store
from kalshiflow.store.errors import SessionLost
from kalshiflow.store.proof import closing_books, session_facts
from kalshiflow.store.read import get_session, list_sessions, session_gaps
from kalshiflow.store.replay import trusted_sha256

_LOCK = 0x6B636C6F  # any number of our own: sessions are closed one after the other


async def close_session(
    store: Store,
    session_id: str,
    *,
    status: str,
    reason: str,
    at: int | None = None,
    books_hash: str | None = None,
    may_be_closed: bool = False,
) -> Certificate:
    """Close an active session on the strength of its rows and give its certificate.

    Without `books_hash` the rows are replayed for it; without `at` it ends with its last frame.
    Raises `SessionLost` where it is not active, unless `may_be_closed` (an earlier try of ours).
    """
    gaps = await session_gaps(store, session_id)
    async with store.connection() as connection:
        facts = await session_facts(connection, session_id, gaps)
    trouble = None
    if books_hash is None:
        try:
            books_hash = trusted_sha256(await closing_books(store, session_id))
        except BookCorrupt as corrupt:
            trouble = str(corrupt)
    certificate = certify(facts, books_hash, trouble)
    if certificate.verdict == "failed":
        status = "failed"
    async with store.transaction() as connection:
        await connection.execute(f"SELECT pg_advisory_xact_lock({_LOCK})")
        await _store_recoveries(connection, facts)
        closed = await connection.fetchval(
            "UPDATE rl_orderbook_sessions SET status = $2, end_reason = $3,"
            " ended_at = greatest(started_at, $4), certificate = $5, verdict = $6,"
            " verdict_reason = $7,"
            " close_seq = (SELECT coalesce(max(close_seq), 0) + 1 FROM rl_orderbook_sessions)"
            " WHERE session_id = $1 AND status = 'active' RETURNING close_seq",
            session_id,
            status,
            reason,
            at or certificate.last_received_at,
            to_json(certificate),
            certificate.verdict,
            certificate.reason,
        )
    if closed is None:
        return await _closed_before(store, session_id, may_be_closed)
    return certificate


async def repair_sessions(store: Store, origins: Sequence[str]) -> list[Certificate]:
    """Close the sessions that a crashed recorder left active, as `repaired` or `failed`.

    To be called before recording starts, by the only recorder of these origins.
    """
    left = await list_sessions(store, statuses=["active"], origins=origins)
    return [
        await close_session(
            store,
            session.session_id,
            status="repaired",
            reason="its recorder ended without closing it",
        )
        for session in reversed(left)
    ]


async def _store_recoveries(connection: Any, facts: SessionFacts) -> None:
    found = [
        (facts.session_id, gap.frame_no, gap.kind, recovery_time(gap, facts.snapshots))
        for gap in facts.gaps
        if gap.hurts_books
    ]
    await connection.executemany(
        "UPDATE rl_feed_gaps SET recovered_at = $4"
        " WHERE session_id = $1 AND frame_no = $2 AND kind = $3",
        found,
    )


async def _closed_before(store: Store, session_id: str, may_be_closed: bool) -> Certificate:
    session = await get_session(store, session_id)
    if not may_be_closed or session.certificate is None:
        raise SessionLost(f"session {session_id} is {session.status} already")
    return from_json(session.certificate)

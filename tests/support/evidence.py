"""The proof that a recorder lost nothing: a venue's own log of what it sent, against the rows.

A TCP connection delivers what was sent in order up to some frame, and nothing after it. So the
frames of a connection's sessions, put together, must be exactly the first frames that the venue's
log names for it: each once, each saying the same. What was sent after the last of them, or on a
connection that brought no book, must lie in an outage that the next session tells of. What the
venue numbered and kept back must lie in a gap, and gaps must stand where an independent count
says. The sessions' certificates are drawn anew from the rows and must be the stored ones.
"""

from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path

from recorded_chain import Chain, Evidence, compare
from sent_frames import SentConnection, connections
from stored_frames import Stored, StoredSession

from kalshiflow.store.certificate import from_json
from kalshiflow.store.database import Store
from kalshiflow.store.proof import certificate
from kalshiflow.store.read import get_session


def assert_proven(found: Evidence, *, least: int = 100) -> None:
    """Fail unless everything is proven, and so many frames at least are stored."""
    assert found.problems == []
    assert found.stored >= least


async def problems_of(logs: Iterable[Path], database_url: str) -> list[str]:
    """Judge a recording that has ended; gives what is wrong with it."""
    return (await judge(logs, database_url)).problems


async def judge(logs: Iterable[Path], database_url: str, *, key_id: str | None = None) -> Evidence:
    """Judge a recording that has ended: every session closed, the venues' logs written.

    With `key_id`, only the connections of that client.
    """
    evidence = Evidence()
    sent = [one for one in connections(logs) if key_id in {None, one.key_id}]
    with Stored(database_url) as stored:
        chains = [Chain(stored, sessions) for sessions in stored.chains()]
        _hold_against_each_other(evidence, sent, chains)
    async with await Store.open(database_url) as store:
        for session in (one for chain in chains for one in chain.sessions):
            await _check_certificate(evidence, store, session)
    return evidence


def _hold_against_each_other(
    evidence: Evidence, sent: list[SentConnection], chains: list[Chain]
) -> None:
    matched = _match(evidence, sent, chains)
    last: Chain | None = None
    waiting = 0  # frames that only an outage told by the next chain can account for
    for connection in sent:
        evidence.sent += len(connection.places)
        chain = matched.get(connection.name)
        if chain is None:
            waiting += len(connection.places)
            continue
        compare(evidence, chain, connection)
        _check_outage(evidence, chain, last, waiting)
        evidence.in_outages += waiting
        waiting = len(connection.places) - chain.count
        last = chain
    evidence.unfinished = waiting


def _match(evidence: Evidence, sent: list[SentConnection], chains: list[Chain]) -> dict[str, Chain]:
    """Give the chain of each connection that has one: of those near in time, the one most alike."""
    free, matched = list(sent), {}
    for chain in chains:
        if not free:
            evidence.tell(f"{chain.name} was recorded, but no connection is left for it")
            continue
        began = chain.sessions[0].started_at
        near = sorted(free, key=lambda one: abs(one.began_at - began))[:5]
        found = max(near, key=chain.likeness)
        free.remove(found)
        matched[found.name] = chain
    return matched


def _check_outage(evidence: Evidence, chain: Chain, before: Chain | None, waiting: int) -> None:
    if before is None:
        if chain.outages:
            evidence.tell(f"{chain.name} tells of an outage, but nothing was recorded before it")
        return
    if len(chain.outages) != 1:
        evidence.tell(
            f"{chain.name} tells of {len(chain.outages)} outages since {before.name},"
            f" in which {waiting} frames were sent"
        )
        return
    (outage,) = chain.outages
    if (outage.started_at, outage.recovered_at) != (before.last_received_at, chain.first_book_at):
        evidence.tell(
            f"the outage of {chain.name} lasted from {outage.started_at} to"
            f" {outage.recovered_at}, but nothing came from {before.last_received_at} to"
            f" {chain.first_book_at}"
        )


async def _check_certificate(evidence: Evidence, store: Store, session: StoredSession) -> None:
    name = f"session {session.session_id}"
    if session.status not in {"closed", "repaired"}:
        evidence.tell(f"{name} is {session.status}")
        return
    if session.verdict == "failed":
        row = await get_session(store, session.session_id)
        evidence.tell(f"{name} has failed: {row.verdict_reason}")
    drawn = await certificate(store, session.session_id)
    stored = from_json((await get_session(store, session.session_id)).certificate or {})
    differing = [
        each.name
        for each in fields(drawn)
        if getattr(drawn, each.name) != getattr(stored, each.name)
    ]
    if differing:
        evidence.tell(f"{name}: its certificate, drawn again, differs in {', '.join(differing)}")
    # Of a session that its own recorder never ended, nobody can tell what its books were.
    is_told = session.books_sha256 is not None or session.status == "closed"
    if is_told and session.books_sha256 != drawn.books_sha256:
        evidence.tell(
            f"{name}: its rows make books {drawn.books_sha256},"
            f" its recorder had {session.books_sha256}"
        )

"""Prove a session from its rows: count them in SQL, replay them, draw the certificate."""

from kalshiflow.market.book import BookCorrupt
from kalshiflow.market.books import Books
from kalshiflow.store.certificate import Certificate, from_json
from kalshiflow.store.database import Store
from kalshiflow.store.facts import session_facts
from kalshiflow.store.read import get_session, iter_events, session_gaps
from kalshiflow.store.recorded import begun_grids_of, joins_of
from kalshiflow.store.replay import Replay, trusted_sha256
from kalshiflow.store.verdict import certify

__all__ = ["certificate", "closing_books", "session_facts"]


async def certificate(store: Store, session_id: str) -> Certificate:
    """Compute a session's certificate from its rows, the books' hash by replaying them.

    A hash that is not the one its recorder told fails it. Of a pruned session the stored one is
    given: its rows are gone. Raises `NotRecorded` where there is no such session.
    """
    session = await get_session(store, session_id)
    if session.verdict == "pruned" and session.certificate is not None:
        return from_json(session.certificate)
    async with store.connection() as connection:
        facts = await session_facts(connection, session_id)
    try:
        replayed = trusted_sha256(await closing_books(store, session_id, facts.last_frame))
    except BookCorrupt as corrupt:
        return certify(facts, None, str(corrupt))
    told = session.books_sha256
    if told is not None and told != replayed:
        return certify(
            facts, replayed, f"they give the books {replayed[:12]}, their recorder had {told[:12]}"
        )
    return certify(facts, replayed)


async def closing_books(store: Store, session_id: str, last_frame: int | None = None) -> Books:
    """Give the books at the end of a session (or after a frame), replayed from its rows.

    Raises `BookCorrupt` for rows that no recorder of ours can have written.
    """
    gaps = await session_gaps(store, session_id)
    async with store.connection() as connection:
        books = Books(await begun_grids_of(connection, session_id))
        joins = await joins_of(connection, session_id)
    replay = Replay(books, gaps, joins)
    async for batch in iter_events(store, session_id, last_frame=last_frame):
        for event in batch:
            replay.apply(event)
    replay.cut_up_to(max((gap.frame_no for gap in gaps), default=0))
    return books

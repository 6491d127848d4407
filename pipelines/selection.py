"""Which sessions a training learns from, and why not from the others."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from kalshiflow.store.database import Store
from kalshiflow.store.errors import NotRecorded
from kalshiflow.store.read import get_session, list_sessions
from pipelines.recordings import refusal_in

MOST_SESSIONS = 1000


@dataclass(frozen=True, slots=True)
class Selection:
    """The sessions to learn from, and the reason by session for each that is refused."""

    usable: tuple[str, ...]
    refused: Mapping[str, str]


async def select_sessions(
    store: Store,
    named: Sequence[str],
    environment: str,
    count_episodes: Callable[[str], int | None],
) -> Selection:
    """Judge the named sessions, or where none is named the newest closed ones."""
    session_ids = named or [
        session.session_id
        for session in await list_sessions(store, limit=MOST_SESSIONS)
        if session.close_seq is not None
    ]
    judged = {
        name: await _refusal(store, name, environment, count_episodes) for name in session_ids
    }
    return Selection(
        usable=tuple(name for name, reason in judged.items() if reason is None),
        refused={name: reason for name, reason in judged.items() if reason is not None},
    )


async def _refusal(
    store: Store, session_id: str, environment: str, count_episodes: Callable[[str], int | None]
) -> str | None:
    try:
        session = await get_session(store, session_id)
    except NotRecorded:
        return "it is not recorded"
    refusal = refusal_in(session, environment)
    if refusal is not None:
        return refusal
    episodes = count_episodes(session_id)
    if episodes is None:
        return "it has no episodes; materialise session_episodes for it"
    return None if episodes else "no market's book changed in it: there is nothing to learn from"

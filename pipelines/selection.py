"""Which sessions a training learns from, and why not from the others."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass

from kalshiflow.store.database import Store
from kalshiflow.store.errors import NotRecorded
from kalshiflow.store.read import SessionRow, get_session, list_sessions
from pipelines.recordings import refusal_in

_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Selection:
    """The sessions to learn from, and the reason by session for each that is refused."""

    usable: tuple[SessionRow, ...]
    refused: Mapping[str, str]

    def reasons(self) -> str:
        """Write the refusals as one sentence."""
        return "; ".join(f"session {name}: {reason}" for name, reason in self.refused.items())


async def select_sessions(
    store: Store,
    named: Sequence[str],
    environment: str,
    count_episodes: Callable[[str], int | None],
) -> Selection:
    """Judge the named sessions, or where none is named every closed one."""
    usable: list[SessionRow] = []
    refused: dict[str, str] = {}
    async for session_id, session in _asked_for(store, named):
        reason = _refusal(session, environment, count_episodes)
        if reason is not None:
            refused[session_id] = reason
        elif session is not None:
            usable.append(session)
    return Selection(tuple(usable), refused)


async def _asked_for(
    store: Store, named: Sequence[str]
) -> AsyncIterator[tuple[str, SessionRow | None]]:
    for session_id in dict.fromkeys(named):
        try:
            yield session_id, await get_session(store, session_id)
        except NotRecorded:
            yield session_id, None
    after: int | None = None if named else 0
    while after is not None:
        closed = await list_sessions(store, after_close_seq=after, limit=_AT_ONCE)
        for session in closed:
            yield session.session_id, session
        after = closed[-1].close_seq if closed else None


def _refusal(
    session: SessionRow | None, environment: str, count_episodes: Callable[[str], int | None]
) -> str | None:
    if session is None:
        return "it is not recorded"
    refusal = refusal_in(session, environment)
    if refusal is not None:
        return refusal
    episodes = count_episodes(session.session_id)
    if episodes is None:
        return "it has no episodes in the present form; materialise session_episodes for it"
    return None if episodes else "no market's book changed in it: there is nothing to learn from"

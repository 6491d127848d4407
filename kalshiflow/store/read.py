"""What is recorded, to read: sessions, their events in order, the book at any frame or instant."""

from kalshiflow.store.markets import markets
from kalshiflow.store.moments import Instant
from kalshiflow.store.point import BookAt, book_at, book_at_time
from kalshiflow.store.recorded import (
    SessionRow,
    get_session,
    list_sessions,
    session_closes,
    session_gaps,
    session_grids,
)
from kalshiflow.store.replay import Gap
from kalshiflow.store.states import BookState, replay_books
from kalshiflow.store.tape import iter_events, session_events

__all__ = [
    "BookAt",
    "BookState",
    "Gap",
    "Instant",
    "SessionRow",
    "book_at",
    "book_at_time",
    "get_session",
    "iter_events",
    "list_sessions",
    "markets",
    "replay_books",
    "session_closes",
    "session_events",
    "session_gaps",
    "session_grids",
]

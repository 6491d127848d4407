"""Verify a recorded session: count it again, replay it twice, say what is not as it was told."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from kalshiflow.market.book import BookCorrupt
from kalshiflow.market.books import Books
from kalshiflow.market.events import BookSnapshot, Side
from kalshiflow.store import proof, rows
from kalshiflow.store.certificate import Certificate, to_json
from kalshiflow.store.database import Store
from kalshiflow.store.recorded import (
    SessionRow,
    begun_grids_of,
    gaps_of,
    get_session,
    joins_of,
    received_within,
)
from kalshiflow.store.replay import Replay, trusted_sha256
from kalshiflow.store.tape import FRAMES_AT_ONCE, events_between, reading

_TOLD_AT_MOST = 10
_PERIODIC = (
    f"SELECT {', '.join(rows.COLUMNS[rows.SNAPSHOTS][1:])} FROM rl_orderbook_snapshots"  # noqa: S608
    " WHERE session_id = $1 AND frame_no BETWEEN $2 AND $3 AND received_at BETWEEN $4 AND $5"
    " AND source = 'periodic' ORDER BY frame_no, ticker"
)


@dataclass(frozen=True, slots=True)
class Verification:
    """What a session's rows say now, held against what its recorder and its certificate told.

    `differences` has one sentence for each thing that is not as told; `unproven` says why nothing
    could be held against anything (it is open still, or its rows were removed). The hashes are of
    the closing books: as the recorder had them, and as two replays of the rows ended.
    `periodic_snapshots` is how many books amid the session were compared as well.
    """

    session_id: str
    frames: int
    verdict: str | None
    recorded_sha256: str | None = None
    replayed_sha256: tuple[str | None, ...] = ()
    periodic_snapshots: int = 0
    differences: tuple[str, ...] = ()
    unproven: str | None = None

    @property
    def holds(self) -> bool:
        """Say whether all is proven, and as it was told."""
        return not self.differences and self.unproven is None


async def verify_session(store: Store, session_id: str) -> Verification:
    """Verify one session; raises `NotRecorded` where there is none."""
    session = await get_session(store, session_id)
    unproven = _unproven(session)
    if unproven is not None or session.certificate is None:
        return Verification(session_id, session.frames, session.verdict, unproven=unproven)
    counted = await proof.certificate(store, session_id)
    again = await _replay(store, session)
    recorded = session.books_sha256 or session.certificate["books_sha256"]
    ends = (counted.books_sha256, again.ended)
    differences = [*_other_counts(session.certificate, counted), *again.differences]
    differences += [
        f"the recorder's books ended as {recorded}, the {place} replay's as {found}"
        for place, found in zip(("first", "second"), ends, strict=True)
        if found != recorded
    ]
    return Verification(
        session_id,
        session.frames,
        session.verdict,
        recorded,
        ends,
        again.compared,
        tuple(differences),
    )


def _unproven(session: SessionRow) -> str | None:
    if session.verdict == "pruned":
        return session.verdict_reason or "rows of it were removed"
    if session.certificate is None:
        return f"it is {session.status} and has no certificate yet"
    return None


def _other_counts(stored: dict[str, Any], counted: Certificate) -> list[str]:
    # As JSON on both sides; what a certificate of old did not tell cannot differ from now.
    now = msgspec.json.decode(msgspec.json.encode(to_json(counted)))
    differ = [name for name in now if name in stored and stored[name] != now[name]]
    told = [_worded(name, stored[name], now[name]) for name in differ if "sha256" not in name]
    return told[:_TOLD_AT_MOST]


def _worded(name: str, was: Any, now: Any) -> str:
    if isinstance(was, dict) and isinstance(now, dict):
        keys = [key for key in {**was, **now} if was.get(key) != now.get(key)]
        name, was, now = f"{name} of {keys[0]}", was.get(keys[0]), now.get(keys[0])
    return f"the certificate says {name} {_short(was)}, the rows say {_short(now)}"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 120 else f"{text[:120]}…"


@dataclass(slots=True)
class _Replayed:
    ended: str | None = None
    compared: int = 0
    differences: list[str] = field(default_factory=list)


async def _replay(store: Store, session: SessionRow) -> _Replayed:
    """Replay the events once more, and hold each periodic snapshot against the books there."""
    done = _Replayed()
    session_id = session.session_id
    async with reading(store) as connection:
        span = await received_within(connection, session_id)
        books = Books(await begun_grids_of(connection, session_id))
        gaps = await gaps_of(connection, session_id)
        replay = Replay(books, gaps, await joins_of(connection, session_id))
        for low in range(0, session.frames + 1, FRAMES_AT_ONCE):
            high = min(low + FRAMES_AT_ONCE - 1, session.frames)
            found = await connection.fetch(_PERIODIC, session_id, low, high, *span)
            due = deque(map(rows.snapshot_of, found))
            events = await events_between(connection, session_id, span, low, high)
            try:
                for event in events:
                    while due and due[0].stamp.frame_no < event.stamp.frame_no:
                        _compare(done, replay, due.popleft())
                    replay.apply(event)
            except BookCorrupt as corrupt:
                done.differences.append(f"the rows cannot be replayed: {corrupt}")
                return done
            for snapshot in due:
                _compare(done, replay, snapshot)
        replay.cut_up_to(max((gap.frame_no for gap in gaps), default=0))
    done.ended = trusted_sha256(books)
    return done


def _compare(done: _Replayed, replay: Replay, snapshot: BookSnapshot) -> None:
    frame_no, ticker = snapshot.stamp.frame_no, snapshot.ticker
    replay.cut_up_to(frame_no)
    done.compared += 1
    if replay.books.is_stale(ticker):
        trouble = "stands where no book could be trusted"
    elif _levels(replay.books, ticker) != (snapshot.bids, snapshot.asks):
        trouble = "is not the book replayed up to there"
    else:
        return
    if len(done.differences) < _TOLD_AT_MOST:
        done.differences.append(f"the periodic snapshot of {ticker} at frame {frame_no} {trouble}")


def _levels(books: Books, ticker: str) -> Sequence[Any]:
    return tuple(books[ticker].levels(side) for side in Side)

"""Real recordings through a live socket: the rows are the file, and the books are its books."""

import functools
from collections.abc import Iterable, Iterator, Mapping
from math import inf
from pathlib import Path

import pytest
from evidence import assert_proven
from plain_frames import Fact
from recording_stand import Open
from stored_frames import Stored

from kalshiflow.market.books import Books
from kalshiflow.market.events import (
    BookDelta,
    BookSnapshot,
    Levels,
    MarketEvent,
    PublicTrade,
    Side,
)
from kalshiflow.market.listing import PriceGrid
from kalshiflow.store.database import Store
from kalshiflow.store.proof import closing_books
from kalshiflow.store.read import list_sessions, session_events, session_grids
from kalshiflow.store.replay import trusted_sha256
from kalshiflow.venue.replay.capture import load_capture

pytestmark = pytest.mark.integration

RECORDINGS = (
    "kalshi-demo-ws-2026-07/session.jsonl",
    "kalshi-prod-inxd-2023-08-31/INXD-23AUG31-B4512.jsonl",
)


@pytest.mark.recorded
@pytest.mark.parametrize("name", RECORDINGS)
async def test_a_recording_through_a_live_socket_is_stored_as_it_is_in_the_file(
    stand: Open, recorded_data: Path, name: str
) -> None:
    file = recorded_data / name
    async with stand(capture=file, speed=inf, is_judged=False) as s, s.collecting() as collector:
        await collector.until(lambda seen: seen["deltas"] == changes_in(file))

    assert_proven(await s.judge(), least=changes_in(file))
    with Stored(s.database_url) as stored:
        assert told_by(stored) == told_in(file)
    async with await Store.open(s.database_url) as store:
        (session,) = await list_sessions(store)
        replayed = books_after_changes(
            await session_events(store, session.session_id),
            await session_grids(store, session.session_id),
        )
    capture = load_capture(file)
    grids = {market.ticker: market.grid for market in capture.markets}
    in_file = books_after_changes([timed.event for timed in capture.events], grids)
    assert all(one == other for one, other in zip(replayed, in_file, strict=True))


async def test_a_stored_session_replayed_twice_has_the_collectors_books(stand: Open) -> None:
    async with stand() as s, s.collecting(RL_SESSION_MAX_MINUTES="0.05") as collector:
        await collector.recording(1_500)

    assert_proven(await s.judge())
    async with await Store.open(s.database_url) as store:
        for session in await list_sessions(store):
            told = session.books_sha256
            assert told is not None
            for _ in range(2):
                books = await closing_books(store, session.session_id)
                assert trusted_sha256(books) == told


@pytest.mark.recorded
@pytest.mark.parametrize("name", RECORDINGS)
async def test_a_rotation_loses_and_doubles_nothing_at_any_seam(
    stand: Open, recorded_data: Path, name: str
) -> None:
    file = recorded_data / name
    capture = load_capture(file)
    speed = (capture.end - capture.start) / 1e9 / 7  # all of it in seven seconds
    async with (
        stand(capture=file, speed=speed, is_judged=False) as s,
        s.collecting(RL_SESSION_MAX_MINUTES="0.05") as collector,
    ):
        await collector.until(lambda seen: seen["deltas"] == changes_in(file))

    found = await s.judge()
    assert_proven(found, least=changes_in(file))
    assert found.seams >= 2
    with Stored(s.database_url) as stored:
        assert told_by(stored) == told_in(file)


def books_after_changes(
    events: Iterable[MarketEvent], grids: Mapping[str, PriceGrid]
) -> Iterator[tuple[str, Levels, Levels]]:
    """Give the book of each market as it is after each of its changes."""
    books = Books(grids)
    for event in events:
        if isinstance(event, BookSnapshot | BookDelta):
            book = books.apply(event)
            if isinstance(event, BookDelta):
                yield event.ticker, book.levels(Side.BID), book.levels(Side.ASK)


@functools.cache
def told_in(file: Path) -> list[Fact]:
    """Give the changes and trades of a recording's file, without what belongs to a connection."""
    found: list[Fact] = []
    for event in (timed.event for timed in load_capture(file).events):
        if isinstance(event, BookDelta):
            found.append(("delta", event.ticker, event.side, event.price, event.change))
        elif isinstance(event, PublicTrade):
            taken = event.quantity, event.taker_side
            found.append(("trade", event.ticker, event.trade_id, event.price, *taken))
    return found


def changes_in(file: Path) -> int:
    """Count the changes of books in a recording's file."""
    return sum(fact[0] == "delta" for fact in told_in(file))


def told_by(stored: Stored) -> list[Fact]:
    """Give the same of what was stored."""
    (chain,) = stored.chains()
    return [
        (fact[0], *fact[3 : 7 if fact[0] == "delta" else 8])
        for session in chain
        for fact in (frame.fact for frame in stored.frames(session.session_id))
        if fact[0] in {"delta", "trade"}
    ]

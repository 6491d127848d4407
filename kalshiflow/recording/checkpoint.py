"""All that a recorder knows, as bytes and back: a segment of the spool begins with one.

Rows that a session holds back are part of it, so that no position of the spool has to wait for
them.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from kalshiflow.exchange.feed import FeedState
from kalshiflow.market.books import BooksState
from kalshiflow.market.events import Stamp
from kalshiflow.market.listing import decode_grid, encode_grid
from kalshiflow.recording.notes import ListedMarket, listed, market_of
from kalshiflow.store import rows
from kalshiflow.store.batch import Batch, NewSession, SessionPart
from kalshiflow.store.session_rows import SessionRows

Bands = list[list[int]]


class Counts(msgspec.Struct):
    """What a recorder has taken since it first began: frames of all kinds, and gaps told."""

    frames_total: int = 0
    snapshots: int = 0
    deltas: int = 0
    trades: int = 0
    gaps: int = 0
    bad_frames: int = 0


class Outage(msgspec.Struct, frozen=True):
    """A time without a connection: from the last frame before it (ns), for these markets."""

    began_at: int
    tickers: tuple[str, ...]


class HeldState(msgspec.Struct, frozen=True):
    """Rows that are held back, by table."""

    tables: dict[str, list[tuple[Any, ...]]]
    deltas: list[bytes]
    frames: int
    joined: list[ListedMarket]
    listed_at: int | None
    earliest: int | None
    latest: int | None


class SessionState(msgspec.Struct, frozen=True, kw_only=True):
    """A session and how far it is."""

    session_id: str
    origin: str
    environment: str
    traded: bool
    started_at: int
    grids: dict[str, Bands]
    closes: dict[str, int]
    follows: str | None
    seams: list[tuple[int, int]]
    shard: str
    epoch: int
    cannot_know: list[str]
    frames: int
    tickers: list[str]
    last_at: int | None
    held: HeldState | None


class State(msgspec.Struct, frozen=True, kw_only=True):
    """All that a recorder knows."""

    feed: FeedState | None
    books: BooksState
    markets: list[ListedMarket]
    newest: list[tuple[str, Stamp]]
    last_frame_at: int | None
    counts: Counts
    outage: Outage | None
    released: list[str]
    session: SessionState | None


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(State)
encode = _encoder.encode
decode = _decoder.decode


def session_state(session: SessionRows) -> SessionState:
    """Give a session as plain values."""
    new = session.session
    return SessionState(
        session_id=new.session_id,
        origin=new.origin,
        environment=new.environment,
        traded=new.traded,
        started_at=new.started_at,
        grids={ticker: encode_grid(grid) for ticker, grid in new.grids.items()},
        closes=dict(new.closes),
        follows=new.follows,
        seams=list(new.seams.items()),
        shard=new.shard,
        epoch=new.epoch,
        cannot_know=list(new.cannot_know),
        frames=session.frames,
        tickers=sorted(session.tickers),
        last_at=session.last_at,
        held=None if session.held is None else _held_state(session.held),
    )


def session_rows(state: SessionState) -> SessionRows:
    """Give the session whose state this is."""
    new = NewSession(
        session_id=state.session_id,
        origin=state.origin,
        environment=state.environment,
        traded=state.traded,
        started_at=state.started_at,
        grids={ticker: decode_grid(bands) for ticker, bands in state.grids.items()},
        closes=state.closes,
        follows=state.follows,
        seams=dict(state.seams),
        shard=state.shard,
        epoch=state.epoch,
        cannot_know=tuple(state.cannot_know),
    )
    session = SessionRows(new)
    session.frames = state.frames
    session.tickers = set(state.tickers)
    session.last_at = state.last_at
    session.held = None if state.held is None else _held(new, state.held)
    return session


def _held_state(held: Batch) -> HeldState:
    joined = [market for part in held.parts.values() for market in part.joined.values()]
    frames = max((part.frames for part in held.parts.values()), default=0)
    return HeldState(
        {table: found for table, found in held.tables.items() if found},
        held.deltas,
        frames,
        listed(joined),
        held.listed_at,
        held.earliest,
        held.latest,
    )


def _held(session: NewSession, state: HeldState) -> Batch:
    held = Batch(earliest=state.earliest, latest=state.latest)
    for table, found in state.tables.items():
        held.tables[table] += found
    held.deltas += state.deltas
    held.life = [rows.lifecycle_of(_named(row)) for row in held.tables[rows.LIFECYCLE]]
    joined = {each.ticker: market_of(each) for each in state.joined}
    if held.count:
        held.parts[session.session_id] = SessionPart(session, state.frames, joined)
    held.listed, held.listed_at = dict(joined), state.listed_at
    return held


def _named(row: rows.Row) -> Mapping[str, Any]:
    return dict(zip(rows.COLUMNS[rows.LIFECYCLE], row, strict=True))

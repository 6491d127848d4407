"""Rows that are to be committed together, in the order of frames; pure.

A `Batch` gathers rows of sessions up to a position of the spool. Rows and position are committed in
one transaction (`store.ingest`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from secrets import token_hex

from kalshiflow.market.events import (
    MarketStatusChanged,
)
from kalshiflow.market.listing import Market, PriceGrid
from kalshiflow.store import rows


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session before its first row. `grids` has one entry per subscribed market.

    `closes` has the close times (nanoseconds) that were known when it began, by ticker.
    `follows` and `seams` (sid to the seq that comes next) are given where a rotation begins it.
    `cannot_know` says, of recordings that others made, what no row can prove.
    """

    session_id: str
    origin: str
    environment: str
    traded: bool
    started_at: int
    grids: Mapping[str, PriceGrid]
    closes: Mapping[str, int] = field(default_factory=dict)
    follows: str | None = None
    seams: Mapping[int, int] = field(default_factory=dict)
    shard: str = "main"
    epoch: int = 0
    cannot_know: tuple[str, ...] = ()


def new_session_id(at: int) -> str:
    """Give an id that sorts by time and is never given twice: `20261120T143000Z-4f09ac`."""
    moment = datetime.fromtimestamp(at // 10**9, UTC)
    return f"{moment:%Y%m%dT%H%M%SZ}-{token_hex(3)}"


@dataclass(frozen=True, slots=True)
class SessionEnd:
    """How a session ended: `status` is closed or repaired, the hash that of its trusted books."""

    status: str
    reason: str
    at: int
    books_sha256: str | None


@dataclass(slots=True)
class SessionPart:
    """What one batch brings of one session, beside its rows."""

    session: NewSession
    frames: int = 0  # the last frame number that the batch reaches
    joined: dict[str, Market] = field(default_factory=dict)
    end: SessionEnd | None = None


@dataclass(slots=True)
class Batch:
    """Rows by table; `after` and `position` are the spool records before and at its end.

    `deltas` are packed rows (`packing`), all others stand in `tables`. `listed` has the newest
    listing of markets, as of `listed_at`, and `life` what was told of markets since. `earliest` and
    `latest` are the receive times of its rows (nanoseconds), for the days' partitions.
    """

    after: int = 0
    position: int = 0
    deltas: list[bytes] = field(default_factory=list)
    tables: dict[str, list[rows.Row]] = field(
        default_factory=lambda: {table: [] for table in rows.COLUMNS}
    )
    parts: dict[str, SessionPart] = field(default_factory=dict)
    life: list[MarketStatusChanged] = field(default_factory=list)
    listed: dict[str, Market] = field(default_factory=dict)
    listed_at: int | None = None
    earliest: int | None = None
    latest: int | None = None

    @property
    def count(self) -> int:
        """Give the number of its rows."""
        return len(self.deltas) + sum(map(len, self.tables.values()))

    def put(self, table: str, row: rows.Row) -> None:
        """Add a row."""
        self.tables[table].append(row)

    def reach(self, at: int) -> None:
        """Note that a row was received at a time."""
        if self.earliest is None or at < self.earliest:
            self.earliest = at
        if self.latest is None or at > self.latest:
            self.latest = at

    def part(self, session: NewSession) -> SessionPart:
        """Give the part of a session, which begins with this call if it was not there."""
        part = self.parts.get(session.session_id)
        if part is None:
            part = self.parts[session.session_id] = SessionPart(session)
        return part

    def list_markets(self, markets: Iterable[Market], at: int) -> None:
        """Take markets as the exchange lists them now, which covers what was told before."""
        found = {market.ticker: market for market in markets}
        self.listed.update(found)
        self.listed_at = at
        self.life = [event for event in self.life if event.ticker not in found]

    def extend(self, later: "Batch") -> None:
        """Add all that another one has after what is here; positions stay as they are."""
        if later.listed_at is not None:
            self.list_markets(later.listed.values(), later.listed_at)
        for table, found in later.tables.items():
            self.tables[table] += found
        self.deltas += later.deltas
        self.life += later.life
        for at in (later.earliest, later.latest):
            if at is not None:
                self.reach(at)
        for part in later.parts.values():
            mine = self.part(part.session)
            mine.frames = part.frames
            mine.joined.update(part.joined)

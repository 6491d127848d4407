"""A session of as many rows as wanted in a database: a synthetic one, repeated.

Each round begins with a snapshot of each market, as a feed's connection does, and goes on in market
time where the one before ended.
"""

import asyncio
from dataclasses import dataclass

from kalshiflow.market.events import MarketEvent, Stamp, TimeSource
from kalshiflow.store.batch import Batch, NewSession, SessionEnd
from kalshiflow.store.database import Store
from kalshiflow.store.ingest import commit_batch
from kalshiflow.store.partitions import prepare_days
from kalshiflow.store.rows import COLUMNS, DELTAS, SNAPSHOTS, TRADES
from kalshiflow.store.session_rows import SessionRows
from kalshiflow.venue.traders.synthetic import record

MARKETS = 50
SECONDS = 120.0
DAY = 86_400_000_000_000
TABLES = (DELTAS, TRADES, SNAPSHOTS)


@dataclass(frozen=True)
class Frame:
    """A received frame, as far as the store reads it."""

    event: MarketEvent
    kind: str = "orderbook_delta"
    gap: None = None
    error: None = None

    @property
    def stamp(self) -> Stamp:
        """Give where and when it was received."""
        return self.event.stamp

    @property
    def frame_no(self) -> int:
        """Give its number."""
        return self.event.stamp.frame_no

    @property
    def sid(self) -> int | None:
        """Give its subscription."""
        return self.event.stamp.sid

    @property
    def seq(self) -> int | None:
        """Give its number in its subscription."""
        return self.event.stamp.seq

    @property
    def tickers(self) -> tuple[str, ...]:
        """Give its market."""
        return (self.event.ticker,)


def store_session(url: str, session_id: str, rows: int, markets: int = MARKETS) -> int:
    """Store a session of at least so many rows; gives how many they are."""
    return asyncio.run(_store(url, session_id, rows, markets))


async def _store(url: str, session_id: str, rows: int, markets: int) -> int:
    recording = record(markets=markets, seconds=SECONDS, seed=5)
    events = [_known(event) for event in recording.events]
    length, rounds = len(events), -(-rows // len(recording.events))
    first = events[0].stamp.received_at
    span = events[-1].stamp.received_at - first + 1_000_000
    async with await Store.open(url, max_connections=2) as store:
        await prepare_days(store, range(first // DAY, (first + span * rounds) // DAY + 1))
        batch = Batch()
        grids = {market.ticker: market.grid for market in recording.markets}
        session = NewSession(session_id, "collector", "local", False, first, grids)
        written = SessionRows(session)
        for event in events:
            written.add(batch, Frame(event), b"{}")
            batch.position += 1
        written.end(batch, SessionEnd("closed", "made", first + span * rounds, None))
        await commit_batch(store, f"spool-{session_id}", batch, None)
        async with store.connection() as connection:
            for table in TABLES:
                await connection.execute(_repeat(table), session_id, length, span, rounds - 1)
            await connection.execute(
                "UPDATE rl_orderbook_sessions SET frames = $2, last_row_at = $3"
                " WHERE session_id = $1",
                session_id,
                length * rounds,
                first + span * rounds,
            )
            await connection.execute("VACUUM ANALYZE")  # as a day later
    return length * rounds


def _known(event: MarketEvent) -> MarketEvent:
    """Give an event as if an exchange time had been seen before."""
    if event.stamp.time_source is TimeSource.RECEIVE:
        return event._replace(stamp=event.stamp._replace(time_source=TimeSource.CARRIED))
    return event


def _repeat(table: str) -> str:
    changed = {
        "frame_no": "frame_no + $2 * round",
        "received_at": "received_at + $3 * round",
        "market_time": "market_time + $3 * round",
        "exchange_ts": "exchange_ts + $3 * round",
    }
    names = COLUMNS[table]
    values = ", ".join(changed.get(name, name) for name in names)
    return (
        f"INSERT INTO {table} ({', '.join(names)}) SELECT {values}"
        f" FROM generate_series(1, $4::bigint) AS round, {table} WHERE session_id = $1"
        " ORDER BY round, frame_no"
    )

"""What happened in a recorded session, market by market: counted and followed in its columns."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from kalshiflow.learning.episodes.cutter import Cutter
from kalshiflow.learning.episodes.cutting import cut_rows
from kalshiflow.market.units import DOLLAR, Quantity, quantity_to_contracts
from kalshiflow.store.bulk import Columns, Rows, read_columns
from kalshiflow.store.database import Store
from kalshiflow.store.outline import Outline
from pipelines.times import NANOSECONDS

LOOKS = 500  # at most about so many at the books of a session


@dataclass(slots=True)
class MarketActivity:
    """What was recorded of one market.

    `mids` is (market time, mid in dollars) wherever it was another one at a look at its book: at
    every event of a small session, at some hundred of a large one.
    """

    snapshots: int = 0
    deltas: int = 0
    trades: int = 0
    volume: int = 0
    mids: list[tuple[int, float]] = field(default_factory=list)


class Activity:
    """Counts a session's events (`take`) and follows its markets' mids while they can be trusted.

    `seconds` counts events by the second of market time, UTC.
    """

    def __init__(self, outline: Outline) -> None:
        from kalshiflow.learning.compiled import compiled

        self.markets = {ticker: MarketActivity() for ticker in outline.tickers}
        self.seconds: Counter[int] = Counter()
        self._cutter = Cutter(outline, compiled(cut_rows), outline.session.frames // LOOKS)

    def take(self, columns: Columns) -> None:
        """Take the next part of the session's rows."""
        self._count(columns)
        markets = list(self.markets.values())
        for _ in self._cutter.cut(columns):
            for place, at, bid, ask in self._cutter.touches().tolist():
                mids, mid = markets[place].mids, (bid + ask) / 2 / DOLLAR
                if not mids or mids[-1][1] != mid:
                    mids.append((at, mid))

    def _count(self, columns: Columns) -> None:
        count = len(self.markets)
        told = (columns.snapshots, columns.changes, columns.trades)
        snapshots, changes, trades = (np.bincount(rows.markets, minlength=count) for rows in told)
        volume = np.zeros(count, np.int64)
        np.add.at(volume, columns.trades.markets, columns.trades.quantities)
        for place, market in enumerate(self.markets.values()):
            market.snapshots += int(snapshots[place])
            market.deltas += int(changes[place])
            market.trades += int(trades[place])
            market.volume += int(volume[place])
        for rows in told:
            self.seconds.update(_seconds(rows))


async def read_activity(store: Store, outline: Outline, memory_mb: int) -> Activity:
    """Read what happened in a session, in so much memory."""
    activity = Activity(outline)
    session_id = outline.session.session_id
    await read_columns(store, session_id, outline.tickers, activity.take, memory_mb=memory_mb)
    return activity


def activity_rows(
    found: Mapping[str, MarketActivity], coverage: Mapping[str, float]
) -> list[dict[str, str | int | float]]:
    """Give one row of a table for each market."""
    return [
        {
            "market": ticker,
            "snapshots": market.snapshots,
            "deltas": market.deltas,
            "trades": market.trades,
            "contracts traded": quantity_to_contracts(Quantity(market.volume)),
            "book trusted, share of time": coverage.get(ticker, 0.0),
            "first mid": market.mids[0][1] if market.mids else "",
            "last mid": market.mids[-1][1] if market.mids else "",
        }
        for ticker, market in found.items()
    ]


def _seconds(rows: Rows) -> dict[int, int]:
    found, counts = np.unique(rows.times // NANOSECONDS, return_counts=True)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))

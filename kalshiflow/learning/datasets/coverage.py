"""What a dataset covers: events, time and decisions of each market in each hour of market time."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from kalshiflow.learning.episodes.segments import Segment

HOUR = 3_600_000_000_000
SCHEMA = pa.schema(
    [
        pa.field("part", pa.string(), nullable=False),
        pa.field("market", pa.string(), nullable=False),
        pa.field("hour", pa.int64(), nullable=False),
        pa.field("events", pa.int64(), nullable=False),
        pa.field("market_time", pa.int64(), nullable=False),
        pa.field("decisions", pa.int64(), nullable=False),
    ]
)

Times = NDArray[np.int64]


@dataclass(slots=True)
class Covered:
    """What lies in one hour of one market; `time` is nanoseconds of market time."""

    events: int = 0
    time: int = 0
    decisions: int = 0


class Coverage:
    """Counts the segments that are shown to it; `cells` is by (market, beginning of the hour)."""

    def __init__(self) -> None:
        self.cells: dict[tuple[str, int], Covered] = {}

    def add(self, segment: Segment, decisions: Times) -> None:
        """Count a segment, of which decisions are due at these times."""
        for hour, count in _by_hour(segment.events.times):
            self._cell(segment.ticker, hour).events += count
        for hour, count in _by_hour(decisions):
            self._cell(segment.ticker, hour).decisions += count
        for hour in range(segment.starts_at // HOUR, segment.ends_at // HOUR + 1):
            begin, end = hour * HOUR, (hour + 1) * HOUR
            lies = min(segment.ends_at, end) - max(segment.starts_at, begin)
            self._cell(segment.ticker, begin).time += lies

    def rows(self) -> list[tuple[str, int, Covered]]:
        """Give (market, hour, what it covers), by market and then by hour."""
        return [(*key, self.cells[key]) for key in sorted(self.cells)]

    def _cell(self, ticker: str, hour: int) -> Covered:
        return self.cells.setdefault((ticker, hour), Covered())


def coverage_bytes(parts: Mapping[str, Coverage]) -> bytes:
    """Write what the parts of a dataset cover as Parquet, a row for each market and hour."""
    rows = [
        (part, market, hour, covered.events, covered.time, covered.decisions)
        for part, coverage in parts.items()
        for market, hour, covered in coverage.rows()
    ]
    columns = zip(*rows, strict=True) if rows else ((),) * len(SCHEMA)
    table = pa.table([list(column) for column in columns], schema=SCHEMA)
    written = pa.BufferOutputStream()
    pq.write_table(table, written, compression="zstd")
    content: bytes = written.getvalue().to_pybytes()
    return content


def _by_hour(times: Times) -> Iterator[tuple[int, int]]:
    hours, counts = np.unique(times // HOUR, return_counts=True)
    for hour, count in zip(hours.tolist(), counts.tolist(), strict=True):
        yield hour * HOUR, count

"""What batches hold, in a form that can be compared and read back."""

import struct
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from kalshiflow.market.listing import Market
from kalshiflow.recording.frames import relisted
from kalshiflow.store import rows
from kalshiflow.store.batch import Batch
from kalshiflow.store.packing import DELTA_COLUMNS

Named = dict[str, Any]
TEXTS = {"session_id", "ticker", "client_order_id"}


def rows_of(*batches: Batch) -> dict[str, Any]:
    """Give all that batches bring, as one: rows by table, and each session's part."""
    tables: dict[str, list[Named]] = {table: [] for table in rows.COLUMNS}
    parts: dict[str, Named] = {}
    for batch in batches:
        for table, found in named_rows(batch).items():
            tables[table] += found
        for session_id, part in batch.parts.items():
            merged = parts.setdefault(session_id, {"joined": {}, "end": None})
            assert merged.get("session", part.session) == part.session
            merged |= {"session": part.session, "frames": part.frames}
            merged["joined"] |= part.joined
            merged["end"] = part.end or merged["end"]
    return {"tables": tables, "parts": parts, "markets": _kept_markets(batches)}


def _kept_markets(batches: Iterable[Batch]) -> dict[str, Market]:
    """Give the markets as a store has them that takes each batch's listings, then its life."""
    kept: dict[str, Market] = {}
    for batch in batches:
        kept |= batch.listed
        for event in batch.life:
            if event.ticker in kept:
                kept[event.ticker] = relisted(kept[event.ticker], event)
    return kept


def named_rows(batch: Batch) -> dict[str, list[Named]]:
    """Give a batch's rows by table, each with its columns' names."""
    named = {
        table: [dict(zip(columns, row, strict=True)) for row in batch.tables[table]]
        for table, columns in rows.COLUMNS.items()
    }
    named[rows.DELTAS] += map(unpacked, batch.deltas)
    return named


def unpacked(row: bytes) -> Named:
    """Read a packed delta, field by field."""
    (count,) = struct.unpack_from(">h", row)
    values: list[bytes | None] = []
    place = 2
    for _ in range(count):
        (length,) = struct.unpack_from(">i", row, place)
        place += 4
        values.append(None if length < 0 else row[place : place + length])
        place += max(length, 0)
    assert place == len(row)
    return {
        name: value if value is None else value.decode() if name in TEXTS else _integer(value)
        for name, value in zip(DELTA_COLUMNS, values, strict=True)
    }


def _integer(value: bytes) -> int:
    return int.from_bytes(value, "big", signed=True)


def by_session(batch: Batch) -> dict[str, dict[str, list[Named]]]:
    """Give the rows of each session by table."""
    found: dict[str, dict[str, list[Named]]] = defaultdict(lambda: defaultdict(list))
    for table, named in named_rows(batch).items():
        for row in named:
            if row["session_id"] is not None:
                found[row["session_id"]][table].append(row)
    return found

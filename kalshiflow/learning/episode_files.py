"""Segments in Parquet files: the same segments give the same bytes, and come back equal."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kalshiflow.learning.episodes import Segment
from kalshiflow.market.events import (
    BookDelta,
    BookSnapshot,
    Levels,
    MarketEvent,
    MarketStatusChanged,
    PublicTrade,
    Side,
    Stamp,
    TimeSource,
)
from kalshiflow.market.listing import (
    FeeTerms,
    FeeType,
    Market,
    MarketResult,
    MarketStatus,
    decode_grid,
    encode_grid,
)
from kalshiflow.market.units import Price, Quantity

FORMAT = "kalshiflow-episodes-1"
_SNAPSHOT, _DELTA, _TRADE, _STATUS = range(4)
_SOURCES = tuple(TimeSource)

_LEVELS = pa.list_(pa.int64())  # price, quantity, price, quantity, …, best first
SCHEMA = pa.schema(
    [
        pa.field("segment", pa.int32(), nullable=False),
        pa.field("kind", pa.int8(), nullable=False),
        pa.field("frame_no", pa.int64(), nullable=False),
        pa.field("received_at", pa.int64(), nullable=False),
        pa.field("market_time", pa.int64(), nullable=False),
        pa.field("time_source", pa.int8(), nullable=False),
        pa.field("exchange_ts", pa.int64()),
        pa.field("sid", pa.int64()),
        pa.field("seq", pa.int64()),
        pa.field("side", pa.int8()),
        pa.field("price", pa.int32()),
        pa.field("quantity", pa.int64()),
        pa.field("bids", _LEVELS),
        pa.field("asks", _LEVELS),
        pa.field("text", pa.string()),  # trade id, own client order id, or a status as JSON
    ]
)


class EpisodeFileError(ValueError):
    """A file that does not hold segments in the form that is read here."""


def write_segments(path: Path, segments: Sequence[Segment]) -> str:
    """Write segments to a Parquet file and give the sha256 of its bytes."""
    columns: dict[str, list[Any]] = {name: [] for name in SCHEMA.names}
    for number, segment in enumerate(segments):
        for event in segment.events:
            for name, value in zip(SCHEMA.names, _row(number, event), strict=True):
                columns[name].append(value)
    heads = [
        {"ticker": s.ticker, "session_id": s.session_id, "market": market_to_json(s.market)}
        for s in segments
    ]
    metadata = {"format": FORMAT, "segments": json.dumps(heads, sort_keys=True)}
    table = pa.table(columns, schema=SCHEMA.with_metadata(metadata))
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(path.suffix + ".part")
    pq.write_table(table, part, compression="zstd", row_group_size=1 << 20, store_schema=True)
    part.replace(path)
    return file_sha256(path)


def read_segments(path: Path) -> list[Segment]:
    """Read the segments of a file that `write_segments` wrote.

    Raises `EpisodeFileError` for any other file.
    """
    table = pq.read_table(path)
    heads = _heads(path, table.schema)
    events: list[list[MarketEvent]] = [[] for _ in heads]
    tickers = [head["ticker"] for head in heads]
    columns = [table.column(name).to_pylist() for name in SCHEMA.names]
    for row in zip(*columns, strict=True):
        events[row[0]].append(_event(tickers[row[0]], row))
    return [
        Segment(head["ticker"], head["session_id"], market_from_json(head["market"]), tuple(rows))
        for head, rows in zip(heads, events, strict=True)
    ]


def count_segments(path: Path) -> int:
    """Give how many segments a file of `write_segments` holds, from its head alone.

    Raises `EpisodeFileError` for any other file.
    """
    return len(_heads(path, pq.read_schema(path)))


def file_sha256(path: Path) -> str:
    """Give the sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def market_to_json(market: Market) -> dict[str, Any]:
    """Write a market's listing as plain values."""
    return {
        "ticker": market.ticker,
        "event_ticker": market.event_ticker,
        "series_ticker": market.series_ticker,
        "title": market.title,
        "bands": encode_grid(market.grid),
        "status": market.status,
        "open_time": market.open_time,
        "close_time": market.close_time,
        "result": market.result,
        "settlement_value": market.settlement_value,
        "fee_type": market.fees.fee_type,
        "fee_multiplier": str(market.fees.multiplier),
    }


def market_from_json(values: Mapping[str, Any]) -> Market:
    """Read what `market_to_json` wrote."""
    return Market(
        ticker=values["ticker"],
        event_ticker=values["event_ticker"],
        title=values["title"],
        grid=decode_grid(values["bands"]),
        status=MarketStatus(values["status"]),
        open_time=values["open_time"],
        close_time=values["close_time"],
        result=MarketResult(values["result"]),
        settlement_value=values["settlement_value"],
        series_ticker=values["series_ticker"],
        fees=FeeTerms(FeeType(values["fee_type"]), Fraction(values["fee_multiplier"])),
    )


def _heads(path: Path, schema: pa.Schema) -> list[dict[str, Any]]:
    metadata = {k.decode(): v.decode() for k, v in (schema.metadata or {}).items()}
    if metadata.get("format") != FORMAT:
        raise EpisodeFileError(f"{path.name} is no file of segments in the form {FORMAT}")
    heads: list[dict[str, Any]] = json.loads(metadata["segments"])
    return heads


def _row(segment: int, event: MarketEvent) -> tuple[Any, ...]:
    stamp = event.stamp
    source = _SOURCES.index(stamp.time_source)
    when = (stamp.frame_no, stamp.received_at, stamp.market_time, source)
    where = (stamp.exchange_ts, stamp.sid, stamp.seq)
    if isinstance(event, BookDelta):
        rest = (event.side, event.price, event.change, None, None, event.client_order_id)
        return (segment, _DELTA, *when, *where, *rest)
    if isinstance(event, PublicTrade):
        rest = (event.taker_side, event.price, event.quantity, None, None, event.trade_id)
        return (segment, _TRADE, *when, *where, *rest)
    if isinstance(event, BookSnapshot):
        levels = (_flat(event.bids), _flat(event.asks))
        return (segment, _SNAPSHOT, *when, *where, None, None, None, *levels, None)
    text = json.dumps(_status_values(event), sort_keys=True)
    return (segment, _STATUS, *when, *where, None, None, None, None, None, text)


def _event(ticker: str, row: Sequence[Any]) -> MarketEvent:
    (_, kind, frame_no, received_at, market_time, source, exchange_ts, sid, seq,
     side, price, quantity, bids, asks, text) = row  # fmt: skip
    stamp = Stamp(frame_no, received_at, market_time, _SOURCES[source], exchange_ts, sid, seq)
    if kind == _DELTA:
        return BookDelta(ticker, Side(side), price, quantity, stamp, text)
    if kind == _TRADE:
        return PublicTrade(ticker, text, price, quantity, Side(side), stamp)
    if kind == _SNAPSHOT:
        return BookSnapshot(ticker, _levels(bids), _levels(asks), stamp)
    return _status_event(ticker, json.loads(text), stamp)


def _flat(levels: Levels) -> list[int]:
    return [number for level in levels for number in level]


def _levels(flat: Sequence[int]) -> Levels:
    return tuple(_pairs(flat))


def _pairs(flat: Sequence[int]) -> Iterator[tuple[Price, Quantity]]:
    for position, (price, quantity) in enumerate(pairwise(flat)):
        if position % 2 == 0:
            yield Price(price), Quantity(quantity)


def _status_values(event: MarketStatusChanged) -> dict[str, Any]:
    return {
        "event_type": event.event_type,
        "status": event.status,
        "result": event.result,
        "settlement_value": event.settlement_value,
        "close_time": event.close_time,
        "bands": None if event.grid is None else encode_grid(event.grid),
    }


def _status_event(ticker: str, values: Mapping[str, Any], stamp: Stamp) -> MarketStatusChanged:
    return MarketStatusChanged(
        ticker,
        values["event_type"],
        stamp,
        None if values["status"] is None else MarketStatus(values["status"]),
        MarketResult(values["result"]),
        values["settlement_value"],
        values["close_time"],
        None if values["bands"] is None else decode_grid(values["bands"]),
    )

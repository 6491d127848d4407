"""The columns of exported files: name, type and unit, table by table."""

from typing import NamedTuple

NANOSECONDS = "nanoseconds since 1970, UTC"
PRICE = "1/10000 dollar, on the YES scale"
QUANTITY = "1/100 contract"
CASH = "1/1000000 dollar"
MARKET_TIME = "nanoseconds since 1970, UTC, of market time"
FRAME = "number of the frame in its session, dense from 1; 0 stands before the first"
SIDE = "0 bid, 1 ask, on the YES scale"
SOURCE = "0 exchange, 1 carried, 2 receive"
SEQUENCE = "sequence number of its subscription"
NANOSECOND_SPAN = "nanoseconds"


class Column(NamedTuple):
    """One column of a file: `kind` is an Arrow type by name, `unit` says how to read its values."""

    name: str
    kind: str
    unit: str = ""


class ExportTable(NamedTuple):
    """What is read from a table for one file, and the column with its time of receiving."""

    table: str
    time: str
    columns: tuple[Column, ...]


_STAMP = (
    Column("received_at", "int64", NANOSECONDS),
    Column("market_time", "int64", NANOSECONDS),
    Column("time_source", "int8", SOURCE),
    Column("exchange_ts", "int64", NANOSECONDS),
    Column("sid", "int64", "subscription id"),
    Column("seq", "int64", SEQUENCE),
)
_PLACE = (Column("frame_no", "int64", FRAME), Column("ticker", "string"))

TABLES: dict[str, ExportTable] = {
    "deltas": ExportTable(
        "rl_orderbook_deltas",
        "received_at",
        (
            *_PLACE,
            Column("side", "int8", SIDE),
            Column("price", "int32", PRICE),
            Column("change", "int64", f"{QUANTITY}, signed"),
            Column("client_order_id", "string"),
            *_STAMP,
        ),
    ),
    "snapshots": ExportTable(
        "rl_orderbook_snapshots",
        "received_at",
        (
            *_PLACE,
            Column("source", "string", "exchange, seam or periodic"),
            Column("bid_prices", "list<int32>", f"{PRICE}, best first"),
            Column("bid_quantities", "list<int64>", QUANTITY),
            Column("ask_prices", "list<int32>", f"{PRICE}, best first"),
            Column("ask_quantities", "list<int64>", QUANTITY),
            *_STAMP,
        ),
    ),
    "trades": ExportTable(
        "rl_public_trades",
        "received_at",
        (
            *_PLACE,
            Column("trade_id", "string"),
            Column("price", "int32", PRICE),
            Column("quantity", "int64", QUANTITY),
            Column("taker_side", "int8", SIDE),
            *_STAMP,
        ),
    ),
    "lifecycle": ExportTable(
        "rl_market_lifecycle",
        "received_at",
        (
            *_PLACE,
            Column("event_type", "string"),
            Column("status", "string"),
            Column("result", "string"),
            Column("settlement_value", "int32", PRICE),
            Column("close_time", "int64", NANOSECONDS),
            Column("grid", "json", "bands [[start, end, step], …] in 1/10000 dollar"),
            *_STAMP,
        ),
    ),
    "frames": ExportTable(
        "rl_feed_frames",
        "received_at",
        (
            Column("frame_no", "int64", FRAME),
            Column("sid", "int64", "subscription id"),
            Column("seq", "int64", SEQUENCE),
            Column("kind", "string"),
            Column("received_at", "int64", NANOSECONDS),
            Column("market_time", "int64", NANOSECONDS),
            Column("raw", "string"),
        ),
    ),
    "gaps": ExportTable(
        "rl_feed_gaps",
        "started_at",
        (
            Column("frame_no", "int64", FRAME),
            Column("kind", "string", "missing, bad_frame, carried, outage or grid"),
            Column("channel", "string"),
            Column("sid", "int64", "subscription id"),
            Column("seq", "int64", SEQUENCE),
            Column("expected", "int64", SEQUENCE),
            Column("received", "int64", SEQUENCE),
            Column("tickers", "list<string>"),
            Column("reason", "string"),
            Column("raw", "string"),
            Column("started_at", "int64", NANOSECONDS),
            Column("recovered_at", "int64", NANOSECONDS),
        ),
    ),
    "listings": ExportTable(
        "rl_market_listings",
        "at",
        (
            *_PLACE,
            Column("reason", "string", "begun, joined, lifecycle or released"),
            Column("event_ticker", "string"),
            Column("series_ticker", "string"),
            Column("title", "string"),
            Column("grid", "json", "bands [[start, end, step], …] in 1/10000 dollar"),
            Column("status", "string"),
            Column("open_time", "int64", NANOSECONDS),
            Column("close_time", "int64", NANOSECONDS),
            Column("result", "string"),
            Column("settlement_value", "int32", PRICE),
            Column("fee_type", "string"),
            Column("fee_multiplier_num", "int64"),
            Column("fee_multiplier_den", "int64"),
            Column("at", "int64", NANOSECONDS),
        ),
    ),
    "audits": ExportTable(
        "rl_book_audits",
        "at",
        (
            *_PLACE,
            Column("at", "int64", NANOSECONDS),
            Column("verdict", "string", "agrees, moved or differs"),
            Column("tries", "int32"),
            Column("took", "int64", NANOSECOND_SPAN),
            Column("age", "int64", NANOSECOND_SPAN),
            Column("detail", "string"),
        ),
    ),
    "accounts": ExportTable(
        "rl_account_changes",
        "received_at",
        (
            Column("frame_no", "int64", FRAME),
            Column("change_no", "int64", "number of the change in its session, dense from 1"),
            Column("decision_no", "int64", "decisions of the run before it"),
            Column("ticker", "string"),
            Column("received_at", "int64", NANOSECONDS),
            Column("budget", "int64", CASH),
            Column("position", "int64", f"{QUANTITY}, above 0 is YES"),
            Column("cost", "int64", CASH),
            Column("realised", "int64", CASH),
            Column("fees", "int64", CASH),
            Column("reserved", "int64", CASH),
            Column("held_since", "int64", f"{MARKET_TIME}, -1 when flat"),
            Column("ordered_at", "int64", f"{MARKET_TIME}, -1 before the first order"),
            Column("ordered", "int64", QUANTITY),
            Column("filled", "int64", QUANTITY),
            Column("bid_price", "int32", f"{PRICE}, -1: no bid of our own rests"),
            Column("bid_quantity", "int64", QUANTITY),
            Column("bid_since", "int64", MARKET_TIME),
            Column("ask_price", "int32", f"{PRICE}, -1: no ask of our own rests"),
            Column("ask_quantity", "int64", QUANTITY),
            Column("ask_since", "int64", MARKET_TIME),
        ),
    ),
}

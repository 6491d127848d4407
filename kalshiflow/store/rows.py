"""Market events as table rows and back: pure, and one place for the order of columns."""

from typing import Any, NamedTuple

from kalshiflow.market.events import (
    BookDelta,
    BookSnapshot,
    Levels,
    MarketStatusChanged,
    PublicTrade,
    Side,
    Stamp,
    TimeSource,
)
from kalshiflow.market.flat import ACCOUNT_COLUMNS
from kalshiflow.market.listing import (
    Market,
    MarketResult,
    MarketStatus,
    decode_grid,
    encode_grid,
)
from kalshiflow.market.units import Price, Quantity
from kalshiflow.store.frames import storable
from kalshiflow.store.replay import Gap

SNAPSHOTS = "rl_orderbook_snapshots"
DELTAS = "rl_orderbook_deltas"
TRADES = "rl_public_trades"
LIFECYCLE = "rl_market_lifecycle"
FRAMES = "rl_feed_frames"
GAPS = "rl_feed_gaps"
LISTINGS = "rl_market_listings"
AUDITS = "rl_book_audits"
ACCOUNTS = "rl_account_changes"

# Table to columns, in the order in which rows are made and copied.
COLUMNS: dict[str, tuple[str, ...]] = {
    DELTAS: (
        "session_id",
        "frame_no",
        "ticker",
        "side",
        "price",
        "change",
        "client_order_id",
        "received_at",
        "market_time",
        "time_source",
        "exchange_ts",
        "sid",
        "seq",
    ),
    SNAPSHOTS: (
        "session_id",
        "frame_no",
        "ticker",
        "source",
        "bid_prices",
        "bid_quantities",
        "ask_prices",
        "ask_quantities",
        "received_at",
        "market_time",
        "time_source",
        "exchange_ts",
        "sid",
        "seq",
    ),
    TRADES: (
        "session_id",
        "frame_no",
        "ticker",
        "trade_id",
        "price",
        "quantity",
        "taker_side",
        "received_at",
        "market_time",
        "time_source",
        "exchange_ts",
        "sid",
        "seq",
    ),
    LIFECYCLE: (
        "session_id",
        "frame_no",
        "ticker",
        "event_type",
        "status",
        "result",
        "settlement_value",
        "close_time",
        "grid",
        "received_at",
        "market_time",
        "time_source",
        "exchange_ts",
        "sid",
        "seq",
    ),
    FRAMES: ("session_id", "frame_no", "sid", "seq", "kind", "received_at", "market_time", "raw"),
    GAPS: (
        "session_id",
        "frame_no",
        "kind",
        "channel",
        "sid",
        "seq",
        "expected",
        "received",
        "tickers",
        "reason",
        "raw",
        "started_at",
        "recovered_at",
    ),
    LISTINGS: (
        "session_id",
        "frame_no",
        "ticker",
        "reason",
        "event_ticker",
        "series_ticker",
        "title",
        "grid",
        "status",
        "open_time",
        "close_time",
        "result",
        "settlement_value",
        "fee_type",
        "fee_multiplier_num",
        "fee_multiplier_den",
        "at",
    ),
    AUDITS: (
        "session_id",
        "frame_no",
        "ticker",
        "at",
        "verdict",
        "tries",
        "took",
        "age",
        "detail",
    ),
    ACCOUNTS: (
        "session_id",
        "frame_no",
        "change_no",
        "decision_no",
        "ticker",
        "received_at",
        *ACCOUNT_COLUMNS,
    ),
}

Row = tuple[Any, ...]

_SOURCES = tuple(TimeSource)  # the code of a time source is its place: exchange, carried, receive
_CODES = {source: code for code, source in enumerate(_SOURCES)}
_SIDES = (Side.BID, Side.ASK)


class Audit(NamedTuple):
    """How a book compared with the exchange's own answer. Times are nanoseconds."""

    ticker: str
    at: int
    verdict: str
    tries: int
    took: int
    age: int | None
    detail: str


class AccountChange(NamedTuple):
    """A market's part of the account as it stands from here on.

    It holds after frame `frame_no` and after `decision_no` decisions of its run; `change_no` is
    dense from 1 within its session. `values` are those of `market.flat.ACCOUNT_COLUMNS`.
    """

    frame_no: int
    change_no: int
    decision_no: int
    ticker: str
    received_at: int
    values: tuple[int, ...]


def delta_row(session_id: str, event: BookDelta) -> Row:
    """Give the row of a delta."""
    stamp = event.stamp
    return (
        session_id,
        stamp.frame_no,
        event.ticker,
        event.side,
        event.price,
        event.change,
        event.client_order_id,
        stamp.received_at,
        stamp.market_time,
        _CODES[stamp.time_source],
        stamp.exchange_ts,
        stamp.sid,
        stamp.seq,
    )


def snapshot_row(session_id: str | None, event: BookSnapshot, source: str = "exchange") -> Row:
    """Give the row of a snapshot; one from REST belongs to no session."""
    return (
        session_id,
        event.stamp.frame_no,
        event.ticker,
        source,
        [price for price, _ in event.bids],
        [quantity for _, quantity in event.bids],
        [price for price, _ in event.asks],
        [quantity for _, quantity in event.asks],
        *_stamp_row(event.stamp),
    )


def trade_row(session_id: str, event: PublicTrade) -> Row:
    """Give the row of a public trade."""
    return (
        session_id,
        event.stamp.frame_no,
        event.ticker,
        event.trade_id,
        event.price,
        event.quantity,
        event.taker_side,
        *_stamp_row(event.stamp),
    )


def lifecycle_row(session_id: str, event: MarketStatusChanged) -> Row:
    """Give the row of a lifecycle event."""
    return (
        session_id,
        event.stamp.frame_no,
        event.ticker,
        event.event_type,
        None if event.status is None else event.status.value,
        event.result.value,
        event.settlement_value,
        event.close_time,
        None if event.grid is None else encode_grid(event.grid),
        *_stamp_row(event.stamp),
    )


def gap_row(session_id: str, gap: Gap) -> Row:
    """Give the row of a gap."""
    return (
        session_id,
        gap.frame_no,
        gap.kind,
        gap.channel,
        gap.sid,
        gap.seq,
        gap.expected,
        gap.received,
        list(gap.tickers),
        gap.reason,
        gap.raw,
        gap.started_at,
        gap.recovered_at,
    )


def listing_values(market: Market) -> Row:
    """Give what a listing tells of a market beside its ticker, in the tables' order."""
    return (
        storable(market.event_ticker),
        storable(market.series_ticker),
        storable(market.title),
        encode_grid(market.grid),
        market.status.value,
        market.open_time,
        market.close_time,
        market.result.value,
        market.settlement_value,
        market.fees.fee_type.value,
        market.fees.multiplier.numerator,
        market.fees.multiplier.denominator,
    )


def listing_row(session_id: str, frame_no: int, market: Market, reason: str, at: int) -> Row:
    """Give the row of a market as it is listed from a frame on."""
    return (
        session_id,
        frame_no,
        market.ticker,
        reason,
        *listing_values(market),
        at,
    )


def audit_row(session_id: str, frame_no: int, audit: Audit) -> Row:
    """Give the row of a book's comparison with the exchange's own answer."""
    return (session_id, frame_no, *audit[:-1], storable(audit.detail))


def account_row(session_id: str, change: AccountChange) -> Row:
    """Give the row of a change of the account."""
    return (session_id, *change[:-1], *change.values)


def account_of(record: Any) -> AccountChange:
    """Read a change of the account from its row."""
    return AccountChange(
        record["frame_no"],
        record["change_no"],
        record["decision_no"],
        record["ticker"],
        record["received_at"],
        tuple(record[name] for name in ACCOUNT_COLUMNS),
    )


def delta_of(record: Any) -> BookDelta:
    """Read a delta from its row."""
    return BookDelta(
        record["ticker"],
        _SIDES[record["side"]],
        record["price"],
        record["change"],
        _stamp_of(record),
        record["client_order_id"],
    )


def snapshot_of(record: Any) -> BookSnapshot:
    """Read a snapshot from its row."""
    return BookSnapshot(
        record["ticker"],
        _levels(record["bid_prices"], record["bid_quantities"]),
        _levels(record["ask_prices"], record["ask_quantities"]),
        _stamp_of(record),
    )


def trade_of(record: Any) -> PublicTrade:
    """Read a public trade from its row."""
    return PublicTrade(
        record["ticker"],
        record["trade_id"],
        Price(record["price"]),
        Quantity(record["quantity"]),
        _SIDES[record["taker_side"]],
        _stamp_of(record),
    )


def lifecycle_of(record: Any) -> MarketStatusChanged:
    """Read a lifecycle event from its row."""
    status, value, grid = record["status"], record["settlement_value"], record["grid"]
    return MarketStatusChanged(
        record["ticker"],
        record["event_type"],
        _stamp_of(record),
        None if status is None else MarketStatus(status),
        MarketResult(record["result"]),
        None if value is None else Price(value),
        record["close_time"],
        None if grid is None else decode_grid(grid),
    )


def _stamp_row(stamp: Stamp) -> Row:
    return (
        stamp.received_at,
        stamp.market_time,
        _CODES[stamp.time_source],
        stamp.exchange_ts,
        stamp.sid,
        stamp.seq,
    )


def _stamp_of(record: Any) -> Stamp:
    return Stamp(
        record["frame_no"],
        record["received_at"],
        record["market_time"],
        _SOURCES[record["time_source"]],
        record["exchange_ts"],
        record["sid"],
        record["seq"],
    )


def _levels(prices: list[int], quantities: list[int]) -> Levels:
    return tuple(zip(map(Price, prices), map(Quantity, quantities), strict=True))

"""Frames as Kalshi sends them, with a default for everything but their number."""

from typing import Any

Frame = dict[str, Any]


def subscribed(channel: str = "orderbook_delta", sid: int = 1) -> Frame:
    return {"type": "subscribed", "id": 1, "msg": {"channel": channel, "sid": sid}}


def snapshot(
    seq: int,
    ticker: str = "A",
    bids: tuple[tuple[str, str], ...] = (("0.4000", "10.00"),),
    asks: tuple[tuple[str, str], ...] = (("0.6000", "5.00"),),
) -> Frame:
    body = {"market_ticker": ticker, "yes_dollars_fp": bids, "no_dollars_fp": asks}
    return {"type": "orderbook_snapshot", "sid": 1, "seq": seq, "msg": body}


def delta(seq: int, change: str = "1.00", price: str = "0.4000", ticker: str = "A") -> Frame:
    body = {
        "market_ticker": ticker,
        "price_dollars": price,
        "delta_fp": change,
        "side": "yes",
        "ts_ms": 1_795_000_000_000 + seq,
    }
    return {"type": "orderbook_delta", "sid": 1, "seq": seq, "msg": body}


def trade(seq: int, trade_id: str = "t", ticker: str = "A") -> Frame:
    body = {
        "trade_id": trade_id,
        "market_ticker": ticker,
        "yes_price_dollars": "0.4000",
        "count_fp": "2.00",
        "taker_book_side": "ask",
        "taker_side": "no",
        "ts_ms": 1_795_000_000_500,
    }
    return {"type": "trade", "sid": 2, "seq": seq, "msg": body}


def regridded(seq: int, step: str, ticker: str = "A") -> Frame:
    body = {
        "market_ticker": ticker,
        "event_type": "price_level_structure_updated",
        "price_ranges": [{"start": "0", "end": "1", "step": step}],
    }
    return {"type": "market_lifecycle_v2", "sid": 3, "seq": seq, "msg": body}

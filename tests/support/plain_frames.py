"""What a frame says, read by the rules alone: the second opinion to the feed's own reading.

A fact is a plain tuple. Its first three entries are its kind, sid and seq; prices are in 1/10000
dollar, quantities in 1/100 contract, times in nanoseconds, sides 0 (bid) and 1 (ask) of the YES
scale, which is the scale that our collector asks for.
"""

import json
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

Fact = tuple[Any, ...]
PlainBook = tuple[dict[int, int], dict[int, int]]  # price to quantity, of bids and of asks

LIFECYCLES = ("market_lifecycle_v2", "multivariate_market_lifecycle")


def fact_of(text: str) -> Fact:
    """Read one frame. One that means nothing is the fact ("bad", sid, seq, text)."""
    try:
        frame = json.loads(text)
    except ValueError:
        return ("bad", None, None, text)
    sid, seq = frame.get("sid"), frame.get("seq")
    try:
        return _meaning(frame["type"], sid, seq, frame.get("msg"), text)
    except (ValueError, ArithmeticError, KeyError):
        return ("bad", sid, seq, text)


def _meaning(kind: str, sid: int | None, seq: int | None, body: Any, text: str) -> Fact:
    if kind == "orderbook_delta":
        return (
            "delta",
            sid,
            seq,
            body["market_ticker"],
            ("yes", "no").index(body["side"]),
            _exact(body["price_dollars"], 10_000),
            _exact(body["delta_fp"], 100),
            body.get("client_order_id"),
            _moment(body),
        )
    if kind == "orderbook_snapshot":
        bids = _levels(body.get("yes_dollars_fp"))
        asks = _levels(body.get("no_dollars_fp"))
        return ("snapshot", sid, seq, body["market_ticker"], bids[::-1], asks)
    if kind == "trade":
        return (
            "trade",
            sid,
            seq,
            body["market_ticker"],
            body["trade_id"],
            _exact(body["yes_price_dollars"], 10_000),
            _exact(body["count_fp"], 100),
            ("bid", "ask").index(body["taker_book_side"]),
            _moment(body),
        )
    if kind in LIFECYCLES:
        value, closes = body.get("settlement_value"), body.get("close_ts")
        return (
            "lifecycle",
            sid,
            seq,
            body["market_ticker"],
            body["event_type"],
            body.get("result") or "",
            None if value is None else _exact(value, 10_000),
            None if closes is None else closes * 10**9,
        )
    if kind == "subscribed":  # its sid stands in its body
        sid = body["sid"]
    return ("other", sid, seq, kind, text)


def follow(books: dict[str, PlainBook], fact: Fact) -> None:
    """Let a fact have its effect on plain books."""
    if fact[0] == "snapshot":
        books[fact[3]] = (dict(fact[4]), dict(fact[5]))
    elif fact[0] == "delta" and fact[3] in books:
        side = books[fact[3]][fact[4]]
        side[fact[5]] = side.get(fact[5], 0) + fact[6]
        if not side[fact[5]]:
            del side[fact[5]]


def levels_of(book: PlainBook) -> tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]:
    """Give a plain book's bids and asks, best first."""
    return tuple(sorted(book[0].items(), reverse=True)), tuple(sorted(book[1].items()))


def _exact(text: str, scale: int) -> int:
    scaled = Decimal(text) * scale
    if scaled != int(scaled):
        raise ValueError(f"{text} is finer than its unit")
    return int(scaled)


def _levels(levels: Iterable[tuple[str, str]] | None) -> tuple[tuple[int, int], ...]:
    read = [(_exact(price, 10_000), _exact(count, 100)) for price, count in levels or ()]
    return tuple(sorted(level for level in read if level[1]))


def _moment(body: dict[str, Any]) -> int | None:
    text = body.get("ts")
    if isinstance(text, str):
        second, _, fraction = text.removesuffix("Z").partition(".")
        whole = int(datetime.fromisoformat(f"{second}+00:00").timestamp())
        return whole * 10**9 + int(fraction.ljust(9, "0") or 0)
    if body.get("ts_ms") is not None:
        return body["ts_ms"] * 10**6
    return None if text is None else text * 10**9

"""Plain records of a spool: one connection, its frames in order."""

import json

from recorder_walk import BEGAN

from kalshiflow.market.listing import Market
from kalshiflow.recording.notes import Connected, encode_note, listed
from kalshiflow.recording.spool import Kind, Record


def connected(session_id: str, *tickers: str, epoch: int = 0) -> Record:
    """Begin a session, of market A where none is named."""
    markets = [Market(ticker, "E", f"market {ticker}") for ticker in tickers or ("A",)]
    note = Connected(
        session_id=session_id,
        origin="collector",
        environment="local",
        traded=False,
        markets=listed(markets),
        epoch=epoch,
    )
    return Record(0, Kind.NOTE, BEGAN, encode_note(note))


def frame(kind: str, seq: int, body: dict[str, object], *, at: int = BEGAN) -> Record:
    """Give any frame of sid 1."""
    told = {"type": kind, "sid": 1, "seq": seq, "msg": body}
    return Record(0, Kind.FRAME, at, json.dumps(told).encode())


def book(ticker: str, seq: int, *, at: int = BEGAN) -> Record:
    """Give a snapshot with one level a side."""
    body = {
        "market_ticker": ticker,
        "yes_dollars_fp": [["0.4000", "1000.00"]],
        "no_dollars_fp": [["0.6000", "1000.00"]],
    }
    return frame("orderbook_snapshot", seq, body, at=at)


def delta(ticker: str, seq: int, *, at: int = BEGAN) -> Record:
    """Give a change of the best bid."""
    body = {
        "market_ticker": ticker,
        "price_dollars": "0.4000",
        "delta_fp": "1.00" if seq % 2 else "-1.00",
        "side": "yes",
        "ts_ms": BEGAN // 1_000_000 + seq,
    }
    return frame("orderbook_delta", seq, body, at=at)

"""A recorder with the spool's records made up on the spot: frames and notes as they come."""

import json
from collections.abc import Iterable
from itertools import count
from typing import Any

from batches import named_rows

from kalshiflow.exchange.feed import Received
from kalshiflow.market.listing import Market
from kalshiflow.recording.notes import AnyNote, Connected, listed
from kalshiflow.recording.recorder import Recorder
from kalshiflow.store.batch import Batch

SECOND = 10**9
BOOK, TRADES, LIFE = 1, 2, 3  # the subscriptions' ids


class SpoolStand:
    """Writes one record after the other, a second apart, and gives what became of them."""

    def __init__(self) -> None:
        self.batch = Batch()
        self.recorder = Recorder(self.batch)
        self.at = 1_000 * SECOND
        self._positions = count(1)
        self._seqs = {BOOK: count(1), TRADES: count(1), LIFE: count(1)}

    def note(self, note: AnyNote) -> None:
        """Write a note."""
        self.at += SECOND
        self.recorder.note(next(self._positions), self.at, note)

    def connect(self, session_id: str = "one", markets: Iterable[Market] = (), **more: Any) -> None:
        """Open a connection, on which all numbers begin anew."""
        self._seqs = {BOOK: count(1), TRADES: count(1), LIFE: count(1)}
        told = {"origin": "collector", "environment": "local", "traded": False} | more
        self.note(Connected(session_id=session_id, markets=listed(markets), **told))

    def raw(self, raw: bytes) -> Received:
        """Write a frame as it came."""
        self.at += SECOND
        return self.recorder.frame(next(self._positions), self.at, raw)

    def frame(
        self, kind: str, sid: int, body: dict[str, object], seq: int | None = None
    ) -> Received:
        """Write a frame of a subscription, with its next number."""
        following = next(self._seqs[sid])
        told = {"type": kind, "sid": sid, "seq": following if seq is None else seq, "msg": body}
        return self.raw(json.dumps(told).encode())

    def book(self, ticker: str = "A", bid: str = "0.4000", ask: str = "0.6000") -> Received:
        """Write a snapshot with one level on each side."""
        yes, no = [[bid, "10.00"]], [[ask, "10.00"]]
        body = {"market_ticker": ticker, "yes_dollars_fp": yes, "no_dollars_fp": no}
        return self.frame("orderbook_snapshot", BOOK, body)

    def delta(
        self, ticker: str = "A", price: str = "0.4000", change: str = "1.00", seq: int | None = None
    ) -> Received:
        """Write a change of one bid."""
        body = {"market_ticker": ticker, "price_dollars": price, "delta_fp": change, "side": "yes"}
        return self.frame("orderbook_delta", BOOK, body, seq)

    def trade(self, ticker: str = "A") -> Received:
        """Write a public trade."""
        body = {
            "market_ticker": ticker,
            "trade_id": "t",
            "yes_price_dollars": "0.5000",
            "count_fp": "1.00",
            "taker_side": "yes",
        }
        return self.frame("trade", TRADES, body)

    def life(self, ticker: str, event_type: str, **more: object) -> Received:
        """Write a step of a market's life."""
        body = {"market_ticker": ticker, "event_type": event_type} | more
        return self.frame("market_lifecycle_v2", LIFE, body)

    def rows(self, table: str, *columns: str) -> list[tuple[Any, ...]]:
        """Give some columns of all rows of a table."""
        return [tuple(row[name] for name in columns) for row in named_rows(self.batch)[table]]

    def gaps(self) -> list[tuple[int, str, list[str]]]:
        """Give the frame, kind and markets of all gaps."""
        return self.rows("rl_feed_gaps", "frame_no", "kind", "tickers")


def market(ticker: str = "A", **more: Any) -> Market:
    """Give a market."""
    return Market(ticker, "E", f"market {ticker}", **more)

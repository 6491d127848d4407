"""What a recorder stored, by its rows alone: the frames of each session in order, and its gaps."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import psycopg2
from plain_frames import Fact

# The row of each frame, in the words of `plain_frames`; `raw` only where the row keeps the text.
_FRAMES = """
SELECT frame_no, received_at, json_build_array('delta', sid, seq, ticker, side, price, change,
       client_order_id, exchange_ts) FROM rl_orderbook_deltas WHERE session_id = %(id)s
UNION ALL
SELECT frame_no, received_at, json_build_array('snapshot', sid, seq, ticker, bid_prices,
       bid_quantities, ask_prices, ask_quantities)
  FROM rl_orderbook_snapshots WHERE session_id = %(id)s AND source = 'exchange'
UNION ALL
SELECT frame_no, received_at, json_build_array('trade', sid, seq, ticker, trade_id, price, quantity,
       taker_side, exchange_ts) FROM rl_public_trades WHERE session_id = %(id)s
UNION ALL
SELECT frame_no, received_at, json_build_array('lifecycle', sid, seq, ticker, event_type, result,
       settlement_value, close_time) FROM rl_market_lifecycle WHERE session_id = %(id)s
UNION ALL
SELECT frame_no, received_at, json_build_array('other', sid, seq, kind, raw)
  FROM rl_feed_frames WHERE session_id = %(id)s
UNION ALL
SELECT frame_no, started_at, json_build_array('refused', sid, seq, raw)
  FROM rl_feed_gaps WHERE session_id = %(id)s AND kind = 'bad_frame'
 ORDER BY 1
"""
_OWN_BOOKS = """
SELECT frame_no, ticker, source, bid_prices, bid_quantities, ask_prices, ask_quantities
  FROM rl_orderbook_snapshots WHERE session_id = %s AND source IN ('seam', 'periodic')
 ORDER BY frame_no, ticker
"""
_GAPS = """
SELECT frame_no, kind, sid, expected, received, tickers, started_at, recovered_at
  FROM rl_feed_gaps WHERE session_id = %s ORDER BY frame_no
"""


@dataclass(frozen=True)
class StoredFrame:
    """One row; a refused frame's fact is ("refused", sid, seq, text)."""

    frame_no: int
    received_at: int
    fact: Fact


@dataclass(frozen=True)
class StoredSession:
    """A session's own row."""

    session_id: str
    started_at: int
    status: str
    verdict: str | None
    follows: str | None
    books_sha256: str | None


@dataclass(frozen=True)
class StoredGap:
    """A gap's row."""

    frame_no: int
    kind: str
    sid: int | None
    expected: int | None
    received: int | None
    tickers: list[str]
    started_at: int
    recovered_at: int | None


@dataclass(frozen=True)
class OwnBook:
    """A book that the recorder wrote by itself: it holds after frame `frame_no`."""

    frame_no: int
    ticker: str
    source: str
    levels: tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]


class Stored:
    """A database as a recorder left it; a context manager."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg2.connect(url)
        self._connection.autocommit = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def chains(self, origin: str = "collector") -> list[list[StoredSession]]:
        """Give the sessions of each connection: one, and those that went on from it in turn."""
        rows = self._all(
            "SELECT session_id, started_at, status, verdict, follows, books_sha256"
            " FROM rl_orderbook_sessions WHERE origin = %s ORDER BY started_at, session_id",
            (origin,),
        )
        sessions = [StoredSession(*row) for row in rows]
        after = {one.follows: one for one in sessions if one.follows is not None}
        known = {one.session_id for one in sessions}
        chains = []
        for root in sessions:
            # One whose predecessor is not there stands as a chain of its own, and will be found.
            if root.follows is None or root.follows not in known:
                chain = [root]
                while chain[-1].session_id in after:
                    chain.append(after[chain[-1].session_id])
                chains.append(chain)
        return chains

    def frames(self, session_id: str) -> Iterator[StoredFrame]:
        """Give a session's frames in the order of their numbers."""
        for frame_no, received_at, values in self._all(_FRAMES, {"id": session_id}):
            if values[0] == "snapshot":
                values[4:] = _pairs(*values[4:6]), _pairs(*values[6:8])
            yield StoredFrame(frame_no, received_at, tuple(values))

    def own_books(self, session_id: str) -> list[OwnBook]:
        """Give the books that the recorder carried over a seam, or wrote from time to time."""
        return [
            OwnBook(*row[:3], (_pairs(*row[3:5]), _pairs(*row[5:7])))
            for row in self._all(_OWN_BOOKS, (session_id,))
        ]

    def gaps(self, session_id: str) -> list[StoredGap]:
        """Give a session's gaps."""
        return [StoredGap(*row) for row in self._all(_GAPS, (session_id,))]

    def _all(self, statement: str, values: Any) -> list[Any]:
        with self._connection.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall()


def _pairs(prices: list[int], quantities: list[int]) -> tuple[tuple[int, int], ...]:
    return tuple(zip(prices, quantities, strict=True))

"""What a recorder takes down of the markets themselves."""

import json

import pytest

from kalshiflow.market.listing import Market
from kalshiflow.store.database import Store
from kalshiflow.store.read import session_closes
from streaming.broadcast import Hub
from streaming.health import Health
from streaming.recorder import Recorder

SECOND = 10**9


def frame(kind: str, seq: int, sid: int, **body: object) -> bytes:
    return json.dumps({"type": kind, "sid": sid, "seq": seq, "msg": body}).encode()


def book(seq: int, ticker: str = "A") -> bytes:
    return frame(
        "orderbook_snapshot", seq, 1, market_ticker=ticker, yes_dollars_fp=[["0.4000", "1.00"]]
    )


@pytest.mark.integration
async def test_a_session_knows_the_closes_of_its_beginning_not_later_ones(postgres_url):
    market = Market("A", "E", "a market", close_time=900 * SECOND)
    moved = frame(
        *("market_lifecycle_v2", 1, 2),
        market_ticker="A",
        event_type="close_date_updated",
        close_ts=700,
    )
    async with await Store.open(postgres_url) as store:
        recorder = Recorder(
            store, {"A": market}, Health(0, "local"), Hub(), environment="local", traded=False, at=1
        )
        for raw in (book(1), moved):
            recorder.take(raw, SECOND)
        before = recorder.rotate(2 * SECOND)
        recorder.take(book(2), 3 * SECOND)
        after = recorder.end()
        for writer in (before, after):
            await writer.flush()

        assert await session_closes(store, before.session_id) == {"A": 900 * SECOND}
        assert await session_closes(store, after.session_id) == {"A": 700 * SECOND}

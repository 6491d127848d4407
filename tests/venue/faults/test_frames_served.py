"""Faults of frames over a real socket, as our own connection and feed see them."""

import asyncio
import time
from contextlib import asynccontextmanager
from typing import Any

import pytest

from kalshiflow.exchange.connection import connect
from kalshiflow.exchange.credentials import Credentials
from kalshiflow.exchange.errors import ConnectionLost, ExchangeUnavailable
from kalshiflow.exchange.feed import Feed, Received

pytestmark = pytest.mark.integration


def signer(serving: Any) -> Credentials:
    return Credentials.from_pem(serving.key_id, serving.private_key_path.read_text())


@asynccontextmanager
async def listening(serving: Any, channels: tuple[str, ...] = ("orderbook_delta",)) -> Any:
    tickers = [listed.market.ticker for listed in serving.venue.floor.markets()]
    async with connect(serving.ws, signer(serving)) as connection:
        await connection.subscribe(channels, tickers)
        yield connection


async def heard(connection: Any, count: int) -> tuple[Feed, list[Received]]:
    feed = Feed()
    async with asyncio.timeout(20):
        return feed, [
            feed.receive((await connection.receive()).raw, time.time_ns()) for _ in range(count)
        ]


async def heard_until_lost(connection: Any) -> tuple[int, int | None]:
    count = 0
    try:
        async with asyncio.timeout(20):
            async for _ in connection:
                count += 1
    except ConnectionLost as lost:
        return count, lost.code
    return count, 1000


async def test_our_feed_sees_a_gap_for_each_dropped_frame(faulty: Any) -> None:
    async with faulty("drop channel=orderbook_delta every=10") as serving:
        async with listening(serving) as connection:
            feed, received = await heard(connection, 60)

        missing = [one.gap for one in received if one.gap is not None]
        assert [(gap.expected, gap.received) for gap in missing[:3]] == [
            (10, 11),
            (20, 21),
            (30, 31),
        ]
        assert feed.ledgers()[1].missing
        assert all(one.error is None for one in received)


async def test_our_feed_tells_a_doubled_and_a_swapped_frame_from_a_whole_stream(
    faulty: Any,
) -> None:
    for fault in ("duplicate every=10", "reorder every=10"):
        async with faulty(fault) as serving, listening(serving) as connection:
            _, received = await heard(connection, 30)
            assert any(one.gap is not None or one.error is not None for one in received), fault


async def test_a_late_fill_comes_after_its_own_answer(faulty: Any, client_of: Any) -> None:
    async with faulty("delay ms=300 channel=fill", markets=1) as serving:
        client = client_of(serving)
        async with client.wire() as wire:
            await wire.ask("subscribe", channels=["fill"])
            begun = time.monotonic()
            answer = await client.create(
                ticker="SYN-7-01",
                side="bid",
                count="1.00",
                price="0.9900",
                time_in_force="immediate_or_cancel",
            )
            answered = time.monotonic()
            await wire.until(lambda frame: frame["type"] == "fill")
            filled = time.monotonic()

    assert answer.json()["fill_count"] == "1.00"
    assert filled - begun >= 0.3
    assert answered < filled


async def test_a_connection_that_is_cut_ends_without_a_closing_handshake(faulty: Any) -> None:
    async with faulty("disconnect after=20") as serving, listening(serving) as connection:
        count, code = await heard_until_lost(connection)

    assert code in {None, 1006}
    assert count == 20 + 1  # the answer to the command is no frame of a channel


async def test_handshakes_are_refused_as_often_as_asked(faulty: Any) -> None:
    async with faulty("refuse-handshakes status=502 count=2") as serving:
        for _ in range(2):
            with pytest.raises(ExchangeUnavailable, match="502"):
                async with connect(serving.ws, signer(serving)):
                    pass
        async with connect(serving.ws, signer(serving)):
            pass

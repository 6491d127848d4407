"""The connection's frames on their way: all that are there, then the decisions, then the tape."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
from book_frames import delta, snapshot, subscribed

from kalshiflow.exchange.errors import ConnectionLost
from kalshiflow.market.listing import Market
from trader.link import BATCH, Link
from trader.tape import Tape

A = Market("A", "E", "a market")


class FakeConnection:
    """Gives bursts of frames, and then the end."""

    def __init__(self, bursts, code=1006):
        self.bursts = list(bursts)
        self.code = code
        self.sent = []

    async def subscribe(self, channels, tickers=(), **_):
        self.sent.append((tuple(channels), tuple(tickers)))
        return len(self.sent)

    async def burst(self):
        if not self.bursts:
            raise ConnectionLost(self.code, "gone")
        return [(json.dumps(frame).encode(), 5) for frame in self.bursts.pop(0)]


class Story(Tape):
    """A tape and a desk that write down what they are asked, in one order."""

    def __init__(self, faults=()):
        super().__init__(int, list)
        self.told = []
        self.faults = set(faults)

    def begin(self, markets):
        super().begin(markets)
        self.told.append("begin")

    def keep(self):
        self.told.append(f"keep {len(self._read)}")
        super().keep()

    def end(self, reason):
        super().end(reason)
        self.told.append(f"end: {reason}")


class Desk:
    def __init__(self, story, fails_at=None):
        self.story = story
        self.fails_at = fails_at

    def begin(self, _now):
        self.story.told.append("forget")

    def take(self, received):
        if received.frame_no == self.fails_at:
            raise RuntimeError("a mistake of ours")
        self.story.told.append(received.frame_no)

    def decide_due(self):
        self.story.told.append("decide")

    def snapshots_due(self, _now):
        return []


async def serve(connection, story, fails_at=None):
    """Serve one connection; gives its link."""
    done = asyncio.Event()

    @asynccontextmanager
    async def connect():
        yield connection
        done.set()

    link = Link(
        connect,
        Desk(story, fails_at),
        story,
        listed=lambda: [A],
        monotonic=lambda: 0.0,
        changed=lambda: None,
    )
    link.follow(["A"])
    task = asyncio.ensure_future(link.run())
    try:
        async with asyncio.timeout(5):
            await asyncio.wait(
                [task, asyncio.ensure_future(done.wait())], return_when=asyncio.FIRST_COMPLETED
            )
            await asyncio.sleep(0)
    finally:
        task.cancel()
        await asyncio.wait([task])
    if not task.cancelled():
        task.result()
    return link


async def test_what_is_there_together_is_decided_upon_once_and_then_written():
    story = Story()
    connection = FakeConnection([[subscribed(), snapshot(1)], [delta(2), delta(3), delta(4)]])
    link = await serve(connection, story)

    assert story.told == [
        "begin", "forget", 1, 2, "decide", "keep 2", 3, 4, 5, "decide", "keep 3", "keep 0",
        "end: the connection ended with code 1006: gone",
    ]  # fmt: skip
    assert link.problem == "the connection ended with code 1006: gone"
    assert connection.sent[0] == (("orderbook_delta", "trade"), ("A",))


async def test_a_long_burst_is_decided_upon_in_parts():
    story = Story()
    frames = [subscribed(), snapshot(1), *(delta(seq) for seq in range(2, 2 * BATCH))]
    await serve(FakeConnection([frames]), story)

    assert story.told.count("decide") == -(-len(frames) // BATCH)


async def test_a_subscription_that_the_exchange_ends_ends_the_connection_without_a_decision():
    story = Story()
    refused = {"type": "error", "id": 1, "sid": 1, "seq": 2, "msg": {"code": 25, "msg": "slow"}}
    link = await serve(FakeConnection([[subscribed(), snapshot(1), refused, delta(3)]]), story)

    assert "decide" not in story.told
    assert story.told[-3:] == ["keep 4", "keep 0", f"end: {link.problem}"]
    assert "a subscription: slow" in link.problem


async def test_a_frame_that_ends_the_trader_is_on_the_tape():
    story = Story()
    with pytest.RaisesGroup(RuntimeError, flatten_subgroups=True):
        await serve(FakeConnection([[subscribed(), snapshot(1), delta(2)]]), story, fails_at=3)

    assert story.told[-3:] == ["keep 3", "keep 0", "end: the trader failed"]

"""Keeps one connection to the exchange alive and hands its frames to the desk, in order.

Frames wait in a bounded queue between the socket and the desk; those that are there together are
applied together, and only then decided upon. Reading stops while the queue is full.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import structlog

from kalshiflow.exchange.backoff import Backoff
from kalshiflow.exchange.connection import Connection, RawFrame
from kalshiflow.exchange.errors import ConnectionLost, ConnectionRefused, Unauthorised
from kalshiflow.exchange.feed import Feed, Received

log = structlog.get_logger()

BOOK_CHANNEL = "orderbook_delta"
MARKET_CHANNELS = (BOOK_CHANNEL, "trade")
ALL_CHANNELS = ("market_lifecycle_v2", "fill", "user_orders", "market_positions")
QUEUE_SIZE = 4_096
BATCH = 256
SNAPSHOT_CHECK = 1.0
LONGEST_PAUSE = 30.0

Connect = Callable[[], AbstractAsyncContextManager[Connection]]


class Taker(Protocol):
    """Whoever takes frames in."""

    def begin(self, now: float) -> None:
        """Begin anew with another connection."""

    def take(self, received: Received) -> None:
        """Apply one frame."""

    def decide_due(self) -> None:
        """Decide for what changed."""

    def snapshots_due(self, now: float) -> list[str]:
        """Give the markets whose book must be asked for."""


class Link:
    """The connection. `changed` is called when it comes up or goes down."""

    def __init__(
        self,
        connect: Connect,
        desk: Taker,
        *,
        monotonic: Callable[[], float],
        changed: Callable[[], None],
    ) -> None:
        self._connect = connect
        self._desk = desk
        self._monotonic = monotonic
        self._changed = changed
        self.is_up = False
        self.up_since: float | None = None
        self.connections = 0
        self.problem: str | None = None
        self._tickers: tuple[str, ...] = ()
        self._is_told = asyncio.Event()

    def uptime(self) -> float | None:
        """Give how many seconds the connection has stood."""
        return None if self.up_since is None else round(self._monotonic() - self.up_since, 3)

    def follow(self, tickers: Sequence[str]) -> None:
        """Say which markets to subscribe to; only then is a connection made."""
        self._tickers = tuple(tickers)
        self._is_told.set()

    async def run(self) -> None:
        """Connect, and connect again, until cancelled.

        Raises `Unauthorised` where the exchange has never taken our key.
        """
        await self._is_told.wait()
        backoff = Backoff(cap=LONGEST_PAUSE)
        while True:
            try:
                async with self._connect() as connection:
                    lost = await self._serve(connection, backoff)
                self.problem = str(lost or "the connection was closed")
            except Unauthorised as refused:
                if not self.connections:
                    raise
                self.problem = str(refused)
            except (ConnectionRefused, ConnectionLost) as gone:
                self.problem = str(gone)
            if self.is_up:
                self.is_up, self.up_since = False, None
                self._changed()
            log.warning("not connected to the exchange", why=self.problem)
            await asyncio.sleep(backoff.next_delay())

    async def _serve(self, connection: Connection, backoff: Backoff) -> ConnectionLost | None:
        """Subscribe, and apply frames until there are no more; gives how it ended."""
        feed = Feed()
        self._desk.begin(self._monotonic())
        asked = await connection.subscribe(MARKET_CHANNELS, self._tickers, use_yes_price=True)
        feed.asked(asked, self._tickers)
        await connection.subscribe(ALL_CHANNELS)
        self.is_up, self.up_since, self.problem = True, self._monotonic(), None
        self.connections += 1
        self._changed()
        queue: asyncio.Queue[RawFrame | ConnectionLost | None] = asyncio.Queue(QUEUE_SIZE)
        async with asyncio.TaskGroup() as group:
            asker = group.create_task(self._ask_snapshots(connection, feed), name="snapshots")
            reader = group.create_task(_read(connection, queue), name="socket reader")
            lost = await self._take(queue, feed, backoff)
            asker.cancel()
            reader.cancel()
        return lost

    async def _take(
        self, queue: asyncio.Queue[RawFrame | ConnectionLost | None], feed: Feed, backoff: Backoff
    ) -> ConnectionLost | None:
        """Apply what is there together, then decide, until connection or subscription ends."""
        while True:
            batch = [await queue.get()]
            while len(batch) < BATCH and not queue.empty():
                batch.append(queue.get_nowait())
            for frame in batch:
                if not isinstance(frame, RawFrame):
                    return frame
                received = feed.receive(frame.raw, frame.received_at)
                self._desk.take(received)
                refusal = received.refusal
                if refusal is not None:
                    log.warning("the exchange refused", code=refusal.code, why=refusal.message)
                    if refusal.is_terminal:
                        return ConnectionLost(refusal.code, f"a subscription: {refusal.message}")
            backoff.reset()
            self._desk.decide_due()
            if not queue.empty():
                await asyncio.sleep(0)  # let the others run: a burst must not starve them

    async def _ask_snapshots(self, connection: Connection, feed: Feed) -> None:
        while True:
            await asyncio.sleep(SNAPSHOT_CHECK)
            due = self._desk.snapshots_due(self._monotonic())
            sid = feed.sid_of(BOOK_CHANNEL)
            if due and sid is not None:
                try:
                    await connection.get_snapshot(sid, due)
                except ConnectionLost:
                    return  # the reader tells of it


async def _read(
    connection: Connection, queue: asyncio.Queue[RawFrame | ConnectionLost | None]
) -> None:
    """Read until the connection ends, and put how it ended last."""
    ended: ConnectionLost | None = None
    try:
        async for frame in connection:
            await queue.put(frame)
    except ConnectionLost as lost:
        ended = lost
    await queue.put(ended)

"""Keeps one connection to the exchange alive and hands its frames to the desk, in order.

Frames that are there together are applied together, and only then decided upon. They wait with the
connection, which reads no further while too many do.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import structlog

from kalshiflow.exchange.backoff import Backoff
from kalshiflow.exchange.connection import Arrival, Connection
from kalshiflow.exchange.errors import ConnectionLost, ConnectionRefused, Unauthorised
from kalshiflow.exchange.feed import Received, Refusal
from kalshiflow.market.listing import Market
from trader.tape import Tape

log = structlog.get_logger()

BOOK_CHANNEL = "orderbook_delta"
MARKET_CHANNELS = (BOOK_CHANNEL, "trade")
ALL_CHANNELS = ("market_lifecycle_v2", "fill", "user_orders", "market_positions")
BATCH = 256
SNAPSHOT_CHECK = 1.0
LONGEST_PAUSE = 30.0
STOPPED, FAILED = "the trader was stopped", "the trader failed"

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
    """The connection. `changed` is called when it comes up or goes down.

    `tape` reads the frames; `listed` gives the markets as they are listed when a connection begins.
    """

    def __init__(
        self,
        connect: Connect,
        desk: Taker,
        tape: Tape,
        *,
        listed: Callable[[], Iterable[Market]],
        monotonic: Callable[[], float],
        changed: Callable[[], None],
    ) -> None:
        self._connect = connect
        self._desk = desk
        self._tape = tape
        self._listed = listed
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
                self.problem = str(lost)
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

    async def _serve(self, connection: Connection, backoff: Backoff) -> ConnectionLost:
        """Subscribe, and apply frames until there are no more; gives how it ended."""
        self._tape.begin(self._listed())
        ended = FAILED
        try:
            self._desk.begin(self._monotonic())
            asked = await connection.subscribe(MARKET_CHANNELS, self._tickers, use_yes_price=True)
            self._tape.asked(asked, self._tickers)
            await connection.subscribe(ALL_CHANNELS)
            self.is_up, self.up_since, self.problem = True, self._monotonic(), None
            self.connections += 1
            self._changed()
            async with asyncio.TaskGroup() as group:
                asker = group.create_task(self._ask_snapshots(connection), name="snapshots")
                lost = await self._take(connection, backoff)
                asker.cancel()
            ended = str(lost)
        except ConnectionLost as lost:
            ended = str(lost)
            raise
        except asyncio.CancelledError:
            ended = STOPPED
            raise
        finally:
            self._tape.end(ended)
        return lost

    async def _take(self, connection: Connection, backoff: Backoff) -> ConnectionLost:
        """Apply what is there together, then decide, until connection or subscription ends."""
        while True:
            try:
                burst: Sequence[Arrival] = await connection.burst()
            except ConnectionLost as lost:
                return lost
            while burst:
                ended = self._apply(burst[:BATCH])
                if ended is not None:
                    return ended
                backoff.reset()
                burst = burst[BATCH:]
                if burst:
                    await asyncio.sleep(0)  # let the others run: a burst must not starve them

    def _apply(self, frames: Sequence[Arrival]) -> ConnectionLost | None:
        """Apply frames and decide; gives how the subscription ended, if it did."""
        ended: ConnectionLost | None = None
        try:
            for raw, at in frames:
                received = self._tape.read(raw, at)
                self._desk.take(received)
                if received.refusal is not None:
                    ended = ended or _heed(received.refusal)
            if ended is None:
                self._desk.decide_due()
        finally:
            self._tape.keep()
        return ended

    async def _ask_snapshots(self, connection: Connection) -> None:
        while True:
            await asyncio.sleep(SNAPSHOT_CHECK)
            due = self._desk.snapshots_due(self._monotonic())
            sid = self._tape.sid_of(BOOK_CHANNEL)
            if due and sid is not None:
                try:
                    await connection.get_snapshot(sid, due)
                except ConnectionLost:
                    return  # the reader tells of it


def _heed(refusal: Refusal) -> ConnectionLost | None:
    log.warning("the exchange refused", code=refusal.code, why=refusal.message)
    if not refusal.is_terminal:
        return None
    return ConnectionLost(refusal.code, f"a subscription: {refusal.message}")

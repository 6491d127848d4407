"""One multiplexed WebSocket to the exchange: connect, send commands, yield raw frames."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from picows import WSCloseCode, WSMsgType, WSProtocolError, WSTransport

from kalshiflow.exchange.credentials import Credentials
from kalshiflow.exchange.errors import ConnectionLost
from kalshiflow.exchange.handshake import open_socket
from kalshiflow.exchange.listener import Arrival, Ended, FrameListener, RawFrame
from kalshiflow.exchange.messages import (
    Command,
    ListSubscriptions,
    Subscribe,
    SubscribeParams,
    Unsubscribe,
    UnsubscribeParams,
    UpdateParams,
    UpdateSubscription,
    encode,
)
from kalshiflow.exchange.times import PER_MILLISECOND

__all__ = ["Arrival", "Connection", "RawFrame", "connect"]

BOOK_CHANNEL = "orderbook_delta"
SILENCE = 30.0  # seconds without a frame or a ping, after which we ping; the exchange does each ten
CLOSE_TIMEOUT = 5.0
# Silence is counted in ticks of our own loop, so that a process that stood still is not deceived.
_TICKS_TO_PING = 30
_TICKS_TO_GIVE_UP = 40


class Connection:
    """An open WebSocket. Commands return their id, which the answering frames carry.

    Frames come in order, one by one (`receive`, or by iterating) or as many as are there (`burst`);
    one task may read. Iterating ends after `close()`, and raises `ConnectionLost` when the
    connection ends in any other way, after all frames that came before.
    """

    def __init__(
        self,
        transport: WSTransport,
        listener: FrameListener,
        clock: Callable[[], int],
        silence: float = SILENCE,
        close_timeout: float = CLOSE_TIMEOUT,
    ) -> None:
        self._transport = transport
        self._listener = listener
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._taken: deque[Arrival] = deque()
        self._closing = False
        self._last_id = 0
        self._close_timeout = close_timeout
        self._tick = silence / _TICKS_TO_PING
        self._quiet_ticks = 0
        self._watch = self._loop.call_later(self._tick, self._look)

    @property
    def seconds_since_ping(self) -> float | None:
        """Give how long ago the exchange pinged last; it does so every ten seconds."""
        pinged_at = self._listener.pinged_at
        return None if pinged_at is None else self._loop.time() - pinged_at

    @property
    def last_ping_at(self) -> int | None:
        """Give when the exchange pinged last, by our clock in nanoseconds."""
        ago = self.seconds_since_ping
        return None if ago is None else self._clock() - int(ago * 1e9)

    @property
    def waiting_bytes(self) -> int:
        """Give the size of the frames that have come and were not taken."""
        return self._listener.size

    @property
    def is_reading(self) -> bool:
        """Say whether the socket is read: not while paused, nor while too many frames wait."""
        return self._listener.is_reading

    def pause(self) -> None:
        """Read the socket no further; frames that came already can still be taken.

        The exchange's pings are not answered meanwhile, and its own buffer for us fills: it may end
        the subscription (error 25) or the connection. Silence is not held against it.
        """
        self._listener.hold(True)

    def resume(self) -> None:
        """Read the socket again."""
        self._listener.hold(False)

    async def subscribe(
        self,
        channels: Sequence[str],
        tickers: Iterable[str] = (),
        *,
        use_yes_price: bool = True,
        send_initial_snapshot: bool | None = None,
    ) -> int:
        """Subscribe to channels, for the named markets or (where the channel allows) for all.

        `use_yes_price` goes with the order book and is always said; `send_initial_snapshot` is for
        `ticker` only. Tell the feed with `Feed.asked(id, tickers)`.
        """
        command_id = self._next_id()
        params = SubscribeParams(
            channels=list(channels),
            market_tickers=list(tickers) or None,
            use_yes_price=use_yes_price if BOOK_CHANNEL in channels else None,
            send_initial_snapshot=send_initial_snapshot,
        )
        return await self._send(Subscribe(command_id, params))

    async def add_markets(self, sid: int, tickers: Iterable[str]) -> int:
        """Add markets to a subscription; of the order book, their snapshots follow."""
        return await self._update("add_markets", sid, tickers)

    async def remove_markets(self, sid: int, tickers: Iterable[str]) -> int:
        """Take markets out of a subscription."""
        return await self._update("delete_markets", sid, tickers)

    async def get_snapshot(self, sid: int, tickers: Iterable[str]) -> int:
        """Ask for fresh snapshots of markets of an order book subscription."""
        return await self._update("get_snapshot", sid, tickers)

    async def unsubscribe(self, sids: Iterable[int]) -> int:
        """End subscriptions."""
        return await self._send(Unsubscribe(self._next_id(), UnsubscribeParams(list(sids))))

    async def list_subscriptions(self) -> int:
        """Ask which subscriptions the exchange holds for this connection."""
        return await self._send(ListSubscriptions(self._next_id()))

    async def receive(self) -> RawFrame:
        """Wait for the next frame; raises `ConnectionLost` when there will be none."""
        if not self._taken:
            self._taken.extend(await self.burst())
        return RawFrame(*self._taken.popleft())

    async def burst(self) -> list[Arrival]:
        """Give all frames that came since, in order; waits for one, loses none when cancelled.

        Raises `ConnectionLost` when there will be none.
        """
        if self._taken:
            frames = [*self._taken, *self._listener.take()]
            self._taken.clear()
            return frames
        listener = self._listener
        while not (frames := listener.take()):
            if listener.ended is not None:
                raise ConnectionLost(*listener.ended)
            await listener.wait()
        return frames

    def __aiter__(self) -> "Connection":
        return self

    async def __anext__(self) -> RawFrame:
        try:
            return await self.receive()
        except ConnectionLost:
            if self._closing:
                raise StopAsyncIteration from None
            raise

    async def close(self) -> None:
        """Close the connection; it may be called more than once.

        Frames that come from now on are left out. The other side's goodbye is waited for, but no
        longer than `close_timeout`.
        """
        self._closing = True
        self._watch.cancel()
        self._listener.begin_closing()
        self._transport.send_close(WSCloseCode.OK)
        try:
            async with asyncio.timeout(self._close_timeout):
                await self._transport.wait_disconnected()
        except (TimeoutError, WSProtocolError):
            pass  # of a broken protocol, whoever reads is told
        finally:
            self._transport.disconnect(graceful=False)

    def _look(self) -> None:
        """Ping an exchange that says nothing at all, and give it up when that is not answered."""
        listener = self._listener
        if listener.ended is not None:
            return
        is_silent = listener.is_reading and not listener.was_heard and not listener.size
        self._quiet_ticks = self._quiet_ticks + 1 if is_silent else 0
        listener.was_heard = False
        if self._quiet_ticks >= _TICKS_TO_GIVE_UP:
            seconds = self._tick * _TICKS_TO_GIVE_UP
            listener.end(
                Ended(None, f"nothing came for {seconds:g} s, no answer to our ping either")
            )
            self._transport.disconnect(graceful=False)
            return
        if self._quiet_ticks == _TICKS_TO_PING:
            self._transport.send_ping()
        self._watch = self._loop.call_later(self._tick, self._look)

    async def _update(self, action: str, sid: int, tickers: Iterable[str]) -> int:
        params = UpdateParams(action=action, sid=sid, market_tickers=list(tickers))
        return await self._send(UpdateSubscription(self._next_id(), params))

    async def _send(self, command: Command) -> int:
        ended = self._listener.ended
        if ended is not None:
            raise ConnectionLost(*ended)
        self._transport.send(WSMsgType.TEXT, encode(command))
        return command.id

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id


@asynccontextmanager
async def connect(
    url: str,
    credentials: Credentials,
    *,
    open_timeout: float = 10,
    silence: float = SILENCE,
    close_timeout: float = CLOSE_TIMEOUT,
    clock: Callable[[], int] = time.time_ns,
) -> AsyncIterator[Connection]:
    """Open a signed WebSocket for as long as the block lasts.

    `clock` gives our time in UTC nanoseconds, the others are seconds. After `silence` without a
    frame or a ping we ping, and after a third more the connection is lost; a quiet market is no
    silence. Raises `Unauthorised`, `RateLimited`, `ExchangeUnavailable`, `Unreachable`, or
    `ConnectionRefused` for any other refusal.
    """
    headers = credentials.headers("GET", urlsplit(url).path, clock() // PER_MILLISECOND)
    listener = FrameListener(clock)
    transport = await open_socket(url, headers, listener, open_timeout)
    connection = Connection(transport, listener, clock, silence, close_timeout)
    try:
        yield connection
    finally:
        await connection.close()

"""One multiplexed WebSocket to the exchange: connect, send commands, yield raw frames."""

import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_socket
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.frames import Frame as WireFrame
from websockets.frames import Opcode
from websockets.protocol import Event

from kalshiflow.exchange.credentials import Credentials
from kalshiflow.exchange.environments import is_loopback
from kalshiflow.exchange.errors import ConnectionLost, ConnectionRefused, Unreachable
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
from kalshiflow.exchange.refusals import connection_refusal, read_words
from kalshiflow.exchange.times import PER_MILLISECOND

BOOK_CHANNEL = "orderbook_delta"
_MAX_FRAME = 64 * 2**20  # an `ok` frame lists all markets of a subscription
_MAX_QUEUE = 256  # frames; beyond it reading stops, and the exchange sees a slow consumer
_CLOSE_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True)
class RawFrame:
    """A frame as it came, with our clock's time of reading it in nanoseconds."""

    raw: bytes
    received_at: int


class _Handshake(open_socket):
    """An opening handshake that follows no redirect: a signature is for one host only."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class _Socket(ClientConnection):
    """A socket that remembers when the exchange pinged last."""

    pinged_at: float | None = None

    def process_event(self, event: Event) -> None:
        if isinstance(event, WireFrame) and event.opcode is Opcode.PING:
            self.pinged_at = self.loop.time()
        super().process_event(event)


class Connection:
    """An open WebSocket. Commands return their id, which the answering frames carry.

    Iterating yields `RawFrame`s in the order in which they came. It ends after `close()`, and
    raises `ConnectionLost` when the connection ends in any other way.
    """

    def __init__(self, socket: _Socket, clock: Callable[[], int]) -> None:
        self._socket = socket
        self._clock = clock
        self._closing = False
        self._last_id = 0

    @property
    def seconds_since_ping(self) -> float | None:
        """Give how long ago the exchange pinged last; it does so every ten seconds."""
        pinged_at = self._socket.pinged_at
        return None if pinged_at is None else self._socket.loop.time() - pinged_at

    @property
    def last_ping_at(self) -> int | None:
        """Give when the exchange pinged last, by our clock in nanoseconds."""
        ago = self.seconds_since_ping
        return None if ago is None else self._clock() - int(ago * 1e9)

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
        try:
            raw = await self._socket.recv(decode=False)
        except ConnectionClosed as closed:
            raise _lost(closed) from None
        return RawFrame(raw, self._clock())

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
        """Close the connection; it may be called more than once."""
        self._closing = True
        await self._socket.close()

    async def _update(self, action: str, sid: int, tickers: Iterable[str]) -> int:
        params = UpdateParams(action=action, sid=sid, market_tickers=list(tickers))
        return await self._send(UpdateSubscription(self._next_id(), params))

    async def _send(self, command: Command) -> int:
        try:
            await self._socket.send(encode(command), text=True)
        except ConnectionClosed as closed:
            raise _lost(closed) from None
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
    clock: Callable[[], int] = time.time_ns,
) -> AsyncIterator[Connection]:
    """Open a signed WebSocket for as long as the block lasts.

    `clock` gives our time in UTC nanoseconds. Raises `Unauthorised`, `RateLimited`,
    `ExchangeUnavailable`, `Unreachable`, or `ConnectionRefused` for any other refusal.
    """
    headers = credentials.headers("GET", urlsplit(url).path, clock() // PER_MILLISECOND)
    try:
        socket = await _Handshake(
            url,
            additional_headers=headers,
            compression=None,  # deflate would cost more than the line saves
            max_size=_MAX_FRAME,
            max_queue=_MAX_QUEUE,
            open_timeout=open_timeout,
            close_timeout=_CLOSE_TIMEOUT,
            proxy=None if is_loopback(url) else True,
            create_connection=_Socket,
        )
    except InvalidStatus as refused:
        raise _refused(refused) from None
    except TimeoutError:
        raise Unreachable(f"{url} did not answer within {open_timeout:g} s") from None
    except (OSError, WebSocketException) as failed:
        raise Unreachable(f"{url} cannot be reached: {failed}") from failed
    assert isinstance(socket, _Socket)
    connection = Connection(socket, clock)
    try:
        yield connection
    finally:
        await connection.close()


def _refused(refused: InvalidStatus) -> ConnectionRefused:
    status = refused.response.status_code
    words = read_words(bytes(refused.response.body or b""))
    known = connection_refusal(status, words)
    return known or ConnectionRefused(f"HTTP {status} {words}".rstrip())


def _lost(closed: ConnectionClosed) -> ConnectionLost:
    told = closed.rcvd or closed.sent
    return ConnectionLost(told.code if told else None, told.reason if told else "")

"""Live feeds: one background thread per program keeps its socket and what it said last."""

import asyncio
import json
import threading
from collections import deque
from collections.abc import Mapping
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, WebSocketException

RECONNECT_SECONDS = 1.0
KEPT_STATS = 300
KEPT_ROWS = 200

Message = dict[str, Any]


class SocketFeed:
    """Follows one WebSocket from a daemon thread, reconnecting for ever.

    `receive` is called in that thread, under `lock`; pages read through methods that take the lock
    and copy. Nothing of Streamlit's is called in the thread.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.lock = threading.Lock()
        self.connected = False
        self.unreadable = 0
        self._wishes: deque[str] = deque(maxlen=16)
        self._wake: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name=f"feed {url}", daemon=True)
        self._thread.start()

    def receive(self, kind: str, data: Message) -> None:
        """Take in one message."""
        raise NotImplementedError

    def send(self, command: Mapping[str, Any]) -> None:
        """Send a command now, or once the socket is back."""
        self._wishes.append(json.dumps(command))
        if self._loop is not None and self._wake is not None:
            self._loop.call_soon_threadsafe(self._wake.set)

    def on_connected(self) -> None:
        """Ask again for what a new connection does not know."""

    def stop(self) -> None:
        """End the thread's loop; it ends with its socket."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)

    def _run(self) -> None:
        try:
            asyncio.run(self._follow())
        except RuntimeError:
            return  # `stop` ended the loop while the socket was open

    async def _follow(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        while True:
            try:
                async with connect(self.url, open_timeout=3, max_size=None, proxy=None) as socket:
                    with self.lock:
                        self.connected = True
                    self.on_connected()
                    await self._converse(socket)
            except* (OSError, InvalidHandshake, WebSocketException, TimeoutError):
                pass  # the program is not there, or went away: the page says so and we try again
            finally:
                with self.lock:
                    self.connected = False
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _converse(self, socket: ClientConnection) -> None:
        async with asyncio.TaskGroup() as group:
            sender = group.create_task(self._send_wishes(socket))
            async for text in socket:
                self._take(text)
            sender.cancel()

    def _take(self, text: str | bytes) -> None:
        try:
            message = json.loads(text)
            kind, data = message["type"], message["data"]
            with self.lock:
                self.receive(kind, data)
        except (ValueError, KeyError, TypeError):
            self.unreadable += 1  # one odd message must not end the page's feed

    async def _send_wishes(self, socket: ClientConnection) -> None:
        assert self._wake is not None
        while True:
            while self._wishes:
                await socket.send(self._wishes.popleft())
            self._wake.clear()
            if not self._wishes:
                await self._wake.wait()


class CollectorFeed(SocketFeed):
    """What the collector tells: its connection, its figures each second, the watched books."""

    def __init__(self, url: str) -> None:
        self.connection: Message = {}
        self.stats: deque[Message] = deque(maxlen=KEPT_STATS)
        self.deltas: deque[Message] = deque(maxlen=KEPT_ROWS)
        self.books: dict[str, dict[str, dict[str, str]]] = {}
        self.watched: tuple[str, ...] = ()
        super().__init__(url)

    def watch(self, ticker: str) -> None:
        """Ask for one market's book and its changes."""
        if self.watched != (ticker,):
            self.watched = (ticker,)
            self.on_connected()

    def on_connected(self) -> None:
        """Watch again after a reconnect."""
        if self.watched:
            self.send({"cmd": "watch", "markets": list(self.watched)})

    def receive(self, kind: str, data: Message) -> None:
        """Take in one message."""
        if kind == "connection":
            self.connection = data
        elif kind == "stats":
            self.stats.append(data)
        elif kind == "orderbook_snapshot":
            self.books[data["market_ticker"]] = {
                side: dict(data.get(side) or {}) for side in ("yes_bids", "yes_asks")
            }
        elif kind == "orderbook_delta":
            self.deltas.append(data)
            self._apply(data)

    def _apply(self, delta: Message) -> None:
        book = self.books.get(delta["market_ticker"])
        if book is None:
            return
        levels = book["yes_bids" if delta["side"] in {"bid", "yes"} else "yes_asks"]
        if float(delta["new_size"]):
            levels[delta["price"]] = delta["new_size"]
        else:
            levels.pop(delta["price"], None)

    def book(self, ticker: str) -> dict[str, dict[str, str]]:
        """Give a copy of a watched market's levels: price to size, by side."""
        with self.lock:
            return {side: dict(levels) for side, levels in self.books.get(ticker, {}).items()}


class TraderFeed(SocketFeed):
    """What the trader tells: its state and money, its decisions, its moves between states."""

    def __init__(self, url: str) -> None:
        self.state: Message = {}
        self.status: Message = {}
        self.actions: deque[Message] = deque(maxlen=KEPT_ROWS)
        self.transitions: deque[Message] = deque(maxlen=KEPT_ROWS)
        super().__init__(url)

    def receive(self, kind: str, data: Message) -> None:
        """Take in one message."""
        if kind == "trader_state":
            self.state = data
        elif kind == "trader_status":
            self.status = data
        elif kind == "trader_action":
            self.actions.append(data)
        elif kind == "state_transition":
            self.transitions.append(data)

"""The WebSocket server: handshakes, heartbeats, and writing each session's frames to its socket."""

import asyncio
import math
import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, cast
from weakref import WeakKeyDictionary, WeakSet

import structlog
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.http11 import Request, Response
from websockets.protocol import State

from kalshiflow.exchange.credentials import KEY_HEADER
from kalshiflow.venue.auth import Gate
from kalshiflow.venue.config import (
    COMMAND_RATE,
    CONNECTION_LIMIT,
    HEARTBEAT_SECONDS,
    QUEUE_LIMIT,
)
from kalshiflow.venue.floor.accounts import Account
from kalshiflow.venue.websocket import commands, handshakes
from kalshiflow.venue.websocket.connection import Connection
from kalshiflow.venue.websocket.framing import framed
from kalshiflow.venue.websocket.hub import Hub
from kalshiflow.venue.websocket.outlet import ClearOutlet, Outlet
from kalshiflow.venue.websocket.pace import Pace
from kalshiflow.venue.websocket.sessions import Session

HEARTBEAT = b"heartbeat"
LARGEST_COMMAND = 8 * 2**20
HANDSHAKE_SECONDS = 10.0
# Who answers no heartbeat for so long is gone, though nothing said so.
SILENCE_SECONDS = 60.0
# A socket takes frames while less than this waits in it; the rest waits in the session's queue.
SOCKET_BYTES = 2**20
CHUNK_FRAMES = 512

_log = structlog.get_logger(__name__)


class Sockets:
    """The open connections of a hub's sessions.

    `outlet` stands between their frames and the sockets. `connection_limit` is for each account,
    `command_rate` a second for each connection, counted by `seconds`, a clock of real time.
    """

    def __init__(
        self,
        hub: Hub,
        gate: Gate,
        *,
        hosts: Sequence[str],
        outlet: Outlet | None = None,
        queue_limit: int = QUEUE_LIMIT,
        connection_limit: int = CONNECTION_LIMIT,
        command_rate: float = COMMAND_RATE,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
        silence_seconds: float = SILENCE_SECONDS,
        handshake_seconds: float = HANDSHAKE_SECONDS,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._hub = hub
        self._gate = gate
        self._hosts = frozenset(hosts)
        self._outlet = outlet or ClearOutlet()
        self._queue_limit = queue_limit
        self._connection_limit = connection_limit
        self._command_rate = command_rate
        self._heartbeat_seconds = heartbeat_seconds
        self._silent_beats = max(2, math.ceil(silence_seconds / heartbeat_seconds))
        self._handshake_seconds = handshake_seconds
        self._seconds = seconds
        self._all: WeakSet[Connection] = WeakSet()
        self._connections: dict[Session, Connection] = {}
        # Who signed a handshake, until its conversation begins; one that fails leaves nothing.
        self._accounts: WeakKeyDictionary[ServerConnection, Account] = WeakKeyDictionary()
        self.frames_sent = 0

    @asynccontextmanager
    async def serving(self, listener: socket.socket) -> AsyncIterator[Server]:
        """Accept connections on a bound socket until the context ends."""
        async with serve(
            self._converse,
            sock=listener,
            process_request=self._admit,
            process_response=self._note,
            create_connection=cast("type[ServerConnection]", self._connect),
            compression=None,
            open_timeout=self._handshake_seconds,
            ping_interval=None,  # the heartbeat below has the exchange's own body
            max_size=LARGEST_COMMAND,
            # How much may wait is decided here: nothing ever waits for a socket to drain.
            write_limit=2**62,
            close_timeout=1,
            server_header=None,
        ) as server:
            try:
                yield server
            finally:
                for connection in tuple(self._all):
                    if connection.protocol.state is not State.OPEN:  # nobody else would end it
                        connection.drop()

    async def beat(self) -> None:
        """Ping every connection, for ever; drop those that have gone silent."""
        while True:
            await asyncio.sleep(self._heartbeat_seconds)
            for connection in tuple(self._connections.values()):
                if connection.protocol.state is not State.OPEN:
                    continue
                if connection.silent_beats >= self._silent_beats:
                    connection.drop()
                    continue
                connection.silent_beats += 1
                # Not `connection.ping`: it refuses a body that still waits for its pong.
                connection.protocol.send_ping(HEARTBEAT)
                connection.send_data()

    @property
    def is_clear(self) -> bool:
        """Say whether frames may go out as they are and unseen, past the outlet."""
        return self._outlet.is_clear

    def flush(self) -> None:
        """Write what waits for each session, as far as its socket takes it."""
        is_clear = self._outlet.is_clear
        for session, connection in tuple(self._connections.items()):
            if session.outbox or not is_clear:
                self._write(session, connection)

    def waiting_bytes(self, session: Session) -> int:
        """Give how much waits for a session, in its queue and in its socket; 0 once it is gone."""
        connection = self._connections.get(session)
        if connection is None:
            return 0
        return session.outbox_bytes + connection.transport.get_write_buffer_size()

    def send_framed(self, session: Session, data: bytes, frames: int) -> bool:
        """Write ready WebSocket bytes after all that waits, however much that is.

        `frames` is how many `data` holds. Gives whether the session is still there to read them.
        They go past the outlet: it must be clear.
        """
        connection = self._connections.get(session)
        if connection is None or not connection.is_open:
            return False
        waiting = session.take()
        connection.transport.write(framed(waiting) + data if waiting else data)
        self.frames_sent += len(waiting) + frames
        return True

    def _write(self, session: Session, connection: Connection) -> None:
        """Write a session's frames while its socket takes them."""
        if not connection.is_open:
            return
        if not self._outlet.is_clear:
            self._let_out(session, connection)
            return
        transport = connection.transport
        while session.outbox and transport.get_write_buffer_size() <= SOCKET_BYTES:
            # One write for many frames: a system call costs more than all else here.
            chunk = session.take(CHUNK_FRAMES)
            transport.write(framed(chunk))
            self.frames_sent += len(chunk)

    def _let_out(self, session: Session, connection: Connection) -> None:
        """Write what the outlet makes of a session's frames, then drop the session if it says so.

        It is asked even when nothing waits: what it held back may be due.
        """
        outlet, transport = self._outlet, connection.transport
        is_cut = outlet.is_cut(session)
        while not is_cut and transport.get_write_buffer_size() <= SOCKET_BYTES:
            frames = outlet.let_out(session, session.take(CHUNK_FRAMES))
            if frames:
                transport.write(framed(frames))
                self.frames_sent += len(frames)
            is_cut = outlet.is_cut(session)
            if not session.outbox:
                break
        if is_cut:
            connection.drop()

    def _connect(self, *args: Any, **options: Any) -> Connection:
        connection = Connection(*args, **options)
        self._all.add(connection)
        return connection

    async def _converse(self, connection: ServerConnection) -> None:
        assert isinstance(connection, Connection)  # as `serving` makes them
        session = self._hub.join(self._accounts.pop(connection), self._queue_limit)
        pace = Pace(self._command_rate, self._seconds)
        self._connections[session] = connection
        try:
            async for raw in connection:
                self._outlet.heard(session, raw)
                if pace.allows():
                    commands.receive(self._hub, session, raw)
                else:
                    commands.turn_away(session, raw)
                self._write(session, connection)
                if session.is_deaf:
                    await connection.close(CloseCode.TRY_AGAIN_LATER, "too many unread answers")
                    break
                await asyncio.sleep(0)  # others have their turn, however many commands are here
        except ConnectionClosed as closed:
            _log.debug("connection_lost", reason=str(closed))
        finally:
            del self._connections[session]
            self._hub.leave(session)

    async def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """Let a handshake through, or answer it by an HTTP error before any upgrade."""
        try:
            account = handshakes.account_of(
                self._gate,
                self._hosts,
                self._outlet.admit,
                request.path,
                handshakes.headers_of(request),
            )
            if self._connections_of(account) >= self._connection_limit:
                raise handshakes.TooManyConnections
        except handshakes.HandshakeRefused as refused:
            return handshakes.answer(connection.protocol, refused)
        self._accounts[connection] = account
        return None

    async def _note(
        self, connection: ServerConnection, request: Request, response: Response
    ) -> None:
        """Tell the outlet how a handshake ended."""
        del connection
        key_id = handshakes.headers_of(request).get(KEY_HEADER, "")
        self._outlet.shook(key_id, HTTPStatus(response.status_code))

    def _connections_of(self, account: Account) -> int:
        """Count an account's connections, those included whose handshake is being answered."""
        open_now = [
            connection
            for session, connection in self._connections.items()
            if session.account is account
        ]
        begun = [connection for connection, whose in self._accounts.items() if whose is account]
        return sum(
            connection.protocol.state in {State.CONNECTING, State.OPEN}
            for connection in (*open_now, *begun)
        )

"""The WebSocket server: handshakes, heartbeats, and writing each session's frames to its socket."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from weakref import WeakKeyDictionary

import structlog
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.http11 import Request, Response
from websockets.protocol import State

from kalshiflow.exchange import payloads
from kalshiflow.exchange.environments import WS_PATH
from kalshiflow.venue.auth import Gate, Unauthenticated
from kalshiflow.venue.floor.accounts import Account
from kalshiflow.venue.websocket import commands
from kalshiflow.venue.websocket.hub import (
    Hub,
)
from kalshiflow.venue.websocket.sessions import (
    QUEUE_LIMIT,
    Session,
)

HEARTBEAT_SECONDS = 10.0
HEARTBEAT = b"heartbeat"
LARGEST_COMMAND = 8 * 2**20
# A socket takes frames while less than this waits in it; the rest waits in the session's queue.
SOCKET_BYTES = 2**20
CHUNK_FRAMES = 512

_log = structlog.get_logger(__name__)


class Sockets:
    """The open connections of a hub's sessions."""

    def __init__(
        self,
        hub: Hub,
        gate: Gate,
        *,
        hosts: Sequence[str],
        queue_limit: int = QUEUE_LIMIT,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
    ) -> None:
        self._hub = hub
        self._gate = gate
        self._hosts = frozenset(hosts)
        self._queue_limit = queue_limit
        self._heartbeat_seconds = heartbeat_seconds
        self._connections: dict[Session, ServerConnection] = {}
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
            compression=None,
            ping_interval=None,  # the heartbeat below has the exchange's own body
            max_size=LARGEST_COMMAND,
            close_timeout=1,
            server_header=None,
        ) as server:
            yield server

    async def beat(self) -> None:
        """Ping every connection, for ever."""
        while True:
            await asyncio.sleep(self._heartbeat_seconds)
            for connection in tuple(self._connections.values()):
                if connection.protocol.state is State.OPEN:
                    # Not `connection.ping`: it refuses a body that still waits for its pong.
                    connection.protocol.send_ping(HEARTBEAT)
                    connection.send_data()

    def flush(self) -> None:
        """Write what waits for each session, as far as its socket takes it."""
        for session, connection in tuple(self._connections.items()):
            if session.outbox:
                self._write(session, connection)

    def backlog(self) -> int:
        """Give the longest queue of frames that wait for a session."""
        return max((len(session.outbox) for session in self._connections), default=0)

    def _write(self, session: Session, connection: ServerConnection) -> None:
        transport, protocol = connection.transport, connection.protocol
        if protocol.state is not State.OPEN or transport.get_write_buffer_size() > SOCKET_BYTES:
            return
        waiting = session.take()
        sent = 0
        while sent < len(waiting) and transport.get_write_buffer_size() <= SOCKET_BYTES:
            chunk = waiting[sent : sent + CHUNK_FRAMES]
            for frame in chunk:
                protocol.send_text(frame)
            # One write for many frames: a system call costs more than all else here.
            transport.write(b"".join(protocol.data_to_send()))
            sent += len(chunk)
        session.outbox = waiting[sent:] + session.outbox
        self.frames_sent += sent

    async def _converse(self, connection: ServerConnection) -> None:
        session = self._hub.join(self._accounts.pop(connection), self._queue_limit)
        self._connections[session] = connection
        try:
            async for raw in connection:
                commands.receive(self._hub, session, raw)
                self._write(session, connection)
                if len(session.outbox) > 2 * self._queue_limit:  # asks on, and reads nothing
                    await connection.close(CloseCode.TRY_AGAIN_LATER, "too many unread answers")
        except ConnectionClosed as closed:
            _log.debug("connection_lost", reason=str(closed))
        finally:
            del self._connections[session]
            self._hub.leave(session)

    async def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """Let a handshake through, or answer it by an HTTP error before any upgrade."""
        path = request.path.partition("?")[0]
        headers = {name.upper(): value for name, value in request.headers.raw_items()}
        if _name_of(headers.get("HOST", "")) not in self._hosts:
            return _refusal(connection, HTTPStatus.BAD_REQUEST, b"Invalid host header")
        if path != WS_PATH:
            return _refusal(connection, HTTPStatus.NOT_FOUND, b"404 page not found")
        try:
            self._accounts[connection] = self._gate.account_of(headers, "GET", path)
        except Unauthenticated as refused:
            body = payloads.encode(refused.body)
            return _refusal(connection, HTTPStatus.UNAUTHORIZED, body)
        return None


def _name_of(host: str) -> str:
    """Give a Host header's name without its port."""
    name, _, port = host.rpartition(":")
    return (name if port.isdecimal() else host).strip("[]")


def _refusal(connection: ServerConnection, status: HTTPStatus, body: bytes) -> Response:
    response = connection.respond(status, "")
    response.body = body
    del response.headers["Content-Length"]
    response.headers["Content-Length"] = str(len(body))
    if body.startswith(b"{"):
        del response.headers["Content-Type"]
        response.headers["Content-Type"] = "application/json"
    return response

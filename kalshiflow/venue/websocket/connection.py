"""One WebSocket connection that cannot linger: what the library leaves to its client, we end."""

import asyncio
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.protocol import State

# After the closing handshake the client is to end the connection; so long it may take over it.
CLOSING_SECONDS = 1.0
# Pongs wait in the socket, too: who sends pings and reads nothing is dropped at this.
MOST_UNSENT_BYTES = 64 * 2**20


class Connection(ServerConnection):
    """A connection that counts the heartbeats since it was last heard."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.transport = _Gone()  # until there is one
        self.silent_beats = 0
        self._end: asyncio.TimerHandle | None = None

    @property
    def is_open(self) -> bool:
        """Say whether the handshake is done and no closing has begun."""
        return self.protocol.state is State.OPEN and not self.transport.is_closing()

    def drop(self) -> None:
        """End the connection now, without a closing handshake."""
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Take bytes from the socket, pongs included."""
        self.silent_beats = 0
        super().data_received(data)
        if self.transport.get_write_buffer_size() > MOST_UNSENT_BYTES:
            self.drop()
        elif self.protocol.close_expected():
            self._end_soon()

    def eof_received(self) -> None:
        """Take the end of the client's bytes: asyncio would wait until it has read all of ours."""
        super().eof_received()
        self._end_soon()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of the transport: asyncio's raises where it is aborted after its end."""
        super().connection_lost(exc)
        self.transport = _Gone()
        if self._end is not None:
            self._end.cancel()

    def _end_soon(self) -> None:
        if self._end is None:
            self._end = self.loop.call_later(CLOSING_SECONDS, self.drop)


class _Gone(asyncio.Transport):
    """A transport that is no more, or not yet."""

    def is_closing(self) -> bool:
        return True

    def get_write_buffer_size(self) -> int:
        return 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        pass

    def can_write_eof(self) -> bool:
        return False

    def close(self) -> None:
        pass

    def abort(self) -> None:
        pass

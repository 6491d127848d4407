"""uvicorn's WebSocket, to which several ready messages can be written at once."""

import socket
from asyncio import BaseTransport
from collections.abc import Iterable

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Request

# What the kernel takes for a screen that does not read: more would only be older when it is read.
KERNEL_BYTES = 64 * 1024


def text_frame(text: bytes) -> bytes:
    """Write a message as a server sends it: one frame, which any number of sockets can be given."""
    return Frame(Opcode.TEXT, text).serialize(mask=False)


class FramesSocket(WebSocketsSansIOProtocol):
    """A socket that its application finds as `websocket.state.outlet`.

    Writing to it waits for nothing: who writes asks `is_ready` before.
    """

    def connection_made(self, transport: BaseTransport) -> None:
        """Take the connection, and let little wait in the kernel."""
        super().connection_made(transport)
        taken = transport.get_extra_info("socket")
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BYTES)

    def handle_connect(self, event: Request) -> None:
        """Begin the conversation."""
        super().handle_connect(event)
        if not self.handshake_complete:  # it is not refused already
            self.scope["state"]["outlet"] = self

    @property
    def is_ready(self) -> bool:
        """Say whether the connection is open and takes more."""
        return (
            self.handshake_complete
            and self.writable.is_set()
            and not self.close_sent
            and not self.transport.is_closing()
        )

    def write(self, frames: Iterable[bytes]) -> None:
        """Write frames in order; they are to be whole messages, for others may follow."""
        self.transport.write(b"".join(frames))

"""The HTTP server of the REST application, on a socket that is bound already."""

import asyncio
import math
import socket

import uvicorn
from starlette.types import ASGIApp

from kalshiflow.serving import Server

GRACE_SECONDS = 1.0


class RestServer(Server):
    """The server of one venue's REST."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                lifespan="off",
                ws="none",
                # No proxy stands before it: a header that names another caller is not believed.
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=math.ceil(GRACE_SECONDS) + 1,
            )
        )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End: who has not been answered within `GRACE_SECONDS` is hung up on."""
        hang_up = asyncio.get_running_loop().call_later(GRACE_SECONDS, self._hang_up)
        try:
            await super().shutdown(sockets)
        finally:
            hang_up.cancel()

    def _hang_up(self) -> None:
        for connection in tuple(self.server_state.connections):
            connection.transport.abort()

    async def ready(self, task: "asyncio.Task[None]") -> None:
        """Wait until requests are taken; raises what kept the server from it."""
        while not self.started:
            if task.done():
                await task
            await asyncio.sleep(0.001)

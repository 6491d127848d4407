"""Dagster's web server for the stack: the installed one, behind a check of Host and Origin.

Dagster's own server answers to any Host and has no login, so a web page that a person visits could
reach it under a name that resolves to 127.0.0.1. This one answers to this machine's names only.
"""

import argparse
import signal
import sys
from pathlib import Path
from urllib.parse import urlsplit

import uvicorn
from dagster import DagsterInstance
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster_webserver.app import create_app_from_workspace_process_context
from dagster_webserver.version import __version__
from starlette.datastructures import Headers
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

OWN_NAMES = ("localhost", "127.0.0.1")


class OwnOriginMiddleware:
    """Refuse a request that a page of another site sends; WebSockets know no other guard."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"} or _is_own(Headers(scope=scope)):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await WebSocketClose(code=1008)(scope, receive, send)
        else:
            await PlainTextResponse("Foreign origin", status_code=403)(scope, receive, send)


def _is_own(headers: Headers) -> bool:
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).hostname in OWN_NAMES


def guarded(app: ASGIApp) -> ASGIApp:
    """Wrap an app so that it answers only to requests for, and from pages of, this machine."""
    return TrustedHostMiddleware(OwnOriginMiddleware(app), allowed_hosts=list(OWN_NAMES))


def main() -> None:
    """Serve the workspace until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # also while the workspace still loads
    with (
        DagsterInstance.get() as instance,
        WorkspaceProcessContext(
            instance,
            version=__version__,
            workspace_load_target=WorkspaceFileTarget([str(arguments.workspace)]),
        ) as workspace,
    ):
        instance.optimize_for_webserver(
            statement_timeout=15_000, pool_recycle=3600, max_overflow=20
        )
        app = create_app_from_workspace_process_context(workspace, live_data_poll_rate=2000)
        uvicorn.run(guarded(app), host="127.0.0.1", port=arguments.port, log_level="warning")


if __name__ == "__main__":
    main()

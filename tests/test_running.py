"""Whether a program already runs is asked of this machine, never of a proxy."""

import asyncio

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from kalshiflow.running import already_running
from kalshiflow.serving import bind, serving


@pytest.mark.integration
async def test_a_running_program_is_found_behind_a_proxy_too(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    pages = Starlette(routes=[Route("/health", lambda _request: PlainTextResponse("well"))])
    with bind(0, "") as listener:
        port = listener.getsockname()[1]
        async with serving(pages, listener):
            found = await asyncio.to_thread(already_running, "collector", port, "/health")
            other = await asyncio.to_thread(already_running, "collector", port, "/gone")

    assert found is not None
    assert found.startswith(f"The collector is already running at http://127.0.0.1:{port};")
    assert other is None

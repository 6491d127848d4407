"""The sockets that the programs listen on."""

import asyncio
import socket

import pytest

from kalshiflow.serving import listen

pytestmark = pytest.mark.integration


async def test_a_small_answer_does_not_wait_for_an_acknowledgement() -> None:
    accepted: asyncio.Queue[int] = asyncio.Queue()

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ours = writer.get_extra_info("socket")
        await accepted.put(ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    bound = listen("127.0.0.1", 0)
    async with await asyncio.start_server(answer, sock=bound):
        _, writer = await asyncio.open_connection(*bound.getsockname())
        async with asyncio.timeout(5):
            assert await accepted.get()
        writer.close()
        await writer.wait_closed()

"""Handshakes that are none, that never end, or that are one too many; and what comes right behind one."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from socket_stand import RawClient, Stand, handshake, masked, standing
from websockets.exceptions import InvalidStatus

pytestmark = pytest.mark.integration


@pytest.fixture
async def stand(key_dir: Path) -> AsyncIterator[Stand]:
    async with standing(key_dir) as running:
        yield running


async def test_a_handshake_that_does_not_end_is_dropped(key_dir: Path) -> None:
    async with standing(key_dir, handshake_seconds=0.1) as stand:
        silent, half = RawClient(stand.port), RawClient(stand.port)
        await half.write(b"GET /trade-api/ws/v2 HTTP/1.1\r\nHost: 127.0.0.1\r\nUpg")

        assert await stand.serves()  # nobody waits for them
        assert await silent.read_all() == b""
        assert await half.read_all() == b""
        assert await stand.serves()
        silent.socket.close()
        half.socket.close()


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        (b"hello\r\n\r\n", None),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET /trade-api/ws/v2 HTTP/1.1\r\nHost: evil.example\r\n\r\n", 400),
        (b"GET /trade-api/ws/v2 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 401),
        (b"GET /else HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 404),
        (b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\n\r\n", 414),
        (
            b"GET /trade-api/ws/v2 HTTP/1.1\r\nHost: 127.0.0.1\r\nKALSHI-ACCESS-KEY: \xff\xfe\r\n\r\n",
            401,
        ),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20, None),  # somebody tries TLS
    ],
)
async def test_a_handshake_that_is_none_is_answered_4xx_or_dropped(
    stand: Stand, request_text: bytes, status: int | None
) -> None:
    raw = RawClient(stand.port)
    await raw.write(request_text)
    if status is None:
        raw.socket.shutdown(socket.SHUT_WR)

    answer = await raw.read_all()

    assert answer.startswith(b"" if status is None else b"HTTP/1.1 %d " % status)
    assert await stand.serves()
    raw.socket.close()


async def test_a_signed_request_without_an_upgrade_is_answered_426(stand: Stand) -> None:
    raw = RawClient(stand.port)
    lines = [f"{name}: {value}" for name, value in stand.headers().items()]
    head = ["GET /trade-api/ws/v2 HTTP/1.1", "Host: 127.0.0.1", *lines, "", ""]
    await raw.write("\r\n".join(head).encode())

    assert (await raw.read_all()).startswith(b"HTTP/1.1 426 ")
    assert await stand.serves()
    raw.socket.close()


async def test_an_account_has_so_many_connections_and_no_more(key_dir: Path) -> None:
    async with standing(key_dir, connection_limit=2) as stand:
        async with stand.client(), stand.client():
            with pytest.raises(InvalidStatus) as caught:
                async with stand.client():
                    pass
            assert caught.value.response.status_code == 429
            assert caught.value.response.body == b'{"error":"too many requests"}'
        await stand.until(lambda: not stand.hub.sessions())

        assert await stand.serves()


async def test_a_refused_handshake_takes_no_place(key_dir: Path) -> None:
    async with standing(key_dir, connection_limit=1) as stand:
        for _ in range(3):
            with pytest.raises(InvalidStatus, match="401"):
                async with stand.client({"KALSHI-ACCESS-KEY": "nobody"}):
                    pass

        assert await stand.serves()


async def test_commands_may_come_together_with_the_handshake(stand: Stand) -> None:
    raw = RawClient(stand.port)
    await raw.write(handshake(stand.headers()) + masked(b'{"id":1,"cmd":"list_subscriptions"}') * 2)

    assert (await raw.read_until(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
    answer = b'\x81\x1d{"type":"ok","id":1,"msg":[]}'
    assert await raw.read_until(answer * 2) == answer * 2
    raw.socket.close()


async def test_who_vanishes_at_any_byte_of_its_conversation_leaves_nothing_behind(
    key_dir: Path,
) -> None:
    async with standing(key_dir, connection_limit=1) as stand:
        tasks = len(asyncio.all_tasks())
        subscribe = b'{"id":1,"cmd":"subscribe","params":{"channels":["trade","fill"]}}'
        told = masked(subscribe) + masked(b"", 9) + masked(b"\x03\xe8", 8)
        asked = handshake(stand.headers())
        for length in (*range(0, len(asked), 97), *range(len(asked) - 1, len(asked + told) + 1, 7)):
            raw = RawClient(stand.port)
            await raw.write((asked + told)[:length])
            raw.vanish()

            await _served(stand)

        await stand.until(lambda: not stand.hub.sessions() and len(asyncio.all_tasks()) <= tasks)


async def _served(stand: Stand) -> None:
    """Connect, once those that have gone are found to be."""
    async with asyncio.timeout(5):
        while True:
            with suppress(InvalidStatus):
                assert await stand.serves()
                return

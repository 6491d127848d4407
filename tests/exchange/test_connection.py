"""The WebSocket connection against a real server on this machine."""

import asyncio
import contextlib
import http
import json
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.server import serve

from kalshiflow.exchange.connection import connect
from kalshiflow.exchange.credentials import (
    KEY_HEADER,
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    verify,
)
from kalshiflow.exchange.errors import (
    ConnectionLost,
    ConnectionRefused,
    ExchangeUnavailable,
    RateLimited,
    Unauthorised,
    Unreachable,
)

PATH = "/trade-api/ws/v2"


@asynccontextmanager
async def exchange(handler, process_request=None):
    """Give the address of a server that runs `handler` for each connection."""
    async with serve(
        handler, "127.0.0.1", 0, process_request=process_request, ping_interval=None
    ) as server:
        port = server.sockets[0].getsockname()[1]
        yield f"ws://127.0.0.1:{port}{PATH}"


async def echo(socket):
    async for message in socket:
        await socket.send(message)


async def test_the_handshake_is_signed_with_the_path(credentials, key_pair):
    seen = {}

    async def handler(socket):
        seen.update(socket.request.headers)
        await socket.wait_closed()

    async with exchange(handler) as url, connect(url, credentials, clock=lambda: 5 * 10**15):
        pass

    headers = {name.upper(): value for name, value in seen.items()}
    assert headers[KEY_HEADER] == "key-1"
    assert headers[TIMESTAMP_HEADER] == "5000000000"
    assert verify(key_pair[1], "5000000000", "GET", PATH, headers[SIGNATURE_HEADER])
    assert "SEC-WEBSOCKET-EXTENSIONS" not in headers


async def test_commands_are_written_as_kalshi_reads_them(credentials):
    async with exchange(echo) as url, connect(url, credentials) as connection:
        ids = [
            await connection.subscribe(["orderbook_delta", "trade"], ["A", "B"]),
            await connection.subscribe(["fill"]),
            await connection.subscribe(["orderbook_delta"], ["A"], use_yes_price=False),
            await connection.add_markets(1, ["C"]),
            await connection.remove_markets(1, ["A"]),
            await connection.get_snapshot(1, ["B"]),
            await connection.unsubscribe([1, 2]),
            await connection.list_subscriptions(),
        ]
        sent = [json.loads((await connection.receive()).raw) for _ in ids]

    update = {"cmd": "update_subscription"}
    assert ids == [1, 2, 3, 4, 5, 6, 7, 8]
    assert sent == [
        {
            "cmd": "subscribe",
            "id": 1,
            "params": {
                "channels": ["orderbook_delta", "trade"],
                "market_tickers": ["A", "B"],
                "use_yes_price": True,
            },
        },
        {"cmd": "subscribe", "id": 2, "params": {"channels": ["fill"]}},
        {
            "cmd": "subscribe",
            "id": 3,
            "params": {
                "channels": ["orderbook_delta"],
                "market_tickers": ["A"],
                "use_yes_price": False,
            },
        },
        update | {"id": 4, "params": {"action": "add_markets", "sid": 1, "market_tickers": ["C"]}},
        update
        | {"id": 5, "params": {"action": "delete_markets", "sid": 1, "market_tickers": ["A"]}},
        update | {"id": 6, "params": {"action": "get_snapshot", "sid": 1, "market_tickers": ["B"]}},
        {"cmd": "unsubscribe", "id": 7, "params": {"sids": [1, 2]}},
        {"cmd": "list_subscriptions", "id": 8},
    ]


async def test_commands_are_text_frames(credentials):
    kinds = []

    async def handler(socket):
        kinds.append(type(await socket.recv()))
        await socket.send("done")
        await socket.wait_closed()

    async with exchange(handler) as url, connect(url, credentials) as connection:
        await connection.subscribe(["trade"])
        await connection.receive()

    assert kinds == [str]


async def test_frames_come_as_bytes_in_order_with_the_time_of_reading(credentials):
    async def handler(socket):
        for number in range(500):
            await socket.send(f"frame {number}")
        await socket.wait_closed()

    times = iter(range(1, 1000))
    async with (
        exchange(handler) as url,
        connect(url, credentials, clock=lambda: next(times)) as connection,
    ):
        frames = [await connection.receive() for _ in range(500)]

    assert [frame.raw for frame in frames] == [b"frame %d" % number for number in range(500)]
    assert [frame.received_at for frame in frames] == list(range(2, 502))  # 1 signed the handshake


async def test_closing_ends_the_iteration_quietly(credentials):
    async with exchange(echo) as url, connect(url, credentials) as connection:
        await connection.list_subscriptions()
        seen = []
        async for frame in connection:
            seen.append(frame.raw)
            await connection.close()

    assert len(seen) == 1


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1001, "maintenance"), (4000, "odd")])
async def test_a_connection_that_the_exchange_ends_is_lost(credentials, code, reason):
    async def handler(socket):
        await socket.send("last words")
        await socket.close(code, reason)

    async with exchange(handler) as url, connect(url, credentials) as connection:
        heard = await anext(connection)
        with pytest.raises(ConnectionLost) as lost:
            await anext(connection)
        with pytest.raises(ConnectionLost):
            await connection.list_subscriptions()

    assert heard.raw == b"last words"
    assert (lost.value.code, lost.value.reason) == (code, reason)


async def test_a_connection_that_breaks_is_lost_without_a_code(credentials):
    async def handler(socket):
        socket.transport.abort()

    async with exchange(handler) as url, connect(url, credentials) as connection:
        with pytest.raises(ConnectionLost) as lost:
            await connection.receive()

    assert lost.value.code is None


async def test_pings_of_the_exchange_are_answered_and_noted(credentials):
    async def handler(socket):
        await (await socket.ping(b"heartbeat"))
        await socket.send("ponged")
        await socket.wait_closed()

    async with exchange(handler) as url, connect(url, credentials) as connection:
        frame = await connection.receive()

        assert frame.raw == b"ponged"
        assert connection.seconds_since_ping < 10
        assert abs(frame.received_at - connection.last_ping_at) < 10 * 10**9


@pytest.mark.parametrize(
    ("status", "body", "error", "words"),
    [
        (
            401,
            b'{"error":{"code":"authentication_error","details":"NOT_FOUND"}}',
            Unauthorised,
            "authentication_error NOT_FOUND",
        ),
        (403, b"", Unauthorised, "HTTP 403"),
        (429, b'{"error":"too many requests"}', RateLimited, "too many requests"),
        (502, b"<html>Bad gateway</html>", ExchangeUnavailable, "HTTP 502"),
        (503, b"", ExchangeUnavailable, "HTTP 503"),
        (404, b"", ConnectionRefused, "HTTP 404"),
        (302, b"", ConnectionRefused, "HTTP 302"),
    ],
)
async def test_a_refused_handshake_has_its_own_error(credentials, status, body, error, words):
    def refuse(connection, request):
        response = connection.respond(http.HTTPStatus(status), body.decode())
        if status == 302:
            response.headers["Location"] = "ws://127.0.0.1:1/elsewhere"
        return response

    async with exchange(echo, refuse) as url:
        with pytest.raises(error, match=words) as refused:
            async with connect(url, credentials):
                pass

    assert type(refused.value) is error


async def test_nobody_at_the_address_is_unreachable(credentials, free_port):
    with pytest.raises(Unreachable, match="cannot be reached"):
        async with connect(f"ws://127.0.0.1:{free_port}{PATH}", credentials):
            pass


@pytest.mark.parametrize(
    ("answer", "patience", "words"),
    [
        (b"", 0.05, r"did not answer within 0\.05 s"),
        (b"220 smtp ready\r\n\r\n", 5, "cannot be reached"),
    ],
)
async def test_a_server_that_speaks_no_http_is_unreachable(credentials, answer, patience, words):
    ended = asyncio.Event()

    async def handler(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        with contextlib.suppress(ConnectionError):
            await reader.read()
            writer.close()
            await writer.wait_closed()
        ended.set()

    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, asyncio.timeout(10):
        with pytest.raises(Unreachable, match=words):
            async with connect(f"ws://127.0.0.1:{port}{PATH}", credentials, open_timeout=patience):
                pass
        await ended.wait()


async def test_the_connection_is_closed_when_its_block_ends_in_an_error(credentials):
    closed = asyncio.Event()

    async def handler(socket):
        await socket.wait_closed()
        closed.set()

    async with exchange(handler) as url:
        with pytest.raises(ZeroDivisionError):
            async with connect(url, credentials):
                raise ZeroDivisionError
        async with asyncio.timeout(5):
            await closed.wait()


def test_how_a_connection_ended_reads_as_a_sentence():
    ends = ((None, ""), (None, "nothing came"), (1001, ""), (1001, "maintenance"))
    assert [str(ConnectionLost(code, reason)) for code, reason in ends] == [
        "the connection ended without a goodbye",
        "the connection ended without a goodbye: nothing came",
        "the connection ended with code 1001: no reason given",
        "the connection ended with code 1001: maintenance",
    ]

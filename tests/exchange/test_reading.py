"""What comes over a connection, down to its bytes: bursts, parts, pauses, silence, odd ends."""

import asyncio
import contextlib
import logging
import socket
import struct
from contextlib import asynccontextmanager

import pytest
import uvloop
from bare_socket import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, bare_server, frame
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshiflow.exchange.connection import RawFrame, connect
from kalshiflow.exchange.credentials import Credentials
from kalshiflow.exchange.errors import ConnectionLost
from kalshiflow.exchange.listener import MAX_FRAME, MOST_BYTES, MOST_FRAMES

LONG = b"x" * 200


@asynccontextmanager
async def connected(credentials, talk, **options):
    """Give a connection to a server that takes the handshake and then runs `talk`."""

    async def serve(wire):
        await wire.accept()
        await talk(wire)

    async with (
        asyncio.timeout(20),
        bare_server(serve) as port,
        connect(f"ws://127.0.0.1:{port}/", credentials, **options) as connection,
    ):
        yield connection


async def all_of(connection, count):
    raws = []
    while len(raws) < count:
        raws += [raw for raw, _ in await connection.burst()]
    return raws


def saying(*raws):
    async def talk(wire):
        await wire.send(b"".join(raws))
        await wire.until_gone()

    return talk


# --- bursts ------------------------------------------------------------------------------------


async def test_a_burst_is_all_that_came_in_order_each_with_its_own_time(credentials):
    talk = saying(frame(b"one"), frame(LONG), frame(b"", BINARY), frame(b"four"))
    times = iter(range(1, 100))

    async with connected(credentials, talk, clock=lambda: next(times)) as connection:
        burst = await connection.burst()

    assert burst == [(b"one", 2), (LONG, 3), (b"", 4), (b"four", 5)]  # 1 signed the handshake


async def test_what_comes_with_the_handshake_is_not_lost(credentials):
    async def serve(wire):
        await wire.accept(frame(LONG))
        await wire.until_gone()

    async with (
        bare_server(serve) as port,
        connect(f"ws://127.0.0.1:{port}/", credentials) as connection,
    ):
        assert (await connection.receive()).raw == LONG


async def test_reading_one_by_one_and_in_bursts_may_be_mixed(credentials):
    talk = saying(*(frame(b"%d" % number) for number in range(5)))

    async with connected(credentials, talk) as connection:
        first = await connection.receive()
        rest = await connection.burst()

    assert isinstance(first, RawFrame)
    assert (first.raw, [raw for raw, _ in rest]) == (b"0", [b"1", b"2", b"3", b"4"])


@pytest.mark.parametrize("way", ["burst", "receive"])
async def test_a_cancelled_wait_loses_no_frame(credentials, way):
    go = asyncio.Event()

    async def talk(wire):
        await go.wait()
        await wire.send(frame(LONG) + frame(b"two"))
        await wire.until_gone()

    async with connected(credentials, talk) as connection:
        waiting = asyncio.create_task(getattr(connection, way)())
        await asyncio.sleep(0)
        go.set()
        while not connection.waiting_bytes:  # they are there, and the reader was not yet resumed
            await asyncio.sleep(0)
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting

        assert not waiting.cancelled() or await all_of(connection, 2) == [LONG, b"two"]


async def test_only_one_may_read_at_a_time(credentials):
    async def talk(wire):
        await wire.until_gone()

    async with connected(credentials, talk) as connection, asyncio.TaskGroup() as group:
        first = group.create_task(connection.burst())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="somebody else"):
            await connection.burst()
        first.cancel()


def test_uvloop_serves_as_well(key_pair):
    async def scene():
        talk = saying(*[frame(LONG)] * 1000, frame(b"beat", PING), frame(b"last"))
        async with connected(Credentials.from_pem("key-1", key_pair[0]), talk) as connection:
            return await all_of(connection, 1001), connection.seconds_since_ping

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        raws, since_ping = runner.run(scene())

    assert raws == [*[LONG] * 1000, b"last"]
    assert since_ping < 10


# --- messages in parts -------------------------------------------------------------------------


async def test_a_message_in_parts_is_one_frame_and_pings_between_them_are_answered(credentials):
    ponged = asyncio.Event()

    async def talk(wire):
        await wire.send(frame(LONG, final=False) + frame(b"heartbeat", PING))
        assert await wire.heard() == (PONG, b"heartbeat")
        ponged.set()
        await wire.send(frame(b"-", CONTINUATION, final=False) + frame(LONG, CONTINUATION))
        await wire.send(frame(LONG))
        await wire.until_gone()

    async with connected(credentials, talk) as connection:
        await ponged.wait()
        assert connection.waiting_bytes == 0
        assert await all_of(connection, 2) == [LONG + b"-" + LONG, LONG]


@given(
    messages=st.lists(
        st.tuples(st.integers(0, 70_000), st.lists(st.integers(1, 400), max_size=4), st.booleans()),
        min_size=1,
        max_size=12,
    ),
    pieces=st.lists(st.integers(1, 5_000), min_size=1, max_size=8),
)
@settings(max_examples=30, deadline=None)
def test_however_messages_are_cut_they_come_whole_and_in_order(key_pair, messages, pieces):
    sent, wire_bytes = [], b""
    for number, (size, cuts, is_pinged) in enumerate(messages):
        message = (b"%07d" % number) + b"y" * size
        sent.append(message)
        parts, rest = [], message
        for cut in cuts:
            parts.append(rest[:cut])
            rest = rest[cut:]
        parts.append(rest)
        for place, part in enumerate(parts):
            kind = CONTINUATION if place else TEXT
            wire_bytes += frame(part, kind, final=place == len(parts) - 1)
            if is_pinged:
                wire_bytes += frame(b"heartbeat", PING)

    async def talk(wire):
        rest = wire_bytes
        for size in pieces * 20:
            await wire.send(rest[:size])
            await asyncio.sleep(0)
            rest = rest[size:]
        await wire.send(rest)
        await wire.until_gone()

    async def scene():
        async with connected(Credentials.from_pem("key-1", key_pair[0]), talk) as connection:
            return await all_of(connection, len(sent))

    assert asyncio.run(scene()) == sent


# --- odd ends ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "code", "words"),
    [
        (frame(b"a", CONTINUATION), 1002, "a part of no message"),
        (frame(LONG, final=False) + frame(LONG), 1002, "begins inside another"),
        (b"\x83\x00", 1002, "invalid opcode"),
        (b"\x81\x7f" + (MAX_FRAME + 1).to_bytes(8), 1009, "exceeding"),
        (b"\x81\x80\x00\x00\x00\x00", 1002, "masked"),
        (frame(struct.pack("!H", 1004), CLOSE), 1002, "close code"),
    ],
)
async def test_a_broken_protocol_ends_the_connection_with_its_reason(
    credentials, caplog, raw, code, words
):
    with caplog.at_level(logging.DEBUG):
        async with connected(credentials, saying(frame(LONG), raw)) as connection:
            heard = await connection.receive()
            with pytest.raises(ConnectionLost, match=words) as lost:
                await connection.receive()

    assert (heard.raw, lost.value.code) == (LONG, code)
    assert not [line for line in caplog.records if line.name.startswith("picows")]


async def test_a_message_whose_parts_are_too_long_together_ends_the_connection(credentials):
    quarter = b"z" * (MAX_FRAME // 4)
    parts = [frame(quarter, CONTINUATION, final=False)] * 4
    talk = saying(frame(quarter, final=False), *parts)

    async with connected(credentials, talk) as connection:
        with pytest.raises(ConnectionLost, match="more than") as lost:
            await connection.receive()

    assert lost.value.code == 1009


async def test_all_that_came_before_the_end_is_given_first(credentials):
    async def talk(wire):
        await wire.send(frame(LONG) * 3)

    async with connected(credentials, talk) as connection:
        raws = await all_of(connection, 3)
        for _ in range(2):
            with pytest.raises(ConnectionLost) as lost:
                await connection.burst()

    assert raws == [LONG] * 3
    assert (lost.value.code, lost.value.reason) == (None, "")


async def test_a_goodbye_is_answered_in_kind(credentials):
    answers = []

    async def talk(wire):
        await wire.send(frame(b"", CLOSE))
        answers.append(await wire.heard())
        await wire.until_gone()

    async with connected(credentials, talk) as connection:
        with pytest.raises(ConnectionLost) as lost:
            await connection.receive()

    assert lost.value.code == 1005  # the goodbye had none
    assert answers == [(CLOSE, struct.pack("!H", 1000))]


async def test_closing_says_goodbye_and_leaves_out_what_still_comes(credentials):
    goodbyes = []

    async def talk(wire):
        async def pour():
            while True:
                await wire.send(frame(LONG) * 100)

        pouring = asyncio.create_task(pour())
        goodbyes.append(await wire.heard())
        pouring.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await pouring
        await wire.send(frame(struct.pack("!H", 1000), CLOSE))

    async with connected(credentials, talk) as connection:
        await connection.burst()
        await connection.close()
        await connection.close()
        left = [each async for each in connection]

    assert goodbyes == [(CLOSE, struct.pack("!H", 1000))]
    assert all(each.raw == LONG for each in left)


async def test_closing_waits_no_longer_than_it_was_told_to(credentials):
    async def talk(wire):
        while (await wire.heard())[0] != CLOSE:
            pass
        await wire.reader.read()  # no goodbye of its own

    async with connected(credentials, talk, close_timeout=0.05) as connection:
        await connection.list_subscriptions()


# --- pauses ------------------------------------------------------------------------------------


def one_read(connection):
    """Give the most that the last read can have brought: what the kernel has room for."""
    below = connection._listener._transport.underlying_transport
    return below.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)


@pytest.mark.parametrize("size", [20_000, 200, 10])
async def test_what_nobody_reads_is_bounded_and_none_of_it_is_lost(credentials, size):
    count = 3 * min(MOST_BYTES // size, MOST_FRAMES) + 7

    async def talk(wire):
        for number in range(count):
            wire.writer.write(frame((b"%07d" % number).ljust(size)))
            if number % 100 == 0:
                await wire.writer.drain()
        await wire.until_gone()

    async with connected(credentials, talk) as connection:
        while connection.is_reading:
            await asyncio.sleep(0.001)
        assert connection.waiting_bytes <= MOST_BYTES + one_read(connection)
        raws = await all_of(connection, count)
        assert connection.is_reading

    assert [int(raw) for raw in raws] == list(range(count))


async def test_a_paused_connection_reads_nothing_until_it_is_resumed(credentials):
    go, ponged = asyncio.Event(), asyncio.Event()

    async def talk(wire):
        await go.wait()
        await wire.send(frame(b"heartbeat", PING) + frame(LONG))
        assert await wire.heard() == (PONG, b"heartbeat")
        ponged.set()
        await wire.until_gone()

    async with connected(credentials, talk, silence=0.05) as connection:
        connection.pause()
        go.set()
        await asyncio.sleep(0.2)  # longer than silence is borne: it is not held against the other
        assert not ponged.is_set()
        assert (connection.is_reading, connection.waiting_bytes) == (False, 0)
        connection.resume()
        assert (await connection.receive()).raw == LONG
        await ponged.wait()


async def test_a_paused_connection_can_be_closed(credentials):
    async def talk(wire):
        kind, payload = await wire.heard()
        await wire.send(frame(payload, kind))

    async with connected(credentials, talk) as connection:
        connection.pause()
        async with asyncio.timeout(2):
            await connection.close()


# --- silence -----------------------------------------------------------------------------------


async def test_an_exchange_that_answers_nothing_at_all_is_given_up(credentials):
    heard = []

    async def talk(wire):
        heard.append((await wire.heard())[0])
        await wire.reader.read()

    async with connected(credentials, talk, silence=0.3) as connection:
        with pytest.raises(ConnectionLost, match=r"nothing came for 0\.4 s") as lost:
            await connection.receive()

    assert lost.value.code is None
    assert heard == [PING]


async def test_a_quiet_market_is_no_silence(credentials):
    pings = asyncio.Semaphore(0)

    async def talk(wire):
        while True:
            kind, payload = await wire.heard()
            if kind == PING:
                await wire.send(frame(payload, PONG))
                pings.release()
            else:
                await wire.send(frame(payload, kind))
                return

    async with connected(credentials, talk, silence=0.06) as connection:
        for _ in range(4):  # each would have been the last but for the other side's answer
            await pings.acquire()
        await connection.list_subscriptions()
        assert b"list_subscriptions" in (await connection.receive()).raw


async def test_the_exchanges_own_pings_are_proof_enough_of_life(credentials):
    heard = []

    async def talk(wire):
        for _ in range(30):
            await wire.send(frame(b"heartbeat", PING))
            heard.append((await wire.heard())[0])
            await asyncio.sleep(0.01)
        await wire.send(frame(LONG))
        await wire.until_gone()

    async with connected(credentials, talk, silence=0.15) as connection:
        assert (await connection.receive()).raw == LONG

    assert set(heard) == {PONG}

"""Clients that are broken, hostile or gone: each is answered or dropped, and others are served."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from socket_stand import RawClient, Stand, masked, standing

from kalshiflow.venue.websocket.outlet import ClearOutlet
from kalshiflow.venue.websocket.sessions import Session

pytestmark = pytest.mark.integration


@pytest.fixture
async def stand(key_dir: Path) -> AsyncIterator[Stand]:
    async with standing(key_dir) as running:
        yield running


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no json",
        "null",
        "[]",
        '"subscribe"',
        "{",
        '{"id":1,"cmd":',
        '{"id":-1,"cmd":"list_subscriptions"}',
        '{"id":1e400,"cmd":"list_subscriptions"}',
        '{"id":99999999999999999999999,"cmd":"list_subscriptions"}',
        '{"id":1,"cmd":17}',
        '{"id":1,"cmd":"drop_tables"}',
        '{"id":1,"cmd":"subscribe","params":"all"}',
        '{"id":1,"cmd":"subscribe","params":{"channels":[[[]]]}}',
        '{"id":1,"cmd":"subscribe","params":{"channels":["trade"],"market_ticker":17}}',
        '{"id":1,"cmd":"subscribe","params":{"channels":["trade"],"market_ticker":"\\u0000"}}',
        '{"id":1,"cmd":"unsubscribe","params":{"sids":[-1]}}',
        '{"id":1,"cmd":"unsubscribe","params":{"sids":[1e99]}}',
        "[" * 100_000,
        '{"id":1,"cmd":"subscribe","params":' + '{"a":' * 5_000,
        '{"id":1,"cmd":"🚀","params":{}}',
    ],
)
async def test_what_is_no_command_is_answered_by_an_error_frame(stand: Stand, text: str) -> None:
    async with stand.client() as client:
        await client.send(text)
        answer = await stand.next(client)
        again = await stand.ask(client, "list_subscriptions")

    assert answer["type"] == "error"
    assert answer["msg"]["code"] in {1, 5, 7, 11}
    assert again["msg"] == []


async def test_a_binary_frame_is_not_a_command(stand: Stand) -> None:
    async with stand.client() as client:
        await client.send(b'{"id":1,"cmd":"list_subscriptions"}')

        assert (await stand.next(client))["msg"]["code"] == 1


async def test_a_command_in_pieces_is_a_command(stand: Stand) -> None:
    async with stand.client() as client:
        await client.send(['{"id":1,"cmd":', '"list_subs', 'criptions"}'])

        assert (await stand.next(client))["msg"] == []


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (masked(b'{"id":1,"cmd":"\xff\xfe"}'), 1007),
        (b"\x81\x05hello", 1002),  # not masked
        (masked(b"hello", 3), 1002),  # no such kind of frame
        (masked(b"", 0), 1002),  # goes on, though nothing began
        (masked(b"x" * 126, 9), 1002),  # too long a ping
        (masked(b"\x00", 8), 1002),  # half a close code
    ],
    ids=["no UTF-8", "unmasked", "opcode 3", "lone continuation", "long ping", "half close"],
)
async def test_a_frame_against_the_rules_closes_its_connection(
    stand: Stand, data: bytes, code: int
) -> None:
    raw = await stand.raw()
    await raw.write(data)
    answer = await raw.read_all()

    assert answer[0] == 0x88
    assert int.from_bytes(answer[2:4]) == code
    raw.socket.close()
    await stand.until(lambda: not stand.hub.sessions())
    assert await stand.serves()


async def test_a_frame_of_ten_megabytes_is_refused_when_it_begins(stand: Stand) -> None:
    raw = await stand.raw()
    await raw.write(masked(b"x" * (10 * 2**20))[:1_000])

    answer = await raw.read_all()

    assert int.from_bytes(answer[2:4]) == 1009
    raw.socket.close()
    assert await stand.serves()


async def test_a_flood_of_subscriptions_is_answered_each(stand: Stand) -> None:
    names = [f"KXFLOOD-{n}" for n in range(2_000)]
    async with stand.client() as client:
        for n in range(0, 2_000, 10):
            params = {"channels": ["orderbook_delta"], "market_tickers": names[n : n + 10]}
            await client.send(json.dumps({"id": n + 1, "cmd": "subscribe", "params": params}))
        assert await stand.serves()
        session, *_ = stand.hub.sessions()
        await stand.until(lambda: session.by_sid[1].size == 2_000 and not session.outbox)
        answers = [await stand.next(client) for _ in range(200)]

    assert [answer["type"] for answer in answers] == ["subscribed"] + ["ok"] * 199
    assert len(answers[-1]["msg"]["market_tickers"]) == 2_000
    await stand.until(lambda: not stand.hub.sessions())
    assert not stand.hub.has_book_subscriber(names[0])


async def test_commands_beyond_the_rate_are_refused_until_time_has_passed(key_dir: Path) -> None:
    now = 1000.0
    async with standing(key_dir, command_rate=5, seconds=lambda: now) as stand:
        async with stand.client() as client:
            first = [await stand.ask(client, "list_subscriptions") for _ in range(7)]
            now += 1
            later = await stand.ask(client, "list_subscriptions")
        assert await stand.serves()

    assert [frame["type"] for frame in first] == ["ok"] * 5 + ["error"] * 2
    assert first[-1] == {"type": "error", "id": 1, "msg": {"code": 27, "msg": "Too many requests"}}
    assert later["type"] == "ok"


async def test_who_asks_on_and_reads_nothing_is_dropped(key_dir: Path) -> None:
    async with standing(key_dir, queue_limit=50) as stand:
        raw = await stand.raw(receive_buffer=4096)
        names = [f"KXLONG-{'X' * 200}-{n}" for n in range(200)]
        params = {"channels": ["trade"], "market_tickers": names}
        command = masked(json.dumps({"id": 1, "cmd": "subscribe", "params": params}).encode())

        async def flood() -> None:
            while True:
                await raw.write(command)

        with pytest.raises(OSError, match="reset|roken"):
            async with asyncio.timeout(20):
                await flood()
        await stand.until(lambda: not stand.hub.sessions())
        assert await stand.serves()
        raw.socket.close()


async def test_who_vanishes_is_freed_at_once_where_the_network_says_so(stand: Stand) -> None:
    raw = await stand.raw()
    await raw.text('{"id":1,"cmd":"subscribe","params":{"channels":["trade"]}}')
    await raw.read()

    raw.vanish()

    await stand.until(lambda: not stand.hub.sessions())
    assert await stand.serves()


async def test_who_answers_no_heartbeat_is_freed_and_who_does_stays(key_dir: Path) -> None:
    async with standing(key_dir, heartbeat_seconds=0.02, silence_seconds=0.1) as stand:
        async with stand.client() as lively:
            gone = await stand.raw()  # it reads nothing, so it answers nothing: as if unplugged
            (kept, lost) = stand.hub.sessions()

            await stand.until(lambda: lost not in stand.hub.sessions())

            assert stand.hub.sessions() == (kept,)
            assert (await stand.ask(lively, "list_subscriptions"))["msg"] == []
        gone.socket.close()


async def test_commands_behind_a_close_are_not_answered(stand: Stand) -> None:
    raw = await stand.raw()
    command = masked(b'{"id":1,"cmd":"subscribe","params":{"channels":["trade"]}}')
    await raw.write(masked(b"\x03\xe8", 8) + command + command)

    answer = await raw.read_all()

    assert answer == b"\x88\x02\x03\xe8"
    # It does not end its side of the connection, and is not waited for.
    await stand.until(lambda: not stand.hub.sessions())
    assert await stand.serves()
    raw.socket.close()


async def test_who_closes_with_much_unread_is_freed(stand: Stand) -> None:
    raw = await stand.raw(receive_buffer=4096)
    (session,) = stand.hub.sessions()
    await stand.fill(raw, session, lambda: stand.sockets.waiting_bytes(session) > 2**20)

    await raw.write(masked(b"\x03\xe8", 8))
    raw.socket.shutdown(socket.SHUT_WR)
    answer = await raw.read_all()

    assert answer.endswith(b"\x88\x02\x03\xe8")
    await stand.until(lambda: not stand.hub.sessions())
    assert await stand.serves()
    raw.socket.close()


async def test_who_ends_its_side_and_reads_nothing_is_freed(stand: Stand) -> None:
    raw = await stand.raw(receive_buffer=4096)
    (session,) = stand.hub.sessions()
    await stand.fill(raw, session, lambda: stand.sockets.waiting_bytes(session) > 2**20)

    raw.socket.shutdown(socket.SHUT_WR)

    await stand.until(lambda: not stand.hub.sessions())
    assert await stand.serves()
    raw.socket.close()


async def test_others_have_their_turn_between_the_commands_of_a_flood(key_dir: Path) -> None:
    turn = 0
    heard: list[int] = []

    class Listening(ClearOutlet):
        def heard(self, session: Session, raw: bytes | str) -> None:
            heard.append(turn)

    async with standing(key_dir, outlet=Listening()) as stand:
        raw = await stand.raw()
        await raw.write(masked(b'{"id":1,"cmd":"list_subscriptions"}') * 100)
        while len(heard) < 100:
            turn += 1
            await asyncio.sleep(0)
        raw.socket.close()

    assert len(set(heard)) == 100


async def test_a_server_that_ends_waits_for_no_client_that_reads_nothing(key_dir: Path) -> None:
    async with asyncio.timeout(5), standing(key_dir) as stand:
        raw, silent = await stand.raw(receive_buffer=4096), RawClient(stand.port)
        (session,) = stand.hub.sessions()
        await stand.fill(raw, session, lambda: stand.sockets.waiting_bytes(session) > 2**21)
    raw.socket.close()
    silent.socket.close()

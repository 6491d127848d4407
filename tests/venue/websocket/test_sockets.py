"""What stands between a session's frames and its socket: the outlet, slow readers, ready bytes."""

import asyncio
import json
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from scene import A
from socket_stand import standing
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.protocol import Protocol
from websockets.protocol import Side as Peer

from kalshiflow.exchange.feed import Feed
from kalshiflow.market.events import Side
from kalshiflow.venue.websocket.framing import framed
from kalshiflow.venue.websocket.sessions import Session

pytestmark = pytest.mark.integration


class Odd:
    """An outlet that notes what it is asked, and does what a test tells it."""

    def __init__(self) -> None:
        self.is_clear = False
        self.status: HTTPStatus | None = None
        self.holds = False
        self.cuts = False
        self.held: list[bytes] = []
        self.noted: list[Any] = []
        self.asked = 0

    def admit(self) -> HTTPStatus | None:
        return self.status

    def let_out(self, session: Session, frames: list[bytes]) -> list[bytes]:
        self.asked += 1
        self.held += frames
        if self.holds:
            return []
        out, self.held = self.held, []
        return out

    def is_cut(self, session: Session) -> bool:
        return self.cuts

    def shook(self, key_id: str, status: HTTPStatus) -> None:
        self.noted.append(("shook", key_id, status.value))

    def heard(self, session: Session, raw: bytes | str) -> None:
        self.noted.append(("heard", session.number, raw))


async def test_every_frame_passes_the_outlet_and_what_it_held_back_goes_out_later(
    key_dir: Path,
) -> None:
    outlet = Odd()
    async with standing(key_dir, outlet=outlet) as stand, stand.client() as client:
        outlet.holds = True
        await client.send('{"id":1,"cmd":"list_subscriptions"}')
        await stand.until(lambda: bool(outlet.held))
        before = outlet.asked

        outlet.holds = False
        stand.sockets.flush()  # nothing new waits

        assert outlet.asked == before + 1
        assert (await stand.next(client))["type"] == "ok"


async def test_the_outlet_is_told_of_handshakes_and_commands(key_dir: Path) -> None:
    outlet = Odd()
    async with standing(key_dir, outlet=outlet) as stand:
        async with stand.client() as client:
            await stand.ask(client, "list_subscriptions")
        with pytest.raises(InvalidStatus):
            await stand.client({"KALSHI-ACCESS-KEY": "nobody"})

    command = json.dumps({"id": 1, "cmd": "list_subscriptions"})
    key_id = stand.account.key_id
    assert outlet.noted == [
        ("shook", key_id, 101),
        ("heard", 1, command),
        ("shook", "nobody", 401),
    ]


async def test_the_outlet_can_cut_a_connection_off(key_dir: Path) -> None:
    outlet = Odd()
    async with standing(key_dir, outlet=outlet) as stand:
        async with stand.client() as client:
            outlet.cuts = True
            stand.sockets.flush()

            with pytest.raises(ConnectionClosed, match="no close frame"):
                await client.recv()
        outlet.cuts = False
        assert await stand.serves()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (HTTPStatus.TOO_MANY_REQUESTS, b'{"error":"too many requests"}'),
        (HTTPStatus.BAD_GATEWAY, b"<html>"),
        (HTTPStatus.SERVICE_UNAVAILABLE, b"<html>"),
    ],
)
async def test_the_outlet_can_refuse_handshakes(
    key_dir: Path, status: HTTPStatus, body: bytes
) -> None:
    outlet = Odd()
    async with standing(key_dir, outlet=outlet) as stand:
        outlet.status = status
        with pytest.raises(InvalidStatus) as caught:
            await stand.client()
        outlet.status = None

        assert caught.value.response.status_code == status
        assert caught.value.response.body.startswith(body)
        assert await stand.serves()


@pytest.mark.parametrize("is_watched", [False, True])
async def test_a_slow_reader_loses_its_subscription_with_every_frame_before_it_whole(
    key_dir: Path, is_watched: bool
) -> None:
    options = {"outlet": Odd()} if is_watched else {}
    async with standing(key_dir, queue_limit=500, **options) as stand, stand.client() as quick:
        await stand.ask(quick, "subscribe", channels=["orderbook_delta"], market_ticker=A)
        raw = await stand.raw(receive_buffer=4096)
        (_, session) = stand.hub.sessions()

        await stand.fill(raw, session, lambda: not session.by_sid)
        expected = session.outbox_bytes
        read = Reader()
        while not any(text.startswith(b'{"type":"error"') for text in read.texts):
            read.take(await raw.read())
            stand.sockets.flush()
        await raw.text('{"id":2,"cmd":"subscribe","params":{"channels":["trade"]}}')
        while read.texts[-1].startswith(b'{"type":"error"'):
            read.take(await raw.read())

        assert expected
        feed = Feed()
        received = [feed.receive(text, 0) for text in read.texts]
        assert not any(frame.gap or frame.error for frame in received)
        *_, lost, again = received
        assert lost.refusal is not None
        assert (lost.refusal.code, lost.refusal.is_terminal, lost.sid) == (25, True, 1)
        assert (again.kind, again.sid) == ("subscribed", 2)
        assert stand.hub.has_book_subscriber(A)  # the other reader, that was not slow
        raw.socket.close()


class Reader:
    """Takes a server's bytes apart."""

    def __init__(self) -> None:
        self._protocol = Protocol(Peer.CLIENT, max_size=None)
        self.texts: list[bytes] = []

    def take(self, data: bytes) -> None:
        self._protocol.receive_data(data)
        self.texts += [bytes(frame.data) for frame in self._protocol.events_received()]


async def test_heartbeats_and_answers_to_pings_stand_between_whole_frames(key_dir: Path) -> None:
    async with standing(key_dir, heartbeat_seconds=0.002) as stand, stand.client() as client:
        await stand.ask(client, "subscribe", channels=["orderbook_delta"], market_ticker=A)
        stand.scene.order(stand.scene.other, Side.BID, 40, 1)
        fact = stand.scene.facts[0]
        pongs = []
        for _ in range(30):
            pongs.append(await client.ping())
            for _ in range(50):
                stand.hub.publish(fact)
            stand.sockets.flush()
            await asyncio.sleep(0)

        numbers = [(await stand.next(client))["seq"] for _ in range(1_502)]
        async with asyncio.timeout(5):
            await asyncio.gather(*pongs)

    assert numbers == list(range(1, 1_503))


async def test_ready_bytes_follow_what_waits_and_are_counted(key_dir: Path) -> None:
    async with standing(key_dir) as stand, stand.client() as client:
        (session,) = stand.hub.sessions()
        await stand.ask(client, "subscribe", channels=["orderbook_delta"], market_ticker=A)
        await stand.next(client)
        sent = stand.sockets.frames_sent
        stand.scene.order(stand.scene.other, Side.BID, 40, 1)
        ready = framed([b'{"type":"trade","n":%d}' % n for n in (1, 2)])

        assert stand.sockets.waiting_bytes(session) == len(session.outbox[0])
        assert stand.sockets.send_framed(session, ready, 2)

        told = [await stand.next(client) for _ in range(3)]
        assert [frame["type"] for frame in told] == ["orderbook_delta", "trade", "trade"]
        assert stand.sockets.frames_sent == sent + 3
        assert stand.sockets.waiting_bytes(session) == 0


async def test_ready_bytes_for_who_has_gone_are_not_written(key_dir: Path) -> None:
    async with standing(key_dir) as stand:
        async with stand.client():
            (session,) = stand.hub.sessions()
        await stand.until(lambda: not stand.hub.sessions())

        assert not stand.sockets.send_framed(session, framed([b"{}"]), 1)
        assert stand.sockets.waiting_bytes(session) == 0

"""Patience with readers at top speed."""

import asyncio

from kalshiflow.market.units import Cash
from kalshiflow.venue.app import build_venue
from kalshiflow.venue.config import VenueConfig
from kalshiflow.venue.floor.accounts import Account
from kalshiflow.venue.running import Readers
from kalshiflow.venue.websocket import commands
from kalshiflow.venue.websocket.sessions import Session

FULL = 2**21


class Sockets:
    """Sockets of which a test says how much waits in them."""

    is_clear = True

    def __init__(self) -> None:
        self.waiting: dict[Session, int] = {}
        self.looks = 0

    def waiting_bytes(self, session: Session) -> int:
        self.looks += 1
        return self.waiting.get(session, 0)

    def send_framed(self, session: Session, data: bytes, frames: int) -> bool:
        raise NotImplementedError

    def flush(self) -> None: ...


def readers(count: int, sockets: Sockets, patience: float) -> tuple[Readers, list[Session]]:
    venue = build_venue(VenueConfig(markets=1), None)
    made = [venue.hub.join(Account("reader", Cash(0))) for _ in range(count)]
    for session in made:
        commands.receive(
            venue.hub, session, '{"id":1,"cmd":"subscribe","params":{"channels":["trade"]}}'
        )
    return Readers(venue, sockets, 10, patience), made


async def test_a_reader_that_is_behind_is_waited_for() -> None:
    sockets = Sockets()
    waiting, (slow,) = readers(1, sockets, patience=20.0)
    sockets.waiting[slow] = FULL

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        task = group.create_task(waiting.wait(waiting.is_busy))
        while sockets.looks < 3:
            await asyncio.sleep(0)
        assert not task.done()
        sockets.waiting[slow] = 0


async def test_one_that_stays_behind_is_given_up_until_it_has_caught_up() -> None:
    sockets = Sockets()
    waiting, (stuck, _) = readers(2, sockets, patience=0.01)
    sockets.waiting[stuck] = FULL
    await waiting.wait(waiting.is_busy)

    sockets.looks = 0
    await waiting.wait(waiting.is_busy)
    assert sockets.looks == 2  # one look at each: nobody was waited for

    sockets.waiting[stuck] = 0
    await waiting.wait(waiting.is_busy)
    sockets.waiting[stuck] = FULL
    sockets.looks = 0
    await waiting.wait(waiting.is_busy)
    assert sockets.looks > 2

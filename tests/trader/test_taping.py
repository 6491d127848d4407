"""The tape on its way into the database, and what its troubles do: never anything to the trading."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
from book_frames import delta, snapshot, subscribed

from kalshiflow.agent.account import MarketAccount
from kalshiflow.market.listing import Market
from kalshiflow.market.units import Cash
from kalshiflow.store.database import Store
from kalshiflow.store.export import export_session
from kalshiflow.store.leases import acquire_lease
from kalshiflow.store.outline import read_outline
from kalshiflow.store.read import list_sessions, session_events
from trader import taping
from trader.plan import TapePlan
from trader.tape import Tape
from trader.taping import TapeState, Taping

pytestmark = pytest.mark.integration
A = Market("A", "E", "a market")
PATIENCE = 15
NOW = 1_795_000_000_000_000_000


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Try again at once."""
    monkeypatch.setattr(taping, "RETRY_SECONDS", 0.1)
    monkeypatch.setattr(taping, "TEND_SECONDS", 0.02)


@pytest.fixture
def make(tmp_path, postgres_url):
    """Give what makes a tape with its taping, always of one folder and one database."""

    def made(limit=64 * 2**20):
        tape = Tape(int, lambda: [("A", MarketAccount(Cash(100)))])
        plan = TapePlan(tmp_path / "tape", limit, postgres_url, "local", 3600.0)
        return Taping(tape, plan)

    return made


@asynccontextmanager
async def connected(running):
    """Run a tape, on which a connection has just brought the book of A."""
    async with running.running():
        connect(running.tape)
        yield running.tape


def connect(tape):
    tape.begin([A])
    tape.asked(1, ["A"])
    read(tape, subscribed(), snapshot(1))


def read(tape, *frames):
    for frame in frames:
        tape.read(json.dumps(frame).encode(), NOW)
    tape.keep()


async def until(condition):
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


async def sessions_in(url):
    async with await Store.open(url) as store:
        return list(reversed(await list_sessions(store, origins=["trader"])))


async def test_what_was_read_is_in_the_database_with_its_certificate(make, postgres_url, tmp_path):
    running = make()
    async with connected(running) as tape:
        assert running.state is TapeState.RECORDING
        read(tape, delta(2), delta(3))
        tape.end("the trader was stopped")

    (session,) = await sessions_in(postgres_url)
    assert (session.status, session.verdict, session.traded) == ("closed", "ok", True)
    assert (session.frames, session.end_reason) == (4, "the trader was stopped")
    async with await Store.open(postgres_url) as store:
        assert len(await session_events(store, session.session_id)) == 3
        outline = await read_outline(store, session.session_id)
        exported = await export_session(store, session.session_id, tmp_path / "files")
    assert exported.rows["accounts"] == 1
    assert [(one.ticker, one.change_no, one.values[0]) for one in outline.accounts] == [
        ("A", 1, 100)
    ]


async def test_what_a_killed_trader_left_is_closed_by_the_next_one(make, postgres_url):
    class Killed(Exception):
        pass

    with pytest.RaisesGroup(Killed):
        async with connected(make()) as tape:
            read(tape, delta(2))
            raise Killed
    async with connected(make()) as tape:
        tape.end("the trader was stopped")

    first, second = await sessions_in(postgres_url)
    assert (first.status, first.verdict, first.frames) == ("repaired", "ok", 3)
    assert (second.status, second.verdict) == ("closed", "ok")
    assert second.certificate["outages"] == 1


async def test_while_the_database_is_away_the_spool_holds_what_is_read(make, postgres_url, outage):
    running = make()
    async with connected(running) as tape:
        outage.begin()
        read(tape, delta(2), delta(3))
        await until(lambda: running.ingest.trouble)
        assert running.state is TapeState.RECORDING
        outage.end()
        await until(lambda: not running.ingest.behind)
        tape.end("the trader was stopped")

    (session,) = await sessions_in(postgres_url)
    assert (session.verdict, session.frames) == ("ok", 4)


async def test_a_spool_that_is_full_ends_the_session_and_the_next_connection_begins_another(
    make, postgres_url, outage
):
    running = make(limit=2**20)
    big = [["0.4000", "1.00"]] * 3_000
    async with connected(running) as tape:
        outage.begin()
        seq = 1
        while running.failures == 0:
            seq += 1
            read(tape, snapshot(seq, bids=big))
            await asyncio.sleep(0)
        await until(lambda: running.state is TapeState.STOPPED)
        assert running.problem
        read(tape, delta(seq + 1))
        assert tape.missed > 0
        outage.end()
        await until(lambda: running.state is TapeState.WAITING)
        connect(tape)
        assert (running.state, running.problem) == (TapeState.RECORDING, None)
        tape.end("the trader was stopped")

    first, second = await sessions_in(postgres_url)
    assert (first.status, second.status) == ("repaired", "closed")
    assert first.frames < seq


async def test_a_mistake_of_the_recorder_is_set_right_from_the_spool(
    make, postgres_url, monkeypatch
):
    running = make()
    async with connected(running) as tape:
        real = running.ingest._recorder.add
        monkeypatch.setattr(running.ingest._recorder, "add", lambda *_: 1 / 0)
        read(tape, delta(2))
        await until(lambda: running.failures == 1)
        assert real is not None
        read(tape, delta(3))
        await until(lambda: running.state is TapeState.WAITING)
        assert running.problem == "division by zero"

    (session,) = await sessions_in(postgres_url)
    assert (session.status, session.verdict, session.frames) == ("repaired", "ok", 3)


async def test_trading_begins_without_a_tape_where_another_has_the_right_to_it(
    make, postgres_url, monkeypatch
):
    monkeypatch.setattr(taping, "READY_SECONDS", 0.3)
    async with await Store.open(postgres_url) as store:
        await acquire_lease(store, "local/trader/main", "another", 60)
        running = make()
        async with connected(running) as tape:
            assert running.state is TapeState.STARTING
            assert running.problem.startswith("another records local/trader/main")
            assert (tape.session_id, tape.missed) == (None, 2)

    assert await sessions_in(postgres_url) == []


async def test_a_tape_that_is_not_wanted_is_off():
    running = Taping(Tape(int, list), None)
    async with connected(running) as tape:
        assert (running.state, tape.session_id) == (TapeState.OFF, None)

"""A collector in trouble: told apart in its state, waited out, and nothing that came is lost."""

import asyncio

import pytest

from kalshiflow.market.events import Side
from kalshiflow.recording import holding
from kalshiflow.store.database import Store
from kalshiflow.store.leases import LeaseLost
from kalshiflow.store.proof import closing_books
from kalshiflow.store.read import list_sessions, session_gaps
from kalshiflow.venue.config import VenueConfig
from streaming import audit

pytestmark = pytest.mark.integration

QUIET = VenueConfig(markets=2, activity=1.0)
MEBIBYTE = 2**20


@pytest.fixture
async def store(postgres_url):
    """Give the collector's database, also after the collector has ended."""
    async with await Store.open(postgres_url) as opened:
        yield opened


def state(name):
    """Give the condition that the collector is in a state."""
    return lambda health: health["state"] == name


async def test_a_socket_that_is_refused_again_and_again_is_replaced_by_rest_books(at_venue, store):
    async with at_venue(QUIET) as scene:
        await scene.until(lambda health: health["snapshots"] == 2)
        await scene.steer("faults", {"fault": "refuse-handshakes"})
        await scene.steer("faults", {"fault": "disconnect count=1"})
        health = await scene.until(state("polling"))
        assert "503" in health["detail"]
        await scene.until(lambda health: health["rest_books"] >= 2)
        await scene.running.client.delete(scene.url("faults"))
        await scene.until(state("recording"))
        await scene.until(lambda health: health["records_behind"] == 0)

    async with store.connection() as connection:
        found = await connection.fetch(
            "SELECT session_id, ticker FROM rl_orderbook_snapshots WHERE source = 'rest'"
        )
    assert {row["session_id"] for row in found} == {None}
    assert len({row["ticker"] for row in found}) == 2
    first, second = await list_sessions(store, after_close_seq=0)
    assert (first.verdict, second.verdict) == ("ok", "ok")
    assert [gap.kind for gap in await session_gaps(store, second.session_id)] == ["outage"]


async def test_a_key_that_the_exchange_does_not_know_is_named(at_venue):
    async with at_venue(QUIET, KALSHI_API_KEY_ID="stranger") as scene:
        health = await scene.until(state("unauthorised"))
        assert "stranger" in health["detail"]
        assert "NOT_FOUND" in health["detail"]


async def test_a_key_that_is_refused_after_5xx_is_told_as_such(at_venue):
    async with at_venue(QUIET) as scene:
        await scene.until(state("recording"))
        await scene.steer("faults", {"fault": "refuse-handshakes count=3"})
        await scene.steer("faults", {"fault": "refuse-handshakes status=401"})
        await scene.steer("faults", {"fault": "disconnect count=1"})
        await scene.until(state("polling"))
        health = await scene.until(state("unauthorised"))
        assert health["detail"].startswith("the exchange does not accept the key")


async def test_too_many_requests_are_told_as_such(at_venue):
    config = VenueConfig(markets=2, fault_lines=("refuse-handshakes status=429 count=2",))
    async with at_venue(config) as scene:
        await scene.until(state("rate_limited"))
        await scene.until(state("recording"))


async def test_an_exchange_that_has_paused_itself_is_in_maintenance(at_venue):
    async with at_venue(QUIET) as scene:
        await scene.until(state("recording"))
        await scene.steer("exchange/pause")
        await scene.steer("faults", {"fault": "refuse-handshakes count=2"})
        await scene.steer("faults", {"fault": "disconnect count=1"})
        health = await scene.until(state("maintenance"))
        assert "not active" in health["detail"]


async def test_a_spool_that_is_full_stops_reading_and_loses_nothing(exchange, collector, store):
    async with collector(RL_SPOOL_LIMIT_MB="16") as running:
        await exchange.subscribed()
        await running.until(lambda health: health["records_behind"] == 0)
        async with store.transaction() as connection:
            await connection.execute("LOCK TABLE rl_spool_positions IN ACCESS EXCLUSIVE MODE")
            sending = asyncio.create_task(_send_much(exchange))
            health = await running.until(state("spool_full"))
            assert "at most 15" in health["detail"]
            assert health["spool_bytes"] <= 16_000_000
        await sending
        await running.until(state("recording"))
        await running.until(lambda health: health["frames_total"] == len(exchange.sent))

    (session,) = await list_sessions(store)
    assert (session.verdict, session.frames) == ("ok", len(exchange.sent))


async def test_a_collector_stopped_in_a_full_spool_closes_its_session(exchange, collector, store):
    async with collector(RL_SPOOL_LIMIT_MB="16") as running:
        await exchange.subscribed()
        await running.until(lambda health: health["records_behind"] == 0)
        is_locked = asyncio.Event()
        locking = asyncio.create_task(_locked_until_it_stops(store, running, is_locked))
        await is_locked.wait()
        sending = asyncio.create_task(_send_much(exchange))
        await running.until(state("spool_full"))
        sending.cancel()
    await locking

    (session,) = await list_sessions(store)
    assert (session.status, session.verdict) == ("closed", "ok")
    assert session.end_reason == "the collector was stopped"


async def _locked_until_it_stops(store, running, is_locked):
    async with store.transaction() as connection:
        await connection.execute("LOCK TABLE rl_spool_positions IN ACCESS EXCLUSIVE MODE")
        is_locked.set()
        await running.until(state("stopping"))


async def _send_much(exchange):
    for _ in range(40):
        await exchange.snapshot("A", padding="x" * MEBIBYTE)


async def test_where_get_snapshot_is_refused_the_market_is_subscribed_anew(
    exchange, collector, store
):
    exchange.refuses_get_snapshot = True
    async with collector() as running:
        await exchange.subscribed()
        await exchange.delta("A", change="-99999.00")
        await running.until(lambda health: health["stale_markets"] == 1)
        await running.until(lambda health: health["stale_markets"] == 0)
        await running.until(lambda health: health["frames_total"] == len(exchange.sent))

    assert exchange.snapshots_asked == [["A"]]
    assert exchange.commands == [("delete_markets", 1, ["A"]), ("add_markets", 1, ["A"])]
    (session,) = await list_sessions(store)
    books = await closing_books(store, session.session_id)
    assert books["A"].quantity_at(Side.BID, 4_500) == 1_000


async def test_a_market_that_the_exchange_does_not_add_is_let_go(exchange, collector, store):
    exchange.refuses_markets = True
    async with collector() as running:
        await exchange.subscribed()
        exchange.tickers = ["A", "B", "C"]
        await exchange.life("C", "created", 1)
        await running.until(lambda _health: ("delete_markets", 1, ["C"]) in exchange.commands)
        health = await running.until(lambda health: health["frames_total"] == len(exchange.sent))
        assert (health["state"], health["markets"]) == ("recording", 2)

    async with store.connection() as connection:
        found = await connection.fetch(
            "SELECT reason FROM rl_market_listings WHERE ticker = 'C' ORDER BY at"
        )
    assert [row["reason"] for row in found] == ["joined", "released"]


async def test_books_are_held_against_the_exchanges_own_and_doubted_where_they_differ(
    exchange, collector, store, monkeypatch
):
    monkeypatch.setattr(audit, "AGAIN_SECONDS", 0.1)
    exchange.rest_books = {
        "A": {"yes_dollars": [["0.4000", "10.00"]], "no_dollars": [["0.4000", "10.00"]]},
        "B": {"yes_dollars": [["0.4000", "11.00"]], "no_dollars": [["0.4000", "10.00"]]},
    }
    async with collector(RL_AUDIT_MARKETS="60") as running:
        await exchange.subscribed()
        health = await running.until(
            lambda health: health["audits"]["agrees"] and health["audits"]["differs"]
        )
        assert health["audits"]["failed"] == 0
        await running.until(lambda _health: exchange.snapshots_asked == [["B"]])

    async with store.connection() as connection:
        found = await connection.fetch(
            "SELECT ticker, verdict, detail FROM rl_book_audits ORDER BY at LIMIT 2"
        )
    assert [(row["ticker"], row["verdict"]) for row in found] == [("A", "agrees"), ("B", "differs")]
    assert found[1]["detail"] == "bid 4000: 1100, not 1000"


async def test_a_live_venue_agrees_with_what_is_recorded(at_venue):
    async with at_venue(VenueConfig(markets=4), RL_AUDIT_MARKETS="60") as scene:
        health = await scene.until(lambda health: health["audits"]["agrees"] >= 2)
        assert health["audits"]["differs"] == 0


async def test_a_collector_that_was_overtaken_ends_and_says_why(
    exchange, collector, store, monkeypatch
):
    monkeypatch.setattr(holding, "RENEW_SECONDS", 0.2)
    overtaken = _overtaken(exchange, collector, store)
    with pytest.raises(ExceptionGroup) as ended:
        await overtaken

    assert ended.group_contains(LeaseLost, match="another recorder is at work")


async def _overtaken(exchange, collector, store):
    async with collector() as running:
        await exchange.subscribed()
        await running.until(lambda health: health["records_behind"] == 0)
        async with store.connection() as connection:
            await connection.execute(
                "UPDATE rl_recorder_leases SET holder = 'another', epoch = epoch + 1"
            )
        await asyncio.Event().wait()

"""Markets kept current at the local exchange: new ones join, settled ones go, none is a state."""

import asyncio
from types import SimpleNamespace

import pytest

from kalshiflow.market.events import BookSnapshot, MarketStatusChanged, Stamp, TimeSource
from kalshiflow.market.listing import MarketResult, MarketStatus
from kalshiflow.store.database import Store
from kalshiflow.store.read import list_sessions, markets, session_events, session_gaps
from kalshiflow.venue.config import VenueConfig
from streaming import commands, following, results

pytestmark = pytest.mark.integration

QUIET = VenueConfig(markets=2, activity=0.0001)
NEW = {"ticker": "KXNEW-35-A", "event_ticker": "KXNEW-35", "close_time": "2035-01-01T00:00:00Z"}


@pytest.fixture
async def store(postgres_url):
    """Give the collector's database, also after the collector has ended."""
    async with await Store.open(postgres_url) as opened:
        yield opened


def recording(count):
    """Give the condition that so many markets are recorded."""
    return lambda health: (health["state"], health["markets"]) == ("recording", count)


async def snapshots(store, session_id):
    events = await session_events(store, session_id)
    return [event.ticker for event in events if isinstance(event, BookSnapshot)]


async def settle(scene, ticker):
    for step, body in (("close", {}), ("determine", {"result": "yes"}), ("settle", {})):
        await scene.steer(f"markets/{ticker}/{step}", body)


async def test_a_new_market_joins_the_open_session_and_is_recorded_from_its_snapshot(
    at_venue, store
):
    async with at_venue(QUIET) as scene:
        await scene.until(recording(2))
        await scene.steer("markets", NEW)
        health = await scene.until(recording(3))
        await scene.until(lambda now: now["snapshots"] == 3)
        await scene.until(lambda now: now["detail"] == "recording 3 markets")

    (session,) = await list_sessions(store)
    assert session.session_id == health["session_id"]
    assert (session.status, session.verdict) == ("closed", "ok")
    assert NEW["ticker"] in session.markets
    assert (await snapshots(store, session.session_id)).count(NEW["ticker"]) == 1
    assert await session_gaps(store, session.session_id) == []
    assert (await markets(store))[NEW["ticker"]].status is MarketStatus.ACTIVE


async def test_a_settled_market_is_released_and_its_result_is_kept(at_venue, store):
    async with at_venue(QUIET) as scene:
        await scene.until(recording(2))
        await scene.steer("markets", NEW)
        await scene.until(recording(3))
        await settle(scene, NEW["ticker"])
        await scene.until(recording(2))

    market = (await markets(store))[NEW["ticker"]]
    assert (market.status, market.result) == (MarketStatus.FINALIZED, MarketResult.YES)
    assert market.settlement_value == 10_000
    (session,) = await list_sessions(store)
    assert session.verdict == "ok"


async def test_a_market_that_was_settled_in_an_outage_has_its_result_all_the_same(
    at_venue, store, monkeypatch
):
    monkeypatch.setattr(results, "FIRST_SECONDS", 0.2)
    monkeypatch.setattr(results, "EACH_SECONDS", 0.2)
    async with at_venue(QUIET) as scene:
        await scene.until(recording(2))
        await scene.steer("markets", NEW)
        await scene.until(lambda now: now["snapshots"] == 3 and now["records_behind"] == 0)
        await scene.steer("faults", {"fault": "refuse-handshakes"})
        await scene.steer("faults", {"fault": "disconnect count=1"})
        await scene.until(lambda now: now["state"] != "recording")
        await settle(scene, NEW["ticker"])
        await scene.running.client.delete(scene.url("faults"))
        await scene.until(recording(2))
        async with asyncio.timeout(20):
            while (market := (await markets(store))[NEW["ticker"]]).result is MarketResult.UNKNOWN:
                await asyncio.sleep(0.05)

    assert market.status is MarketStatus.FINALIZED
    assert (market.result, market.settlement_value) == (MarketResult.YES, 10_000)
    assert market.series_ticker == "KXNEW"


async def test_a_market_that_is_settled_while_its_listing_is_asked_for_is_forgotten():
    class Slow:
        limit = 5

        def may_take(self, _ticker):
            return True

        async def admit(self, _tickers):
            follows.heard(life("settled"))
            return {}

    recorder = SimpleNamespace(markets={}, feed=None)
    intake = SimpleNamespace(recorder=recorder)
    follows = following.Following(Slow(), None, intake, clock=lambda: 1, renew=None)
    follows.heard(life("created"))
    await follows.look()
    await follows.look()


def life(event_type):
    return MarketStatusChanged("C", event_type, Stamp(1, 1, 1, TimeSource.RECEIVE))


async def test_a_full_collector_takes_a_new_market_once_another_is_settled(
    at_venue, store, monkeypatch
):
    monkeypatch.setattr(following, "REFRESH_SECONDS", 1.0)
    async with at_venue(QUIET, RL_ORDERBOOK_MARKET_LIMIT="2") as scene:
        await scene.until(lambda now: now["snapshots"] == 2 and now["records_behind"] == 0)
        first = min(await markets(store))
        await scene.steer("markets", NEW)
        await settle(scene, first)
        await scene.until(lambda now: now["snapshots"] == 3)
        await scene.until(recording(2))

    (session,) = await list_sessions(store)
    assert NEW["ticker"] in session.markets


async def test_named_markets_only_are_taken_and_one_that_is_listed_later_too(at_venue, store):
    named = {"RL_MARKET_MODE": "tickers", "RL_MARKET_TICKERS": NEW["ticker"]}
    async with at_venue(QUIET, **named) as scene:
        health = await scene.until(lambda now: now["state"] == "no_markets")
        assert NEW["ticker"] in health["detail"]
        await scene.steer("markets", NEW | {"ticker": "KXNEW-35-B"})
        await scene.steer("markets", NEW)
        await scene.until(recording(1))
        await scene.until(lambda now: now["snapshots"] == 1)

    (session,) = await list_sessions(store)
    assert session.markets == (NEW["ticker"],)


async def test_excluded_markets_are_never_taken(at_venue, store):
    async with at_venue(QUIET, RL_MARKET_EXCLUDE="KXNEW*") as scene:
        await scene.until(recording(2))
        await scene.steer("markets", NEW)
        await scene.steer("markets", NEW | {"ticker": "KXOTHER-35-A", "event_ticker": "KXOTHER-35"})
        await scene.until(recording(3))

    (session,) = await list_sessions(store)
    assert NEW["ticker"] not in session.markets
    assert "KXOTHER-35-A" in session.markets


async def test_when_the_last_market_is_settled_recording_ends_and_says_so(at_venue, store):
    named = {"RL_MARKET_MODE": "tickers", "RL_MARKET_TICKERS": NEW["ticker"]}
    async with at_venue(QUIET, **named) as scene:
        await scene.steer("markets", NEW)
        await scene.until(lambda now: now["snapshots"] == 1)
        await settle(scene, NEW["ticker"])
        await scene.until(lambda now: now["state"] == "no_markets")

    (session,) = await list_sessions(store)
    assert (session.verdict, session.end_reason) == ("ok", "no market is left to record")


async def test_many_markets_are_subscribed_to_piece_by_piece(at_venue, store, monkeypatch):
    monkeypatch.setattr(commands, "TICKERS_PER_COMMAND", 2)
    async with at_venue(VenueConfig(markets=5)) as scene:
        await scene.until(lambda now: now["snapshots"] == 5 and now["deltas"] > 10)

    (session,) = await list_sessions(store)
    assert (session.verdict, len(session.markets)) == ("ok", 5)
    assert len(set(await snapshots(store, session.session_id))) == 5
    channels = [sequence["channel"] for sequence in session.certificate["sequences"]]
    assert sorted(channels) == ["orderbook_delta", "trade"]


async def test_a_price_grid_that_changed_while_nobody_was_connected_is_known_again(at_venue, store):
    async with at_venue(QUIET) as scene:
        await scene.until(lambda now: now["snapshots"] == 2 and now["records_behind"] == 0)
        ticker = min(await markets(store))
        await scene.steer("faults", {"fault": "refuse-handshakes count=2"})
        await scene.steer("faults", {"fault": "disconnect count=1"})
        await scene.until(lambda now: now["state"] != "recording")
        finer = {"price_level_structure": "deci_cent"}
        await scene.steer(f"markets/{ticker}/grid", finer)
        await scene.until(lambda now: now["snapshots"] == 4)
        await scene.until(lambda now: now["records_behind"] == 0)

    assert len((await markets(store))[ticker].grid) == 999

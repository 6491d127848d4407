"""The collector end to end: a real socket, a real database, an exchange that misbehaves on cue."""

import contextlib
import json

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from kalshiflow.market.events import BookDelta, Side
from kalshiflow.store.database import Store
from kalshiflow.store.proof import certificate as prove
from kalshiflow.store.proof import closing_books
from kalshiflow.store.read import list_sessions, markets, session_events, session_gaps

pytestmark = pytest.mark.integration


@pytest.fixture
async def store(postgres_url):
    """Give the collector's database, also after the collector has ended."""
    async with await Store.open(postgres_url) as opened:
        yield opened


def all_received(exchange):
    """Give the condition that the collector has taken all that was sent in its session."""
    return lambda health: health["frames_total"] == len(exchange.sent)


def all_stored(exchange):
    """Give the condition that all of it is in the database too."""
    received = all_received(exchange)
    return lambda health: received(health) and health["records_behind"] == 0


async def test_what_the_exchange_sent_is_stored_and_proven(exchange, collector, store):
    async with collector() as running:
        await exchange.subscribed()
        for number in range(200):
            await exchange.delta("A" if number % 2 else "B")
        health = await running.until(all_received(exchange))
        assert (health["status"], health["state"], health["markets"]) == ("ok", "recording", 2)

    (session,) = await list_sessions(store)
    assert (session.status, session.verdict) == ("closed", "ok")
    assert session.end_reason == "the collector was stopped"
    assert session.markets == ("A", "B")
    assert session.frames == len(exchange.sent)
    events = await session_events(store, session.session_id)
    assert sum(isinstance(event, BookDelta) for event in events) == 200
    books = await closing_books(store, session.session_id)
    assert books["A"].quantity_at(Side.BID, 4_000) == 11_000
    proven = await prove(store, session.session_id)
    assert proven.books_sha256 == session.certificate["books_sha256"]
    assert set(await markets(store)) == {"A", "B"}


async def test_a_lost_frame_is_a_gap_and_a_fresh_snapshot_mends_it(exchange, collector, store):
    async with collector() as running:
        await exchange.subscribed()
        await exchange.delta("A")
        await exchange.delta("A", skip=2)
        await running.until(lambda health: health["stale_markets"] == 2)
        await running.until(lambda health: health["stale_markets"] == 0)
        await exchange.delta("A", price="0.4500")
        await running.until(all_received(exchange))

    assert exchange.snapshots_asked == [["A", "B"]]
    (session,) = await list_sessions(store)
    assert session.verdict == "gaps"
    assert "misses 4 to 5" in session.verdict_reason
    (gap,) = await session_gaps(store, session.session_id)
    assert gap.recovered_at is not None
    books = await closing_books(store, session.session_id)
    assert books["A"].quantity_at(Side.BID, 4_500) == 1_100


async def test_a_frame_that_makes_a_book_impossible_is_kept_and_its_market_mended(
    exchange, collector, store
):
    async with collector() as running:
        await exchange.subscribed()
        await exchange.delta("A", change="-99999.00")
        await exchange.delta("A")
        await running.until(lambda health: health["stale_markets"] == 1)
        await running.until(lambda health: health["stale_markets"] == 0)
        await running.until(all_received(exchange))

    assert exchange.snapshots_asked == [["A"]]
    (session,) = await list_sessions(store)
    (gap,) = await session_gaps(store, session.session_id)
    assert (gap.kind, gap.tickers) == ("bad_frame", ("A",))
    assert "-99999.00" in gap.raw
    assert session.certificate["whole"]
    assert session.frames == len(exchange.sent)


async def test_bytes_that_mean_nothing_are_kept_and_every_book_is_asked_for_again(
    exchange, collector, store
):
    async with collector() as running:
        await exchange.subscribed()
        await exchange.raw("{no json")
        await running.until(lambda health: health["stale_markets"] == 2)
        await running.until(lambda health: health["stale_markets"] == 0)
        await running.until(all_received(exchange))

    (session,) = await list_sessions(store)
    (gap,) = await session_gaps(store, session.session_id)
    assert (gap.kind, gap.raw) == ("bad_frame", "{no json")
    assert session.certificate["whole"]
    assert session.verdict == "gaps"


async def test_a_lost_connection_ends_its_session_and_the_next_begins_with_the_outage(
    exchange, collector, store
):
    async with collector() as running:
        await exchange.subscribed()
        await exchange.delta("A")
        await running.until(all_received(exchange))
        await exchange.drop()
        await exchange.subscribed()
        await exchange.delta("B")
        await running.until(all_received(exchange))

    first, second = await list_sessions(store, after_close_seq=0)
    assert "maintenance" in first.end_reason
    assert (first.verdict, second.verdict) == ("ok", "ok")
    assert first.frames + second.frames == len(exchange.sent)
    (outage,) = await session_gaps(store, second.session_id)
    assert (outage.kind, outage.tickers) == ("outage", ("A", "B"))
    assert outage.started_at <= outage.recovered_at


async def test_an_outage_goes_on_over_a_connection_that_brought_no_book(exchange, collector, store):
    async with collector() as running:
        await exchange.subscribed()
        await exchange.delta("A")
        await running.until(all_received(exchange))
        exchange.sends_no_books = True
        await exchange.drop()
        await exchange.subscribed()
        exchange.sends_no_books = False
        await running.until(all_received(exchange))
        await exchange.drop()
        await exchange.subscribed()
        await running.until(all_received(exchange))

    first, second = await list_sessions(store, after_close_seq=0)
    (outage,) = await session_gaps(store, second.session_id)
    assert outage.started_at == first.certificate["last_received_at"]


async def test_a_session_without_a_frame_of_its_own_is_never_begun(exchange, collector, store):
    async with collector(RL_SESSION_MAX_MINUTES="0.05") as running:
        await exchange.subscribed()
        first = (await running.until(all_received(exchange)))["session_id"]
        await running.until(lambda health: health["session_id"] != first)

    (session,) = await list_sessions(store)
    assert (session.session_id, session.verdict) == (first, "ok")


async def test_rotation_loses_and_doubles_nothing(exchange, collector, store):
    async with collector(RL_SESSION_MAX_MINUTES="0.05") as running:
        await exchange.subscribed()
        sessions = set()
        while len(sessions) < 2:
            await exchange.delta("A")
            health = await running.until(all_received(exchange))
            sessions.add(health["session_id"])
        await exchange.delta("A")  # without a frame of its own the second would not be kept
        await running.until(all_received(exchange))

    closed = await list_sessions(store, after_close_seq=0)
    assert len(closed) == 2
    assert [session.verdict for session in closed] == ["ok"] * 2
    assert sum(session.frames for session in closed) == len(exchange.sent)
    assert [session.follows for session in closed[1:]] == [one.session_id for one in closed[:-1]]
    for before, after in zip(closed[:-1], closed[1:], strict=True):
        assert after.certificate["seam_snapshots"] == 2
        (ended,) = (s for s in before.certificate["sequences"] if s["sid"] == 1)
        (begun,) = (s for s in after.certificate["sequences"] if s["sid"] == 1)
        assert begun["first"] == ended["last"] + 1
    books = await closing_books(store, closed[-1].session_id)
    deltas = sum(session.certificate["deltas"] for session in closed)
    assert books["A"].quantity_at(Side.BID, 4_000) == 1_000 + 100 * deltas


async def test_a_database_that_breaks_off_costs_no_frame(exchange, collector, store):
    async with collector() as running:
        await exchange.subscribed()
        for _ in range(3):
            for _ in range(20):
                await exchange.delta("A")
            await running.until(all_received(exchange))
            async with store.connection() as connection:
                await connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
        await exchange.delta("A")
        await running.until(all_received(exchange))
        await running.until(all_stored(exchange))

    (session,) = await list_sessions(store)
    assert (session.status, session.verdict) == ("closed", "ok")
    assert session.frames == len(exchange.sent)


async def test_a_second_collector_waits_until_the_first_one_ends(
    exchange, collector, store, free_port, tmp_path
):
    others = {"RL_COLLECTOR_PORT": str(free_port + 1), "RL_SPOOL_DIR": str(tmp_path / "second")}
    async with contextlib.AsyncExitStack() as stack:
        first = contextlib.AsyncExitStack()
        running = await first.enter_async_context(collector())
        await exchange.subscribed()
        await exchange.delta("A")
        await running.until(all_received(exchange))
        second = await stack.enter_async_context(collector(**others))
        health = await second.until(lambda health: health["state"] == "standby")
        assert "records local/collector/main" in health["detail"]
        assert (health["status"], health["frames_total"]) == ("degraded", 0)
        sent = len(exchange.sent)
        await first.aclose()
        health = await second.until(lambda health: health["state"] == "recording")
        await exchange.subscribed()
        await second.until(lambda health: health["frames_total"] == len(exchange.sent) - sent)

    first_one, second_one = await list_sessions(store, after_close_seq=0)
    assert (first_one.status, second_one.status) == ("closed", "closed")
    assert first_one.frames + second_one.frames == len(exchange.sent)
    # The second one's spool is new, but the database knows when recording stopped.
    (outage,) = await session_gaps(store, second_one.session_id)
    assert (outage.kind, outage.tickers) == ("outage", ("A", "B"))
    assert outage.started_at == first_one.certificate["last_received_at"]


async def test_a_second_collector_with_the_same_spool_waits_as_well(exchange, collector, free_port):
    async with collector():
        await exchange.subscribed()
        async with collector(RL_COLLECTOR_PORT=str(free_port + 1)) as second:
            health = await second.until(lambda health: health["state"] == "standby")
            assert "another process has the spool" in health["detail"]


async def test_a_killed_collector_is_repaired_by_the_next_one(
    exchange, collector, collector_process, store
):
    async with collector_process() as (killed, running):
        await exchange.subscribed()
        for _ in range(50):
            await exchange.delta("A")
        await running.until(all_stored(exchange))
        killed.kill()
        await killed.wait()
    before = len(exchange.sent)
    async with collector() as running:
        await exchange.subscribed()
        await running.until(lambda health: health["frames_total"] == len(exchange.sent) - before)

    first, second = await list_sessions(store, after_close_seq=0)
    assert (first.status, first.verdict, first.frames) == ("repaired", "ok", before)
    assert (second.status, second.verdict) == ("closed", "ok")


async def test_an_exchange_that_is_away_is_waited_for_and_health_says_so(
    exchange, collector, store
):
    exchange.is_down = True
    async with collector() as running:
        health = await running.until(lambda health: health["state"] == "unavailable")
        assert health["status"] == "degraded"
        assert "503" in health["detail"]
        exchange.is_down = False
        await running.until(lambda health: health["state"] == "recording")

    assert [session.status for session in await list_sessions(store)] == ["closed"]


async def test_without_a_listing_the_same_markets_are_recorded_again(exchange, collector, store):
    async with collector() as running:
        await exchange.subscribed()
        await running.until(lambda health: health["snapshots"] == 2)
        exchange.is_down = True
        await exchange.drop()
        health = await running.until(lambda health: health["snapshots"] == 4)
        assert (health["state"], health["markets"]) == ("recording", 2)

    assert [len(session.markets) for session in await list_sessions(store)] == [2, 2]


async def test_no_market_is_a_state_and_no_session(exchange, collector, store):
    exchange.tickers = []
    async with collector() as running:
        await running.until(lambda health: health["state"] == "no_markets")

    assert await list_sessions(store) == []


async def test_a_refused_subscription_is_told_and_tried_again(exchange, collector, store):
    exchange.refuses_subscriptions = True
    async with collector() as running:
        health = await running.until(lambda health: health["state"] == "waiting")
        assert "market limit exceeded" in health["detail"]
        exchange.refuses_subscriptions = False
        await exchange.subscribed()

    assert [session.verdict for session in await list_sessions(store)] == ["ok"]


async def test_a_subscription_that_ends_unasked_ends_the_connection(exchange, collector):
    async with collector() as running:
        await exchange.subscribed()
        await exchange.raw('{"type": "unsubscribed", "sid": 1, "seq": 3}')
        await running.until(lambda health: health["connections"] == 2)


async def test_what_is_told_of_events_counts_as_the_channel_that_tells_it(
    exchange, collector, store
):
    async with collector() as running:
        await exchange.subscribed()
        await exchange.raw('{"type": "event_lifecycle", "sid": 3, "seq": 1, "msg": {}}')
        await running.until(lambda health: health["frames_total"] == len(exchange.sent))

    (session,) = await list_sessions(store)
    channels = {each["sid"]: each["channel"] for each in session.certificate["sequences"]}
    assert channels[3] == "market_lifecycle_v2"


async def test_only_named_markets_are_recorded_on_request(exchange, collector, store):
    exchange.tickers = ["B"]
    async with collector(RL_MARKET_MODE="tickers", RL_MARKET_TICKERS="B,GONE"):
        await exchange.subscribed()

    (session,) = await list_sessions(store)
    assert session.markets == ("B",)


async def test_a_screen_watches_a_book_and_its_changes(exchange, collector):
    async with collector() as running:
        await exchange.subscribed()
        await running.until(all_received(exchange))
        async with connect(running.socket_url) as screen:
            greeting = json.loads(await screen.recv())
            assert greeting["type"] == "connection"
            assert greeting["data"]["markets"] == ["A", "B"]
            await screen.send(json.dumps({"cmd": "watch", "markets": ["A"]}))
            book = await next_of(screen, "orderbook_snapshot")
            assert book["yes_bids"] == {"0.4000": "10.00"}
            assert book["yes_asks"] == {"0.6000": "10.00"}
            assert book["no_bids"] == {"0.4000": "10.00"}
            assert (book["yes_mid_price"], book["no_mid_price"]) == ("0.50000", "0.50000")
            await exchange.delta("B")
            await exchange.delta("A", change="2.50")
            change = await next_of(screen, "orderbook_delta")
            assert change["market_ticker"] == "A"
            assert (change["side"], change["price"]) == ("bid", "0.4000")
            assert (change["delta"], change["new_size"]) == ("2.50", "12.50")
            stats = await next_of(screen, "stats")
            assert (stats["snapshots_processed"], stats["deltas_processed"]) == (2, 2)


async def test_nonsense_from_a_screen_is_answered_and_a_foreign_page_is_refused(
    exchange, collector
):
    async with collector() as running:
        await exchange.subscribed()
        async with connect(running.socket_url, origin="http://localhost:8501") as screen:
            for text, answer in (
                ("{", "not a command"),
                ('{"cmd": "buy"}', "unknown command 'buy'"),
                ('{"cmd": "watch", "markets": ["GONE"]}', "not recorded now: GONE"),
            ):
                await screen.send(text)
                assert answer in (await next_of(screen, "error"))["message"]
        with pytest.raises(InvalidStatus, match="403"):
            await connect(running.socket_url, origin="http://evil.example")
        with pytest.raises(InvalidStatus, match="403"):
            await connect(running.socket_url, origin="http://[")


async def next_of(screen, kind):
    """Read on to the next message of a kind and give its data."""
    while True:
        message = json.loads(await screen.recv())
        if message["type"] == kind:
            return message["data"]

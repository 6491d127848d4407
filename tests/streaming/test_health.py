"""What the collector says of itself, and to whom."""

import httpx
import pytest

from streaming.broadcast import Hub
from streaming.health import (
    SECOND,
    Health,
    State,
    connection_message,
    health_report,
    percentile_ms,
    stats_message,
)
from streaming.server import application


@pytest.fixture
def health():
    found = Health(started_at=0, environment="local", markets=("A", "B"), session_id="s")
    found.become(State.RECORDING, "recording 2 markets")
    found.last_frame_at = 8 * SECOND
    return found


def client(health, host="127.0.0.1:8001"):
    pages = application(health, Hub(), lambda _ticker: None, lambda: 10 * SECOND)
    transport = httpx.ASGITransport(app=pages)
    return httpx.AsyncClient(transport=transport, base_url=f"http://{host}")


def test_recording_with_a_database_is_well(health):
    report = health_report(health, 10 * SECOND)

    assert (report["status"], report["state"], report["markets"]) == ("ok", "recording", 2)
    assert (report["last_frame_age_seconds"], report["uptime_seconds"]) == (2.0, 10.0)


def test_a_database_that_is_away_is_told_though_frames_come(health):
    health.database_trouble = "the database cannot be used"
    report = health_report(health, 0)

    assert (report["status"], report["detail"]) == ("degraded", "the database cannot be used")


def test_a_database_that_takes_nothing_is_told_before_it_gives_up(health):
    health.seconds_unstored = 7.0
    report = health_report(health, 0)

    assert report["status"] == "degraded"
    assert report["detail"] == "recording 2 markets; the database took nothing for 7 s"


def test_a_quiet_market_is_not_a_dead_one(health):
    assert health_report(health, 9_000 * SECOND)["status"] == "ok"


def test_percentiles_are_of_the_newest_ages_in_milliseconds():
    assert percentile_ms([], 0.5) is None
    assert percentile_ms([3_000_000, 1_000_000, 2_000_000], 0.5) == 2.0
    assert percentile_ms(range(0, 100_000_000, 1_000_000), 0.99) == 99.0


def test_messages_carry_the_agreed_names(health):
    assert set(stats_message(health, 0)["data"]) == {
        "session_id",
        "session_status",
        "state",
        "detail",
        "is_well",
        "shard",
        "markets_active",
        "markets_stale",
        "snapshots_processed",
        "deltas_processed",
        "trades_processed",
        "messages_per_second",
        "message_age_ms",
        "clock_trouble",
        "gaps",
        "bad_frames",
        "connections",
        "spool_bytes",
        "records_behind",
        "db_queue_size",
        "db_rows_written",
        "uptime_seconds",
        "last_update_ms",
    }
    assert set(connection_message(health)["data"]) == {
        "markets",
        "status",
        "version",
        "session_id",
    }


async def test_health_and_metrics_are_served_to_this_machine_only(health):
    async with client(health) as here:
        assert (await here.get("/rl/health")).json()["session_id"] == "s"
        metrics = (await here.get("/metrics")).text
        assert "kalshiflow_collector_markets 2.0" in metrics
        assert "kalshiflow_collector_frames_total 0.0" in metrics
    async with client(health, host="evil.example") as elsewhere:
        assert (await elsewhere.get("/rl/health")).status_code == 400

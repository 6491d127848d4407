"""The program: what it refuses to begin with, what it loads, and how it ends."""

import asyncio
import os
import signal
import subprocess
import sys

import httpx
import pytest

from kalshiflow.exchange.credentials import generate_key
from kalshiflow.venue.config import VenueConfig
from trader.__main__ import main


@pytest.fixture
def alone(monkeypatch, tmp_path):
    """An environment with none of our variables, and a way to set some."""
    for name in [*os.environ]:
        if name.startswith(("RL_", "KALSHI_")) or name in {"DATABASE_URL", "ENVIRONMENT"}:
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    # Logging belongs to the process, and this one is pytest's.
    monkeypatch.setattr("kalshiflow.logs.configure", lambda _level: None)
    return monkeypatch.setenv


def test_a_missing_database_url_is_one_sentence(alone, capsys):
    assert main() == 1
    assert capsys.readouterr().err.startswith("DATABASE_URL is not set")


def test_a_malformed_variable_is_one_sentence(alone, capsys):
    alone("RL_ACTOR_THROTTLE_MS", "soon")

    assert main() == 1
    assert capsys.readouterr().err == (
        "RL_ACTOR_THROTTLE_MS: 'soon' is not valid; it must be a whole number from 1 to 3600000\n"
    )


def test_named_markets_need_names(alone, capsys):
    alone("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/app")
    alone("RL_MARKET_MODE", "tickers")

    assert main() == 1
    assert "RL_MARKET_TICKERS" in capsys.readouterr().err


def test_orders_in_production_need_all_three_consents(alone, capsys):
    alone("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/app")
    alone("ENVIRONMENT", "production")
    alone("RL_ACTOR_ORDERS", "exchange")

    assert main() == 1
    assert "RL_ACTOR_PRODUCTION_ORDERS=yes" in capsys.readouterr().err


@pytest.fixture
def reachable(alone, tmp_path, free_port):
    key = tmp_path / "key.pem"
    key.write_text(generate_key()[0])
    alone("KALSHI_API_URL", "http://127.0.0.1:1/trade-api/v2")
    alone("KALSHI_WS_URL", "ws://127.0.0.1:1/trade-api/ws/v2")
    alone("KALSHI_API_KEY_ID", "key")
    alone("KALSHI_PRIVATE_KEY_PATH", str(key))
    alone("RL_TRADER_PORT", str(free_port))
    return alone


def test_a_database_that_cannot_be_reached_is_one_sentence(reachable, capsys):
    reachable("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/app")

    assert main() == 1
    said = capsys.readouterr().err
    assert said.startswith("the database at 127.0.0.1:1/app cannot be reached")
    assert said.count("\n") == 1


@pytest.mark.integration
def test_a_schema_that_is_not_ours_is_one_sentence(reachable, empty_database, capsys):
    reachable("DATABASE_URL", empty_database())

    assert main() == 1
    assert "run `kalshiflow migrate`" in capsys.readouterr().err


def test_nothing_heavy_is_loaded():
    heavy = ["torch", "stable_baselines3", "gymnasium", "numba", "pandas", "mlflow", "dagster"]
    script = (
        "import sys, trader.app, trader.__main__;"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout.strip() == "[]"


@pytest.mark.integration
async def test_a_second_trader_says_that_one_runs_and_sigterm_ends_the_first_in_order(
    serve_venue, reachable, free_port, postgres_url, tmp_path
):
    async with serve_venue(VenueConfig(markets=2, key_dir=tmp_path / "keys")) as venue:
        reachable("DATABASE_URL", postgres_url)
        reachable("KALSHI_API_URL", venue.rest)
        reachable("KALSHI_WS_URL", venue.ws)
        reachable("KALSHI_API_KEY_ID", venue.key_id)
        reachable("KALSHI_PRIVATE_KEY_PATH", str(venue.private_key_path))
        reachable("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
        command = (sys.executable, "-m", "trader")
        first = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{free_port}") as http:
                await wait_until_ready(http)
                second = await asyncio.create_subprocess_exec(
                    *command, stderr=asyncio.subprocess.PIPE
                )
                _, said = await second.communicate()
        finally:
            first.send_signal(signal.SIGTERM)
            _, logged = await first.communicate()

    assert second.returncode == 1
    assert said.decode().startswith(
        f"The trader is already running at http://127.0.0.1:{free_port}"
    )
    assert first.returncode == 0
    assert "state=shutdown" in logged.decode()
    assert "Traceback" not in logged.decode()


async def wait_until_ready(http):
    async with asyncio.timeout(30):
        while True:
            try:
                if (await http.get("/v3/health")).json()["state"] == "ready":
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.1)

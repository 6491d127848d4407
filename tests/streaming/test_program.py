"""`python -m streaming` as a person starts it: one sentence when it cannot, a clean end when asked."""

import os
import signal
import subprocess
import sys
import time

import httpx
import pytest

from kalshiflow.store import database
from kalshiflow.store.read import list_sessions

PATIENCE_SECONDS = 30


def start(folder, **variables):
    bare = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("RL_", "KALSHI_", "DATABASE_URL", "ENVIRONMENT"))
    }
    return subprocess.Popen(
        [sys.executable, "-m", "streaming"],
        cwd=folder,
        env={**bare, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def refusal(folder, **variables):
    """Start it, and give its exit code and what it says."""
    program = start(folder, **variables)
    _, said = program.communicate(timeout=PATIENCE_SECONDS)
    return program.returncode, said.strip()


@pytest.fixture
def exchange_nobody_runs(private_key):
    """Give the variables of an exchange that does not answer."""
    return {
        "KALSHI_API_URL": "http://127.0.0.1:9/trade-api/v2",
        "KALSHI_WS_URL": "ws://127.0.0.1:9/trade-api/ws/v2",
        "KALSHI_API_KEY_ID": "key",
        "KALSHI_PRIVATE_KEY_CONTENT": private_key,
    }


@pytest.mark.integration
@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({}, "DATABASE_URL is not set"),
        ({"RL_COLLECTOR_PORT": "none"}, "RL_COLLECTOR_PORT: 'none' is not valid"),
        ({"RL_ORDERBOOK_LIMIT": "5"}, "RL_ORDERBOOK_LIMIT is no variable of ours"),
    ],
)
def test_a_variable_that_is_missing_or_wrong_is_told_in_one_sentence(tmp_path, variables, sentence):
    code, said = refusal(tmp_path, **variables)

    assert code == 1
    assert said.startswith(sentence)
    assert "\n" not in said


@pytest.mark.integration
def test_a_database_that_is_not_there_is_told_in_one_sentence(
    tmp_path, exchange_nobody_runs, free_port
):
    url = "postgresql://app:hidden@127.0.0.1:1/app"  # nobody listens there
    port = {"RL_COLLECTOR_PORT": str(free_port)}
    code, said = refusal(tmp_path, DATABASE_URL=url, **port, **exchange_nobody_runs)

    assert code == 1
    assert "cannot be reached" in said
    assert "hidden" not in said
    assert "\n" not in said


@pytest.mark.integration
def test_a_database_without_tables_is_told_in_one_sentence(
    tmp_path, exchange_nobody_runs, empty_database, free_port
):
    code, said = refusal(
        tmp_path,
        DATABASE_URL=empty_database(),
        RL_COLLECTOR_PORT=str(free_port),
        **exchange_nobody_runs,
    )

    assert code == 1
    assert "run `kalshiflow migrate`" in said
    assert "\n" not in said


@pytest.mark.integration
def test_it_waits_for_an_exchange_refuses_a_second_one_and_ends_when_asked(
    tmp_path, exchange_nobody_runs, postgres_url, free_port
):
    variables = {
        "DATABASE_URL": postgres_url,
        "RL_COLLECTOR_PORT": str(free_port),
        **exchange_nobody_runs,
    }
    first = start(tmp_path, **variables)
    try:
        health = wait_for_health(first, free_port)
        assert health["status"] == "degraded"
        code, said = refusal(tmp_path, **variables)
        assert code == 1
        assert said == (
            f"The collector is already running at http://127.0.0.1:{free_port}; "
            "stop it first, or set RL_COLLECTOR_PORT to another port."
        )
    finally:
        first.send_signal(signal.SIGTERM)
        first.communicate(timeout=PATIENCE_SECONDS)
    assert first.returncode == 0
    assert database.run(postgres_url, list_sessions) == []


def wait_for_health(program, port):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        assert program.poll() is None, program.communicate()
        try:
            return httpx.get(f"http://127.0.0.1:{port}/rl/health", trust_env=False).json()
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError("it never served")

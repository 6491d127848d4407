"""`kalshiflow up` with real programs: recording within seconds, found through the env file."""

import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from dotenv import dotenv_values

from kalshiflow.stack.plan import stack_id
from kalshiflow.stack.ports import free_ports
from kalshiflow.stack.postgres import PostgresServer
from kalshiflow.stack.processes import marked
from kalshiflow.stack.services import PORTS

pytestmark = pytest.mark.integration

LEFT_OUT = ("mlflow", "dagster", "trader", "app")


@pytest.fixture
def command(venue_log, tmp_path):
    ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    own = {
        "RL_STATE_DIR": str(tmp_path / "state"),
        "RL_ENV_FILE": str(tmp_path / "env"),
        "RL_VENUE_MARKETS": "3",
        "RL_VENUE_LOG": str(venue_log),
        **{f"RL_{name}_PORT": str(port) for name, port in ports.items()},
    }
    kept = {
        name: text
        for name, text in os.environ.items()
        if not name.startswith(("RL_", "KALSHI_", "DATABASE_URL"))
    }

    def run(*arguments: str, script: str = "kalshiflow") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [Path(sys.executable).with_name(script), *arguments],
            env={**kept, "COLUMNS": "200", **own},
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )

    yield run
    run("down", "--remove")


def test_a_stack_records_is_found_by_programs_and_leaves_nothing(command, tmp_path):
    state, env_file = tmp_path / "state", tmp_path / "env"

    up = command("up", *(f"--without={name}" for name in LEFT_OUT))
    assert up.returncode == 0, up.stderr
    written = dotenv_values(env_file)
    assert stat.S_IMODE(env_file.stat().st_mode) == 0o600
    health = f"http://127.0.0.1:{written['RL_COLLECTOR_PORT']}/rl/health"
    deadline = time.monotonic() + 30
    while httpx.get(health).json()["frames_total"] < 10:
        assert time.monotonic() < deadline
        time.sleep(0.1)

    twice = command("-m", "streaming", script="python")
    assert twice.returncode == 1
    assert twice.stderr.startswith("The collector is already running at")
    assert "already running" in command("up").stdout
    assert command("status").returncode == 0

    down = command("down")
    assert down.stdout.strip() == "Stopped."
    assert marked(stack_id(state)) == []
    assert not PostgresServer(state).status().running
    assert not env_file.exists()
    assert (state / "keys" / "trader.pem").stat().st_mode & 0o077 == 0

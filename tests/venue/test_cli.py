"""The command: one JSON line once it serves, a clean end, and one sentence where it cannot start."""

import json
import signal
import socket
import stat
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from kalshiflow.exchange.environments import REST_PATH

pytestmark = pytest.mark.integration


@contextmanager
def command(*arguments: str) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-m", "kalshiflow.venue", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def test_it_says_where_it_serves_and_ends_cleanly_on_a_signal(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    arguments = ("--port", "0", "--markets", "2", "--speed", "5", "--key-dir", str(keys))
    with command(*arguments) as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        with urllib.request.urlopen(told["rest"] + "/exchange/status", timeout=10) as answer:
            assert json.load(answer) == {"exchange_active": True, "trading_active": True}
        process.send_signal(signal.SIGTERM)

        assert process.wait(10) == 0
        assert process.stdout.read() == ""
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert set(told) == {"rest", "ws", "key_id", "private_key_path"}
    assert told["rest"].startswith("http://127.0.0.1:")
    assert told["rest"].endswith(REST_PATH)
    assert told["key_id"] == (keys / "trader.key_id").read_text().strip()
    for name in ("trader.pem", "trader.key_id"):
        assert stat.S_IMODE((keys / name).stat().st_mode) == 0o600
    assert not psutil.pid_exists(process.pid)


def test_a_taken_port_is_one_sentence(tmp_path: Path, free_port: int) -> None:
    with (
        socket.create_server(("127.0.0.1", free_port)),
        command("--port", str(free_port), "--key-dir", str(tmp_path)) as process,
    ):
        assert process.wait(30) == 1
        assert process.stderr is not None
        problem = process.stderr.read()

    assert problem.startswith("kalshiflow venue: ")
    assert str(free_port) in problem
    assert "Traceback" not in problem


def test_it_serves_this_machine_only(tmp_path: Path) -> None:
    with command("--port", "0", "--host", "0.0.0.0", "--key-dir", str(tmp_path)) as process:  # noqa: S104
        assert process.wait(30) == 1
        assert process.stderr is not None
        assert process.stderr.read() == (
            "kalshiflow venue: the venue serves this machine only, not 0.0.0.0\n"
        )


def test_half_a_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "trader.key_id").write_text("abc")

    with command("--port", "0", "--key-dir", str(tmp_path)) as process:
        assert process.wait(30) == 1
        assert process.stderr is not None
        assert f"the key in {tmp_path} cannot be read" in process.stderr.read()

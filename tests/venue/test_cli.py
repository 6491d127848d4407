"""The command: one JSON line once it serves, a clean end, and one sentence where it cannot start."""

import json
import signal
import socket
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import structlog

from kalshiflow.exchange.environments import REST_PATH
from kalshiflow.venue.cli import main
from kalshiflow.venue.keys import client_key

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


def test_its_flags_reach_the_venue(tmp_path: Path) -> None:
    log, faults = tmp_path / "log", tmp_path / "faults"
    faults.write_text("slow ms=1 at=1h\n")
    client_key(tmp_path / "keys", "trader-2", "ed25519")  # sooner made than one of RSA
    arguments = (
        *("--port", "0", "--markets", "2", "--hold", "--key-dir", str(tmp_path / "keys")),
        *("--accounts", "2", "--cash", "12.50", "--tier", "prime", "--window", "2.5"),
        *("--fault", "429 path=/events", "--faults", str(faults), "--log", str(log)),
        *("--strict-v1", "--no-trade-seq", "--lifetime", "3600", "--activity", "5"),
    )
    with command(*arguments) as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        base = told["rest"].removesuffix(REST_PATH)
        with urllib.request.urlopen(f"{base}/venue/accounts", timeout=10) as answer:
            accounts = json.load(answer)["accounts"]
        with urllib.request.urlopen(f"{base}/venue/faults", timeout=10) as answer:
            given = json.load(answer)["faults"]
        with pytest.raises(urllib.error.HTTPError, match="429"):
            urllib.request.urlopen(f"{told['rest']}/events", timeout=10)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0

    assert [one["name"] for one in told["accounts"]] == ["trader", "trader-2"]
    assert told["accounts"][0]["key_id"] == told["key_id"]
    assert [(one["tier"], one["deposited"]) for one in accounts] == [("prime", 12_500_000)] * 2
    assert [one["fault"] for one in given] == ["429 path=/events", "slow ms=1 at=1h"]
    assert [json.loads(line)["kind"] for line in log.read_text().splitlines()] == [
        "rest",
        "rest",
        "fault",
        "rest",
    ]


@pytest.fixture
def _own_logging() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(["--port", "0", *arguments])
    assert isinstance(ended.value.code, int)
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    return ended.value.code, told.err.strip()


@pytest.mark.usefixtures("_own_logging")
@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (
            "--fault clock-skew",
            1,
            "clock-skew: ms must be given: whole milliseconds, below 0 for a clock that is late",
        ),
        ("--faults /bin/ls", 1, "/bin/ls is no text in UTF-8, one fault a line"),
        ("--log /nowhere/log", 1, "the log /nowhere/log cannot be written: No such file"),
        ("--capture /bin/ls --log /bin/ls", 1, "/bin/ls is read by the venue; its log needs a "),
        ("--tier gold", 1, "there is no tier gold; there are basic, "),
        ("--fault drop=3", 1, "there is no fault drop=3; there are drop, "),
        ("--fault disconnect", 1, "disconnect: at the start there is no connection to end"),
        ("--habits wild", 1, "no habits 'wild'; there are lively, real"),
        ("--speed -1", 2, "Invalid value for '--speed': "),
        ("--session x", 1, "--session needs --database, or DATABASE_URL in the environment"),
        ("--start yesterday", 1, "--start must be an ISO 8601 time with its zone, not 'yesterday'"),
        ("--host ::1", 1, "the venue listens on an address of IPv4, not on ::1"),
        ("--from 0.5", 1, "--from has no meaning without a recording"),
        ("--fill-model realistic", 1, "--fill-model has no meaning without a recording"),
        ("--capture /dev/null --markets 2", 1, "--markets has no meaning with a recording"),
        ("--capture /dev/null --markets 24", 1, "--markets has no meaning with a recording"),
        ("--capture /dev/null --start 2026-11-20T00:00:00Z", 1, "--start has no meaning with a "),
        ("--cash inf", 2, "Invalid value for '--cash': "),
        ("--window inf", 2, "Invalid value for '--window': "),
        ("--lifetime inf", 2, "Invalid value for '--lifetime': "),
        ("--activity inf", 2, "Invalid value for '--activity': "),
        ("--ws-port 65536", 2, "Invalid value for '--ws-port': "),
        ("--markets 0", 2, "Invalid value for '--markets': "),
        ("--from 1.5", 2, "Invalid value for '--from': "),
        ("--fill-model wishful", 2, "Invalid value for '--fill-model': "),
        ("--faults /nowhere", 2, "Invalid value for '--faults': "),
        ("--colour red", 2, "No such option: --colour"),
    ],
)
def test_a_wrong_value_is_one_sentence(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    arguments: str,
    code: int,
    words: str,
) -> None:
    client_key(tmp_path, kind="ed25519")
    monkeypatch.delenv("DATABASE_URL", raising=False)

    told = refused(capsys, "--key-dir", str(tmp_path), *arguments.split())

    assert told[0] == code
    assert told[1].startswith(f"kalshiflow venue: {words}")


@pytest.mark.usefixtures("_own_logging")
def test_a_capture_and_a_session_are_one_too_many(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    capture = tmp_path / "capture"
    capture.write_text("")

    assert refused(capsys, "--capture", str(capture), "--session", "x") == (
        1,
        "kalshiflow venue: --capture and --session are two recordings; one can be replayed",
    )


def test_help_names_the_flags(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])

    told = capsys.readouterr().out
    assert ended.value.code == 0
    for flag in ("--tier", "--accounts", "--fault", "--log", "--session", "--strict-v1"):
        assert flag in told

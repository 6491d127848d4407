"""The command `kalshiflow import`, as a person runs it."""

import json
import sys
from pathlib import Path

import pytest

from kalshiflow.stack import cli

pytestmark = pytest.mark.integration

BOOK = {
    "type": "orderbook_snapshot",
    "sid": 1,
    "seq": 1,
    "msg": {"market_ticker": "X-1", "yes_dollars_fp": [["0.4000", "10.00"]]},
}
CHANGE = {
    "type": "orderbook_delta",
    "sid": 1,
    "seq": 2,
    "msg": {
        "market_ticker": "X-1",
        "price_dollars": "0.4000",
        "delta_fp": "1.00",
        "side": "yes",
        "ts_ms": 1_795_000_000_000,
    },
}


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "recording.jsonl"
    path.write_text(f"{json.dumps(BOOK)}\n{json.dumps(CHANGE)}\n")
    return path


@pytest.fixture
def run(monkeypatch, postgres_url: str, tmp_path: Path, capsys):
    """Give a function that runs the command and gives exit code, output and complaints."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", postgres_url)

    def command(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["kalshiflow", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out, told.err

    return command


def test_an_import_tells_the_session_its_verdict_and_what_cannot_be_known(run, recording: Path):
    code, out, _ = run("import", str(recording), "--environment", "production")

    assert code == 0
    assert f"{recording} is session 20" in out
    assert "2 frames, 1 markets, verdict ok" in out
    assert "cannot be known: commands were not recorded" in out


def test_the_same_file_twice_is_one_sentence_and_exit_code_1(run, recording: Path):
    _, out, _ = run("import", str(recording), "--environment", "paper")
    session_id = out.split("is session ")[1].split(":")[0]
    code, _, complaint = run("import", str(recording), "--environment", "paper")

    assert code == 1
    assert f"is in the database already, as {session_id}" in complaint
    assert "--again" in complaint
    code, out, _ = run(
        *("import", str(recording), "--environment", "paper", "--again", "--no-prices", "yes")
    )
    assert (code, "it was given by hand" in out) == (0, True)


def test_an_import_must_say_which_exchange_it_is_from(run, recording: Path):
    code, _, complaint = run("import", str(recording))

    assert code != 0
    assert "--environment" in complaint


def test_a_file_that_is_none_or_is_not_there_is_one_sentence(run, tmp_path: Path):
    (tmp_path / "notes.txt").write_text("nothing of Kalshi's\n")

    for name in ("notes.txt", "missing.jsonl"):
        code, _, complaint = run("import", name, "--environment", "paper")
        assert code == 1
        assert name in complaint
        assert len(complaint.splitlines()) == 1

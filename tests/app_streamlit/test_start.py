"""`streamlit run app_streamlit/app.py` by hand: what keeps it from beginning is one sentence."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]


def refusal(*flags: str, **environ: str) -> str:
    kept = {name: text for name, text in os.environ.items() if not name.startswith("RL_")}
    answer = subprocess.run(
        [sys.executable, "-m", "streamlit", "run", "app_streamlit/app.py", *flags],
        cwd=ROOT,
        env={**kept, "RL_ENV_FILE": os.devnull, **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert answer.returncode == 1
    (sentence,) = answer.stderr.splitlines()
    return sentence


def test_a_database_that_is_away_is_one_sentence(free_port):
    said = refusal(
        *("--server.port", str(free_port)),
        RL_APP_PORT=str(free_port),
        DATABASE_URL="postgresql://app:secret@127.0.0.1:9/app",
    )

    assert said.startswith("the database at 127.0.0.1:9/app cannot be reached")
    assert "secret" not in said


def test_a_port_that_streamlit_was_not_told_of_is_one_sentence(free_port, postgres_url):
    said = refusal(RL_APP_PORT=str(free_port), DATABASE_URL=postgres_url)

    assert f"not {free_port} as RL_APP_PORT says; add `--server.port {free_port}`" in said

"""The command `kalshiflow` as a person meets it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration


@pytest.fixture
def kalshiflow(tmp_path):
    def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        own = {"RL_STATE_DIR": str(tmp_path / "state"), "RL_ENV_FILE": str(tmp_path / "env")}
        kept = {name: text for name, text in os.environ.items() if not name.startswith("RL_")}
        return subprocess.run(
            [Path(sys.executable).with_name("kalshiflow"), *arguments],
            env={**kept, "COLUMNS": "200", **own, **environ},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def test_without_a_stack_status_says_how_to_start_one(kalshiflow):
    answer = kalshiflow("status")

    assert answer.returncode == 1
    assert answer.stdout == "The stack is not running; `kalshiflow up` starts it.\n"


def test_ending_what_does_not_run_is_no_error(kalshiflow):
    answer = kalshiflow("down")

    assert (answer.returncode, answer.stdout) == (0, "Nothing was running.\n")


def test_an_unknown_variable_is_one_sentence(kalshiflow):
    answer = kalshiflow("up", RL_FOO="1")

    assert answer.returncode == 1
    assert answer.stderr.startswith("kalshiflow: RL_FOO is no variable of ours")
    assert len(answer.stderr.splitlines()) == 1


def test_an_unknown_service_to_leave_out_is_one_sentence(kalshiflow):
    answer = kalshiflow("up", "--without", "kafka")

    assert answer.stderr == (
        "kalshiflow: --without kafka: there are venue, mlflow, dagster, collector, trader, app\n"
    )


def test_leaving_out_the_exchange_with_no_other_says_how_to_name_one(kalshiflow):
    answer = kalshiflow("up", "--without", "venue")

    assert answer.returncode == 1
    assert answer.stderr.startswith("kalshiflow: --without venue needs another exchange: ")
    assert len(answer.stderr.splitlines()) == 1


def test_a_log_that_is_not_there_is_one_sentence(kalshiflow):
    assert kalshiflow("logs", "trader").stderr == (
        "kalshiflow: there is no log of trader; there are: none yet\n"
    )


def test_the_table_of_variables_is_printed(kalshiflow):
    answer = kalshiflow("settings")

    assert answer.returncode == 0
    assert "RL_SESSION_MAX_MINUTES" in answer.stdout


def test_migrations_without_a_database_say_what_to_do(kalshiflow):
    answer = kalshiflow("migrate")

    assert answer.returncode == 1
    assert "DATABASE_URL is not set" in answer.stderr

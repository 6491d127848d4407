"""Dagster starts on our database, or says in one sentence why it does not."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import click
import pytest
from dagster import DagsterInstance

from kalshiflow.settings import load
from pipelines.instance import check_before_dev, is_starting_dev, psycopg2_url

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.integration


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/server_info" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def other_dagster() -> Iterator[int]:
    """Give the port of a server that answers as Dagster's does."""
    server = HTTPServer(("127.0.0.1", 0), Answers)
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def settings_with(tmp_path: Path, **texts: str):
    return load("pipelines", texts, tmp_path)


def test_a_process_of_the_stack_is_no_starting_dev():
    assert not is_starting_dev({"DAGSTER_IS_DEV_CLI": "1", "RL_STACK_CHILD": "dagster-daemon"})


def test_other_commands_are_no_starting_dev():
    assert not is_starting_dev({})


def test_only_the_first_process_of_a_dev_is_the_starting_one():
    environment = {"DAGSTER_IS_DEV_CLI": "1"}
    assert is_starting_dev(environment)
    assert is_starting_dev(environment)

    inherited = {name: text.replace(str(os.getpid()), "1") for name, text in environment.items()}
    assert not is_starting_dev(inherited)


def test_a_dagster_that_answers_is_told_with_its_address(tmp_path, other_dagster):
    settings = settings_with(tmp_path, RL_DAGSTER_PORT=str(other_dagster))

    with pytest.raises(click.ClickException) as refused:
        check_before_dev(settings)

    assert refused.value.message.startswith(
        f"Dagster is already running at http://127.0.0.1:{other_dagster};"
    )


def test_a_missing_database_url_is_told(tmp_path, free_port):
    settings = settings_with(tmp_path, RL_DAGSTER_PORT=str(free_port))

    with pytest.raises(click.ClickException, match="DATABASE_URL is not set"):
        check_before_dev(settings)


def test_a_database_that_does_not_answer_is_told(tmp_path, free_port):
    url = f"postgresql://app:x@127.0.0.1:{free_port}/app"
    settings = settings_with(tmp_path, RL_DAGSTER_PORT=str(free_port), DATABASE_URL=url)

    with pytest.raises(click.ClickException, match="cannot be reached") as refused:
        check_before_dev(settings)

    assert "\n" not in refused.value.message


def test_a_database_without_our_tables_is_told(tmp_path, free_port, empty_database):
    settings = settings_with(
        tmp_path, RL_DAGSTER_PORT=str(free_port), DATABASE_URL=empty_database()
    )

    with pytest.raises(click.ClickException, match="kalshiflow migrate"):
        check_before_dev(settings)


def test_a_database_with_our_tables_passes(tmp_path, free_port, postgres_url):
    check_before_dev(
        settings_with(tmp_path, RL_DAGSTER_PORT=str(free_port), DATABASE_URL=postgres_url)
    )


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg2"])
def test_dagster_is_told_the_driver_that_it_has(scheme):
    assert psycopg2_url(f"{scheme}://a:b@h:1/d") == "postgresql+psycopg2://a:b@h:1/d"


def test_an_instance_of_our_dagster_yaml_keeps_its_runs_in_our_database(
    tmp_path, monkeypatch, empty_database
):
    shutil.copy(ROOT / "dagster.yaml", tmp_path)
    url = empty_database()
    monkeypatch.setenv("DAGSTER_DATABASE_URL", url)
    monkeypatch.setenv("RL_ENV_FILE", "none.env")

    with DagsterInstance.from_config(str(tmp_path)) as instance:
        instance.add_dynamic_partitions("sessions", ["20261120T100000Z-aaaaaa"])
    with DagsterInstance.from_config(str(tmp_path)) as again:
        assert list(again.get_dynamic_partitions("sessions")) == ["20261120T100000Z-aaaaaa"]
        assert not again.telemetry_enabled
        assert again.get_ref().storage_data.config_dict == {}  # no password on a command line


def dev(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `dagster dev` in a folder with our two files and no .env."""
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copy(ROOT / name, folder)
    inherited = {
        name: text
        for name, text in os.environ.items()
        if not name.startswith(("RL_", "KALSHI_", "DAGSTER_", "DATABASE_"))
    }
    return subprocess.run(
        [sys.executable, "-m", "dagster", "dev"],
        cwd=folder,
        env=inherited | variables,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def test_dagster_dev_refuses_a_malformed_variable_in_one_sentence(tmp_path):
    ended = dev(tmp_path, RL_TRAIN_SEED="seven")

    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == (
        "Error: RL_TRAIN_SEED: 'seven' is not valid; it must be a whole number from 0 to 2147483647"
    )
    assert "Traceback" not in ended.stderr


def test_dagster_dev_beside_another_one_says_so_and_ends(
    tmp_path, other_dagster, empty_database, postgres_url
):
    ended = dev(
        tmp_path,
        RL_DAGSTER_PORT=str(other_dagster),
        DATABASE_URL=postgres_url,
        DAGSTER_DATABASE_URL=empty_database(),
    )

    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith("Error: Dagster is already running at")

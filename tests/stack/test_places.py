"""Where a stack finds its databases, writes its env file, and plans its services."""

import os
from pathlib import Path

import pytest

from kalshiflow.settings import load
from kalshiflow.stack.databases import Databases, ensure_databases, sibling
from kalshiflow.stack.envfile import check_env_file, write_env_file
from kalshiflow.stack.errors import ForeignEnvFile, PostgresError
from kalshiflow.stack.services import NAMES, PORTS, Surroundings, Wish, places, stack_plan
from kalshiflow.stack.up import stack_settings

OURS = Databases(
    "postgresql://app:s3cret@127.0.0.1:1/app",
    "postgresql+psycopg2://x:s3cret@h/dagster",
    "postgresql+psycopg2://x:s3cret@h/mlflow",
    is_ours=True,
)


def plan_in(state: Path, environ=None, **wish):
    own = {"RL_STATE_DIR": str(state), "RL_ENV_FILE": str(state / "env")}
    settings, where = stack_settings({**own, **(environ or {})}, folder=state.parent)
    return stack_plan(Surroundings(settings, where, OURS, code_port=4000), Wish(**wish))


@pytest.mark.integration
def test_with_database_url_no_server_is_started_and_the_siblings_are_taken(
    tmp_path, empty_database
):
    url = empty_database()
    names = []
    settings = load("stack", {"DATABASE_URL": url}, tmp_path)

    found = ensure_databases(settings, tmp_path / "state")
    names = [one.rsplit("/", 1)[1] for one in (found.app, found.dagster, found.mlflow)]

    assert found.app == url
    assert names[1:] == ["dagster", "mlflow"]
    assert found.dagster.startswith("postgresql+psycopg2://")
    assert not found.is_ours
    assert not (tmp_path / "state").exists()


@pytest.mark.integration
def test_a_server_that_is_not_there_is_one_sentence_without_the_password(tmp_path, free_port):
    url = f"postgresql://app:s3cret@127.0.0.1:{free_port}/app"

    with pytest.raises(PostgresError, match="DATABASE_URL cannot be reached: .*refused") as refused:
        ensure_databases(load("stack", {"DATABASE_URL": url}, tmp_path), tmp_path)
    assert "s3cret" not in str(refused.value)


def test_a_sibling_is_another_database_on_the_same_server():
    assert sibling("postgresql://u:p@h:5/app?sslmode=require", "mlflow") == (
        "postgresql://u:p@h:5/mlflow?sslmode=require"
    )


def test_the_env_file_is_read_back_as_written_and_only_by_its_owner(tmp_path):
    written = {
        "DATABASE_URL": "postgresql://a:b%23c@h/app",
        "ENVIRONMENT": "local",
        "RL_APP_PORT": "1",
        "RL_DATA_DIR": "/a b#c",
    }

    write_env_file(tmp_path / ".env", written)

    assert load("app", {}, tmp_path).texts == written
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600


def test_an_env_file_of_a_persons_own_is_not_overwritten(tmp_path):
    (tmp_path / ".env").write_text("KALSHI_API_KEY_ID=mine\n")

    with pytest.raises(ForeignEnvFile, match="move its lines to .env.local"):
        check_env_file(tmp_path / ".env")


def test_the_env_file_of_an_earlier_stack_is_ours(tmp_path):
    write_env_file(tmp_path / ".env", {"DATABASE_URL": "postgresql://old/app"})

    check_env_file(tmp_path / ".env")


def test_the_database_of_an_earlier_stack_is_no_persons_wish(tmp_path):
    write_env_file(tmp_path / "env", {"DATABASE_URL": "postgresql://old/app"})

    settings, _ = stack_settings({"RL_ENV_FILE": str(tmp_path / "env")})

    assert settings.database_url is None


def test_no_password_stands_in_a_command_line(tmp_path):
    plan = plan_in(tmp_path / "state")

    assert not [one.name for one in plan.services if "s3cret" in " ".join(one.command)]


def test_what_is_left_out_is_nobodys_need(tmp_path):
    plan = plan_in(tmp_path / "state", without=["dagster", "mlflow"])

    names = {service.name for service in plan.services}
    assert names == {"migrations", "venue", "collector", "trader", "app"}
    assert all(set(service.depends_on) <= names for service in plan.services)


def test_each_name_that_may_be_left_out_is_a_service(tmp_path):
    groups = {service.name.split("-")[0] for service in plan_in(tmp_path / "state").services}

    assert groups == {*NAMES, "migrations"}


def test_a_wish_reaches_the_service_that_it_names(tmp_path):
    plan = plan_in(
        tmp_path / "state",
        venue=("--capture", "/a/file"),
        env={"collector": {"RL_SESSION_TRADED": "yes"}},
    )
    services = {service.name: service for service in plan.services}

    assert services["venue"].command[-2:] == ("--capture", "/a/file")
    assert services["collector"].env == {"RL_SESSION_TRADED": "yes"}
    assert "RL_SESSION_TRADED" not in {**plan.env, **services["trader"].env}


def test_the_venue_runs_only_where_the_exchange_is_local(tmp_path):
    plan = plan_in(tmp_path / "state", {"ENVIRONMENT": "paper"})

    assert "venue" not in {service.name for service in plan.services}


def test_every_port_of_the_plan_names_its_variable(tmp_path):
    ports = [port for service in plan_in(tmp_path / "state").services for port in service.ports]

    assert {port.variable for port in ports} == {f"RL_{name}_PORT" for name in PORTS}


def test_data_lies_in_the_state_folder_unless_placed_elsewhere(tmp_path):
    inside = load("stack", {"RL_STATE_DIR": str(tmp_path)}, tmp_path)
    outside = load("stack", {"RL_STATE_DIR": str(tmp_path), "RL_DATA_DIR": "/big/disk"}, tmp_path)

    assert places(inside, ".env").data == tmp_path / "data"
    assert places(outside, ".env").data == Path("/big/disk")


def test_the_state_folder_is_closed_to_others(tmp_path):
    before = os.umask(0)
    try:
        plan = plan_in(tmp_path / "state")
    finally:
        os.umask(before)

    assert {
        path: path.stat().st_mode & 0o077 for path in plan.state.rglob("*") if path.is_dir()
    } == {path: 0 for path in plan.state.rglob("*") if path.is_dir()}

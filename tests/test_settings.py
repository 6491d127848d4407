"""The table of variables: what is refused before it can do harm, and what never shows."""

from pathlib import Path

import pytest

from kalshiflow.settings import Environment, OrdersTo, SettingsError, load


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://app:hidden@127.0.0.1:port/app",
        "postgresql://app:hid/den@127.0.0.1/app",
        "postgresql://app:hidden@[127/app",
        "postgresql://app:hidden@127.0.0.1:0/app",
        "mysql://app:hidden@127.0.0.1/app",
    ],
)
def test_a_database_address_that_is_none_is_refused_without_its_password(tmp_path, url):
    with pytest.raises(SettingsError, match="DATABASE_URL: its value is not valid") as refused:
        load("streaming", {"DATABASE_URL": url}, tmp_path)

    assert "hid" not in str(refused.value)


def test_an_empty_environment_reads_the_files_of_the_default_one(tmp_path):
    (tmp_path / ".env.local").write_text("RL_COLLECTOR_PORT=8101\n")
    (tmp_path / ".env").write_text("RL_COLLECTOR_PORT=8102\nRL_LOG_LEVEL=debug\n")

    settings = load("streaming", {"ENVIRONMENT": "", "RL_ENV_FILE": ""}, tmp_path)

    assert settings.environment is Environment.LOCAL
    assert (settings.rl_collector_port, settings.rl_log_level) == (8101, "debug")


@pytest.mark.parametrize(
    ("environment", "state", "data"),
    [
        ("local", ".kalshiflow", ".kalshiflow/data"),
        ("paper", ".kalshiflow-paper", ".kalshiflow-paper/data"),
        ("production", ".kalshiflow-production", ".kalshiflow-production/data"),
    ],
)
def test_each_environment_has_a_state_folder_of_its_own(tmp_path, environment, state, data):
    settings = load("pipelines", {"ENVIRONMENT": environment}, tmp_path)

    assert (settings.rl_state_dir, settings.rl_data_dir) == (Path(state), Path(data))


def test_a_state_folder_that_is_named_is_taken_as_it_is(tmp_path):
    settings = load("stack", {"ENVIRONMENT": "paper", "RL_STATE_DIR": "/big/disk"}, tmp_path)

    assert settings.rl_state_dir == Path("/big/disk")


def test_a_program_started_by_hand_takes_the_environment_of_the_stack(tmp_path):
    (tmp_path / ".env").write_text("ENVIRONMENT='paper'\n")
    (tmp_path / ".env.paper").write_text("RL_ACTOR_ORDERS=none\n")

    settings = load("trader", {}, tmp_path)

    assert settings.environment is Environment.PAPER
    assert settings.rl_actor_orders is OrdersTo.NONE


def test_another_environments_stack_is_not_mixed_in(tmp_path):
    (tmp_path / ".env").write_text("ENVIRONMENT='local'\n")

    with pytest.raises(SettingsError, match="ENVIRONMENT is paper, but .env was written by"):
        load("trader", {"ENVIRONMENT": "paper"}, tmp_path)

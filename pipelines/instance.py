"""Dagster's instance on our terms: its database by our settings, or one sentence why not."""

import os
from collections.abc import Mapping, MutableMapping
from typing import Any, Self

import click
from dagster import DagsterInstance
from dagster._core.secrets.loader import SecretsLoader
from dagster._serdes import ConfigurableClass, ConfigurableClassData
from dagster_postgres.storage import DagsterPostgresStorage
from dagster_postgres.utils import DagsterPostgresException

from kalshiflow.running import already_running
from kalshiflow.settings import Settings, SettingsError, load
from kalshiflow.store.database import Store, run
from kalshiflow.store.errors import StoreError

# Set by `dagster dev` for itself and all that it starts, and by us for all that it starts.
_STARTED_BY_DEV = "DAGSTER_IS_DEV_CLI"
_DEV_WAS_CHECKED = "KALSHIFLOW_DAGSTER_DEV_CHECKED"


class SettingsPostgresStorage(DagsterPostgresStorage):
    """Dagster's PostgreSQL storage at `DAGSTER_DATABASE_URL`.

    The storage is the first thing of ours that any Dagster process loads. That is why a
    `dagster dev` learns here that a Dagster is running already, or that a variable is wrong.
    """

    @classmethod
    def config_type(cls) -> Any:
        """Take nothing from dagster.yaml."""
        return {}

    @classmethod
    def from_config_value(
        cls,
        inst_data: ConfigurableClassData | None,
        config_value: Mapping[str, Any],  # noqa: ARG003
    ) -> Self:
        """Open the storage; raises `click.ClickException` with one sentence where it cannot."""
        try:
            settings = load("pipelines")
            url = psycopg2_url(settings.require("DAGSTER_DATABASE_URL"))
        except SettingsError as wrong:
            raise click.ClickException(str(wrong)) from wrong
        if is_starting_dev(os.environ):
            check_before_dev(settings)
            os.environ.setdefault("DAGSTER_WEBSERVER_PORT", str(settings.rl_dagster_port))
        try:
            return cls(url, inst_data=inst_data)
        except DagsterPostgresException as failed:
            raise click.ClickException(
                f"Dagster's database cannot be reached: {_first_line(failed)}; "
                f"run `kalshiflow up --without dagster`, or correct DAGSTER_DATABASE_URL"
            ) from failed


class SettingsReadTheFiles(SecretsLoader[DagsterInstance], ConfigurableClass):
    """Loads no environment file: `kalshiflow.settings` decides which file fills in what.

    Dagster's default would overwrite the variables of every run with those of ./.env, and so point
    a second stack at the first one's databases.
    """

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__()
        self._inst_data = inst_data

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        """Give what this was made from."""
        return self._inst_data

    @classmethod
    def config_type(cls) -> Any:
        """Take nothing from dagster.yaml."""
        return {}

    @classmethod
    def from_config_value(
        cls,
        inst_data: ConfigurableClassData,
        config_value: Mapping[str, Any],  # noqa: ARG003
    ) -> Self:
        """Make one."""
        return cls(inst_data)

    def get_secrets_for_environment(self, location_name: str | None) -> dict[str, str]:  # noqa: ARG002
        """Add nothing to the environment."""
        return {}


def is_starting_dev(environ: MutableMapping[str, str]) -> bool:
    """Say, once, whether this is a person's `dagster dev` itself and not a process of it."""
    if _STARTED_BY_DEV not in environ or "RL_STACK_CHILD" in environ:
        return False
    return environ.setdefault(_DEV_WAS_CHECKED, str(os.getpid())) == str(os.getpid())


def check_before_dev(settings: Settings) -> None:
    """Raise `click.ClickException` where a Dagster answers already or the database `app` does not.

    Two daemons must not share a storage, and without `app` every tick of a sensor would fail.
    """
    running = already_running("dagster", settings.rl_dagster_port, "/server_info")
    if running:
        raise click.ClickException(running)
    try:
        run(settings.require("DATABASE_URL"), _nothing)
    except (SettingsError, StoreError) as missing:
        raise click.ClickException(str(missing)) from missing


def psycopg2_url(url: str) -> str:
    """Name the driver that Dagster installs; a bare `postgresql:` takes SQLAlchemy's default."""
    return "postgresql+psycopg2://" + url.partition("://")[2]


async def _nothing(_: Store) -> None:
    """Opening the store is the check."""


def _first_line(failed: BaseException) -> str:
    cause = failed.__cause__ or failed.__context__ or failed
    lines = [line for line in str(cause).strip().splitlines() if line.strip()]
    return lines[0] if lines else type(cause).__name__

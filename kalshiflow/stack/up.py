"""Bring the whole system up on this machine, and change it: settings in, a healthy stack out."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from kalshiflow import settings as variables_table
from kalshiflow.settings import Settings
from kalshiflow.stack.control import change, launch, shut_down, wait_until_up
from kalshiflow.stack.databases import Databases, ensure_databases
from kalshiflow.stack.envfile import check_env_file, write_env_file
from kalshiflow.stack.plan import Plan, StackStatus
from kalshiflow.stack.ports import free_ports
from kalshiflow.stack.processes import Identity
from kalshiflow.stack.services import (
    ROOT,
    StackPlaces,
    Surroundings,
    Wish,
    places,
    stack_plan,
    variables,
)

Tell = Callable[[StackStatus], None]


def stack_settings(
    environ: Mapping[str, str] | None = None, folder: Path = ROOT
) -> tuple[Settings, StackPlaces]:
    """Read what a person set, with the files in `folder`, and resolve the places.

    The env file is left out: an earlier stack wrote it, and its database is no wish of a person's.
    """
    process = dict(os.environ if environ is None else environ)
    env_file = process.get("RL_ENV_FILE", ".env")
    settings = variables_table.load("stack", {**process, "RL_ENV_FILE": os.devnull}, folder)
    return settings, places(settings, env_file)


class Stack:
    """One stack of this repository. `environ` is what its programs inherit, ours by default.

    With an `owner`, the stack ends when that process does.
    """

    def __init__(
        self,
        settings: Settings,
        where: StackPlaces,
        *,
        environ: Mapping[str, str] | None = None,
        folder: Path = ROOT,
        owner: Identity | None = None,
    ) -> None:
        self.where = where
        self.variables: dict[str, str] = {}
        self._settings = settings
        self._environ = environ
        self._folder = folder
        self._owner = owner
        self._databases: Databases | None = None
        self._code_port = 0

    def up(self, wish: Wish, tell: Tell) -> None:
        """Start what is wished for, wait until it is healthy, and write the env file.

        Raises `StackError`; then, and when interrupted, nothing is left running.
        """
        check_env_file(self.where.env_file)
        shut_down(self.where.state)  # also what a killed supervisor left
        try:
            self._databases = ensure_databases(self._settings, self.where.state)
            (self._code_port,) = free_ports(1)
            launch(self._plan(wish), self._environ)
            self._write(wait_until_up(self.where.state, tell))
        except BaseException:
            shut_down(self.where.state)
            raise

    def change(self, wish: Wish, tell: Tell) -> None:
        """Go on with another wish: what it leaves out ends, what it has otherwise starts anew."""
        self._write(change(self._plan(wish), tell))

    def down(self) -> None:
        """End everything."""
        shut_down(self.where.state)

    def _plan(self, wish: Wish) -> Plan:
        assert self._databases is not None
        around = Surroundings(
            self._settings, self.where, self._databases, self._code_port, self._folder, self._owner
        )
        return stack_plan(around, wish)

    def _write(self, status: StackStatus) -> None:
        assert self._databases is not None
        own = variables(self._settings, self.where, self._databases)
        self.variables = {**own, **status.announced}
        write_env_file(self.where.env_file, self.variables)

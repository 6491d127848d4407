"""Obeys what people tell the trader: takes each command from the database, once, and answers it."""

import asyncio
from collections.abc import Callable
from typing import Protocol
from uuid import UUID

import structlog

from kalshiflow.store.commands import Command, latest_taken, mark_command, take_commands
from kalshiflow.store.database import Store
from kalshiflow.store.errors import StoreUnavailable
from trader.conductor import PERSON, RISK

log = structlog.get_logger()

POLL_SECONDS = 1.0
PAUSE, RESUME, RECONCILE = "pause", "resume", "reconcile"


class Obeying(Protocol):
    """What a command can move."""

    def hold(self, name: str, why: str) -> None:
        """Forbid orders."""

    def release(self, name: str) -> None:
        """Allow them again."""

    def want_squaring(self, why: str) -> None:
        """Ask for the account to be squared."""


class Commands:
    """Looks for commands about every second. `lost` is told where the database is away."""

    def __init__(
        self,
        store: Store,
        run_id: UUID,
        obeying: Obeying,
        *,
        now: Callable[[], int],
        lost: Callable[[str], None],
    ) -> None:
        self._store = store
        self._run_id = run_id
        self._obeying = obeying
        self._now = now
        self._lost = lost

    async def remember(self) -> None:
        """Find a pause of before the restart again; raises `StoreUnavailable`."""
        last = await latest_taken(self._store, [PAUSE, RESUME])
        if last is not None and last.command == PAUSE:
            self._obeying.hold(PERSON, f"{last.who}: {last.why}")

    async def run(self) -> None:
        """Take and obey commands until cancelled."""
        while True:
            try:
                await self.look()
            except StoreUnavailable as gone:
                self._lost(str(gone))
            await asyncio.sleep(POLL_SECONDS)

    async def look(self) -> None:
        """Take what was asked since the last look, obey it in order, and say what came of it."""
        for command in await take_commands(self._store, self._run_id, at=self._now()):
            outcome = self._obey(command)
            log.info("command", command=command.command, who=command.who, outcome=outcome)
            await mark_command(self._store, command.command_id, outcome, at=self._now())

    def _obey(self, command: Command) -> str:
        match command.command:
            case "pause":
                self._obeying.hold(PERSON, f"{command.who}: {command.why}")
                return "paused: no order is sent until `resume`"
            case "resume":
                for name in (PERSON, RISK):
                    self._obeying.release(name)
                return "resumed: the account is squared first"
            case "reconcile":
                self._obeying.want_squaring(f"asked by {command.who}")
                return "the account is being squared"
        return (
            f"refused: {command.command!r} is no command; known are {PAUSE}, {RESUME}, {RECONCILE}"
        )

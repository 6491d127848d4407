"""What people tell the trader: each command with who and why, taken once, and its outcome."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from kalshiflow.store.database import Store


@dataclass(frozen=True, slots=True)
class Command:
    """An order of a person to the trader: who gave it, why, and what came of it."""

    command_id: int
    command: str
    arguments: Mapping[str, Any]
    who: str
    why: str
    created_at: int
    taken_at: int | None = None
    taken_by: UUID | None = None
    done_at: int | None = None
    outcome: str | None = None


async def add_command(
    store: Store,
    command: str,
    *,
    who: str,
    why: str,
    at: int,
    arguments: Mapping[str, Any] | None = None,
) -> int:
    """Give the trader a command (`pause`, `resume`, …); returns its id."""
    async with store.connection() as connection:
        return int(
            await connection.fetchval(
                "INSERT INTO rl_trader_commands (command, arguments, who, why, created_at)"
                " VALUES ($1, $2, $3, $4, $5) RETURNING command_id",
                command,
                dict(arguments or {}),
                who,
                why,
                at,
            )
        )


async def take_commands(store: Store, run_id: UUID, *, at: int) -> list[Command]:
    """Take all open commands, oldest first; each is given to exactly one taker, once."""
    return await _commands(
        store,
        "WITH taken AS (UPDATE rl_trader_commands SET taken_at = $2, taken_by = $1"
        " WHERE command_id IN (SELECT command_id FROM rl_trader_commands"
        " WHERE taken_at IS NULL ORDER BY command_id FOR UPDATE SKIP LOCKED) RETURNING *)"
        " SELECT * FROM taken ORDER BY command_id",
        run_id,
        at,
    )


async def mark_command(store: Store, command_id: int, outcome: str, *, at: int) -> None:
    """Record what came of a command that was taken."""
    async with store.connection() as connection:
        await connection.execute(
            "UPDATE rl_trader_commands SET outcome = $2, done_at = $3 WHERE command_id = $1",
            command_id,
            outcome,
            at,
        )


async def pending_commands(store: Store) -> list[Command]:
    """Give the commands that no trader has taken, oldest first, without taking them."""
    return await _commands(
        store, "SELECT * FROM rl_trader_commands WHERE taken_at IS NULL ORDER BY command_id"
    )


async def recent_commands(store: Store, limit: int = 50) -> list[Command]:
    """Give the newest commands first."""
    return await _commands(
        store, "SELECT * FROM rl_trader_commands ORDER BY command_id DESC LIMIT $1", limit
    )


async def latest_taken(store: Store, commands: Sequence[str]) -> Command | None:
    """Give the last command taken of these kinds: a restart finds its pause again by it."""
    found = await _commands(
        store,
        "SELECT * FROM rl_trader_commands WHERE command = ANY($1) AND taken_at IS NOT NULL"
        " ORDER BY command_id DESC LIMIT 1",
        list(commands),
    )
    return found[0] if found else None


async def _commands(store: Store, query: str, *values: object) -> list[Command]:
    async with store.connection() as connection:
        found = await connection.fetch(query, *values)
    return [Command(**record) for record in found]

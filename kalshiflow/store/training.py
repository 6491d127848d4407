"""What was trained and what was promoted, with the verdicts; promotions are append-only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kalshiflow.store.database import Store
from kalshiflow.store.errors import NotRecorded


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """One training: what started it, on which sessions, what came of it. Times are nanoseconds.

    `status` is running, done or failed; `evaluation` and `verdict` are JSON values.
    """

    training_id: str
    trigger: str
    dataset_id: str
    sessions: tuple[str, ...]
    status: str
    started_at: int
    ended_at: int | None = None
    model_version: str | None = None
    evaluation: Mapping[str, Any] | None = None
    verdict: Mapping[str, Any] | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Promotion:
    """A decision about a model version: `kind` is champion, bootstrap, refused, rollback, …

    `alias` is the registry alias that moves because of it, if one does.
    """

    promotion_id: int
    kind: str
    model_name: str
    model_version: str
    alias: str | None
    fingerprint: str
    verdict: Mapping[str, Any]
    who: str
    why: str
    created_at: int


async def start_training(
    store: Store,
    training_id: str,
    *,
    trigger: str,
    dataset_id: str,
    sessions: Sequence[str],
    at: int,
) -> None:
    """Record that a training has begun on these sessions."""
    async with store.connection() as connection:
        await connection.execute(
            "INSERT INTO rl_training_runs"
            " (training_id, trigger, dataset_id, sessions, status, started_at)"
            " VALUES ($1, $2, $3, $4, 'running', $5)",
            training_id,
            trigger,
            dataset_id,
            list(sessions),
            at,
        )


async def update_training(
    store: Store,
    training_id: str,
    *,
    status: str | None = None,
    model_version: str | None = None,
    evaluation: Mapping[str, Any] | None = None,
    verdict: Mapping[str, Any] | None = None,
    error: str | None = None,
    ended_at: int | None = None,
) -> None:
    """Add what is known now; what is not given stays. Raises `NotRecorded` for an unknown id."""
    async with store.connection() as connection:
        done = await connection.execute(
            "UPDATE rl_training_runs SET status = coalesce($2, status),"
            " model_version = coalesce($3, model_version), evaluation = coalesce($4, evaluation),"
            " verdict = coalesce($5, verdict), error = coalesce($6, error),"
            " ended_at = coalesce($7, ended_at) WHERE training_id = $1",
            training_id,
            status,
            model_version,
            evaluation,
            verdict,
            error,
            ended_at,
        )
    if done != "UPDATE 1":
        raise NotRecorded(f"no training {training_id} is recorded")


async def training_runs(store: Store, limit: int = 50) -> list[TrainingRun]:
    """Give the newest trainings first."""
    async with store.connection() as connection:
        found = await connection.fetch(
            "SELECT * FROM rl_training_runs ORDER BY started_at DESC LIMIT $1", limit
        )
    return [TrainingRun(**{**record, "sessions": tuple(record["sessions"])}) for record in found]


async def latest_training(store: Store) -> TrainingRun | None:
    """Give the newest training, if there is one."""
    return next(iter(await training_runs(store, 1)), None)


async def add_promotion(
    store: Store,
    *,
    kind: str,
    model_name: str,
    model_version: str,
    alias: str | None,
    fingerprint: str,
    verdict: Mapping[str, Any],
    who: str,
    why: str,
    at: int,
) -> int:
    """Record a promotion (or a refusal) for good and give its id; the alias moves only after."""
    async with store.connection() as connection:
        return int(
            await connection.fetchval(
                "INSERT INTO rl_promotions (kind, model_name, model_version, alias, fingerprint,"
                " verdict, who, why, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
                " RETURNING promotion_id",
                kind,
                model_name,
                model_version,
                alias,
                fingerprint,
                dict(verdict),
                who,
                why,
                at,
            )
        )


async def promotions(store: Store, *, alias: str | None = None, limit: int = 50) -> list[Promotion]:
    """Give the newest promotions first, of one alias or of all."""
    async with store.connection() as connection:
        found = await connection.fetch(
            "SELECT * FROM rl_promotions WHERE alias = $1 OR $1 IS NULL"
            " ORDER BY promotion_id DESC LIMIT $2",
            alias,
            limit,
        )
    return [Promotion(**record) for record in found]


async def latest_promotion(store: Store, alias: str = "champion") -> Promotion | None:
    """Give the last promotion to this alias, if there is one."""
    return next(iter(await promotions(store, alias=alias, limit=1)), None)

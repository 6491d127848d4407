"""One candidate: trained, written as a bundle, registered as a version."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kalshiflow.market.units import CONTRACT, Quantity, cash_from_cents
from kalshiflow.settings import Settings
from pipelines.registry import PolicyVersion, Registry, TrainingRecord

if TYPE_CHECKING:
    from kalshiflow.learning.datasets.manifest import DatasetManifest
    from kalshiflow.learning.episodes.segments import Segment
    from kalshiflow.learning.train import Trained, TrainingConfig
    from kalshiflow.learning.world import WorldConfig

MILLISECOND = 1_000_000
MINUTE = 60_000_000_000
EPISODES_IN_MEAN = 32
LONGEST_TAG = 4_000


@dataclass(frozen=True, slots=True)
class Origin:
    """What every candidate of one training comes from."""

    training_id: str
    manifest: "DatasetManifest"
    git_commit: str


@dataclass(frozen=True, slots=True)
class Made:
    """A candidate that is registered. `mean_profit` is of its last training episodes, dollars."""

    version: PolicyVersion
    policy: str
    fingerprint: str
    seed: int
    timesteps: int
    seconds: float
    episodes: int
    mean_profit: float


def world_config(settings: Settings) -> "WorldConfig":
    """Give the terms on which the trader will act, for learning and for judging alike."""
    from kalshiflow.learning.world import WorldConfig
    from kalshiflow.simulator.overlay import FillModel

    return WorldConfig(
        budget=cash_from_cents(settings.rl_actor_market_budget),
        order_quantity=Quantity(settings.rl_actor_order_contracts * CONTRACT),
        throttle=settings.rl_actor_throttle_ms * MILLISECOND,
        latency=settings.rl_sim_latency_ms * MILLISECOND,
        fill_model=FillModel[settings.rl_sim_fill_model.upper()],
        longest=round(settings.rl_episode_max_minutes * MINUTE),
    )


def make_candidate(
    segments: Sequence["Segment"],
    config: "TrainingConfig",
    origin: Origin,
    folder: Path,
    registry: Registry,
    progress: Callable[[int, int], None],
) -> Made:
    """Train on segments, write the bundle into `folder`, register it."""
    from kalshiflow.learning.bundle import export_bundle
    from kalshiflow.learning.train import train

    trained = train(segments, config, progress)
    manifest = export_bundle(
        trained,
        folder,
        {
            "training_id": origin.training_id,
            "dataset_id": origin.manifest.dataset_id,
            "session_ids": list(origin.manifest.session_ids),
            "git_commit": origin.git_commit,
            "metrics": {"training_profit_per_episode": _last_mean(trained.episode_profits)},
        },
    )
    resumable = folder / "sb3-policy.zip"
    trained.policy.save(resumable)  # type: ignore[arg-type]  # a path is as good as its text
    version = registry.register(folder, _record(trained, manifest, origin, folder, resumable))
    return Made(
        version=version,
        policy=manifest["version"],
        fingerprint=manifest["fingerprint"],
        seed=config.seed,
        timesteps=trained.timesteps,
        seconds=round(trained.seconds, 1),
        episodes=len(trained.episode_profits),
        mean_profit=_last_mean(trained.episode_profits),
    )


def _record(
    trained: "Trained", manifest: dict[str, Any], origin: Origin, folder: Path, resumable: Path
) -> TrainingRecord:
    profits = trained.episode_profits
    sessions = ",".join(origin.manifest.session_ids)
    return TrainingRecord(
        name=f"{origin.manifest.dataset_id} seed {trained.config.seed}",
        params={
            **manifest["training"],
            "dataset_hash": origin.manifest.dataset_id,
            "sessions": len(origin.manifest.sessions),
            "rows": origin.manifest.learn_events,
        },
        metrics={
            "training_seconds": trained.seconds,
            "training_episodes": len(profits),
            "training_profit_per_episode": _last_mean(profits),
        },
        curves={"training_profit": running_means(profits)},
        tags={
            "fingerprint": manifest["fingerprint"],
            # The manifest holds the sha256 of the other files, so this one pins the whole bundle.
            "sha256": hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest(),
            "dataset_hash": origin.manifest.dataset_id,
            "sessions": sessions if len(sessions) <= LONGEST_TAG else "see manifest.json",
            "training_id": origin.training_id,
            "policy": manifest["version"],
            "git_commit": origin.git_commit,
        },
        artifacts=[resumable],
    )


def running_means(profits: Sequence[float]) -> list[tuple[int, float]]:
    """Give (episode, mean profit of the `EPISODES_IN_MEAN` episodes up to it), every so often."""
    ends = range(EPISODES_IN_MEAN, len(profits) + 1, EPISODES_IN_MEAN)
    return [(end, _mean(profits[end - EPISODES_IN_MEAN : end])) for end in ends]


def _last_mean(profits: Sequence[float]) -> float:
    return _mean(profits[-EPISODES_IN_MEAN:])


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0

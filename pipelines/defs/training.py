"""Candidates: policies trained on a dataset, each a version of the registered model."""

from collections.abc import Callable, Mapping, Sequence

import dagster as dg

from kalshiflow.learning.datasets.manifest import DatasetManifest
from pipelines.candidates import Made, Origin, make_candidate, world_config
from pipelines.code_version import git_commit
from pipelines.defs.datasets import training_dataset
from pipelines.handover import left_by, text_left_by
from pipelines.plots import bars
from pipelines.registry import Registry
from pipelines.resources import DataFolder, Policies, Variables
from pipelines.tables import table

TELL_EVERY_SHARE = 0.25


@dg.asset(
    deps=[training_dataset],
    group_name="learning",
    kinds={"pytorch", "onnx", "mlflow"},
    pool="training",
    description="Candidates trained by PPO, registered as versions of kalshi-policy.",
)
def trained_policy(
    context: dg.AssetExecutionContext,
    data_folder: DataFolder,
    policies: Policies,
    variables: Variables,
) -> dg.MaterializeResult[None]:
    """Train the latest dataset's candidates, one for each seed, and register each."""
    from kalshiflow.learning.datasets.dataset import load_learn
    from kalshiflow.learning.train import TrainingConfig

    settings, left = variables.load(), left_by(context.instance, "training_dataset")
    manifest = DatasetManifest.from_json(text_left_by(left))
    segments = load_learn(manifest, data_folder.path("episodes"))
    origin = Origin(left["training_id"], manifest, git_commit())
    registry = policies.registry()
    registry.prepare()  # a server that is away is better told before the training than after
    made: list[Made] = []
    for number in range(settings.rl_train_candidates):
        seed = settings.rl_train_seed + number
        config = TrainingConfig(
            seed=seed,
            timesteps=settings.rl_train_timesteps,
            wakes=settings.rl_train_wake,
            world=world_config(settings),
        )
        folder = data_folder.training(origin.training_id) / f"seed-{seed}"
        made.append(
            make_candidate(segments, config, origin, folder, registry, _teller(context, seed))
        )
    return dg.MaterializeResult(metadata=_metadata(made, origin, registry))


def _teller(context: dg.AssetExecutionContext, seed: int) -> Callable[[int, int], None]:
    told = 0.0

    def tell(steps: int, total: int) -> None:
        nonlocal told
        if steps / total >= told + TELL_EVERY_SHARE:
            told = steps / total
            context.log.info("seed %s: %s of %s steps", seed, steps, total)

    return tell


def _metadata(
    made: Sequence[Made], origin: Origin, registry: Registry
) -> Mapping[str, dg.MetadataValue]:
    versions = [candidate.version.version for candidate in made]
    return {
        "training_id": dg.MetadataValue.text(origin.training_id),
        "dataset_id": dg.MetadataValue.text(origin.manifest.dataset_id),
        "versions": dg.MetadataValue.json(versions),
        "fingerprint": dg.MetadataValue.text(made[0].fingerprint),
        "git_commit": dg.MetadataValue.text(origin.git_commit),
        "candidates": table([_row(candidate) for candidate in made]),
        "training profit": dg.MetadataValue.md(
            bars(
                {f"seed {candidate.seed}": candidate.mean_profit for candidate in made},
                "dollars per episode",
                "profit of the last training episodes",
            )
        ),
        **{
            f"version {candidate.version.version}": dg.MetadataValue.url(
                registry.page_of(candidate.version)
            )
            for candidate in made
        },
    }


def _row(candidate: Made) -> Mapping[str, str | int | float]:
    return {
        "version": candidate.version.version,
        "policy": candidate.policy,
        "seed": candidate.seed,
        "steps": candidate.timesteps,
        "seconds": candidate.seconds,
        "episodes": candidate.episodes,
        "profit per training episode, dollars": round(candidate.mean_profit, 4),
        "mlflow run": candidate.version.run_id,
    }

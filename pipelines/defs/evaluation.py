"""The evaluation: candidates against doing nothing, chance and the champion, on later time."""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from kalshiflow.learning.datasets.manifest import DatasetManifest
from kalshiflow.store.database import Store
from kalshiflow.store.training import update_training
from pipelines.candidates import world_config
from pipelines.defs.datasets import training_dataset
from pipelines.defs.training import trained_policy
from pipelines.handover import left_by, text_left_by
from pipelines.judging import Report, play, report_to_json
from pipelines.plots import Interval, comparison
from pipelines.registry import Registry
from pipelines.resources import Database, DataFolder, Policies, Variables, replace_file
from pipelines.tables import table


@dg.asset(
    deps=[training_dataset, trained_policy],
    group_name="learning",
    kinds={"onnx"},
    pool="training",
    description="What the candidates, the champion and the baselines gain on later market time.",
)
def policy_evaluation(
    context: dg.AssetExecutionContext,
    database: Database,
    data_folder: DataFolder,
    policies: Policies,
    variables: Variables,
) -> dg.MaterializeResult[None]:
    """Play the latest training's candidates, as registered, on what was not learned from."""
    from kalshiflow.learning.datasets.dataset import load_evaluation

    settings, trained = variables.load(), left_by(context.instance, "trained_policy")
    dataset = left_by(context.instance, "training_dataset")
    if trained["dataset_id"] != dataset["dataset_id"]:
        raise dg.Failure(
            f"the candidates were trained on dataset {trained['dataset_id']}, the latest is "
            f"{dataset['dataset_id']}: materialise trained_policy first",
            allow_retries=False,
        )
    manifest = DatasetManifest.from_json(text_left_by(dataset))
    folder = data_folder.training(trained["training_id"])
    registry = policies.registry()
    report = play(
        registry,
        trained["versions"],
        load_evaluation(manifest, data_folder.path("episodes")),
        world_config(settings),
        folder,
        training_id=trained["training_id"],
        dataset_id=manifest.dataset_id,
        seed=settings.rl_train_seed,
    )
    path = folder / "evaluation.json"
    digest = replace_file(path, lambda partial: partial.write_text(report_to_json(report)))
    _tell_registry(registry, report)
    rows = report.rows()

    async def store_figures(store: Store) -> None:
        figures = {"rows": rows, "report_sha256": digest, "champion": report.champion}
        await update_training(store, report.training_id, evaluation=figures)

    database.run(store_figures)
    return dg.MaterializeResult(
        metadata={
            "training_id": dg.MetadataValue.text(report.training_id),
            "dataset_id": dg.MetadataValue.text(report.dataset_id),
            "path": dg.MetadataValue.path(path),
            "sha256": dg.MetadataValue.text(digest),
            **_metadata(report, rows),
        }
    )


def _tell_registry(registry: Registry, report: Report) -> None:
    for candidate in report.candidates:
        if candidate.evaluation is None:
            continue
        summary = candidate.evaluation.summary()
        figures = {
            f"eval_{name}": float(value)
            for name, value in summary.items()
            if isinstance(value, int | float)
        }
        tags = {name: f"{value:g}" for name, value in figures.items() if "profit" in name}
        registry.report(registry.at(candidate.version), figures, tags)


def _metadata(report: Report, rows: Sequence[Mapping[str, Any]]) -> Mapping[str, dg.MetadataValue]:
    failed = [
        {"candidate": candidate.version, "gate": reason}
        for candidate in report.candidates
        for reason in candidate.failed
    ]
    return {
        "figures": table([{k: _shown(v) for k, v in row.items()} for row in rows]),
        "failed integrity gates": table(failed),
        "markets never learned from": dg.MetadataValue.text(", ".join(report.unseen) or "none"),
        "champion": dg.MetadataValue.text(report.champion or "none"),
        "champion trouble": dg.MetadataValue.text(report.champion_trouble or ""),
        "comparison": dg.MetadataValue.md(
            comparison(
                [_interval(row) for row in rows],
                "dollars per market",
                "profit on later market time, with 95% intervals",
            )
        ),
    }


def _interval(row: Mapping[str, Any]) -> Interval:
    mean = row["pnl_dollars"]
    low, high = row["low_dollars"], row["high_dollars"]
    return Interval(row["name"], mean if low is None else low, mean, mean if high is None else high)


def _shown(value: Any) -> str | int | float:
    if value is None:
        return "too few markets"
    return round(value, 4) if isinstance(value, float) else value

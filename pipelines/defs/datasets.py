"""What is learned from: the sessions of one training, by content, and whether its features hold."""

from typing import TYPE_CHECKING

import dagster as dg

from kalshiflow.store.database import Store
from kalshiflow.store.training import start_training
from pipelines.dataset_pages import metadata
from pipelines.datasets import COVERAGE, STATISTICS, Built, build
from pipelines.defs.sessions import session_episodes
from pipelines.handover import left_by, text_left_by
from pipelines.resources import Database, DataFolder, Variables
from pipelines.selection import Selection, select_sessions
from pipelines.tables import table

if TYPE_CHECKING:
    from kalshiflow.learning.datasets.statistics import Statistics

FEATURES_ARE_SOUND = "training_dataset_features_are_sound"


class Sessions(dg.Config):
    """Which sessions to learn from: the named ones, or every usable one where none is named."""

    sessions: list[str] = []  # noqa: RUF012 — a field of pydantic, copied for each instance
    trigger: str = "by hand"
    learn_fraction: float = 0.7


@dg.asset(
    deps=[session_episodes],
    group_name="learning",
    kinds={"json", "parquet"},
    description="The sessions of one training with their hashes, parted by time and by event.",
)
def training_dataset(
    context: dg.AssetExecutionContext,
    config: Sessions,
    database: Database,
    data_folder: DataFolder,
    variables: Variables,
) -> dg.MaterializeResult[None]:
    """Describe a dataset; raises `dg.Failure` for a named session that is refused."""
    settings = variables.load()
    selection = database.run(
        lambda store: select_sessions(
            store, config.sessions, settings.environment, data_folder.count_episodes
        )
    )
    _refuse(selection, is_named=bool(config.sessions))
    for session_id, reason in selection.refused.items():
        context.log.warning("session %s is refused: %s", session_id, reason)
    built = _built(selection, variables, data_folder, config.learn_fraction)
    manifest = built.manifest

    async def begin(store: Store) -> None:
        await start_training(
            store,
            context.run.run_id,
            trigger=config.trigger,
            dataset_id=manifest.dataset_id,
            sessions=manifest.session_ids,
            at=variables.now(),
        )

    database.run(begin)
    return dg.MaterializeResult(
        metadata={
            "training_id": dg.MetadataValue.text(context.run.run_id),
            "dataset_id": dg.MetadataValue.text(manifest.dataset_id),
            "path": dg.MetadataValue.path(built.path),
            "sha256": dg.MetadataValue.text(built.sha256),
            **{
                name: dg.MetadataValue.path(data_folder.dataset(manifest.dataset_id, kind))
                for name, kind in (("statistics", STATISTICS), ("all coverage", COVERAGE))
            },
            "statistics sha256": dg.MetadataValue.text(manifest.statistics_sha256),
            **metadata(manifest, built.measured, selection.refused),
        },
        data_version=dg.DataVersion(manifest.dataset_id),
    )


@dg.asset_check(
    asset=training_dataset,
    name=FEATURES_ARE_SOUND,
    blocking=True,
    description="No feature is constant, repeats another or explodes in what is learned from.",
)
def training_dataset_features_are_sound(
    context: dg.AssetCheckExecutionContext,
) -> dg.AssetCheckResult:
    """Judge the features of the latest dataset; only a warning where recordings cannot tell."""
    from kalshiflow.learning.datasets.statistics import Statistics

    left = left_by(context.instance, "training_dataset")
    told = text_left_by({"path": left["statistics"], "sha256": left["statistics sha256"]})
    return judged(Statistics.from_json(told), left["dataset_id"])


def judged(statistics: "Statistics", dataset_id: str) -> dg.AssetCheckResult:
    """Give the check's result: what is at fault blocks, what is excused is told."""
    from kalshiflow.learning.datasets.soundness import findings

    found = findings(statistics)
    is_bad = any(not one.is_excused for one in found)
    rows: list[dict[str, str | int | float]] = [
        {"feature": one.feature, "fault": one.fault, "excuse": one.excuse or ""} for one in found
    ]
    return dg.AssetCheckResult(
        passed=not found,
        severity=dg.AssetCheckSeverity.ERROR if is_bad else dg.AssetCheckSeverity.WARN,
        description="; ".join(str(one) for one in found) or None,
        metadata={"dataset_id": dataset_id, "findings": table(rows)},
    )


def _refuse(selection: Selection, *, is_named: bool) -> None:
    """Fail where somebody asked for a session that is refused, and where there is none at all."""
    if selection.usable and not (is_named and selection.refused):
        return
    what = "no dataset is made of them" if is_named else "there is no session to learn from"
    reasons = [{"session": name, "reason": why} for name, why in selection.refused.items()]
    raise dg.Failure(
        f"{what}: {selection.reasons() or 'none was recorded'}",
        metadata={"refused": table(reasons)},
        allow_retries=False,
    )


def _built(
    selection: Selection, variables: Variables, data_folder: DataFolder, learn_fraction: float
) -> Built:
    from kalshiflow.learning.datasets.dataset import DatasetError
    from kalshiflow.learning.datasets.splits import SplitError
    from kalshiflow.learning.world import NoDecision

    try:
        return build(selection.usable, variables.load(), data_folder, learn_fraction)
    except (DatasetError, SplitError, NoDecision) as impossible:
        raise dg.Failure(str(impossible), allow_retries=False) from impossible

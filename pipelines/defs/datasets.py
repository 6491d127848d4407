"""What is learned from: the sessions of one training, by content."""

from collections.abc import Mapping, Sequence

import dagster as dg

from kalshiflow.learning.dataset import DatasetError, DatasetManifest, build_dataset
from kalshiflow.store.database import Store
from kalshiflow.store.training import start_training
from pipelines.defs.sessions import session_episodes
from pipelines.resources import Database, DataFolder, Variables, replace_file
from pipelines.selection import Selection, select_sessions
from pipelines.tables import table
from pipelines.times import seconds, utc


class Sessions(dg.Config):
    """Which sessions to learn from: the named ones, or every usable one where none is named."""

    sessions: list[str] = []  # noqa: RUF012 — a field of pydantic, copied for each instance
    trigger: str = "by hand"
    learn_fraction: float = 0.7


@dg.asset(
    deps=[session_episodes],
    group_name="learning",
    kinds={"json"},
    description="The sessions of one training with their hashes, and the moment that splits them.",
)
def training_dataset(
    context: dg.AssetExecutionContext,
    config: Sessions,
    database: Database,
    data_folder: DataFolder,
    variables: Variables,
) -> dg.MaterializeResult[None]:
    """Describe a dataset; sessions that nothing can be learned from are refused with the reason."""
    environment = variables.load().environment
    selection = database.run(
        lambda store: select_sessions(
            store, config.sessions, environment, data_folder.count_episodes
        )
    )
    for session_id, reason in selection.refused.items():
        context.log.warning("session %s is refused: %s", session_id, reason)
    manifest = _manifest(selection, data_folder, config.learn_fraction)
    path = data_folder.dataset(manifest.dataset_id)
    digest = replace_file(path, lambda partial: partial.write_text(manifest.to_json()))

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
            "path": dg.MetadataValue.path(path),
            "sha256": dg.MetadataValue.text(digest),
            **_metadata(manifest, selection.refused),
        },
        data_version=dg.DataVersion(manifest.dataset_id),
    )


def _manifest(
    selection: Selection, data_folder: DataFolder, learn_fraction: float
) -> DatasetManifest:
    reasons = "; ".join(f"{name}: {reason}" for name, reason in selection.refused.items())
    if not selection.usable:
        raise dg.Failure(
            f"there is no session to learn from; refused: {reasons or 'none stands'}",
            allow_retries=False,
        )
    try:
        return build_dataset(
            [data_folder.episodes_of(session_id) for session_id in selection.usable],
            learn_fraction=learn_fraction,
        )
    except DatasetError as impossible:
        raise dg.Failure(str(impossible), allow_retries=False) from impossible


def _metadata(
    manifest: DatasetManifest, refused: Mapping[str, str]
) -> Mapping[str, dg.MetadataValue]:
    return {
        "rows": dg.MetadataValue.int(manifest.rows),
        "rows to learn from": dg.MetadataValue.int(manifest.learn_events),
        "rows to evaluate on": dg.MetadataValue.int(manifest.evaluation_events),
        "segments to learn from": dg.MetadataValue.int(manifest.learn_segments),
        "segments to evaluate on": dg.MetadataValue.int(manifest.evaluation_segments),
        "split at": dg.MetadataValue.text(utc(manifest.split_at)),
        "embargo, seconds": dg.MetadataValue.float(seconds(manifest.embargo)),
        "sessions": table(_sessions(manifest)),
        "refused": table([{"session": name, "reason": why} for name, why in refused.items()]),
    }


def _sessions(manifest: DatasetManifest) -> Sequence[Mapping[str, str | int | float]]:
    return [
        {
            "session": part.session_id,
            "sha256": part.sha256,
            "segments": part.segments,
            "events": part.events,
            "market seconds": seconds(part.ends_at - part.starts_at),
        }
        for part in manifest.sessions
    ]

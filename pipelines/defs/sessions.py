"""Recorded sessions, one partition each, and the episodes that can be learned from them."""

from collections.abc import Mapping, Sequence

import dagster as dg

from kalshiflow.learning.episodes.files import Head, read_origin
from kalshiflow.store.certificate import Certificate
from kalshiflow.store.outline import Outline, read_outline
from pipelines.activity import Activity, activity_rows, read_activity
from pipelines.defs.partitions import sessions
from pipelines.episodes import episodes_by_market, write_episodes
from pipelines.plots import mids_and_rate
from pipelines.recordings import NOTHING_HAPPENED, certificate_of, refusal_of
from pipelines.resources import Database, DataFolder, Variables, replace_file
from pipelines.tables import table
from pipelines.times import seconds


@dg.asset(
    partitions_def=sessions,
    group_name="market_data",
    kinds={"postgres"},
    description="One recording of the exchange's feed, as it stands in the database.",
)
def orderbook_session(
    context: dg.AssetExecutionContext, database: Database, variables: Variables
) -> dg.MaterializeResult[None]:
    """Read a stored session and show what is in it; its checks prove it from its rows."""
    session_id = context.partition_key
    outline = database.run(lambda store: read_outline(store, session_id))
    certificate = certificate_of(outline.session)
    if certificate is None:
        raise dg.Failure(
            f"session {session_id} is {outline.session.status}: it has no certificate yet",
            allow_retries=False,
        )
    memory_mb = variables.load().rl_dataset_memory_mb
    activity = database.run(lambda store: read_activity(store, outline, memory_mb))
    return dg.MaterializeResult(
        metadata=_session_metadata(outline, activity, certificate),
        data_version=dg.DataVersion(certificate.books_sha256 or certificate.verdict),
    )


@dg.asset(
    partitions_def=sessions,
    deps=[orderbook_session],
    group_name="market_data",
    kinds={"parquet"},
    description="Unbroken stretches of each market's events, in a Parquet file.",
)
def session_episodes(
    context: dg.AssetExecutionContext,
    database: Database,
    data_folder: DataFolder,
    variables: Variables,
) -> dg.MaterializeResult[None]:
    """Cut a session into episodes; raises `dg.Failure` for one that nothing can be learned from."""
    session_id = context.partition_key
    outline = database.run(lambda store: read_outline(store, session_id))
    refusal = refusal_of(outline.session)
    if refusal:
        raise dg.Failure(f"session {session_id} is refused: {refusal}", allow_retries=False)
    heads: list[Head] = []
    memory_mb = variables.load().rl_dataset_memory_mb
    path = data_folder.episodes_of(session_id)
    digest = replace_file(
        path,
        lambda partial: heads.extend(
            database.run(lambda store: write_episodes(store, outline, partial, memory_mb))
        ),
    )
    if not heads:
        context.log.warning("nothing can be learned from %s: %s", session_id, NOTHING_HAPPENED)
    return dg.MaterializeResult(
        metadata={
            "path": dg.MetadataValue.path(path),
            "sha256": dg.MetadataValue.text(digest),
            "rows' sha256": dg.MetadataValue.text(read_origin(path).inputs_sha256),
            "bytes": dg.MetadataValue.int(path.stat().st_size),
            **_episodes_metadata(heads),
        },
        data_version=dg.DataVersion(digest),
    )


def _session_metadata(
    outline: Outline, activity: Activity, certificate: Certificate
) -> Mapping[str, dg.MetadataValue]:
    session, markets = outline.session, activity.markets
    mids = {ticker: market.mids for ticker, market in markets.items() if market.mids}
    return {
        "verdict": dg.MetadataValue.text(certificate.verdict),
        "reason": dg.MetadataValue.text(certificate.reason),
        "frames": dg.MetadataValue.int(certificate.frames),
        "deltas": dg.MetadataValue.int(certificate.deltas),
        "snapshots": dg.MetadataValue.int(certificate.snapshots),
        "seam snapshots": dg.MetadataValue.int(certificate.seam_snapshots),
        "trades": dg.MetadataValue.int(certificate.trades),
        "gaps": dg.MetadataValue.int(certificate.gaps),
        "bad frames": dg.MetadataValue.int(certificate.bad_frames),
        "missing frames": dg.MetadataValue.int(certificate.missing_frames),
        "market seconds": dg.MetadataValue.float(_length(certificate)),
        "origin": dg.MetadataValue.text(session.origin),
        "environment": dg.MetadataValue.text(session.environment),
        "traded": dg.MetadataValue.bool(session.traded),
        "status": dg.MetadataValue.text(session.status),
        "end reason": dg.MetadataValue.text(session.end_reason or ""),
        "closing books sha256": dg.MetadataValue.text(certificate.books_sha256 or ""),
        "markets": table(activity_rows(markets, certificate.coverage)),
        "mids": dg.MetadataValue.md(mids_and_rate(mids, activity.seconds, session.session_id)),
    }


def _episodes_metadata(heads: Sequence[Head]) -> Mapping[str, dg.MetadataValue]:
    return {
        "segments": dg.MetadataValue.int(len(heads)),
        "events": dg.MetadataValue.int(sum(head.events for head in heads)),
        "refused": dg.MetadataValue.text("" if heads else NOTHING_HAPPENED),
        "markets": table(episodes_by_market(heads)),
    }


def _length(certificate: Certificate) -> float:
    first, last = certificate.first_market_time, certificate.last_market_time
    return 0.0 if first is None or last is None else seconds(last - first)

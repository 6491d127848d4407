"""Recorded sessions, one partition each, and the episodes that can be learned from them."""

from collections.abc import Mapping, Sequence

import dagster as dg

from kalshiflow.learning.episode_files import write_segments
from kalshiflow.learning.episodes import Segment
from kalshiflow.store.certificate import Certificate
from pipelines.defs.partitions import sessions
from pipelines.episodes import episodes_of, segments_by_market
from pipelines.plots import mids_and_rate
from pipelines.recordings import (
    Recording,
    activity,
    activity_rows,
    market_times,
    read_recording,
    refusal_of,
)
from pipelines.resources import Database, DataFolder, replace_file
from pipelines.tables import table
from pipelines.times import seconds


@dg.asset(
    partitions_def=sessions,
    group_name="market_data",
    kinds={"postgres"},
    description="One recording of the exchange's feed, as it stands in the database.",
)
def orderbook_session(
    context: dg.AssetExecutionContext, database: Database
) -> dg.MaterializeResult[None]:
    """Read a stored session and show what is in it; its checks prove it from its rows."""
    session_id = context.partition_key
    recording = database.run(lambda store: read_recording(store, session_id))
    certificate = recording.certificate
    if certificate is None:
        raise dg.Failure(
            f"session {session_id} is {recording.session.status}: it has no certificate yet",
            allow_retries=False,
        )
    return dg.MaterializeResult(
        metadata=_session_metadata(recording, certificate),
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
    context: dg.AssetExecutionContext, database: Database, data_folder: DataFolder
) -> dg.MaterializeResult[None]:
    """Cut a session into episodes; raises `dg.Failure` for one that nothing can be learned from."""
    session_id = context.partition_key
    recording = database.run(lambda store: read_recording(store, session_id))
    refusal = refusal_of(recording.session)
    if refusal:
        raise dg.Failure(f"session {session_id} is refused: {refusal}", allow_retries=False)
    segments = database.run(lambda store: episodes_of(store, recording))
    path = data_folder.episodes_of(session_id)
    digest = replace_file(path, lambda partial: write_segments(partial, segments))
    return dg.MaterializeResult(
        metadata={
            "path": dg.MetadataValue.path(path),
            "sha256": dg.MetadataValue.text(digest),
            "bytes": dg.MetadataValue.int(path.stat().st_size),
            **_episodes_metadata(segments),
        },
        data_version=dg.DataVersion(digest),
    )


def _session_metadata(
    recording: Recording, certificate: Certificate
) -> Mapping[str, dg.MetadataValue]:
    session = recording.session
    times = market_times(recording.events)
    markets = activity(recording)
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
        "market seconds": dg.MetadataValue.float(_length(times)),
        "origin": dg.MetadataValue.text(session.origin),
        "environment": dg.MetadataValue.text(session.environment),
        "traded": dg.MetadataValue.bool(session.traded),
        "status": dg.MetadataValue.text(session.status),
        "end reason": dg.MetadataValue.text(session.end_reason or ""),
        "closing books sha256": dg.MetadataValue.text(certificate.books_sha256 or ""),
        "markets": table(activity_rows(markets, certificate.coverage)),
        "mids": dg.MetadataValue.md(mids_and_rate(mids, times, session.session_id)),
    }


def _episodes_metadata(segments: Sequence[Segment]) -> Mapping[str, dg.MetadataValue]:
    return {
        "segments": dg.MetadataValue.int(len(segments)),
        "events": dg.MetadataValue.int(sum(len(segment.events) for segment in segments)),
        "markets": table(segments_by_market(segments)),
    }


def _length(times: Sequence[int]) -> float:
    return seconds(max(times) - min(times)) if times else 0.0

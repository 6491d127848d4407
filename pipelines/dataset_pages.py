"""What the pages of a dataset show: its manifest, its features, what it covers."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import dagster as dg

from pipelines.dataset_plots import Spread, features, heat_map, timeline
from pipelines.tables import table
from pipelines.times import seconds, utc

if TYPE_CHECKING:
    from kalshiflow.learning.datasets.coverage import Coverage, Covered
    from kalshiflow.learning.datasets.manifest import DatasetManifest, PartSize
    from kalshiflow.learning.datasets.moments import FeatureStatistics
    from kalshiflow.learning.datasets.statistics import Measured, Statistics

MOST_ROWS = 200  # the event log keeps every table for ever; the files beside the manifest have all
_MEDIAN = 3
Row = Mapping[str, str | int | float]


def metadata(
    manifest: "DatasetManifest", measured: "Measured", refused: Mapping[str, str]
) -> dict[str, dg.MetadataValue]:
    """Give all that is shown of a dataset but where its files are."""
    spans = [(part.session_id, part.starts_at, part.ends_at) for part in manifest.sessions]
    evaluates_from = manifest.split_at + manifest.embargo
    return {
        **_sizes(manifest),
        "sessions": table(_newest(_sessions(manifest))),
        "refused": table(_newest([{"session": s, "reason": why} for s, why in refused.items()])),
        "sessions in time": dg.MetadataValue.md(
            timeline(spans, manifest.split_at, evaluates_from, "sessions in market time")
        ),
        "features": table(feature_rows(measured.statistics)),
        "features in a picture": dg.MetadataValue.md(
            features(_spreads(measured.statistics), "features of what is learned from")
        ),
        "coverage by market and hour": table(coverage_rows(manifest, measured)),
        "coverage": dg.MetadataValue.md(
            heat_map(_decisions(measured), "decisions", "decisions by market and hour")
        ),
    }


def feature_rows(statistics: "Statistics") -> list[Row]:
    """Give one row of a table for each feature."""
    return [_feature(one) for one in statistics.features]


def coverage_rows(manifest: "DatasetManifest", measured: "Measured") -> list[Row]:
    """Give one row for each market and hour, of the busiest hours where there are too many."""
    found = [
        (part, market, hour, covered)
        for part, coverage in (("learn", measured.learn), ("evaluation", measured.evaluation))
        for market, hour, covered in coverage.rows()
    ]
    busiest = sorted(found, key=lambda row: (-row[3].events, row[:3]))[:MOST_ROWS]
    unseen = frozenset(manifest.unseen_markets)
    shown = sorted(busiest, key=lambda row: row[:3])
    return [_covered(*row, is_unseen=row[1] in unseen) for row in shown]


def _sizes(manifest: "DatasetManifest") -> dict[str, dg.MetadataValue]:
    return {
        "rows": dg.MetadataValue.int(manifest.rows),
        "rows to learn from": dg.MetadataValue.int(manifest.learn.events),
        "rows to evaluate on": dg.MetadataValue.int(manifest.evaluation.events),
        "segments to learn from": dg.MetadataValue.int(manifest.learn.segments),
        "segments to evaluate on": dg.MetadataValue.int(manifest.evaluation.segments),
        "split at": dg.MetadataValue.text(utc(manifest.split_at)),
        "embargo, seconds": dg.MetadataValue.float(seconds(manifest.embargo)),
        "events not learned from": dg.MetadataValue.text(
            ", ".join(manifest.unseen_events[:MOST_ROWS]) or "none: too few events are known"
        ),
        "markets not learned from": dg.MetadataValue.int(len(manifest.unseen_markets)),
        "left out for memory": dg.MetadataValue.text(
            f"to learn from: {_left_out(manifest.learn)}; "
            f"to evaluate on: {_left_out(manifest.evaluation)}"
        ),
        "fingerprint": dg.MetadataValue.text(manifest.fingerprint),
    }


def _left_out(part: "PartSize") -> str:
    if not part.segments_left_out:
        return "nothing"
    return (
        f"{part.segments_left_out} of {part.segments + part.segments_left_out} segments "
        f"({part.events_left_out} events), by chance"
    )


def _sessions(manifest: "DatasetManifest") -> list[Row]:
    return [
        {
            "session": part.session_id,
            "verdict": part.verdict,
            "reason": part.reason,
            "from": utc(part.starts_at),
            "market seconds": seconds(part.ends_at - part.starts_at),
            "segments": part.segments,
            "events": part.events,
            "sha256": part.sha256,
        }
        for part in manifest.sessions
    ]


def _newest(rows: Sequence[Row]) -> Sequence[Row]:
    return rows[-MOST_ROWS:]


def _feature(one: "FeatureStatistics") -> Row:
    return {
        "feature": one.name,
        "rows": one.rows,
        "mean": round(one.mean, 6),
        "deviation": round(one.deviation, 6),
        "lowest": round(one.lowest, 6),
        "median": round(one.quantiles[_MEDIAN], 3),
        "highest": round(one.highest, 6),
        "at low bound": round(one.at_low, 4),
        "at high bound": round(one.at_high, 4),
        "not finite": one.not_finite,
        "beyond its range": one.outside,
    }


def _spreads(statistics: "Statistics") -> list[Spread]:
    from kalshiflow.learning.datasets.statistics import is_of_market

    return [
        Spread(one.name, one.mean, one.deviation, one.lowest, one.highest, is_of_market(one.name))
        for one in statistics.features
    ]


def _covered(part: str, market: str, hour: int, covered: "Covered", *, is_unseen: bool) -> Row:
    return {
        "market": market,
        "hour": utc(hour)[:16],
        "part": part,
        "unseen": is_unseen,
        "events": covered.events,
        "market seconds": round(seconds(covered.time), 3),
        "decisions": covered.decisions,
    }


def _decisions(measured: "Measured") -> dict[tuple[str, int], int]:
    cells: dict[tuple[str, int], int] = {}
    coverage: Coverage
    for coverage in (measured.learn, measured.evaluation):
        for market, hour, covered in coverage.rows():
            cells[market, hour] = cells.get((market, hour), 0) + covered.decisions
    return cells

"""Candidates, champion and baselines played on the same later market time, as one report."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.registry import CHAMPION, Registry

if TYPE_CHECKING:
    from kalshiflow.learning.datasets.dataset import Dataset
    from kalshiflow.learning.episodes.segments import Segment
    from kalshiflow.learning.evaluate import Evaluation
    from kalshiflow.learning.promotion import Candidate, Verdict
    from kalshiflow.learning.world import WorldConfig

FORMAT = "kalshiflow-evaluation-2"


@dataclass(frozen=True, slots=True)
class Report:
    """What everyone did. `champion` is the version that was champion when this was played.

    Of the markets `unseen` no candidate has learned, nor of any other of their events.
    `champion_evaluation` is `None` without a champion, or with one that could not be loaded;
    `champion_trouble` then says why.
    """

    training_id: str
    dataset_id: str
    candidates: tuple["Candidate", ...]
    baselines: tuple["Evaluation", ...]
    champion: str | None = None
    champion_evaluation: "Evaluation | None" = None
    champion_trouble: str | None = None
    unseen: tuple[str, ...] = ()

    def verdict(self) -> "Verdict":
        """Apply the written rule of promotion."""
        from kalshiflow.learning.promotion import judge

        return judge(self.candidates, self.champion_evaluation, self.baselines)

    def rows(self) -> list[dict[str, Any]]:
        """Give one row of figures for everyone who was played, losses included."""
        played = [(evaluation.name, evaluation) for evaluation in self.baselines]
        if self.champion_evaluation is not None:
            played.append((f"champion {self.champion}", self.champion_evaluation))
        played += [
            (f"candidate {candidate.version}", candidate.evaluation)
            for candidate in self.candidates
            if candidate.evaluation is not None
        ]
        unseen = frozenset(self.unseen)
        return [_row(name, evaluation, unseen) for name, evaluation in played]


def play(
    registry: Registry,
    versions: Sequence[str],
    dataset: "Dataset",
    config: "WorldConfig",
    folder: Path,
    *,
    training_id: str,
    dataset_id: str,
    seed: int,
) -> Report:
    """Fetch the versions' bundles, and the champion's, from the registry and play them.

    They are played on what `dataset` evaluates on; what is judged are the bytes that the trader
    would load. `folder` keeps the bundles.
    """
    from kalshiflow.learning.evaluate import evaluate_baselines

    segments = dataset.evaluation
    champion = registry.with_alias(CHAMPION)
    champion_played, trouble = None, None
    if champion is not None:
        played = _play_one(registry, champion.version, segments, config, folder)
        champion_played = played.evaluation
        trouble = "; ".join(played.failed) if played.evaluation is None else None
    return Report(
        training_id=training_id,
        dataset_id=dataset_id,
        candidates=tuple(
            _play_one(registry, version, segments, config, folder) for version in versions
        ),
        baselines=evaluate_baselines(segments, config, seed),
        champion=None if champion is None else champion.version,
        champion_evaluation=champion_played,
        champion_trouble=trouble,
        unseen=tuple(sorted({one.ticker for one in segments if dataset.is_unseen(one)})),
    )


def _play_one(
    registry: Registry,
    version: str,
    segments: Sequence["Segment"],
    config: "WorldConfig",
    folder: Path,
) -> "Candidate":
    from kalshiflow.agent.policy import Policy, PolicyRejected
    from kalshiflow.learning.evaluate import evaluate_policy, integrity
    from kalshiflow.learning.promotion import Candidate

    try:
        policy = Policy.load(registry.download(version, folder / f"version-{version}"))
        evaluation = evaluate_policy(version, policy, segments, config)
    except PolicyRejected as rejected:
        return Candidate(version, None, (str(rejected),))
    woken_by = policy.manifest["training"]["woken_by"]
    return Candidate(version, evaluation, integrity(policy, evaluation), woken_by)


def report_to_json(report: Report) -> str:
    """Write a report; `report_from_json` reads it back."""
    from kalshiflow.learning.evaluate import evaluation_to_json

    champion = report.champion_evaluation
    values = {
        "format": FORMAT,
        "training_id": report.training_id,
        "dataset_id": report.dataset_id,
        "candidates": [
            {
                "version": candidate.version,
                "failed": list(candidate.failed),
                "woken_by": candidate.woken_by,
                "evaluation": candidate.evaluation and evaluation_to_json(candidate.evaluation),
            }
            for candidate in report.candidates
        ],
        "baselines": [evaluation_to_json(evaluation) for evaluation in report.baselines],
        "champion": report.champion,
        "champion_evaluation": champion and evaluation_to_json(champion),
        "champion_trouble": report.champion_trouble,
        "unseen": list(report.unseen),
    }
    return json.dumps(values, indent=1, sort_keys=True) + "\n"


def report_from_json(text: str) -> Report:
    """Read what `report_to_json` wrote; raises `ValueError` for another form."""
    from kalshiflow.learning.evaluate import evaluation_from_json
    from kalshiflow.learning.promotion import Candidate

    values: Mapping[str, Any] = json.loads(text)
    if values.get("format") != FORMAT:
        raise ValueError(f"a report in the form {values.get('format')!r}, not {FORMAT}")

    def evaluation(found: Mapping[str, Any] | None) -> "Evaluation | None":
        return None if found is None else evaluation_from_json(found)

    return Report(
        training_id=values["training_id"],
        dataset_id=values["dataset_id"],
        candidates=tuple(
            Candidate(
                one["version"],
                evaluation(one["evaluation"]),
                tuple(one["failed"]),
                one["woken_by"],
            )
            for one in values["candidates"]
        ),
        baselines=tuple(evaluation_from_json(one) for one in values["baselines"]),
        champion=values["champion"],
        champion_evaluation=evaluation(values["champion_evaluation"]),
        champion_trouble=values["champion_trouble"],
        unseen=tuple(values["unseen"]),
    )


def _row(name: str, evaluation: "Evaluation", unseen: frozenset[str]) -> dict[str, Any]:
    figures = evaluation.summary()
    of_unseen = _of_markets(evaluation, unseen).interval()
    return {
        "name": name,
        "pnl_dollars": figures["profit_per_market"],
        "low_dollars": figures["profit_low"],
        "high_dollars": figures["profit_high"],
        "markets": figures["markets"],
        "unseen_pnl_dollars": of_unseen.mean if of_unseen.markets else None,
        "unseen_low_dollars": of_unseen.low,
        "unseen_high_dollars": of_unseen.high,
        "unseen_markets": of_unseen.markets,
        "profit_dollars": figures["profit"],
        "fees_dollars": figures["fees"],
        "fills": figures["fills"],
        "decisions": figures["steps"],
        "forbidden": figures["forbidden"],
        **figures["actions"],
    }


def _of_markets(evaluation: "Evaluation", tickers: frozenset[str]) -> "Evaluation":
    results = tuple(result for result in evaluation.results if result.ticker in tickers)
    return replace(evaluation, results=results)

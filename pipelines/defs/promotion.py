"""The promotion: the verdict is stored for good, then the alias moves."""

from typing import TYPE_CHECKING, Any

import dagster as dg

from kalshiflow.store.database import Store
from kalshiflow.store.training import add_promotion, update_training
from pipelines.defs.evaluation import policy_evaluation
from pipelines.handover import left_by, text_left_by
from pipelines.judging import Report, report_from_json
from pipelines.registry import CHALLENGER, CHAMPION, MODEL, PREVIOUS, PolicyVersion, Registry
from pipelines.resources import Database, Policies, Variables

if TYPE_CHECKING:
    from kalshiflow.learning.promotion import Verdict


@dg.asset(
    deps=[policy_evaluation],
    group_name="learning",
    kinds={"mlflow", "postgres"},
    description="The verdict on the candidates; a promoted one is the alias champion.",
)
def promoted_policy(
    context: dg.AssetExecutionContext,
    database: Database,
    policies: Policies,
    variables: Variables,
) -> dg.MaterializeResult[None]:
    """Judge the latest evaluation, store the verdict, and move the alias where it says so."""
    left = left_by(context.instance, "policy_evaluation")
    report = report_from_json(text_left_by(left))
    registry = policies.registry()
    champion = registry.with_alias(CHAMPION)
    verdict = report.verdict()
    _refuse_other_champion(report, verdict, champion)
    version = registry.at(verdict.version or report.candidates[0].version)
    stored = stored_verdict(verdict, report)

    async def record(store: Store) -> int:
        return await add_promotion(
            store,
            kind=verdict.kind.value,
            model_name=MODEL,
            model_version=version.version,
            alias=CHAMPION if verdict.is_promoted else None,
            fingerprint=version.tags["fingerprint"],
            verdict=stored,
            who="pipelines",
            why="; ".join(verdict.reasons),
            at=variables.now(),
        )

    promotion_id = database.run(record)  # committed before any alias moves
    if verdict.is_promoted:
        promote(registry, version, champion)
    elif verdict.version:  # the best sound one; what fails a gate is nobody's challenger
        registry.set_alias(CHALLENGER, version.version)
    registry.tag(
        version.version,
        {"verdict": verdict.kind.value, "promotion_id": str(promotion_id)},
    )

    async def finish(store: Store) -> None:
        await update_training(
            store,
            report.training_id,
            status="done",
            model_version=version.version,
            verdict=stored,
            ended_at=variables.now(),
        )

    database.run(finish)
    return dg.MaterializeResult(
        metadata={
            "verdict": dg.MetadataValue.text(verdict.kind.value),
            "version": dg.MetadataValue.text(version.version),
            "alias": dg.MetadataValue.text(_alias_of(verdict)),
            "previous champion": dg.MetadataValue.text(champion.version if champion else "none"),
            "fingerprint": dg.MetadataValue.text(version.tags["fingerprint"]),
            "promotion_id": dg.MetadataValue.int(promotion_id),
            "training_id": dg.MetadataValue.text(report.training_id),
            "reasons": dg.MetadataValue.md("\n".join(f"- {one}" for one in verdict.reasons)),
            "comparison": dg.MetadataValue.md(verdict.table),
            "page": dg.MetadataValue.url(registry.page_of(version)),
        }
    )


def promote(registry: Registry, version: PolicyVersion, champion: PolicyVersion | None) -> None:
    """Make a version the champion; the one before it stays at hand as `previous`."""
    if champion is not None and champion.version != version.version:
        registry.set_alias(PREVIOUS, champion.version)
    registry.set_alias(CHAMPION, version.version)
    registry.remove_alias(CHALLENGER)


def stored_verdict(verdict: "Verdict", report: Report) -> dict[str, Any]:
    """Give what stands in the database for good: the rule, its outcome, everyone's figures."""
    told = verdict.to_json()
    return {
        **told,
        "markdown": told["table"],
        "table": report.rows(),
        "training_id": report.training_id,
        "dataset_id": report.dataset_id,
        "champion": report.champion,
        "champion_trouble": report.champion_trouble,
    }


def _alias_of(verdict: "Verdict") -> str:
    if verdict.is_promoted:
        return CHAMPION
    return CHALLENGER if verdict.version else "none"


def _refuse_other_champion(
    report: Report, verdict: "Verdict", champion: PolicyVersion | None
) -> None:
    now = champion.version if champion else None
    if now in {report.champion, verdict.version}:  # the latter: a run that broke off, repeated
        return
    raise dg.Failure(
        f"the champion was {report.champion or 'none'} when the candidates were played and is "
        f"{now or 'none'} now: materialise policy_evaluation again",
        allow_retries=False,
    )

"""The written rule by which a candidate becomes the policy that trades.

1. A candidate that fails an integrity gate is out.
2. The best of the rest, by mean profit per market, is judged; its intervals are widened for the
   number of candidates compared (Bonferroni), as the best of several looks better than it is.
3. It becomes `champion` if the lower bound of its profit lies above doing nothing (zero) and, where
   there is a champion, the lower bound of the paired difference to it lies above zero too.
4. Where no champion could be played and the best does not reach that, it goes in as `bootstrap`:
   somebody has to act for the loop to close, and the verdict says what it is worth, losses
   included.
5. Else it is `refused`, and the champion stays.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from kalshiflow.agent.action import ACTIONS
from kalshiflow.learning.evaluate import Evaluation, Interval, paired
from kalshiflow.market.units import CASH_PER_DOLLAR

LEVEL = 0.05
RULE = "v1: lower bound of profit per market above 0 and above the champion's, paired by market"


class VerdictKind(StrEnum):
    """What became of the candidates."""

    CHAMPION = "champion"
    BOOTSTRAP = "bootstrap"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A policy that may be promoted: its evaluation and the integrity gates it failed.

    A bundle that would not load has no evaluation, and the reason among `failed`. `woken_by` is
    what was taken from HOLD's score after the training, see `learning.train.wake`.
    """

    version: str
    evaluation: Evaluation | None
    failed: tuple[str, ...] = ()
    woken_by: float = 0.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome: `version` is the promoted candidate's, or the best one's if it was refused."""

    kind: VerdictKind
    version: str | None
    reasons: tuple[str, ...]
    table: str
    profit: Interval | None = None
    against_champion: Interval | None = None

    @property
    def is_promoted(self) -> bool:
        """Say whether the alias moves."""
        return self.kind is not VerdictKind.REFUSED

    def to_json(self) -> dict[str, Any]:
        """Give the verdict as plain values."""
        return {
            "rule": RULE,
            "kind": self.kind.value,
            "version": self.version,
            "reasons": list(self.reasons),
            "table": self.table,
            "profit": _interval_to_json(self.profit),
            "against_champion": _interval_to_json(self.against_champion),
        }


def judge(
    candidates: Sequence[Candidate],
    champion: Evaluation | None,
    baselines: Sequence[Evaluation] = (),
) -> Verdict:
    """Apply the rule. `champion` is the present champion played on the same segments.

    It is `None` where there is none, or where its bundle is refused, so that it cannot act either.
    """
    table = comparison(candidates, champion, baselines)
    out = tuple(f"{c.version}: {'; '.join(c.failed)}" for c in candidates if c.failed)
    sound = [(c, c.evaluation) for c in candidates if c.evaluation is not None and not c.failed]
    if not sound:
        reason = "no candidate passed the integrity gates"
        return Verdict(VerdictKind.REFUSED, None, (reason, *out), table)
    best, evaluation = max(sound, key=lambda pair: pair[1].interval().mean)
    confidence = 1.0 - LEVEL / len(candidates)
    profit = evaluation.interval(confidence)
    difference = None if champion is None else paired(evaluation, champion, confidence)
    reasons = [f"dollars of profit per market: {profit}; doing nothing brings 0"]
    if best.woken_by:
        reasons.append(f"it had learned to hold and was woken: HOLD's score less {best.woken_by:g}")
    if difference is not None:
        reasons.append(f"difference to the champion, dollars per market: {difference}")
    wins = profit.is_above_zero and (difference is None or difference.is_above_zero)
    kind = VerdictKind.CHAMPION if wins else VerdictKind.REFUSED
    if not wins and champion is None:
        kind = VerdictKind.BOOTSTRAP
        reasons.append("no champion could be played: the best sound candidate goes in unproven")
    return Verdict(kind, best.version, (*reasons, *out), table, profit, difference)


def comparison(
    candidates: Sequence[Candidate],
    champion: Evaluation | None,
    baselines: Sequence[Evaluation],
) -> str:
    """Write the honest comparison as a Markdown table, money in dollars, losses included."""
    lines = [
        "| who | profit per market | all | fees | fills | decisions | "
        + " | ".join(row.action.name for row in ACTIONS)
        + " |",
        "|---|---|---|---|---|---|" + "---|" * len(ACTIONS),
    ]
    lines += [_line(b.name, b) for b in baselines]
    if champion is not None:
        lines.append(_line(f"champion ({champion.name})", champion))
    for candidate in candidates:
        who = f"candidate {candidate.version}"
        if candidate.evaluation is None:
            lines.append(f"| {who} | {'; '.join(candidate.failed)} |" + " |" * (4 + len(ACTIONS)))
        else:
            lines.append(_line(who, candidate.evaluation))
    return "\n".join(lines)


def _line(who: str, evaluation: Evaluation) -> str:
    steps = max(evaluation.steps, 1)
    shares = " | ".join(f"{count / steps:.1%}" for count in evaluation.actions)
    return (
        f"| {who} | {evaluation.interval()} | {evaluation.profit / CASH_PER_DOLLAR:+.2f} "
        f"| {evaluation.fees / CASH_PER_DOLLAR:.2f} | {evaluation.fills} | {evaluation.steps} "
        f"| {shares} |"
    )


def _interval_to_json(interval: Interval | None) -> Mapping[str, Any] | None:
    if interval is None:
        return None
    return {
        "mean": interval.mean,
        "low": interval.low,
        "high": interval.high,
        "confidence": interval.confidence,
        "markets": interval.markets,
    }

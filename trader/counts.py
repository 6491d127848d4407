"""What the trader counts of a run, for its status, its metrics and its screens."""

from dataclasses import dataclass, field

from kalshiflow.agent.action import ACTIONS


@dataclass(slots=True)
class Counts:
    """Sums since the start of the run.

    Decisions: `forbidden` chose what the mask forbids, `refused` were stopped by risk, `deferred`
    waited for an order's answer. Orders: `placed` were decided, `dropped` never sent, `unknown` had
    no clear answer; `foreign` frames spoke of orders that are not ours. How orders ended stands in
    `OrderTable.ends`.
    """

    decisions: int = 0
    actions: list[int] = field(default_factory=lambda: [0] * len(ACTIONS))
    forbidden: int = 0
    refused: int = 0
    deferred: int = 0
    placed: int = 0
    dropped: int = 0
    unknown: int = 0
    foreign: int = 0
    fills: int = 0
    reconciled: int = 0
    drifts: int = 0

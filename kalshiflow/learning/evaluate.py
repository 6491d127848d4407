"""How a policy does on recordings it has not learned from: profit by market, with its doubt."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kalshiflow.agent.action import ACTIONS, fingerprint
from kalshiflow.agent.policy import Policy
from kalshiflow.learning.baselines import Chooser, hold_rows, policy_rows, random_rows
from kalshiflow.learning.episodes.segments import Segment
from kalshiflow.learning.play import SegmentResult, play_lanes, play_worlds
from kalshiflow.learning.world_config import WorldConfig
from kalshiflow.market.units import CASH_PER_DOLLAR, Cash

LEAST_MARKETS = 5  # with fewer, a bootstrap over markets says nothing
RESAMPLES = 4_000


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over markets in dollars and its two-sided bootstrap interval.

    The bounds are `None` where there are too few markets to tell.
    """

    mean: float
    low: float | None
    high: float | None
    confidence: float
    markets: int

    @property
    def is_above_zero(self) -> bool:
        """Say whether even the lower bound is a gain."""
        return self.low is not None and self.low > 0

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"{self.mean:+.2f} (no interval from {self.markets} markets)"
        share = f"{self.confidence * 100:.3g}%"
        return f"{self.mean:+.2f} [{self.low:+.2f}, {self.high:+.2f}] with {share} confidence"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What one chooser did over all evaluation segments; `actions` counts by action number."""

    name: str
    results: tuple[SegmentResult, ...]
    actions: tuple[int, ...]

    @property
    def steps(self) -> int:
        """Give the number of decisions."""
        return sum(result.steps for result in self.results)

    @property
    def fills(self) -> int:
        """Give the number of fills."""
        return sum(result.fills for result in self.results)

    @property
    def fees(self) -> Cash:
        """Give all fees paid."""
        return Cash(sum(result.fees for result in self.results))

    @property
    def profit(self) -> Cash:
        """Give the profit over all segments, fees paid."""
        return Cash(sum(result.profit for result in self.results))

    @property
    def by_market(self) -> dict[str, float]:
        """Give each market's profit in dollars, over all of its segments."""
        profits: defaultdict[str, int] = defaultdict(int)
        for result in self.results:
            profits[result.ticker] += result.profit
        return {ticker: profits[ticker] / CASH_PER_DOLLAR for ticker in sorted(profits)}

    def interval(self, confidence: float = 0.95) -> Interval:
        """Give the mean profit of a market in dollars, resampled by market."""
        return bootstrap(list(self.by_market.values()), confidence)

    def summary(self) -> dict[str, Any]:
        """Give the figures as plain values, for manifests, metrics and tables."""
        interval = self.interval()
        return {
            "name": self.name,
            "segments": len(self.results),
            "markets": interval.markets,
            "profit_per_market": interval.mean,
            "profit_low": interval.low,
            "profit_high": interval.high,
            "confidence": interval.confidence,
            "profit": self.profit / CASH_PER_DOLLAR,
            "fees": self.fees / CASH_PER_DOLLAR,
            "fills": self.fills,
            "steps": self.steps,
            "actions": {row.action.name: self.actions[row.action] for row in ACTIONS},
            "forbidden": sum(result.forbidden for result in self.results),
        }


def evaluate(
    name: str, choose: Chooser, segments: Sequence[Segment], config: WorldConfig
) -> Evaluation:
    """Play every segment once from its beginning, each with a budget of its own."""
    return Evaluation(name, *play_worlds(choose, segments, config))


def evaluate_policy(
    name: str, policy: Policy, segments: Sequence[Segment], config: WorldConfig
) -> Evaluation:
    """Evaluate a policy; raises `PolicyRejected` where one of its scores is not finite."""
    return Evaluation(name, *play_lanes(policy_rows(policy), segments, config))


def evaluate_baselines(
    segments: Sequence[Segment], config: WorldConfig, seed: int
) -> tuple[Evaluation, ...]:
    """Evaluate doing nothing and acting at random, under the same masks."""
    return (
        Evaluation("hold", *play_lanes(hold_rows, segments, config)),
        Evaluation("random", *play_lanes(random_rows(seed), segments, config)),
    )


def paired(candidate: Evaluation, other: Evaluation, confidence: float = 0.95) -> Interval:
    """Give the mean difference by market of two evaluations on the same segments.

    Raises `ValueError` where the segments differ.
    """
    if [_key(r) for r in candidate.results] != [_key(r) for r in other.results]:
        raise ValueError(f"{candidate.name} and {other.name} were not played on the same segments")
    mine, theirs = candidate.by_market, other.by_market
    return bootstrap([mine[ticker] - theirs[ticker] for ticker in mine], confidence)


def bootstrap(values: Sequence[float], confidence: float, seed: int = 0) -> Interval:
    """Give the mean of values, one for each market, with its percentile bootstrap interval."""
    sample: NDArray[np.float64] = np.asarray(values, dtype=np.float64)
    mean = float(sample.mean()) if len(sample) else 0.0
    if len(sample) < LEAST_MARKETS:
        return Interval(mean, None, None, confidence, len(sample))
    random = np.random.default_rng(seed)
    means = random.choice(sample, (RESAMPLES, len(sample))).mean(axis=1)
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(means, [tail, 1.0 - tail])
    return Interval(mean, float(low), float(high), confidence, len(sample))


def integrity(policy: Policy, evaluation: Evaluation) -> tuple[str, ...]:
    """Give the reasons why a policy must not act, if there are any.

    Loading it has checked its files, its probe and its fingerprint, and playing it that each of its
    scores was finite; what is left is whether it is alive.
    """
    failed: list[str] = []
    if policy.manifest["fingerprint"] != fingerprint():
        failed.append("its fingerprint is not that of our tables")
    used = [row.action.name for row in ACTIONS if evaluation.actions[row.action]]
    if len(used) < 2:
        failed.append(f"it takes one action only: {', '.join(used) or 'none'}")
    return tuple(failed)


def evaluation_to_json(evaluation: Evaluation) -> dict[str, Any]:
    """Write an evaluation as plain values; `evaluation_from_json` reads it back."""
    fields = SegmentResult.__dataclass_fields__
    return {
        "name": evaluation.name,
        "actions": list(evaluation.actions),
        "results": [{name: getattr(r, name) for name in fields} for r in evaluation.results],
    }


def evaluation_from_json(values: Mapping[str, Any]) -> Evaluation:
    """Read what `evaluation_to_json` wrote."""
    results = tuple(SegmentResult(**result) for result in values["results"])
    return Evaluation(values["name"], results, tuple(values["actions"]))


def _key(result: SegmentResult) -> tuple[str, str, int, int]:
    return (result.ticker, result.session_id, result.starts_at, result.ends_at)

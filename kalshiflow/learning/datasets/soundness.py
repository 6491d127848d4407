"""Which features would teach nothing, or nonsense: those that never vary, repeat another, explode.

A feature that is no number, or lies beyond its range, is at fault whatever the recordings are. One
that never varies or repeats another is at fault too, unless the recordings cannot tell, which is
said beside it: its one source was not recorded (`SOURCES`), there are fewer than `LEAST_DECISIONS`
decisions, or one of two that are alike took fewer than `LEAST_VALUES` different values. With such
excuses alone a dataset is usable, with a warning.
"""

from collections.abc import Callable
from dataclasses import dataclass

from kalshiflow.learning.datasets.moments import FeatureStatistics
from kalshiflow.learning.datasets.statistics import Alike, Sources, Statistics

LEAST_DECISIONS = 1_000
LEAST_VALUES = 10
FAR = 30 * 24 * 3_600_000_000_000  # from a close so far off, an hour makes no difference to be seen


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with a feature, and why the recordings cannot tell, where they cannot."""

    feature: str
    fault: str
    excuse: str | None = None

    @property
    def is_excused(self) -> bool:
        """Say whether the dataset is usable all the same."""
        return self.excuse is not None

    def __str__(self) -> str:
        told = f"{self.feature}: {self.fault}"
        return f"{told} ({self.excuse})" if self.excuse else told


def _no_trades(sources: Sources) -> str | None:
    if sources.trades:
        return None
    if sources.trades_recorded:
        return "no public trade happened"
    return "public trades were not recorded"


def _no_closes(sources: Sources) -> str | None:
    if sources.nearest_close is None:
        return "no market's time of closing is known"
    return "no market closes within 30 days" if sources.nearest_close >= FAR else None


# Features that are made of one source alone, and why that may say nothing.
SOURCES: dict[str, Callable[[Sources], str | None]] = {
    "last_trade": _no_trades,
    "last_trade_size": _no_trades,
    "trade_flow": _no_trades,
    "trade_volume": _no_trades,
    "since_trade": _no_trades,
    "time_to_close": _no_closes,
}


def findings(statistics: Statistics) -> tuple[Finding, ...]:
    """Give what is wrong with the features of a dataset, in the table's order."""
    found: list[Finding] = []
    sources = statistics.sources
    features = {one.name: one for one in statistics.features}
    for one in statistics.features:
        if one.not_finite:
            found.append(Finding(one.name, f"{one.not_finite} times it is no number"))
        if one.outside:
            found.append(Finding(one.name, f"{one.outside} times it lies beyond its range"))
        if not one.rows:
            found.append(Finding(one.name, "it was never observed"))
        if one.is_constant:
            fault = f"it is {one.lowest:.6g} in all of {one.rows} decisions"
            found.append(Finding(one.name, fault, _why_constant(one, sources)))
    for pair in statistics.alike:
        fault = f"it repeats {pair.one}: their correlation is {pair.correlation:.6f}"
        found.append(Finding(pair.other, fault, _why_alike(pair, features, sources)))
    return tuple(found)


def _why_constant(one: FeatureStatistics, sources: Sources) -> str | None:
    missing = SOURCES[one.name](sources) if one.name in SOURCES else None
    return missing or _too_few(sources)


def _why_alike(pair: Alike, features: dict[str, FeatureStatistics], sources: Sources) -> str | None:
    for name in (pair.one, pair.other):
        if features[name].values < LEAST_VALUES:
            return f"{name} took {features[name].values} different values only"
    return _too_few(sources)


def _too_few(sources: Sources) -> str | None:
    if sources.decisions >= LEAST_DECISIONS:
        return None
    return f"{sources.decisions} decisions are too few to tell"

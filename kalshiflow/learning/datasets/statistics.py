"""How the 52 features lie in what is learned from: as recorded, and as an account would see them.

What is seen of the market is observed at every decision of the part that is learned from. What is
seen of one's own affairs says nothing without an account, so those features are taken from accounts
that act at random in the learning environment: of `SIZES` times the configured budget and order, so
that orders rest, and closing takes more than one level, in deep books too. The same dataset gives
the same bytes.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kalshiflow.agent.features import FEATURES, OBSERVATION_SIZE, Group
from kalshiflow.learning.bulk import Observations, Stream
from kalshiflow.learning.datasets.coverage import Coverage
from kalshiflow.learning.datasets.moments import FeatureStatistics, Moments
from kalshiflow.learning.datasets.parting import Parts
from kalshiflow.learning.episodes.segments import Segment
from kalshiflow.learning.world import WorldConfig
from kalshiflow.market.flat import CLOSES, TRADE, UNKNOWN
from kalshiflow.market.units import Cash, Quantity

FORMAT = "kalshiflow-statistics-1"
LANES = 32
STEPS_PER_LANE = 128
SIZES = (1, 10, 100)
ALIKE = 0.9999
OF_MARKET = frozenset({Group.MARKET, Group.TEMPORAL})
_NAMES = tuple(feature.name for feature in FEATURES)
_LOW = np.array([feature.low for feature in FEATURES], np.float32)
_HIGH = np.array([feature.high for feature in FEATURES], np.float32)

Times = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Sources:
    """What the part that is learned from has for features to be made of.

    `trades_recorded` and `closes_known` count segments, `trades` public trades; `nearest_close` is
    the least market time from the beginning of a segment to its market's close.
    """

    segments: int = 0
    decisions: int = 0
    trades: int = 0
    trades_recorded: int = 0
    closes_known: int = 0
    nearest_close: int | None = None
    random_decisions: int = 0


@dataclass(frozen=True, slots=True)
class Alike:
    """Two features that say the same: their correlation is beyond `ALIKE`."""

    one: str
    other: str
    correlation: float


@dataclass(frozen=True, slots=True)
class Statistics:
    """Every feature's statistics, in the table's order, and what they were made of.

    `terms` are those of the account's decisions, as `WorldConfig` has them.
    """

    features: tuple[FeatureStatistics, ...]
    alike: tuple[Alike, ...]
    sources: Sources
    terms: Mapping[str, Any]

    def to_json(self) -> str:
        """Write them in their one exact form."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Statistics":
        """Read what `to_json` wrote; raises `ValueError` for another form."""
        values: Mapping[str, Any] = json.loads(text)
        if values.get("format") != FORMAT:
            raise ValueError(f"statistics in the form {values.get('format')!r}, not {FORMAT}")
        features = tuple(
            FeatureStatistics(**{**one, "quantiles": tuple(one["quantiles"])})
            for one in values["features"]
        )
        alike = tuple(Alike(**one) for one in values["alike"])
        return cls(features, alike, Sources(**values["sources"]), values["terms"])


def is_of_market(name: str) -> bool:
    """Say whether a feature speaks of the market, not of one's own affairs."""
    return FEATURES[_NAMES.index(name)].group in OF_MARKET


@dataclass(frozen=True, slots=True)
class Measured:
    """A dataset's statistics, and what each of its parts covers."""

    statistics: Statistics
    learn: Coverage
    evaluation: Coverage


def measure(parts: Iterable[Parts], config: WorldConfig, seed: int) -> Measured:
    """Observe both parts of a dataset, given piece by piece as (learned from, evaluated on)."""
    gathering, learn, evaluation = _Gathering(config), Coverage(), Coverage()
    for one, other in parts:
        if one is not None:
            learn.add(one, gathering.add(one))
        if other is not None:
            chunks = [chunk.times for chunk in observed(other, config)]
            evaluation.add(other, _joined(chunks))
    return Measured(gathering.statistics(seed), learn, evaluation)


def observed(segment: Segment, config: WorldConfig) -> Iterator[Observations]:
    """Give a segment's observations as decisions are due, by an account that holds nothing."""
    stream = Stream(config, throttle=config.throttle)
    stream.begin(0, segment.market)
    return stream.read(segment.events, np.zeros(len(segment.events), np.int32))


def acted_at_random(
    segments: Sequence[Segment], config: WorldConfig, seed: int
) -> Iterator[NDArray[np.float32]]:
    """Give what accounts see that take any allowed action, in the environment of training."""
    from kalshiflow.learning.lanes.vec_env import LaneVecEnv

    random = np.random.default_rng(seed)
    for size in SIZES:
        sized = replace(
            config,
            budget=Cash(config.budget * size),
            order_quantity=Quantity(config.order_quantity * size),
        )
        lanes = LaneVecEnv(segments, sized, lanes=LANES, seed=seed)
        rows = lanes.reset()
        for _ in range(STEPS_PER_LANE):
            allowed = rows[:, OBSERVATION_SIZE:]
            lanes.step_async(np.argmax(allowed * random.random(allowed.shape), axis=1))
            rows = lanes.step_wait()[0]
            yield rows[:, :OBSERVATION_SIZE]


class _Gathering:
    """Takes in the segments that are learned from, one after the other."""

    def __init__(self, config: WorldConfig) -> None:
        self._config = config
        self._recorded = Moments(_NAMES, _LOW, _HIGH)
        self._sources = Sources()
        self._segments: list[Segment] = []

    def add(self, segment: Segment) -> Times:
        """Observe a segment, and give the times of its decisions."""
        chunks: list[Times] = []
        for chunk in observed(segment, self._config):
            self._recorded.add(chunk.rows)
            chunks.append(chunk.times)
        times, seen = _joined(chunks), self._sources
        left = _to_close(segment)
        self._sources = replace(
            seen,
            segments=seen.segments + 1,
            decisions=seen.decisions + len(times),
            trades=seen.trades + int(np.count_nonzero(segment.events.kinds == TRADE)),
            trades_recorded=seen.trades_recorded + segment.has_trades,
            closes_known=seen.closes_known + (left is not None),
            nearest_close=_least(seen.nearest_close, left),
        )
        self._segments.append(segment)
        return times

    def statistics(self, seed: int) -> Statistics:
        """Act in the segments that were taken in, and give the statistics."""
        acted, count = Moments(_NAMES, _LOW, _HIGH), 0
        for rows in acted_at_random(self._segments, self._config, seed):
            acted.add(rows)
            count += len(rows)
        recorded, own = self._recorded.statistics(), acted.statistics()
        return Statistics(
            tuple(
                recorded[number] if feature.group in OF_MARKET else own[number]
                for number, feature in enumerate(FEATURES)
            ),
            _alike(self._recorded, acted),
            replace(self._sources, random_decisions=count),
            json.loads(json.dumps(asdict(self._config))),  # as they come back from a file
        )


def _alike(recorded: Moments, acted: Moments) -> tuple[Alike, ...]:
    """Find what says the same: the market's features as recorded, all others as acted upon."""
    found: list[Alike] = []
    for one in range(OBSERVATION_SIZE):
        for other in range(one):
            both = {FEATURES[one].group, FEATURES[other].group}
            moments = recorded if both <= OF_MARKET else acted
            correlation = moments.correlation(other, one)
            if abs(correlation) > ALIKE:
                found.append(Alike(_NAMES[other], _NAMES[one], correlation))
    return tuple(found)


def _to_close(segment: Segment) -> int | None:
    """Give the time from a segment's beginning to its market's close, if it is ever known."""
    told = segment.events.quantities[segment.events.kinds == CLOSES].tolist()
    known = [close for close in (segment.market.close_time, *told) if close not in {None, UNKNOWN}]
    return min(known) - segment.starts_at if known else None


def _least(one: int | None, other: int | None) -> int | None:
    return min((left for left in (one, other) if left is not None), default=None)


def _joined(chunks: Sequence[Times]) -> Times:
    return np.concatenate([np.zeros(0, np.int64), *chunks])

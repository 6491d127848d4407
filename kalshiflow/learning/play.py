"""Every segment played once, whole: by one world, or by compiled lanes side by side.

There is no time limit here: what an episode of a training may last is no concern of a judge.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kalshiflow.agent.action import ACTION_COUNT
from kalshiflow.learning.baselines import Chooser, RowChooser
from kalshiflow.learning.episodes.segments import Segment
from kalshiflow.learning.lanes.layout import DONE_AT, FILLS, PAID, REFUSALS, STEPS, VALUE
from kalshiflow.learning.lanes.players import Players
from kalshiflow.learning.world import World
from kalshiflow.learning.world_config import NoDecision, WorldConfig
from kalshiflow.market.units import Cash

LANES = 64

Numbers = NDArray[np.int64]

_NOTHING_DONE = np.zeros(ACTION_COUNT, np.int64)


@dataclass(frozen=True, slots=True)
class SegmentResult:
    """One segment played: `profit` and `fees` in microdollars."""

    ticker: str
    session_id: str
    starts_at: int
    ends_at: int
    profit: Cash
    fees: Cash
    fills: int
    steps: int
    forbidden: int


Played = tuple[tuple[SegmentResult, ...], tuple[int, ...]]


def play_worlds(choose: Chooser, segments: Sequence[Segment], config: WorldConfig) -> Played:
    """Play segment after segment; gives the results and how often each action was done."""
    world = World(replace(config, longest=0))
    lanes: list[Numbers] = []
    for number, segment in enumerate(segments):
        world.start(segment, number)
        is_over = False
        while not is_over:
            step = world.step(choose(world, world.mask()))
            is_over = step.terminated or step.truncated
        lanes.append(np.array(world.numbers(), np.int64))
    return _played(segments, lanes, config)


def play_lanes(choose: RowChooser, segments: Sequence[Segment], config: WorldConfig) -> Played:
    """Play many segments at a time: the same as `play_worlds` where the choices are the same.

    Raises `NoDecision` for a segment in which nothing can be decided.
    """
    count = len(segments)
    lanes = min(LANES, count)
    finished: list[Numbers] = [np.zeros(0, np.int64)] * count
    playing = np.arange(lanes)  # one that has no segment left plays any, and nobody looks
    if count:
        players = _players(segments, config, lanes)
        players.following[:] = players.seeds[:] = playing
        rows = players.start()
        players.following[:] = players.seeds[:] = (playing + lanes) % count
    while (is_live := playing < count).any():
        actions = np.zeros(lanes, np.int64)
        actions[is_live] = choose(rows[is_live])
        rows, _, dones = players.step(actions)
        for lane in np.flatnonzero(dones & is_live).tolist():
            finished[playing[lane]] = players.results[lane].copy()
            playing[lane] += lanes
            players.following[lane] = players.seeds[lane] = (playing[lane] + lanes) % count
    return _played(segments, finished, config)


def _players(segments: Sequence[Segment], config: WorldConfig, lanes: int) -> Players:
    players = Players(segments, replace(config, longest=0), lanes)
    if len(players.playable) < len(segments):
        lost = min(set(range(len(segments))).difference(players.playable.tolist()))
        raise NoDecision(f"nothing can be decided in segment {lost} of {len(segments)}")
    return players


def _played(
    segments: Sequence[Segment], finished: Sequence[Numbers], config: WorldConfig
) -> Played:
    """Give results and actions from what stood in each segment's `lane` at its end."""
    pairs = zip(segments, finished, strict=True)
    results = tuple(_result(segment, lane, config.budget) for segment, lane in pairs)
    done = sum((lane[DONE_AT : DONE_AT + ACTION_COUNT] for lane in finished), _NOTHING_DONE)
    return results, tuple(done.tolist())


def _result(segment: Segment, lane: Numbers, budget: Cash) -> SegmentResult:
    return SegmentResult(
        ticker=segment.ticker,
        session_id=segment.session_id,
        starts_at=segment.starts_at,
        ends_at=segment.ends_at,
        profit=Cash(int(lane[VALUE]) - budget),
        fees=Cash(int(lane[PAID])),
        fills=int(lane[FILLS]),
        steps=int(lane[STEPS]),
        forbidden=int(lane[REFUSALS]),
    )

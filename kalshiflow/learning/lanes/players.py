"""Any number of episodes in arrays, a row for each, stepped by compiled functions."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kalshiflow.agent.action import ACTION_COUNT, DECISION_SIZE
from kalshiflow.agent.features import OBSERVATION_SIZE
from kalshiflow.agent.layout import FLOWS_SIZE, seen_size
from kalshiflow.learning.compiled import compiled
from kalshiflow.learning.episodes.segments import Segment
from kalshiflow.learning.lanes.joined import Joined, join
from kalshiflow.learning.lanes.layout import (
    ENDING,
    GOES_ON,
    IMPOSSIBLE,
    LANE_SIZE,
    NOW,
    market_size,
)
from kalshiflow.learning.lanes.loop import step_lanes
from kalshiflow.learning.world_config import NoDecision, WorldConfig
from kalshiflow.market.book import BookCorrupt
from kalshiflow.market.fees import fits_63_bits
from kalshiflow.market.units import Quantity, quantity_to_contracts
from kalshiflow.simulator.told import told_size

ROW_SIZE = OBSERVATION_SIZE + ACTION_COUNT
COMPILED = (step_lanes,)

Rows = NDArray[np.float32]
Whole = NDArray[np.int64]


class Players:
    """`lanes` episodes at a time. A lane's next one is of the segment that `following` names.

    Raises `ValueError` for a market whose fees on all that the budget can buy would not fit the
    whole numbers of compiled code.

    Of a lane whose episode has just ended, `results` has the numbers of `layout` and
    `last_rows` what was seen last. `playable` are the segments in which something can be decided.
    """

    def __init__(
        self,
        segments: Sequence[Segment],
        config: WorldConfig,
        lanes: int,
        reward_scale: float = 1.0,
    ) -> None:
        _check_fees(segments, config)
        joined = join(segments)
        self.following = np.zeros(lanes, np.int64)
        self.seeds = np.zeros(lanes, np.int64)
        self.last_rows: Rows = np.zeros((lanes, ROW_SIZE), np.float32)
        self.results: Whole = np.zeros((lanes, LANE_SIZE), np.int64)
        self._scale = reward_scale
        self._lanes = _room_for(lanes, joined.grid_size)
        self._room = (
            np.zeros(told_size(joined.grid_size), np.int64),
            np.zeros(max(ACTION_COUNT, DECISION_SIZE), np.int64),
        )
        self._rules = (
            np.array(config.terms(), np.int64),
            np.array(config.delays(), np.int64),
            np.array(config.risk.weights(), np.float64),
        )
        self._recording = _columns(joined)
        self._step = compiled(step_lanes)
        self.playable = self._find_playable(len(segments))

    @property
    def lanes(self) -> Whole:
        """Give the numbers of every lane, see `layout`; for reading."""
        return self._lanes[0]

    def start(self) -> Rows:
        """Begin an episode in every lane, and give what they see."""
        return self._run(np.zeros(len(self.following), np.int64), are_new=True)[0]

    def step(self, actions: Whole) -> tuple[Rows, NDArray[np.float32], NDArray[np.bool_]]:
        """Step every lane; give what they see, their rewards, and which episodes have ended.

        Raises `BookCorrupt` where a recorded change cannot be true.
        """
        stepped = self._run(actions, are_new=False)
        if stepped[2].any():
            self._refuse_impossible(stepped[2])
        return stepped

    def _run(
        self, actions: Whole, *, are_new: bool
    ) -> tuple[Rows, NDArray[np.float32], NDArray[np.bool_]]:
        rows = np.empty_like(self.last_rows)
        rewards = np.empty(len(rows), np.float32)
        dones = np.empty(len(rows), np.bool_)
        out = (rows, rewards, dones, self.last_rows, self.results)
        self._step(
            self._lanes, self._room, self._rules, self._recording, (self.following, self.seeds),
            are_new, actions, self._scale, out,
        )  # fmt: skip
        return rows, rewards, dones

    def _refuse_impossible(self, dones: NDArray[np.bool_]) -> None:
        for result in self.results[dones]:
            if result[ENDING] == IMPOSSIBLE:
                raise BookCorrupt(f"a recorded level would fall below zero at {result[NOW]}")

    def _find_playable(self, count: int) -> Whole:
        lanes = len(self.following)
        found: list[int] = []
        for first in range(0, count, lanes):
            self.following[:] = np.minimum(np.arange(first, first + lanes), count - 1)
            self.start()
            decides = self.lanes[: count - first, ENDING] == GOES_ON
            found += (first + np.flatnonzero(decides)).tolist()
        if not found:
            raise NoDecision(f"nothing can be decided in any of {count} segments")
        return np.array(found)


def _check_fees(segments: Sequence[Segment], config: WorldConfig) -> None:
    for market in (segment.market for segment in segments):
        most = max(config.order_quantity, config.budget // market.grid.prices[0])
        if not fits_63_bits(market.fees, most):
            raise ValueError(
                f"{market.ticker}: fees with the multiplier {market.fees.multiplier} on "
                f"{quantity_to_contracts(Quantity(most))} contracts cannot be worked out here; "
                "lower the budget, or leave the market out"
            )


def _room_for(lanes: int, grid_size: int) -> tuple[NDArray[Any], ...]:
    return (
        np.zeros((lanes, LANE_SIZE), np.int64),
        np.zeros((lanes, seen_size(grid_size)), np.int64),
        np.zeros((lanes, FLOWS_SIZE), np.float64),
        np.zeros((lanes, market_size(grid_size)), np.int64),
    )


def _columns(joined: Joined) -> tuple[Whole, ...]:
    return joined.grids, joined.segments, joined.events, joined.bodies


def warm_up() -> None:
    """Compile all that is run here."""
    from kalshiflow.learning.episodes.segments import make_events
    from kalshiflow.market.flat import DELTA, SNAPSHOT
    from kalshiflow.market.listing import Market

    rows = [(SNAPSHOT, 0, 2, 0), (DELTA, 0, 1, 100)]
    segment = Segment("", "", Market("", "", ""), make_events(rows, [1, 2], [1, 2], [0, 0]))
    players = Players([segment], WorldConfig(), 1)
    players.start()
    players.step(np.zeros(1, np.int64))

"""Many episodes side by side on one core, as Stable-Baselines3 wants them for training."""

from collections.abc import Iterable, Sequence
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv

from kalshiflow.agent.action import ACTION_COUNT
from kalshiflow.learning.env import OBSERVATION_HIGH, OBSERVATION_LOW
from kalshiflow.learning.episodes.segments import Segment
from kalshiflow.learning.lanes.layout import ENDING, NOW, SETTLED, VALUE
from kalshiflow.learning.lanes.players import ROW_SIZE, Players, Rows
from kalshiflow.learning.world_config import WorldConfig

__all__ = ["ROW_SIZE", "LaneVecEnv"]

_SEEDS = 2**31 - 1


class LaneVecEnv(VecEnv):
    """`lanes` worlds over the same segments, each through all of them in its own shuffled order.

    The worlds of `KalshiEnv`, compiled: the same numbers. A row is the observation followed by the
    mask (1 allowed, 0 forbidden), so that a policy can leave forbidden actions out while it learns.
    Rewards are multiplied by `reward_scale`. Only a lane whose episode has ended tells anything in
    its info: `terminal_observation`, `TimeLimit.truncated` and `profit`; the others' dictionaries
    stay empty and are used again. `playing` has each lane's (segment, seed of its latencies).

    Segments without a decision are left out; raises `NoDecision` where there is none in any.
    """

    def __init__(
        self,
        segments: Sequence[Segment],
        config: WorldConfig,
        *,
        lanes: int,
        seed: int,
        reward_scale: float = 1.0,
    ) -> None:
        if not segments:
            raise ValueError("training needs at least one segment")
        ones = np.ones(ACTION_COUNT, dtype=np.float32)
        low = np.concatenate([OBSERVATION_LOW, 0 * ones])
        high = np.concatenate([OBSERVATION_HIGH, ones])
        super().__init__(
            lanes,
            gymnasium.spaces.Box(low, high, dtype=np.float32),
            gymnasium.spaces.Discrete(ACTION_COUNT),
        )
        self.playing: list[tuple[int, int]] = [(0, 0)] * lanes
        self._budget = config.budget
        self._players = Players(segments, config, lanes, reward_scale)
        self._random = [np.random.default_rng((seed, lane)) for lane in range(lanes)]
        self._waiting: list[list[int]] = [[] for _ in range(lanes)]
        self._actions = np.zeros(lanes, np.int64)
        self._is_begun = False
        self._nothing: list[dict[str, Any]] = [{} for _ in range(lanes)]
        for lane in range(lanes):
            self._draw(lane)

    def reset(self) -> Rows:
        """Begin an episode in every lane."""
        self._is_begun = True
        rows = self._players.start()
        for lane in range(self.num_envs):
            self._began(lane)
        return rows

    def step_async(self, actions: NDArray[np.int64]) -> None:
        """Take the actions of the next `step_wait`, one for each lane.

        Raises `ValueError` for another number of them, and before the first `reset`.
        """
        given = np.ascontiguousarray(actions, np.int64)
        if given.shape != (self.num_envs,):
            raise ValueError(f"{self.num_envs} lanes take as many actions, not {given.shape}")
        if not self._is_begun:
            raise ValueError("no episode has begun: call reset() first")
        self._actions = given

    def step_wait(self) -> tuple[Rows, NDArray[np.float32], Any, list[Any]]:
        """Step every lane; one that has ended begins its next episode."""
        rows, rewards, dones = self._players.step(self._actions)
        infos = self._nothing.copy()
        for lane in np.flatnonzero(dones).tolist():
            infos[lane] = self._ended(lane)
            self._began(lane)
        return rows, rewards, dones, infos

    def close(self) -> None:
        """Nothing is held open."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Give `profit` (microdollars) or `market_time` of lanes; none is drawn on a screen."""
        lanes = self._lanes(indices)
        if attr_name == "render_mode":
            return [None for _ in lanes]
        columns = {"profit": VALUE, "market_time": NOW}
        if attr_name not in columns:
            raise AttributeError(f"lanes have no {attr_name}")
        less = self._budget if attr_name == "profit" else 0
        return [int(self._players.lanes[lane, columns[attr_name]]) - less for lane in lanes]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Refuse: a world is set up once."""
        raise NotImplementedError(f"lanes take no {attr_name}={value!r}")

    def env_method(
        self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any
    ) -> list[Any]:
        """Refuse: masks stand in the rows."""
        raise NotImplementedError(f"lanes have no method {method_name}")

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:  # noqa: ARG002
        """Say that no lane is wrapped."""
        return [False for _ in self._lanes(indices)]

    def _lanes(self, indices: int | Iterable[int] | None) -> list[int]:
        if indices is None:
            return list(range(self.num_envs))
        return [indices] if isinstance(indices, int) else list(indices)

    def _draw(self, lane: int) -> None:
        """Choose what a lane plays next."""
        if not self._waiting[lane]:
            self._waiting[lane] = self._random[lane].permutation(self._players.playable).tolist()
        self._players.following[lane] = self._waiting[lane].pop()
        self._players.seeds[lane] = self._random[lane].integers(_SEEDS)

    def _began(self, lane: int) -> None:
        """Take note of what a lane plays now, and draw what it plays then."""
        self.playing[lane] = (
            int(self._players.following[lane]),
            int(self._players.seeds[lane]),
        )
        self._draw(lane)

    def _ended(self, lane: int) -> dict[str, Any]:
        result = self._players.results[lane]
        return {
            "terminal_observation": self._players.last_rows[lane].copy(),
            "TimeLimit.truncated": bool(result[ENDING] != SETTLED),
            "profit": int(result[VALUE]) - self._budget,
        }

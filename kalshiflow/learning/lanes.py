"""Many worlds stepped side by side, as Stable-Baselines3 wants them for training."""

from collections.abc import Iterable, Sequence
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv

from kalshiflow.agent.action import ACTIONS, ONLY_HOLD
from kalshiflow.agent.features import OBSERVATION_SIZE
from kalshiflow.learning.env import OBSERVATION_HIGH, OBSERVATION_LOW
from kalshiflow.learning.episodes import Segment
from kalshiflow.learning.world import World, WorldConfig

ROW_SIZE = OBSERVATION_SIZE + len(ACTIONS)


class LaneVecEnv(VecEnv):
    """`lanes` worlds over the same segments, each through all of them in its own shuffled order.

    A row is the observation followed by the mask (1 allowed, 0 forbidden), so that a policy can
    leave forbidden actions out while it learns. Rewards are multiplied by `reward_scale`.
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
        ones = np.ones(len(ACTIONS), dtype=np.float32)
        low = np.concatenate([OBSERVATION_LOW, 0 * ones])
        high = np.concatenate([OBSERVATION_HIGH, ones])
        super().__init__(
            lanes,
            gymnasium.spaces.Box(low, high, dtype=np.float32),
            gymnasium.spaces.Discrete(len(ACTIONS)),
        )
        self._segments = tuple(segments)
        self._worlds = [World(config) for _ in range(lanes)]
        self._scale = reward_scale
        self._random = np.random.default_rng(seed)
        self._waiting: list[list[int]] = [[] for _ in range(lanes)]
        self._rows = np.zeros((lanes, ROW_SIZE), dtype=np.float32)
        self._masks = [ONLY_HOLD] * lanes
        self._actions: Sequence[int] = ()

    def reset(self) -> NDArray[np.float32]:
        """Begin an episode in every lane."""
        for lane in range(self.num_envs):
            self._start(lane)
        return self._rows.copy()

    def step_async(self, actions: NDArray[np.int64]) -> None:
        """Take the actions of the next `step_wait`."""
        self._actions = actions.tolist()

    def step_wait(self) -> tuple[NDArray[np.float32], NDArray[np.float32], Any, list[Any]]:
        """Step every lane; one that has ended begins its next episode."""
        rewards = np.zeros(self.num_envs, dtype=np.float32)
        dones = np.zeros(self.num_envs, dtype=np.bool_)
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for lane, action in enumerate(self._actions):
            result = self._worlds[lane].step(action, self._masks[lane])
            rewards[lane] = result.reward * self._scale
            self._look(lane)
            if result.terminated or result.truncated:
                dones[lane] = True
                infos[lane] = {
                    "terminal_observation": self._rows[lane].copy(),
                    "TimeLimit.truncated": result.truncated,
                    "profit": self._worlds[lane].profit,
                }
                self._start(lane)
        return self._rows.copy(), rewards, dones, infos

    def close(self) -> None:
        """Nothing is held open."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Give an attribute of the lanes' worlds; none of them is drawn on a screen."""
        if attr_name == "render_mode":
            return [None for _ in self._lanes(indices)]
        return [getattr(self._worlds[lane], attr_name) for lane in self._lanes(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Refuse: a world is set up once."""
        raise NotImplementedError(f"lanes take no {attr_name}={value!r}")

    def env_method(
        self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any
    ) -> list[Any]:
        """Call a method of the lanes' worlds."""
        return [
            getattr(self._worlds[lane], method_name)(*method_args, **method_kwargs)
            for lane in self._lanes(indices)
        ]

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:  # noqa: ARG002
        """Say that no lane is wrapped."""
        return [False for _ in self._lanes(indices)]

    def _lanes(self, indices: int | Iterable[int] | None) -> list[int]:
        if indices is None:
            return list(range(self.num_envs))
        return [indices] if isinstance(indices, int) else list(indices)

    def _start(self, lane: int) -> None:
        if not self._waiting[lane]:
            self._waiting[lane] = self._random.permutation(len(self._segments)).tolist()
        self._worlds[lane].start(self._segments[self._waiting[lane].pop()])
        self._look(lane)

    def _look(self, lane: int) -> None:
        world = self._worlds[lane]
        self._masks[lane] = mask = world.mask()
        self._rows[lane] = [*world.observation(), *mask]

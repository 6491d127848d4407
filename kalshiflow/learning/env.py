"""The learning environment: one market at a time, money on the ledger, time on the market."""

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from kalshiflow.agent.action import ACTIONS
from kalshiflow.agent.features import FEATURES
from kalshiflow.learning.episodes import Segment
from kalshiflow.learning.world import World, WorldConfig

OBSERVATION_LOW = np.array([feature.low for feature in FEATURES], dtype=np.float32)
OBSERVATION_HIGH = np.array([feature.high for feature in FEATURES], dtype=np.float32)


class KalshiEnv(gymnasium.Env[NDArray[np.float32], np.int64]):
    """Trade one binary market over a recording of its book.

    ## Description
    The episode replays one recorded segment of one market. At each decision the agent sees the
    book, its recent past and its own affairs, and may send one order. Orders arrive after a
    latency, take what is shown, and rest for what is left; nothing is filled that the recording
    does not show, and what was taken stays taken. Fees are the exchange's.

    ## Action Space
    `Discrete(5)`, the table `kalshi-5`:

    | num | action         | order                                             |
    |-----|----------------|---------------------------------------------------|
    | 0   | HOLD           | none; an own order resting over 5 s is cancelled  |
    | 1   | BUY_YES_LIMIT  | bid at the best ask; no NO may be held            |
    | 2   | SELL_YES_LIMIT | ask at the best bid, of the YES held              |
    | 3   | BUY_NO_LIMIT   | ask at the best bid; no YES may be held           |
    | 4   | SELL_NO_LIMIT  | bid at the best ask, of the NO held               |

    A forbidden action is HOLD, and is counted. `action_masks()` and `info["action_mask"]` tell
    which are allowed. Every action but HOLD first cancels the own resting order.

    ## Observation Space
    `Box(52)` of float32, the table of `docs/observation.md`: 26 numbers of the book, 10 of its
    recent past, 11 of what is held, 5 of one's own orders; all within -1 to 1.

    ## Rewards
    The change of the ledger's value since the last decision, after fees, over the budget: cash,
    YES at the best bid, NO at one dollar less the best ask. Rewards add up to profit / budget.

    ## Starting State
    The segment's first book, no position, the whole budget as cash. The segment is drawn by
    `reset`'s seed, or named: `reset(options={"segment": number})`.

    ## Episode End
    Terminated when the market settles (positions are paid). Truncated at the segment's end, where
    positions stay at what closing them would bring.

    ## Arguments
    `segments`: the recordings; `config`: budget, order quantity, throttle (a decision comes at the
    first change of the book after it), latency, fill model.

    >>> env = KalshiEnv(segments)                              # doctest: +SKIP
    >>> observation, info = env.reset(seed=7)                  # doctest: +SKIP
    >>> observation, reward, terminated, truncated, info = env.step(0)  # doctest: +SKIP

    ## Version History
    * v1: the first.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012  # as Gymnasium declares it

    def __init__(self, segments: Sequence[Segment], config: WorldConfig | None = None) -> None:
        if not segments:
            raise ValueError("an environment needs at least one segment")
        self.segments = tuple(segments)
        self.world = World(config or WorldConfig())
        self.observation_space = gymnasium.spaces.Box(
            OBSERVATION_LOW, OBSERVATION_HIGH, dtype=np.float32
        )
        self.action_space = gymnasium.spaces.Discrete(len(ACTIONS))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin an episode; see the class."""
        super().reset(seed=seed)
        number = (options or {}).get("segment")
        if number is None:
            number = int(self.np_random.integers(len(self.segments)))
        self.world.start(self.segments[number])
        return self._observation(), self._info()

    def step(
        self, action: np.int64 | int
    ) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Act and go on to the next decision; see the class."""
        result = self.world.step(int(action))
        return (
            self._observation(),
            result.reward,
            result.terminated,
            result.truncated,
            self._info(),
        )

    def action_masks(self) -> NDArray[np.bool_]:
        """Give which actions are allowed now."""
        return np.array(self.world.mask(), dtype=np.bool_)

    def _observation(self) -> NDArray[np.float32]:
        return np.array(self.world.observation(), dtype=np.float32)

    def _info(self) -> dict[str, Any]:
        world = self.world
        return {
            "action_mask": self.action_masks(),
            "ticker": world.segment.ticker,
            "market_time": world.now,
            "profit": world.profit,
            "forbidden": world.tally.forbidden,
        }

"""The learning environment: one market at a time, money on the ledger, time on the market."""

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from kalshiflow.agent.action import ACTIONS
from kalshiflow.agent.features import FEATURES
from kalshiflow.learning.episodes.segments import Segment
from kalshiflow.learning.world import World
from kalshiflow.learning.world_config import WorldConfig

OBSERVATION_LOW = np.array([feature.low for feature in FEATURES], dtype=np.float32)
OBSERVATION_HIGH = np.array([feature.high for feature in FEATURES], dtype=np.float32)

_SEEDS = 2**31 - 1


class KalshiEnv(gymnasium.Env[NDArray[np.float32], np.int64]):
    """Trade one binary market over a recording of its book.

    ## Description
    An episode replays one recorded segment of one market: an unbroken stretch of its book, its
    public trades and its status. At each decision the agent sees the book, its recent past and its
    own affairs, and may send one limit order. A contract pays one dollar if its market ends as YES;
    whoever sells YES that is not held buys NO, at one dollar less the price.

    `LaneVecEnv` plays the same episodes, with the same numbers, many at a time and compiled.

    ## Action Space
    `Discrete(5)`, the table `kalshi-5`:

    | num | action         | order                                             |
    |-----|----------------|---------------------------------------------------|
    | 0   | HOLD           | none; an own order resting over 5 s is cancelled  |
    | 1   | BUY_YES_LIMIT  | bid at the best ask; no NO may be held            |
    | 2   | SELL_YES_LIMIT | ask at the best bid, of the YES held              |
    | 3   | BUY_NO_LIMIT   | ask at the best bid; no YES may be held           |
    | 4   | SELL_NO_LIMIT  | bid at the best ask, of the NO held               |

    Orders are of `order_quantity`, or of what is held where that is less and the action closes.
    Every action but HOLD first cancels the own resting order. A forbidden action is HOLD, and is
    counted; `action_masks()` and `info["action_mask"]` tell which are allowed: those whose price is
    there and whose cost, with the worst fee, the cash of the episode covers, in an open market.

    ## Observation Space
    `Box(52)` of float32, the table of `docs/observation.md`: 26 numbers of the book less one's own
    orders, 10 of its recent past, 11 of what is held, 5 of one's own orders; all within -1 to 1.

    ## Dynamics
    Time is market time. A decision is taken at the first change of the public book at or after
    `throttle` since the last one, while the market is open and nothing of one's own is on its way.
    A command arrives after `latency`, or after one of `latencies`, drawn by the episode's seed. An
    order takes what is shown up to its limit, best level first, and what is left rests behind all
    that its level shows. It is filled there by public trades that get past its queue, and by others
    who offer at its price or better, never by more than the recording shows; what own fills took
    stays taken (`docs/simulator.md`). `fill_model` says what is assumed where a recording does not
    tell. Fees are the exchange's, of the date and the series; collateral is reserved as it does.

    ## Rewards
    The change of the account's value since the last decision, over the budget. The value is all
    cash (fees are paid from it), YES at the best bid and NO at one dollar less the best ask. With
    the weights of `risk` at zero, as they are by default, rewards add up to profit / budget. Taken
    from the reward are, by weight:

    | weight    | times                                                                    |
    |-----------|--------------------------------------------------------------------------|
    | inventory | cost of what is held / budget, times seconds since the last decision     |
    | drawdown  | growth of the deepest fall of the value below its peak / budget          |
    | forbidden | 1 if the chosen action was forbidden                                     |

    ## Starting State
    The segment's first book in an open market, no position, the whole budget as cash. The segment
    is drawn by `reset`'s seed, or named: `reset(options={"segment": number})`. `reset` raises
    `NoDecision` for a segment in which nothing can be decided.

    ## Episode End
    Terminated when the market settles: positions are paid what the result is worth. Truncated at
    the segment's end, the result unknown: positions count as what the book would pay for them,
    level by level and less the fees. Truncated at the first decision at or after `longest`, where
    positions keep the usual value. An episode never runs across a gap of a recording.

    ## Arguments
    `segments`: the recordings (`episodes.files.read_segments`). `config`, a
    `kalshiflow.learning.world_config.WorldConfig`, in microdollars, hundredths of contracts and
    nanoseconds:

    | field          | default     | means                                                      |
    |----------------|-------------|------------------------------------------------------------|
    | budget         | $100        | cash of an episode                                         |
    | order_quantity | 10          | contracts of an order                                      |
    | throttle       | 250 ms      | least time between two decisions                           |
    | latency        | 50 ms       | how long a command is on its way                           |
    | latencies      | none        | measured ones to draw from in its place                    |
    | fill_model     | PESSIMISTIC | what is assumed where a recording does not tell            |
    | longest        | 0: no limit | time limit of an episode                                   |
    | risk           | all 0       | weights of what is taken from the reward                   |

    `info` has `action_mask`, `ticker`, `market_time` (nanoseconds), `profit` (microdollars) and
    `forbidden` (choices so far that became HOLD).

    >>> env = KalshiEnv(segments)                              # doctest: +SKIP
    >>> observation, info = env.reset(seed=7)                  # doctest: +SKIP
    >>> observation, reward, terminated, truncated, info = env.step(0)  # doctest: +SKIP

    ## Version History
    * v2: decisions wait for what is under way, and for an open market; queues and fills by the
      recorded trades; drawn latencies; a time limit; positions at a segment's end count as what the
      book would pay; terms of risk.
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
        self.world.start(self.segments[number], int(self.np_random.integers(_SEEDS)))
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

"""Learning a policy by PPO from recorded segments."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger

from kalshiflow.agent.features import OBSERVATION_SIZE
from kalshiflow.learning.episodes.segments import Segment
from kalshiflow.learning.lanes.vec_env import LaneVecEnv
from kalshiflow.learning.network import MaskedPolicy, Normaliser
from kalshiflow.learning.training_pieces import training_pieces
from kalshiflow.learning.world_config import WorldConfig

Progress = Callable[[int, int], None]

ACTIVITY_STEPS = 80
WAKE_RANGE = 16.0  # scores further apart than this do not come about in a short training
WAKE_TRIES = 8


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """How one candidate is trained.

    `reward_scale` multiplies rewards (which are in budgets) for the learner only. `rollout` is the
    number of steps per lane between updates, `calibration` the random steps per lane from which
    the normaliser is taken. Longer segments are cut into pieces of `piece` events, and of the
    world's `longest` time. With `wakes`, a policy that would act in fewer than `asleep_below` of
    its decisions is woken to act in `awake_at` of them, see `wake`.
    """

    seed: int = 7
    timesteps: int = 60_000
    lanes: int = 32
    rollout: int = 128
    batch: int = 1024
    epochs: int = 8
    learning_rate: float = 3e-3
    gamma: float = 0.95
    gae_lambda: float = 0.9
    entropy: float = 0.01
    reward_scale: float = 100.0
    width: int = 64
    hold_bias: float = 3.0
    calibration: int = 128
    piece: int = 600
    wakes: bool = False
    asleep_below: float = 0.002
    awake_at: float = 0.03
    threads: int = 1
    world: WorldConfig = field(default_factory=WorldConfig)


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained policy, the sample its normaliser was taken from, and how the training went.

    `woken_by` is what was taken from HOLD's score at the end, see `wake`.
    """

    policy: MaskedPolicy
    config: TrainingConfig
    sample: NDArray[np.float32]
    timesteps: int
    seconds: float
    episode_profits: tuple[float, ...]
    woken_by: float = 0.0


class _Log(BaseCallback):
    """Gathers finished episodes' profits (dollars) and tells how far the training is."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        super().__init__()
        self.profits: list[float] = []
        self._total = total
        self._progress = progress

    def _on_step(self) -> bool:
        self.profits += [info["profit"] / 1e6 for info in self.locals["infos"] if "profit" in info]
        return True

    def _on_rollout_end(self) -> None:
        if self._progress is not None:
            self._progress(self.num_timesteps, self._total)


def train(
    segments: Sequence[Segment], config: TrainingConfig, progress: Progress | None = None
) -> Trained:
    """Train one candidate on segments; the same inputs and versions give the same policy.

    Raises `ValueError` where there is no segment to learn from.
    """
    torch.set_num_threads(config.threads)
    longest = config.world.longest
    segments = [p for one in segments for p in training_pieces(one, config.piece, longest)]
    sample = calibrate(segments, config)
    mean = sample.mean(axis=0)
    scale = 1.0 / np.maximum(sample.std(axis=0), 0.05)
    lanes = LaneVecEnv(
        segments,
        config.world,
        lanes=config.lanes,
        seed=config.seed,
        reward_scale=config.reward_scale,
    )
    model = PPO(
        MaskedPolicy,
        lanes,
        seed=config.seed,
        n_steps=config.rollout,
        batch_size=config.batch,
        n_epochs=config.epochs,
        learning_rate=lambda left: config.learning_rate * left,
        gamma=config.gamma,
        gae_lambda=config.gae_lambda,
        ent_coef=config.entropy,
        device="cpu",
        policy_kwargs={
            "net_arch": [config.width, config.width],
            "hold_bias": config.hold_bias,
            "features_extractor_class": Normaliser,
            "features_extractor_kwargs": {"mean": mean, "scale": scale},
        },
    )
    assert isinstance(model.policy, MaskedPolicy)
    model.set_logger(Logger(folder=None, output_formats=[]))  # SB3's own leaves folders behind
    log = _Log(config.timesteps, progress)
    begun = time.perf_counter()
    model.learn(config.timesteps, callback=log)
    return Trained(
        policy=model.policy,
        config=config,
        sample=sample,
        timesteps=model.num_timesteps,
        seconds=time.perf_counter() - begun,
        episode_profits=tuple(log.profits),
        woken_by=wake(model.policy, segments, config) if config.wakes else 0.0,
    )


def wake(policy: MaskedPolicy, segments: Sequence[Segment], config: TrainingConfig) -> float:
    """Lower HOLD's score where a policy all but never acts, and give by how much.

    Where fees exceed what can be gained, the best policy does nothing, and a demonstration has
    nothing to show. So if it acts in fewer than `asleep_below` of its decisions, HOLD is lowered,
    by as little as it takes, until it acts in `awake_at` of them. Whether that pays is for the
    evaluation to say.
    """
    if activity(policy, segments, config) >= config.asleep_below:
        return 0.0
    low, high = 0.0, WAKE_RANGE
    for _ in range(WAKE_TRIES):
        middle = (low + high) / 2
        if activity(policy, segments, config, middle) >= config.awake_at:
            high = middle
        else:
            low = middle
    with torch.no_grad():
        policy.action_net.bias[0] -= high
    return high


def activity(
    policy: MaskedPolicy, segments: Sequence[Segment], config: TrainingConfig, lift: float = 0.0
) -> float:
    """Give the share of decisions in which a policy acts, HOLD's score lowered by `lift`."""
    lanes = LaneVecEnv(segments, config.world, lanes=config.lanes, seed=config.seed)
    rows, acted = lanes.reset(), 0
    for _ in range(ACTIVITY_STEPS):
        tensor = torch.from_numpy(rows)
        with torch.no_grad():
            scores = policy.scores(tensor)
        scores[:, 0] -= lift
        scores = torch.where(tensor[:, OBSERVATION_SIZE:] > 0.5, scores, -torch.inf)
        actions = scores.argmax(dim=1).numpy()
        acted += int(np.count_nonzero(actions))
        lanes.step_async(actions)
        rows = lanes.step_wait()[0]
    return acted / (ACTIVITY_STEPS * config.lanes)


def calibrate(segments: Sequence[Segment], config: TrainingConfig) -> NDArray[np.float32]:
    """Collect observations under random allowed actions, rows of 52, for the normaliser."""
    lanes = LaneVecEnv(segments, config.world, lanes=config.lanes, seed=config.seed)
    random = np.random.default_rng(config.seed)
    rows = [lanes.reset()]
    for _ in range(config.calibration):
        allowed = rows[-1][:, OBSERVATION_SIZE:]
        lanes.step_async(np.argmax(allowed * random.random(allowed.shape), axis=1))
        rows.append(lanes.step_wait()[0])
    return np.concatenate(rows)[:, :OBSERVATION_SIZE]

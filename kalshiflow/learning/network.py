"""The network that learns: a normaliser, two small towers, and forbidden actions left out."""

from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.distributions import Distribution
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor

from kalshiflow.agent.features import OBSERVATION_SIZE

CLIP = 5.0
FORBIDDEN = -1e8

Rows = Tensor | dict[str, Tensor]  # as Stable-Baselines3 declares it; ours are always tensors


class Normaliser(BaseFeaturesExtractor):
    """Subtracts the data's mean, divides by its spread and clips; learns nothing."""

    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        observation_space: gymnasium.Space[Any],
        mean: NDArray[np.float32],
        scale: NDArray[np.float32],
    ) -> None:
        super().__init__(observation_space, OBSERVATION_SIZE)
        self.register_buffer("mean", torch.as_tensor(mean, dtype=torch.float32))
        self.register_buffer("scale", torch.as_tensor(scale, dtype=torch.float32))

    def forward(self, rows: Tensor) -> Tensor:
        """Give the normalised observations of rows of observation and mask."""
        # What comes back is new, so the rest may be done in place.
        observation = rows[:, :OBSERVATION_SIZE] - self.mean
        return observation.mul_(self.scale).clamp_(-CLIP, CLIP)


class MaskedPolicy(ActorCriticPolicy):
    """An actor and a critic over rows of observation and mask; no forbidden action is drawn.

    `hold_bias` is added to HOLD's score at the beginning, so that the budget is not spent on fees
    before anything is learned. While it learns, its probabilities are worked out here and not by a
    distribution object, which would take a tenth of an iteration.
    """

    features_extractor: Normaliser
    action_net: torch.nn.Linear

    def __init__(self, *args: Any, hold_bias: float = 0.0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        with torch.no_grad():
            self.action_net.bias[0] += hold_bias

    def forward(self, obs: Tensor, deterministic: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Give actions, values and log probabilities."""
        latent_pi, latent_vf = self.mlp_extractor(self.features_extractor(obs))
        log_probabilities = self._log_probabilities(obs, latent_pi)
        chances = log_probabilities
        if not deterministic:
            # The highest of log p - log(exponential noise) falls on each action with chance p.
            noise = torch.empty_like(chances).exponential_()
            chances = chances - noise.log_()
        actions = chances.argmax(dim=1)
        return actions, self.value_net(latent_vf), _of(log_probabilities, actions)

    def evaluate_actions(self, obs: Rows, actions: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Give values, log probabilities and entropies of actions taken."""
        assert isinstance(obs, Tensor)
        latent_pi, latent_vf = self.mlp_extractor(self.features_extractor(obs))
        log_probabilities = self._log_probabilities(obs, latent_pi)
        entropy = -(log_probabilities.exp() * log_probabilities).sum(dim=1)
        return self.value_net(latent_vf), _of(log_probabilities, actions), entropy

    def get_distribution(self, obs: Rows) -> Distribution:
        """Give the distribution over the allowed actions."""
        assert isinstance(obs, Tensor)
        latent = self.mlp_extractor.forward_actor(self.features_extractor(obs))
        logits = self._log_probabilities(obs, latent)
        return self.action_dist.proba_distribution(action_logits=logits)

    def scores(self, observation: Tensor) -> Tensor:
        """Give the actions' scores before any mask, as the exported graph does."""
        latent = self.mlp_extractor.forward_actor(self.features_extractor(observation))
        return self.action_net(latent)

    def _log_probabilities(self, rows: Tensor, latent: Tensor) -> Tensor:
        allowed = rows[:, OBSERVATION_SIZE:] > 0.5
        return torch.log_softmax(torch.where(allowed, self.action_net(latent), FORBIDDEN), dim=1)


def _of(log_probabilities: Tensor, actions: Tensor) -> Tensor:
    return log_probabilities.gather(1, actions.long().unsqueeze(1)).squeeze(1)

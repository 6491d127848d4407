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
        observation = rows[:, :OBSERVATION_SIZE]
        return torch.clamp((observation - self.mean) * self.scale, -CLIP, CLIP)


class MaskedPolicy(ActorCriticPolicy):
    """An actor and a critic over rows of observation and mask; no forbidden action is drawn.

    `hold_bias` is added to HOLD's score at the beginning, so that the budget is not spent on fees
    before anything is learned.
    """

    features_extractor: Normaliser
    action_net: torch.nn.Linear

    def __init__(self, *args: Any, hold_bias: float = 0.0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        with torch.no_grad():
            self.action_net.bias[0] += hold_bias

    def forward(self, obs: Tensor, deterministic: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Give actions, values and log probabilities."""
        features = self.features_extractor(obs)
        latent_pi, latent_vf = self.mlp_extractor(features)
        distribution = self._masked(obs, latent_pi)
        actions = distribution.get_actions(deterministic=deterministic)
        return actions, self.value_net(latent_vf), distribution.log_prob(actions)

    def evaluate_actions(self, obs: Rows, actions: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Give values, log probabilities and entropies of actions taken."""
        assert isinstance(obs, Tensor)
        features = self.features_extractor(obs)
        latent_pi, latent_vf = self.mlp_extractor(features)
        distribution = self._masked(obs, latent_pi)
        return self.value_net(latent_vf), distribution.log_prob(actions), distribution.entropy()

    def get_distribution(self, obs: Rows) -> Distribution:
        """Give the distribution over the allowed actions."""
        assert isinstance(obs, Tensor)
        return self._masked(obs, self.mlp_extractor.forward_actor(self.features_extractor(obs)))

    def scores(self, observation: Tensor) -> Tensor:
        """Give the actions' scores before any mask, as the exported graph does."""
        latent = self.mlp_extractor.forward_actor(self.features_extractor(observation))
        return self.action_net(latent)

    def _masked(self, rows: Tensor, latent: Tensor) -> Distribution:
        logits = self.action_net(latent)
        logits = torch.where(rows[:, OBSERVATION_SIZE:] > 0.5, logits, FORBIDDEN)
        return self.action_dist.proba_distribution(action_logits=logits)

"""Writing a trained policy as a bundle: its graph by hand, its manifest, its probe."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from kalshiflow.agent.action import ACTION_TABLE, ACTION_VERSION, ACTIONS, fingerprint
from kalshiflow.agent.features import FEATURES, OBSERVATION_SIZE, OBSERVATION_VERSION
from kalshiflow.agent.policy import (
    BUNDLE_FORMAT,
    MANIFEST_FILE,
    MODEL_FILE,
    PROBE_FILE,
    first_highest,
)
from kalshiflow.learning.network import CLIP, MaskedPolicy
from kalshiflow.learning.train import Trained

OPSET = 20
IR_VERSION = 10
PROBES = 64


@dataclass(frozen=True, slots=True)
class Probe:
    """Observations float32[k,52] and masks bool[k,5], with the scores and actions they gave."""

    observations: NDArray[np.float32]
    masks: NDArray[np.bool_]
    scores: NDArray[np.float32]
    actions: NDArray[np.int64]

    def save(self, path: Path) -> None:
        """Write it as `probe.npz`."""
        np.savez(
            path,
            observations=self.observations,
            masks=self.masks,
            scores=self.scores,
            actions=self.actions,
        )


def export_bundle(
    trained: Trained, folder: Path, fields: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Write the bundle of a trained policy into `folder` and give its manifest.

    `fields` (plain values: dataset and session ids, metrics, git commit, …) go into the manifest
    as they are. The version is the first twelve digits of the graph's sha256.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model = build_graph(trained.policy).SerializeToString()
    (folder / MODEL_FILE).write_bytes(model)
    build_probe(trained).save(folder / PROBE_FILE)
    model_hash = hashlib.sha256(model).hexdigest()
    manifest: dict[str, Any] = {
        **(fields or {}),
        "format": BUNDLE_FORMAT,
        "version": model_hash[:12],
        "fingerprint": fingerprint(),
        "observation_version": OBSERVATION_VERSION,
        "observation": [feature.name for feature in FEATURES],
        "action_table": ACTION_TABLE,
        "action_version": ACTION_VERSION,
        "actions": [row.action.name for row in ACTIONS],
        "training": _training_fields(trained),
        "files": {
            MODEL_FILE: model_hash,
            PROBE_FILE: hashlib.sha256((folder / PROBE_FILE).read_bytes()).hexdigest(),
        },
    }
    text = json.dumps(manifest, indent=2, sort_keys=True, allow_nan=False)
    (folder / MANIFEST_FILE).write_text(text + "\n")
    return manifest


def build_graph(policy: MaskedPolicy) -> onnx.ModelProto:
    """Write the actor as a graph: normalise, clip, dense layers with tanh, scores."""
    normaliser = policy.features_extractor
    layers = [m for m in policy.mlp_extractor.policy_net if isinstance(m, torch.nn.Linear)]
    layers.append(policy.action_net)
    constants = {
        "mean": _array(normaliser.mean),
        "scale": _array(normaliser.scale),
        "low": np.float32(-CLIP),
        "high": np.float32(CLIP),
    }
    nodes = [
        helper.make_node("Sub", ["observation", "mean"], ["centred"]),
        helper.make_node("Mul", ["centred", "scale"], ["scaled"]),
        helper.make_node("Clip", ["scaled", "low", "high"], ["hidden_0"]),
    ]
    for number, layer in enumerate(layers):
        constants[f"weight_{number}"] = _array(layer.weight)
        constants[f"bias_{number}"] = _array(layer.bias)
        is_last = number == len(layers) - 1
        output = "scores" if is_last else f"dense_{number}"
        inputs = [f"hidden_{number}", f"weight_{number}", f"bias_{number}"]
        nodes.append(helper.make_node("Gemm", inputs, [output], transB=1))
        if not is_last:
            nodes.append(helper.make_node("Tanh", [output], [f"hidden_{number + 1}"]))
    graph = helper.make_graph(
        nodes,
        "policy",
        [helper.make_tensor_value_info("observation", TensorProto.FLOAT, ["n", OBSERVATION_SIZE])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", len(ACTIONS)])],
        [numpy_helper.from_array(np.asarray(a), name) for name, a in constants.items()],
    )
    model = helper.make_model(
        graph,
        producer_name="kalshiflow",
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def build_probe(trained: Trained) -> Probe:
    """Choose observations and masks, and take the trained network's word on them."""
    random = np.random.default_rng(trained.config.seed)
    rows = random.choice(len(trained.sample), PROBES, replace=len(trained.sample) < PROBES)
    observations = trained.sample[np.sort(rows)].astype(np.float32)
    masks = random.random((PROBES, len(ACTIONS))) < 0.6
    masks[:, 0] = True
    with torch.no_grad():
        scores = _array(trained.policy.scores(torch.from_numpy(observations)))
    pairs = zip(scores.tolist(), masks.tolist(), strict=True)
    actions = np.array([first_highest(row, mask) for row, mask in pairs], dtype=np.int64)
    return Probe(observations, masks, scores, actions)


def _array(tensor: Any) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.detach().cpu().numpy().astype(np.float32)
    return array


def _training_fields(trained: Trained) -> dict[str, Any]:
    config = trained.config
    return {
        "algorithm": "PPO",
        "seed": config.seed,
        "timesteps": trained.timesteps,
        "seconds": round(trained.seconds, 1),
        "woken_by": round(trained.woken_by, 4),
        "gamma": config.gamma,
        "learning_rate": config.learning_rate,
        "throttle_ms": config.world.throttle // 1_000_000,
        "latency_ms": config.world.latency // 1_000_000,
        "budget": config.world.budget,
        "order_quantity": config.world.order_quantity,
    }

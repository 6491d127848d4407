"""A policy's bundle: loaded, checked whole, and asked for actions. It carries no code.

A bundle is a folder with `model.onnx` (input `observation` float32[n,52], output `scores`
float32[n,5]), `manifest.json` and `probe.npz` (observations and masks with the scores and actions
that the trained network gave them).
"""

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from kalshiflow.agent.action import ACTIONS, fingerprint
from kalshiflow.agent.features import OBSERVATION_SIZE

MODEL_FILE = "model.onnx"
MANIFEST_FILE = "manifest.json"
PROBE_FILE = "probe.npz"
BUNDLE_FORMAT = "kalshi-policy-1"
TOLERANCE = 1e-5
LEAST_PROBES = 8

Scores = NDArray[np.float32]
_RUNTIME_ERRORS = (
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NoSuchFile,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)

_PROBE_ERRORS = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    TypeError,  # a file that is one array, and no archive of them
    AttributeError,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
)


class PolicyRejected(ValueError):
    """A bundle that must not act, with the reason."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The action taken, and the scores of all actions before the mask."""

    action: int
    scores: tuple[float, ...]


class Policy:
    """A checked policy. Load one with `Policy.load`; `version` is the manifest's."""

    def __init__(self, session: onnxruntime.InferenceSession, manifest: Mapping[str, Any]) -> None:
        self._session = session
        self.manifest = manifest
        self.version: str = manifest["version"]

    @classmethod
    def load(cls, folder: Path) -> "Policy":
        """Load a bundle.

        Raises `PolicyRejected` for a file that is missing or not the manifest's, another
        fingerprint than ours, and scores that are not finite or not the probe's.
        """
        manifest = read_manifest(folder)
        contents = _checked_contents(folder, manifest)
        if manifest["fingerprint"] != fingerprint():
            raise PolicyRejected(
                f"fingerprint {manifest['fingerprint'][:12]} of observation and actions, "
                f"ours is {fingerprint()[:12]}"
            )
        policy = cls(_session(contents[MODEL_FILE]), manifest)
        _check_probe(policy, contents[PROBE_FILE])
        return policy

    def act(self, observation: Sequence[float], mask: Sequence[bool]) -> Choice:
        """Choose the first highest score among the allowed actions.

        Raises `PolicyRejected` where a score is not finite.
        """
        scores = self.scores(np.array([observation], dtype=np.float32))[0].tolist()
        return Choice(first_highest(scores, mask), tuple(scores))

    def scores(self, observations: NDArray[np.float32]) -> Scores:
        """Give the scores, float32[n,5], of observations, float32[n,52]."""
        try:
            scores: Scores = self._session.run(["scores"], {"observation": observations})[0]
        except _RUNTIME_ERRORS as failed:
            raise PolicyRejected(f"the graph failed: {failed}") from failed
        if scores.shape != (len(observations), len(ACTIONS)) or not np.isfinite(scores).all():
            raise PolicyRejected(f"scores of shape {scores.shape} are not all finite numbers")
        return scores


def first_highest(scores: Sequence[float], mask: Sequence[bool]) -> int:
    """Give the first action with the highest score among the allowed ones."""
    best = -1
    for action, score in enumerate(scores):
        if mask[action] and (best < 0 or score > scores[best]):
            best = action
    if best < 0:
        raise ValueError("no action is allowed; HOLD always is")
    return best


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read a bundle's manifest; raises `PolicyRejected` where it is missing or incomplete."""
    try:
        manifest = json.loads((folder / MANIFEST_FILE).read_bytes())
    except (OSError, ValueError) as unreadable:
        raise PolicyRejected(f"{MANIFEST_FILE} cannot be read: {unreadable}") from unreadable
    if not isinstance(manifest, dict) or manifest.get("format") != BUNDLE_FORMAT:
        raise PolicyRejected(f"{MANIFEST_FILE} is not in the form {BUNDLE_FORMAT}")
    for name, kind in (("version", str), ("fingerprint", str), ("files", dict)):
        if not manifest.get(name) or not isinstance(manifest[name], kind):
            raise PolicyRejected(f"{MANIFEST_FILE} names no {name}")
    if manifest.get("states"):
        raise PolicyRejected(f"it needs states, which are not supported: {manifest['states']}")
    return manifest


def _checked_contents(folder: Path, manifest: Mapping[str, Any]) -> dict[str, bytes]:
    contents: dict[str, bytes] = {}
    for name in (MODEL_FILE, PROBE_FILE):
        try:
            contents[name] = (folder / name).read_bytes()
        except OSError as unreadable:
            raise PolicyRejected(f"{name} cannot be read: {unreadable}") from unreadable
        found = hashlib.sha256(contents[name]).hexdigest()
        expected = str(manifest["files"].get(name, ""))
        if found != expected:
            raise PolicyRejected(
                f"{name} has sha256 {found[:12]}, the manifest says {expected[:12]!r}"
            )
    return contents


def _session(model: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(
            model, sess_options=options, providers=["CPUExecutionProvider"]
        )
    except _RUNTIME_ERRORS as failed:
        raise PolicyRejected(f"{MODEL_FILE} is no graph that can run: {failed}") from failed
    inputs = {node.name: node.shape[1:] for node in session.get_inputs()}
    outputs = {node.name: node.shape[1:] for node in session.get_outputs()}
    if inputs != {"observation": [OBSERVATION_SIZE]} or outputs != {"scores": [len(ACTIONS)]}:
        raise PolicyRejected(f"the graph maps {inputs} to {outputs}")
    return session


def _check_probe(policy: Policy, content: bytes) -> None:
    observations, masks, scores, actions = _read_probe(content)
    rows, width = len(observations), len(ACTIONS)
    if rows < LEAST_PROBES:
        raise PolicyRejected(f"{PROBE_FILE} holds {rows} rows, too few to tell")
    shapes = masks.shape, scores.shape, actions.shape
    if shapes != ((rows, width), (rows, width), (rows,)):
        raise PolicyRejected(f"{PROBE_FILE} has {rows} observations, and the rest is {shapes}")
    if not masks.any(axis=1).all():
        raise PolicyRejected(f"{PROBE_FILE} holds a mask that allows nothing")
    found = policy.scores(observations)
    off = float(np.abs(found - scores).max()) if np.isfinite(scores).all() else float("inf")
    if not off <= TOLERANCE:
        raise PolicyRejected(f"probe scores are off by {off:g}, {TOLERANCE:g} is allowed")
    chosen = [first_highest(r.tolist(), m) for r, m in zip(found, masks.tolist(), strict=True)]
    if chosen != actions.tolist():
        raise PolicyRejected("probe actions are not those of the trained network")


def _read_probe(content: bytes) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    try:
        # The bytes whose hash was checked, not the file again.
        with np.load(io.BytesIO(content), allow_pickle=False) as probe:
            return (
                np.atleast_1d(probe["observations"].astype(np.float32)),
                probe["masks"].astype(np.bool_),
                probe["scores"].astype(np.float32),
                probe["actions"].astype(np.int64),
            )
    except _PROBE_ERRORS as unreadable:
        raise PolicyRejected(f"{PROBE_FILE} cannot be read: {unreadable}") from unreadable

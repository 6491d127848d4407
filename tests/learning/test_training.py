"""A small training, its bundle, and everything for which a bundle is refused."""

import hashlib
import json
import shutil
from copy import deepcopy
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from kalshiflow.agent.action import ACTIONS
from kalshiflow.agent.features import OBSERVATION_SIZE
from kalshiflow.agent.policy import Policy, PolicyRejected, first_highest
from kalshiflow.learning.bundle import export_bundle
from kalshiflow.learning.episodes.splitting import book_at
from kalshiflow.learning.evaluate import evaluate, evaluate_policy, integrity
from kalshiflow.learning.train import TrainingConfig, activity, train, wake
from kalshiflow.learning.training_pieces import training_pieces
from kalshiflow.market.flat import DELTA, SNAPSHOT

SECOND = 1_000_000_000

CONFIG = TrainingConfig(
    seed=5, timesteps=4_096, lanes=16, rollout=64, batch=512, epochs=3, calibration=40
)


@pytest.fixture(scope="module")
def trained(segments):
    return train(segments, CONFIG)


@pytest.fixture(scope="module")
def bundle(trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle")
    export_bundle(trained, folder, {"dataset_id": "d", "sessions": ["s"]})
    return folder


@pytest.fixture
def copy(bundle, tmp_path):
    return shutil.copytree(bundle, tmp_path / "copy")


def rewrite(folder, **fields):
    """Change fields of the manifest, and make its hashes those of the files."""
    manifest = json.loads((folder / "manifest.json").read_text())
    for name in manifest["files"]:
        manifest["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    manifest.update(fields)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_it_learns_from_every_step_it_was_given(trained):
    assert trained.timesteps == CONFIG.timesteps
    assert trained.sample.shape == (16 * 41, OBSERVATION_SIZE)


def test_one_seed_gives_one_policy_and_another_gives_another(trained, segments):
    def weights(policy):
        return torch.cat([p.detach().flatten() for p in policy.parameters()])

    again = train(segments, CONFIG)
    assert torch.equal(weights(again.policy), weights(trained.policy))
    other = TrainingConfig(seed=6, timesteps=1_024, lanes=16, rollout=64, batch=512, calibration=4)
    assert not torch.equal(weights(train(segments, other).policy), weights(trained.policy))


def test_no_forbidden_action_is_drawn_while_learning(trained):
    observations = torch.from_numpy(trained.sample[:200])
    masks = torch.zeros((200, len(ACTIONS)))
    masks[:, 0] = masks[:, 3] = 1.0
    rows = torch.cat([observations, masks], dim=1)
    with torch.no_grad():
        drawn = torch.cat([trained.policy(rows)[0] for _ in range(20)])
        _, log_probability, entropy = trained.policy.evaluate_actions(rows, masks.argmax(dim=1))
    assert set(drawn.tolist()) <= {0, 3}
    assert torch.isfinite(log_probability).all()
    assert float(entropy.max()) <= np.log(2) + 1e-6


def test_the_networks_own_arithmetic_is_that_of_a_distribution(trained):
    observations = torch.from_numpy(trained.sample[:100])
    masks = (torch.rand((100, len(ACTIONS)), generator=torch.manual_seed(1)) < 0.6).float()
    masks[:, 0] = 1.0
    rows = torch.cat([observations, masks], dim=1)
    with torch.no_grad():
        distribution = trained.policy.get_distribution(rows).distribution
        actions = distribution.sample()
        _, log_probability, entropy = trained.policy.evaluate_actions(rows, actions)
        many = rows.repeat(2_000, 1)
        drawn = trained.policy(many)[0].reshape(2_000, len(rows))
        best, _, _ = trained.policy(rows, deterministic=True)
    assert torch.allclose(log_probability, distribution.log_prob(actions), atol=1e-5)
    assert torch.allclose(entropy, distribution.entropy(), atol=1e-5)
    assert torch.equal(best, distribution.probs.argmax(dim=1))
    shares = torch.nn.functional.one_hot(drawn, len(ACTIONS)).float().mean(dim=0)
    assert (shares - distribution.probs).abs().max() < 0.06


def test_a_policy_is_played_by_lanes_as_by_worlds(trained, segments, tmp_path):
    export_bundle(replace(trained, policy=inclined(trained, -6.0)), tmp_path)
    policy = Policy.load(tmp_path)

    def choose(world, mask):
        return policy.act(world.observation(), mask).action

    side_by_side = evaluate_policy("p", policy, segments[:5], CONFIG.world)
    assert side_by_side == evaluate("p", choose, segments[:5], CONFIG.world)
    assert side_by_side.fills > 0


def test_pieces_hold_every_event_once_each_with_its_book_and_none_is_too_long(segments):
    for most, longest in ((7, 0), (100, 0), (10**6, 0), (10**6, 30 * SECOND), (50, 1), (1, 0)):
        parts = training_pieces(segments[0], most, longest)
        deltas = [part.events.quantities[part.events.kinds == DELTA] for part in parts]
        events = segments[0].events
        assert (np.concatenate(deltas) == events.quantities[events.kinds == DELTA]).all()
        assert all(part.events.kinds[0] == SNAPSHOT for part in parts)
        assert all(len(part) <= most + 1 for part in parts)
        if longest:
            for part in parts:
                is_one_moment = part.events.times[1] == part.ends_at
                assert is_one_moment or part.ends_at - part.starts_at <= longest
        ours, theirs = (book_at(s.events, len(s), 99) for s in (parts[-1], segments[0]))
        assert all((mine == other).all() for mine, other in zip(ours, theirs, strict=True))


def inclined(trained, bias):
    """Give a copy of the policy that scores HOLD by so much higher."""
    with torch.no_grad():
        # The policy holds its last distribution, which can be copied without a graph only.
        trained.policy.get_distribution(torch.zeros((1, OBSERVATION_SIZE + len(ACTIONS))))
        policy = deepcopy(trained.policy)
        policy.action_net.bias[0] += bias
    return policy


def test_a_policy_that_never_acts_is_woken_as_little_as_it_takes(trained, segments):
    policy = inclined(trained, 6.0)
    assert activity(policy, segments, CONFIG) == 0.0
    lift = wake(policy, segments, CONFIG)
    assert activity(policy, segments, CONFIG) >= CONFIG.awake_at
    assert activity(policy, segments, CONFIG, lift=-0.1) < CONFIG.awake_at
    assert 0.0 < lift < 16.0


def test_a_policy_that_acts_is_left_alone(trained, segments):
    policy = inclined(trained, 6.0)
    wake(policy, segments, CONFIG)
    before = policy.action_net.bias.clone()
    assert wake(policy, segments, CONFIG) == 0.0
    assert torch.equal(policy.action_net.bias, before)


def test_the_graph_gives_the_networks_scores(trained, bundle):
    policy = Policy.load(bundle)
    random = np.random.default_rng(0)
    wild = random.uniform(-1, 1, (500, OBSERVATION_SIZE)).astype(np.float32)
    for observations in (trained.sample, wild):
        with torch.no_grad():
            expected = trained.policy.scores(torch.from_numpy(observations)).numpy()
            masks = torch.ones((len(observations), len(ACTIONS)))
            rows = torch.cat([torch.from_numpy(observations), masks], dim=1)
            logits = trained.policy.get_distribution(rows).distribution.logits.numpy()
        found = policy.scores(observations)
        assert np.abs(found - expected).max() <= 1e-5
        normalised = found - np.log(np.exp(found).sum(axis=1, keepdims=True))
        assert np.abs(normalised - logits).max() <= 1e-5


def test_one_observation_is_acted_on_as_in_a_batch(trained, bundle):
    policy = Policy.load(bundle)
    scores = policy.scores(trained.sample[:50])
    mask = (True, False, True, True, False)
    for row, expected in zip(trained.sample[:50], scores, strict=True):
        choice = policy.act(row.tolist(), mask)
        assert choice.action == first_highest(expected.tolist(), mask)


def test_the_first_of_equal_scores_is_taken_among_the_allowed():
    assert first_highest([1.0, 2.0, 2.0], [True, True, True]) == 1
    assert first_highest([1.0, 2.0, 2.0], [True, False, True]) == 2
    with pytest.raises(ValueError, match="no action"):
        first_highest([1.0], [False])


def test_the_manifest_tells_where_the_policy_comes_from(bundle):
    policy = Policy.load(bundle)
    assert policy.manifest["dataset_id"] == "d"
    assert policy.manifest["training"]["seed"] == CONFIG.seed
    assert policy.version == policy.manifest["files"]["model.onnx"][:12]


def test_a_loaded_policy_can_be_evaluated_and_judged(bundle, segments):
    policy = Policy.load(bundle)
    evaluation = evaluate_policy(policy.version, policy, segments[:2], CONFIG.world)
    assert sum(evaluation.actions) == evaluation.steps > 0
    alone = evaluation.__class__("x", evaluation.results, (9, 0, 0, 0, 0))
    assert integrity(policy, alone) == ("it takes one action only: HOLD",)
    alive = evaluation.__class__("x", evaluation.results, (9, 1, 0, 0, 0))
    assert integrity(policy, alive) == ()


@pytest.mark.parametrize("name", ["model.onnx", "probe.npz"])
def test_a_tampered_file_is_refused(copy, name):
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(data)
    with pytest.raises(PolicyRejected, match=f"{name} has sha256"):
        Policy.load(copy)


@pytest.mark.parametrize("name", ["model.onnx", "probe.npz", "manifest.json"])
def test_a_missing_file_is_refused(copy, name):
    (copy / name).unlink()
    with pytest.raises(PolicyRejected, match=name):
        Policy.load(copy)


def test_another_fingerprint_is_refused(copy):
    rewrite(copy, fingerprint="f" * 64)
    with pytest.raises(PolicyRejected, match="fingerprint ffffffffffff"):
        Policy.load(copy)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"format": "other"}, "kalshi-policy-1"),
        ({"version": ""}, "version"),
        ({"version": [1]}, "version"),
        ({"fingerprint": 5}, "fingerprint"),
        ({"files": "all of them"}, "files"),
        ({"files": {"model.onnx": 4}}, "the manifest says '4'"),
        ({"states": ["state_h"]}, "states"),
    ],
)
def test_a_manifest_that_says_too_little_or_too_much_is_refused(copy, fields, reason):
    rewrite(copy, **fields)
    with pytest.raises(PolicyRejected, match=reason):
        Policy.load(copy)


def change_weights(folder, change):
    model = onnx.load(folder / "model.onnx")
    for weights in model.graph.initializer:
        if weights.name == "bias_2":
            array = numpy_helper.to_array(weights).copy()
            change(array)
            weights.CopyFrom(numpy_helper.from_array(array, "bias_2"))
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    rewrite(folder)


def test_scores_that_are_not_the_probes_are_refused(copy):
    def nudge(bias):
        bias[1] += 1e-4

    change_weights(copy, nudge)
    with pytest.raises(PolicyRejected, match="probe scores are off"):
        Policy.load(copy)


def test_scores_that_are_not_finite_are_refused(copy):
    def break_it(bias):
        bias[1] = np.nan

    change_weights(copy, break_it)
    with pytest.raises(PolicyRejected, match="finite"):
        Policy.load(copy)


def test_probe_actions_that_differ_are_refused(copy):
    with np.load(copy / "probe.npz") as probe:
        parts = dict(probe)
    parts["actions"] = (parts["actions"] + 1) % len(ACTIONS)
    np.savez(copy / "probe.npz", **parts)
    rewrite(copy)
    with pytest.raises(PolicyRejected, match="probe actions"):
        Policy.load(copy)


def test_a_probe_of_pickles_is_refused(copy):
    np.savez(copy / "probe.npz", observations=np.array([{"a": 1}], dtype=object))
    rewrite(copy)
    with pytest.raises(PolicyRejected, match=r"probe\.npz cannot be read"):
        Policy.load(copy)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"scores": np.zeros((7, 5))}, "the rest is"),
        ({"scores": np.array([["high"] * 5] * 64)}, "cannot be read"),
        ({"masks": np.ones((64, 2))}, "the rest is"),
        ({"masks": np.ones(64)}, "the rest is"),
        ({"masks": np.zeros((64, 5))}, "a mask that allows nothing"),
        ({"actions": np.zeros((64, 1))}, "the rest is"),
        ({"observations": np.float32(3)}, "too few to tell"),
        ({"observations": np.zeros((64, 51))}, "the graph failed"),
    ],
)
def test_a_probe_of_other_shapes_is_refused(copy, fields, reason):
    with np.load(copy / "probe.npz") as probe:
        parts = dict(probe)
    np.savez(copy / "probe.npz", **(parts | fields))
    rewrite(copy)
    with pytest.raises(PolicyRejected, match=reason):
        Policy.load(copy)


def test_a_probe_that_is_no_archive_is_refused(copy):
    with (copy / "probe.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    rewrite(copy)
    with pytest.raises(PolicyRejected, match="cannot be read"):
        Policy.load(copy)


def test_bytes_that_are_no_graph_are_refused(copy):
    (copy / "model.onnx").write_bytes(b"not a graph")
    rewrite(copy)
    with pytest.raises(PolicyRejected, match="no graph"):
        Policy.load(copy)


def test_nothing_heavy_is_loaded_with_a_policy():
    import subprocess
    import sys

    code = (
        "import sys; import kalshiflow.agent.policy, kalshiflow.agent.observation; "
        "print(sorted(set(sys.modules) & {'torch', 'stable_baselines3', 'onnx', 'pandas', 'numba'}))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"

"""Following the champion: what is taken up, what is refused, and what changes nothing."""

import hashlib
import json

import httpx
import numpy as np
import pytest

from kalshiflow.agent.policy import PolicyRejected
from trader import policies
from trader.policies import (
    ChampionFollower,
    LoadedPolicy,
    PolicySlot,
    Registry,
    RegistryUnavailable,
)

FILES = {"manifest.json": b"{}", "probe.npz": b"probe", "model.onnx": b"model"}


class FakeMlflow:
    """Answers as a server of MLflow 3.17 does."""

    def __init__(self):
        self.version = "1"
        self.place = "mlflow-artifacts:/1/models/m-00/artifacts"
        self.files = dict(FILES)
        self.is_down = False
        self.fetched = 0
        self.tag = lambda: hashlib.sha256(self.files["manifest.json"]).hexdigest()

    def handle(self, request):
        if self.is_down:
            raise httpx.ConnectError("refused", request=request)
        path = request.url.path
        if path.endswith("/registered-models/alias"):
            assert dict(request.url.params) == {"name": "kalshi-policy", "alias": "champion"}
            if self.version is None:
                return self._missing(400, "INVALID_PARAMETER_VALUE", "alias champion not found.")
            tags = [] if self.tag is None else [{"key": "sha256", "value": self.tag()}]
            named = {"version": self.version, "tags": tags}
            return httpx.Response(200, json={"model_version": named})
        if path.endswith("/model-versions/get-download-uri"):
            return httpx.Response(200, json={"artifact_uri": self.place})
        assert path.startswith("/api/2.0/mlflow-artifacts/artifacts/1/models/m-00/artifacts/")
        self.fetched += 1
        content = self.files.get(path.rpartition("/")[2])
        if content is None:
            return self._missing(404, "RESOURCE_DOES_NOT_EXIST", "No such artifact")
        return httpx.Response(200, content=content)

    def _missing(self, status, code, message):
        return httpx.Response(status, json={"error_code": code, "message": message})


@pytest.fixture
def mlflow():
    return FakeMlflow()


@pytest.fixture
def slot():
    return PolicySlot()


@pytest.fixture
async def registry(mlflow):
    transport = httpx.MockTransport(mlflow.handle)
    async with httpx.AsyncClient(transport=transport, base_url="http://mlflow") as client:
        yield Registry(client)


@pytest.fixture
def follower(registry, slot):
    changes = []
    made = ChampionFollower(
        registry, slot, poll_seconds=3, now=lambda: 42, changed=lambda: changes.append(slot.current)
    )
    made.changes = changes
    return made


@pytest.fixture
def loads(monkeypatch):
    """Let every bundle load as what its manifest says: the checks themselves are the agent's."""

    class Loaded:
        def __init__(self, folder):
            self.manifest = json.loads((folder / "manifest.json").read_bytes())
            self.content = {path.name: path.read_bytes() for path in folder.iterdir()}
            if "reject" in self.manifest:
                raise PolicyRejected(self.manifest["reject"])

    class Loader:
        load = staticmethod(Loaded)

    monkeypatch.setattr(policies, "Policy", Loader)


def manifest(**more):
    return json.dumps({"fingerprint": "f00", **more}).encode()


async def test_the_champions_version_is_what_the_alias_names(registry):
    assert (await registry.champion()).version == "1"


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (400, "INVALID_PARAMETER_VALUE", "Registered model alias champion not found."),
        (404, "RESOURCE_DOES_NOT_EXIST", "Registered Model with name=kalshi-policy not found"),
    ],
)
async def test_a_missing_alias_or_model_is_no_champion(status, code, message):
    def answer(_request):
        return httpx.Response(status, json={"error_code": code, "message": message})

    transport = httpx.MockTransport(answer)
    async with httpx.AsyncClient(transport=transport, base_url="http://mlflow") as client:
        assert await Registry(client).champion() is None


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(500),
        httpx.Response(403, text="no"),
        httpx.Response(200, json={}),
        httpx.Response(200, json={"model_version": "1"}),
        None,
    ],
)
async def test_a_registry_that_does_not_answer_is_unavailable(answer):
    def give(request):
        if answer is None:
            raise httpx.ReadTimeout("slow", request=request)
        return answer

    transport = httpx.MockTransport(give)
    async with httpx.AsyncClient(transport=transport, base_url="http://mlflow") as client:
        with pytest.raises(RegistryUnavailable):
            await Registry(client).champion()


async def test_the_bundles_files_are_fetched_from_the_models_own_place(registry, tmp_path):
    source = await registry.fetch("1", tmp_path)

    assert source == "mlflow-artifacts:/1/models/m-00/artifacts"
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == FILES


async def test_a_bundle_outside_the_artifact_proxy_is_refused(registry, mlflow, tmp_path):
    mlflow.place = "s3://bucket/models/m-00"

    with pytest.raises(RegistryUnavailable, match="s3://bucket/models/m-00"):
        await registry.fetch("1", tmp_path)


async def test_a_bundle_that_cannot_be_kept_leaves_the_old_policy(registry, tmp_path):
    with pytest.raises(RegistryUnavailable, match="cannot be kept"):
        await registry.fetch("1", tmp_path / "missing")


async def test_a_new_champion_is_loaded_and_told(follower, slot, mlflow, loads):
    mlflow.files["manifest.json"] = manifest()

    await follower.look()

    assert (slot.current.version, slot.current.fingerprint) == ("1", "f00")
    assert (slot.current.source, slot.current.loaded_at) == (mlflow.place, 42)
    assert follower.changes == [slot.current]


async def test_the_same_champion_is_not_fetched_again(follower, mlflow, loads):
    mlflow.files["manifest.json"] = manifest()
    await follower.look()
    await follower.look()

    assert mlflow.fetched == 3


async def test_a_bundle_that_fails_its_checks_leaves_the_old_policy_and_is_told(
    follower, slot, mlflow, loads
):
    mlflow.files["manifest.json"] = manifest()
    await follower.look()
    mlflow.version, mlflow.files["manifest.json"] = "2", manifest(reject="another fingerprint")
    await follower.look()
    await follower.look()

    assert slot.current.version == "1"
    assert slot.problem == "version 2 was refused: another fingerprint"
    assert mlflow.fetched == 6  # a refused version is not fetched again

    mlflow.version, mlflow.files["manifest.json"] = "3", manifest()
    await follower.look()

    assert (slot.current.version, slot.problem) == ("3", None)


async def test_a_real_bundle_whose_bytes_are_not_the_manifests_is_refused(follower, slot, mlflow):
    from kalshiflow.agent.action import fingerprint
    from kalshiflow.agent.policy import BUNDLE_FORMAT

    wrong = {name: hashlib.sha256(b"other").hexdigest() for name in ("model.onnx", "probe.npz")}
    mlflow.files["manifest.json"] = json.dumps(
        {
            "format": BUNDLE_FORMAT,
            "version": "x",
            "fingerprint": fingerprint(),
            "files": wrong,
        }
    ).encode()

    await follower.look()

    assert slot.current is None
    assert slot.problem.startswith("version 1 was refused: model.onnx has sha256")


async def test_a_manifest_that_is_not_the_tagged_one_is_refused(follower, slot, mlflow, loads):
    mlflow.files["manifest.json"] = manifest()
    mlflow.tag = lambda: "0" * 64
    await follower.look()

    assert slot.current is None
    assert slot.problem.endswith(f"tagged is {'0' * 64}")


async def test_a_version_that_the_pipelines_did_not_tag_is_refused(follower, slot, mlflow, loads):
    mlflow.files["manifest.json"] = manifest()
    mlflow.tag = None
    await follower.look()

    assert slot.current is None
    assert "did not register it" in slot.problem


async def test_a_registry_that_goes_away_changes_nothing(follower, slot, mlflow, loads):
    mlflow.files["manifest.json"] = manifest()
    await follower.look()
    mlflow.is_down = True

    with pytest.raises(RegistryUnavailable):
        await follower.look()

    assert slot.current.version == "1"


async def test_an_alias_that_is_taken_away_ends_the_deciding(follower, slot, mlflow, loads):
    mlflow.files["manifest.json"] = manifest()
    await follower.look()
    mlflow.version = None
    await follower.look()

    assert slot.current is None
    assert len(follower.changes) == 2


async def test_a_policy_refused_while_it_acted_is_not_loaded_again(follower, slot, mlflow, loads):
    mlflow.files["manifest.json"] = manifest()
    await follower.look()
    slot.refuse("1", "scores are not finite")
    await follower.look()

    assert slot.current is None
    assert mlflow.fetched == 3


def test_refusing_another_version_leaves_the_current_one():
    slot = PolicySlot()
    slot.current = LoadedPolicy(np, "1", "f", "here", 0)

    slot.refuse("2", "bad")

    assert slot.current.version == "1"

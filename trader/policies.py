"""Follows the registry's champion: finds it, fetches its files, checks them, swaps it in.

MLflow is asked over plain REST. The policy that decides stays until another one has passed all of
its own checks; a registry that is away changes nothing, an alias that was taken away means holding.
"""

import asyncio
import hashlib
import random
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import structlog

from kalshiflow.agent.policy import Policy, PolicyRejected

log = structlog.get_logger()

MODEL = "kalshi-policy"
ALIAS = "champion"
FILES = ("manifest.json", "probe.npz", "model.onnx")
LARGEST_FILE = 64 << 20
ANSWER_SECONDS = 5.0
LONGEST_PAUSE = 60.0
API = "/api/2.0/mlflow"
NO_POLICY = "no promoted policy: holding"


class RegistryUnavailable(ConnectionError):
    """The registry did not answer, or not with what its API promises."""


@dataclass(frozen=True, slots=True)
class Champion:
    """What the alias names. `sha256` is that of the manifest, which pins the other files.

    The pipelines tag each version that they register with it; `None` where there is no tag.
    """

    version: str
    sha256: str | None


@dataclass(frozen=True, slots=True)
class LoadedPolicy:
    """A policy that passed its checks, and where it came from. `loaded_at` is UTC nanoseconds."""

    policy: Policy
    version: str
    fingerprint: str
    source: str
    loaded_at: int


class PolicySlot:
    """The policy that decides now, if any, and what is wrong with a newer one, if anything."""

    def __init__(self) -> None:
        self.current: LoadedPolicy | None = None
        self.problem: str | None = None
        self.refused: str | None = None  # a version that failed is not fetched again

    def refuse(self, version: str, why: str) -> None:
        """Let a version never act, or not any more."""
        self.refused = version
        self.problem = f"version {version} was refused: {why}"
        if self.current is not None and self.current.version == version:
            self.current = None


class Registry:
    """Reads one registered model of an MLflow server. `client` has the server as its base URL."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def champion(self) -> Champion | None:
        """Give the version that the alias names; `None` where there is no such alias or model."""
        answer = await self._get(f"{API}/registered-models/alias", name=MODEL, alias=ALIAS)
        body = _json(answer)
        if answer.status_code == httpx.codes.OK:
            return _champion(body)
        # A missing alias is an INVALID_PARAMETER_VALUE, a missing model a RESOURCE_DOES_NOT_EXIST.
        missing = {"INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST"}
        if body.get("error_code") in missing and "not found" in str(body.get("message", "")):
            return None
        raise RegistryUnavailable(f"MLflow answered {answer.status_code}: {body.get('message')}")

    async def fetch(self, version: str, folder: Path) -> str:
        """Write the version's bundle into `folder` and give its place in the artifact store."""
        answer = await self._get(
            f"{API}/model-versions/get-download-uri", name=MODEL, version=version
        )
        place = str(_json(answer).get("artifact_uri", ""))
        parts = urlsplit(place)
        if parts.scheme != "mlflow-artifacts":
            raise RegistryUnavailable(
                f"version {version} lies at {place or 'no place'}, not in MLflow's artifact proxy"
            )
        for name in FILES:
            path = quote(f"{parts.path.strip('/')}/{name}")
            await self._download(f"{API}-artifacts/artifacts/{path}", folder / name)
        return place

    async def _download(self, path: str, target: Path) -> None:
        try:
            async with self._client.stream("GET", path) as answer:
                if answer.status_code != httpx.codes.OK:
                    raise RegistryUnavailable(
                        f"MLflow answered {answer.status_code} for {target.name}"
                    )
                content = bytearray()
                async for piece in answer.aiter_bytes():
                    content += piece
                    if len(content) > LARGEST_FILE:
                        raise RegistryUnavailable(f"{target.name} is over {LARGEST_FILE} bytes")
        except httpx.HTTPError as failed:
            raise RegistryUnavailable(f"MLflow did not answer: {_name(failed)}") from failed
        try:
            await asyncio.to_thread(target.write_bytes, content)
        except OSError as full:
            raise RegistryUnavailable(f"{target.name} cannot be kept: {full}") from full

    async def _get(self, path: str, **query: str) -> httpx.Response:
        try:
            return await self._client.get(path, params=query)
        except httpx.HTTPError as failed:
            raise RegistryUnavailable(f"MLflow did not answer: {_name(failed)}") from failed


class ChampionFollower:
    """Keeps a `PolicySlot` at the champion; calls `changed` when another policy decides."""

    def __init__(
        self,
        registry: Registry,
        slot: PolicySlot,
        *,
        poll_seconds: float,
        now: Callable[[], int],
        changed: Callable[[], None],
    ) -> None:
        self._registry = registry
        self._slot = slot
        self._poll_seconds = poll_seconds
        self._now = now
        self._changed = changed

    async def run(self) -> None:
        """Look at the alias again and again, ever more rarely while the registry is away."""
        failures = 0
        while True:
            try:
                await self.look()
                failures = 0
            except RegistryUnavailable as away:
                failures += 1
                self._report(str(away))
            pause = min(LONGEST_PAUSE, self._poll_seconds * 2 ** min(failures, 10))
            await asyncio.sleep(pause * random.uniform(0.9, 1.1))  # noqa: S311 - jitter

    async def look(self) -> None:
        """Look once, and swap if the alias names another version that passes its checks.

        Raises `RegistryUnavailable`; a bundle that fails its checks is reported in the slot.
        """
        champion = await self._registry.champion()
        current = self._slot.current
        if champion is None:
            self._slot.refused = None
            self._report(None)
            if current is not None:
                self._slot.current = None
                self._changed()
            return
        if current is not None and champion.version == current.version:
            self._report(None)
        elif champion.version != self._slot.refused:
            await self._load(champion)

    async def _load(self, champion: Champion) -> None:
        version = champion.version
        with tempfile.TemporaryDirectory(prefix="kalshi-policy-") as folder:
            source = await self._registry.fetch(version, Path(folder))
            try:
                # Opening a session takes tens of milliseconds, which the event loop must not miss.
                policy = await asyncio.to_thread(_checked, Path(folder), champion)
            except PolicyRejected as rejected:
                self._slot.refuse(version, str(rejected))
                log.warning("policy refused", version=version, why=str(rejected))
                return
        self._slot.current = LoadedPolicy(
            policy,
            version,
            fingerprint=str(policy.manifest["fingerprint"]),
            source=source,
            loaded_at=self._now(),
        )
        self._report(None)
        self._changed()

    def _report(self, problem: str | None) -> None:
        if problem != self._slot.problem:
            self._slot.problem = problem
            if problem:
                log.warning("policy problem", problem=problem)


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError as failed:
        raise RegistryUnavailable(f"MLflow answered {answer.status_code} without JSON") from failed
    if not isinstance(body, dict):
        raise RegistryUnavailable(f"MLflow answered {answer.status_code} with {type(body)}")
    return body


def _checked(folder: Path, champion: Champion) -> Policy:
    if champion.sha256 is None:
        raise PolicyRejected("it has no tag sha256: the pipelines did not register it")
    found = hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    if found != champion.sha256:
        raise PolicyRejected(f"manifest.json has sha256 {found}, tagged is {champion.sha256}")
    return Policy.load(folder)


def _champion(body: dict[str, Any]) -> Champion:
    named = body.get("model_version")
    if not isinstance(named, dict) or not named.get("version"):
        raise RegistryUnavailable(f"MLflow named no version: {body}")
    tags = {tag.get("key"): tag.get("value") for tag in named.get("tags") or ()}
    return Champion(str(named["version"]), tags.get("sha256"))


def _name(failed: httpx.HTTPError) -> str:
    return str(failed) or type(failed).__name__

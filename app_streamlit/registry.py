"""The policies in MLflow's registry, read over plain REST."""

from dataclasses import dataclass
from datetime import UTC, datetime

import httpx

from kalshiflow.exchange.environments import is_loopback

MODEL_NAME = "kalshi-policy"
TIMEOUT_SECONDS = 3.0


class RegistryUnavailable(ConnectionError):
    """MLflow did not answer, or not with what its API promises."""


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """One registered version, with the aliases that point at it."""

    version: int
    created_at: datetime
    aliases: tuple[str, ...]
    tags: dict[str, str]
    run_id: str


def policy_versions(tracking_uri: str) -> list[PolicyVersion]:
    """List the latest versions of `kalshi-policy` and all that have an alias, newest first.

    Empty where none is registered.
    """
    with httpx.Client(
        base_url=tracking_uri,
        timeout=TIMEOUT_SECONDS,
        trust_env=not is_loopback(tracking_uri),  # no proxy leads to this machine
    ) as client:
        try:
            aliases = _aliases(client)
            answer = client.get(
                "/api/2.0/mlflow/model-versions/search",
                params={"filter": f"name='{MODEL_NAME}'", "max_results": 50},
            )
            answer.raise_for_status()
            rows = answer.json().get("model_versions", [])
            listed = {int(row["version"]) for row in rows}
            rows += [_get(client, version) for version in aliases if version not in listed]
        except (httpx.HTTPError, ValueError) as failed:
            raise RegistryUnavailable(
                f"MLflow at {tracking_uri} did not answer: {failed}"
            ) from failed
    versions = [_version_of(row, aliases) for row in rows]
    return sorted(versions, key=lambda v: v.version, reverse=True)


def _aliases(client: httpx.Client) -> dict[int, tuple[str, ...]]:
    answer = client.get("/api/2.0/mlflow/registered-models/get", params={"name": MODEL_NAME})
    if answer.status_code == httpx.codes.NOT_FOUND:
        return {}
    answer.raise_for_status()
    found: dict[int, tuple[str, ...]] = {}
    for row in answer.json().get("registered_model", {}).get("aliases", []):
        version = int(row["version"])
        found[version] = (*found.get(version, ()), row["alias"])
    return found


def _get(client: httpx.Client, version: int) -> dict:
    answer = client.get(
        "/api/2.0/mlflow/model-versions/get", params={"name": MODEL_NAME, "version": str(version)}
    )
    answer.raise_for_status()
    return answer.json()["model_version"]


def _version_of(row: dict, aliases: dict[int, tuple[str, ...]]) -> PolicyVersion:
    version = int(row["version"])
    return PolicyVersion(
        version=version,
        created_at=datetime.fromtimestamp(int(row["creation_timestamp"]) / 1000, tz=UTC),
        aliases=aliases.get(version, ()),
        tags={tag["key"]: tag["value"] for tag in row.get("tags", [])},
        run_id=row.get("run_id", ""),
    )

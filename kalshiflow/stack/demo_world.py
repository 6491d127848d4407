"""What the demo sees of a running stack: its HTTP pages and its database, read as values."""

import json
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx

from kalshiflow.market.units import Cash, Quantity, cash_from_dollars, quantity_from_contracts
from kalshiflow.stack.errors import StackFailed
from kalshiflow.stack.ports import HOST
from kalshiflow.store.commands import add_command
from kalshiflow.store.database import Store, run

T = TypeVar("T")
_RUNS = """{ runsOrError(limit: 200) { ... on Runs { results {
  runId jobName status tags { key value } } } ... on PythonError { message } } }"""
_DATASET = """{ assetNodeOrError(assetKey: {path: ["training_dataset"]}) { ... on AssetNode {
  assetMaterializations(limit: 1) { metadataEntries { label ... on IntMetadataEntry { intRepr } } }
} } }"""
_FAILURE = """query($run: ID!) { runOrError(runId: $run) { ... on Run { eventConnection { events {
  ... on ExecutionStepFailureEvent { stepKey error { message causes { message } } }
  ... on RunFailureEvent { message } } } } } }"""


@dataclass(frozen=True, slots=True)
class PipelineRun:
    """One run of Dagster; `partition` is the session's id, where it has one."""

    run_id: str
    job: str
    status: str
    partition: str | None


@dataclass(frozen=True, slots=True)
class AccountView:
    """Cash, and what is held where it is not nothing, as one side of a comparison has it."""

    cash: Cash
    positions: Mapping[str, Quantity]
    open_orders: int


class World:
    """A running stack, reached through the variables that its env file has."""

    def __init__(self, state: Path, variables: Mapping[str, str]) -> None:
        self.state = state
        self.database_url = variables["DATABASE_URL"]
        self._key_id = variables["KALSHI_API_KEY_ID"]
        self._ports = {
            name: int(variables[f"RL_{name.upper()}_PORT"])
            for name in ("collector", "trader", "dagster", "venue")
        }

    def ask(self, work: Callable[[Store], Awaitable[T]]) -> T:
        """Do something with the database."""
        return run(self.database_url, work)

    # the local exchange

    def venue(self) -> dict[str, Any]:
        """Give the venue's state."""
        return self._get("venue", "/venue/status")

    def start_venue(self) -> None:
        """Let market time begin."""
        httpx.post(f"{self._base('venue')}/venue/start", timeout=10).raise_for_status()

    def venue_account(self) -> AccountView:
        """Give the trader's account as the venue's own ledger has it."""
        found = self._get("venue", f"/venue/account/{self._key_id}")
        held = {ticker: Quantity(one["quantity"]) for ticker, one in found["positions"].items()}
        return AccountView(Cash(found["cash"]), _not_flat(held), len(found["orders"]))

    # our programs

    def collector(self) -> dict[str, Any]:
        """Give the collector's health."""
        return self._get("collector", "/rl/health")

    def trader(self) -> dict[str, Any]:
        """Give the trader's status."""
        return self._get("trader", "/v3/status")

    def trader_health(self) -> dict[str, Any]:
        """Give the trader's health."""
        return self._get("trader", "/v3/health")

    def pause_trader(self) -> None:
        """Have the trader cancel its orders and send no more, as a person would."""
        self.ask(
            lambda store: add_command(
                store, "pause", who="demo", why="to compare the accounts", at=time.time_ns()
            )
        )

    def frames_received(self) -> int:
        """Count the frames that the collector took from its sockets, by its own account.

        Each process of it writes that number last of all.
        """
        text = (self.state / "logs" / "collector.log").read_text()
        return sum(int(frames) for frames in re.findall(r"event=stopped .*?frames=(\d+)", text))

    # the pipelines

    def pipeline_runs(self) -> list[PipelineRun]:
        """Give all runs, newest first."""
        answer = self._query(_RUNS, {})["runsOrError"]
        if "results" not in answer:
            raise StackFailed(f"Dagster cannot list its runs: {answer.get('message')}")
        return [_run_of(one) for one in answer["results"]]

    def dataset_rows(self) -> tuple[int, int]:
        """Give the rows of the last dataset: those to learn from, and those to judge by."""
        found = self._query(_DATASET, {})["assetNodeOrError"]["assetMaterializations"]
        entries = found[0]["metadataEntries"] if found else []
        rows = {entry["label"]: int(entry["intRepr"]) for entry in entries if "intRepr" in entry}
        return rows.get("rows to learn from", 0), rows.get("rows to evaluate on", 0)

    def failure_of(self, found: PipelineRun) -> str:
        """Give the deepest error message of a failed run."""
        events = self._query(_FAILURE, {"run": found.run_id})["runOrError"]
        texts = [_error_text(event) for event in events["eventConnection"]["events"] if event]
        return next((text for text in texts if text), "no message")

    def _query(self, query: str, values: Mapping[str, str]) -> dict[str, Any]:
        body = {"query": query, "variables": dict(values)}
        answer = httpx.post(f"{self._base('dagster')}/graphql", json=body, timeout=30)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()["data"]
        return found

    def _get(self, name: str, path: str) -> dict[str, Any]:
        answer = httpx.get(f"{self._base(name)}{path}", timeout=10)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def _base(self, name: str) -> str:
        return f"http://{HOST}:{self._ports[name]}"


def account_of(status: Mapping[str, Any]) -> AccountView:
    """Read the trader's own idea of its account from `/v3/status`."""
    held = {one["market_ticker"]: Quantity(_signed(one["quantity"])) for one in status["positions"]}
    return AccountView(
        cash_from_dollars(status["cash"]), _not_flat(held), int(status["orders"]["open"])
    )


def _signed(contracts: str) -> int:
    size = quantity_from_contracts(contracts.removeprefix("-"))
    return -size if contracts.startswith("-") else size


def _not_flat(held: Mapping[str, Quantity]) -> dict[str, Quantity]:
    return {ticker: quantity for ticker, quantity in sorted(held.items()) if quantity}


def _run_of(found: Mapping[str, Any]) -> PipelineRun:
    tags = {tag["key"]: tag["value"] for tag in found["tags"]}
    return PipelineRun(
        found["runId"], found["jobName"], found["status"], tags.get("dagster/partition")
    )


def _error_text(event: Mapping[str, Any]) -> str:
    error = event.get("error")
    if not error:
        return str(event.get("message") or "")
    causes = [cause["message"] for cause in error.get("causes") or []]
    deepest = causes[-1] if causes else error["message"]
    return f"{event.get('stepKey')}: {json.dumps(deepest.strip())}"

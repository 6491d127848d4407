"""Kalshi's own description as the judge of what the venue sent: REST answers and frames.

It reads the venue's log, so it judges what went over the wire, whoever asked. What differs from
the description on purpose stands in the tables below and, in words, in docs/venue.md.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema_rs
import yaml

PREFIX = "/trade-api/v2"

# Answers that the description does not list for an endpoint, because it lists none for any: the
# status alone is allowed, everywhere.
EVERYWHERE = {
    400: "a parameter or a body that cannot be read",
    401: "a signature that does not hold",
    404: "no such thing, or no such path",
    405: "a method that the path does not take",
    429: "a request beyond the limits",
}
V1 = "the old order endpoints, switched off"
# One endpoint's status that was recorded or reported, and that the description leaves out.
SOMETIMES = {
    ("POST", "/portfolio/orders", 410): V1,
    ("DELETE", "/portfolio/orders/{order_id}", 410): V1,
    ("POST", "/portfolio/orders/{order_id}/amend", 410): V1,
    ("POST", "/portfolio/orders/{order_id}/decrease", 410): V1,
    ("POST", "/portfolio/orders/batched", 410): V1,
    ("DELETE", "/portfolio/orders/batched", 410): V1,
    ("POST", "/portfolio/events/orders/{order_id}/amend", 409): "the id is used up, or a pause",
    ("POST", "/portfolio/orders/{order_id}/amend", 409): "the id is used up, or a pause",
    ("DELETE", "/portfolio/events/orders/{order_id}", 409): "the exchange is paused",
    ("DELETE", "/portfolio/orders/{order_id}", 409): "the exchange is paused",
    ("POST", "/portfolio/events/orders/{order_id}/decrease", 409): "the exchange is paused",
    ("POST", "/portfolio/orders/{order_id}/decrease", 409): "the exchange is paused",
}
# Newer than the description at hand, which is of August 2026.
NEWER = {("DELETE", "/portfolio/events/orders"): {204}}
ERROR = {"$ref": "#/components/schemas/ErrorResponse"}

# Tickers with a decimal point were recorded; the description's pattern forgets them.
TICKER_PATTERN = {"^[A-Z0-9-]+$": "^[A-Z0-9.-]+$"}

FRAMES = {
    "subscribed": "subscribedResponse",
    "unsubscribed": "unsubscribedResponse",
    "ok": "okResponse",
    "error": "errorResponse",
    "orderbook_snapshot": "orderbookSnapshot",
    "orderbook_delta": "orderbookDelta",
    "ticker": "ticker",
    "trade": "trade",
    "fill": "fill",
    "market_position": "marketPosition",
    "user_order": "userOrder",
    "market_lifecycle_v2": "marketLifecycleV2",
    "event_lifecycle": "eventLifecycle",
    "event_fee_update": "eventFeeUpdate",
    "order_group_updates": "orderGroupUpdates",
}


class Oracle:
    """Judges lines of the venue's log by the description in a folder."""

    def __init__(self, folder: Path) -> None:
        self._rest = _Rest(_load(folder / "openapi.yaml"))
        self._frames = _Frames(_load(folder / "asyncapi.yaml"))
        self.answers = 0
        self.frames = 0

    def problems(self, log: Path) -> list[str]:
        """Give what a log holds that the description does not allow."""
        found: dict[str, int] = {}
        for line in _lines(log):
            if line.get("fault"):  # sent broken, on purpose
                continue
            for problem in self._judge(line):
                found[problem] = found.get(problem, 0) + 1
        return [f"{count} times: {problem}" for problem, count in found.items()]

    def _judge(self, line: Mapping[str, Any]) -> Iterator[str]:
        if line["kind"] == "rest" and line["path"].startswith(PREFIX):
            if line["status"] is None:  # the client was gone before its answer
                return
            self.answers += 1
            yield from self._rest.problems(
                line["method"], line["path"], line["status"], line["response"]
            )
        elif line["kind"] == "frame":
            self.frames += 1
            yield from self._frames.problems(line["text"])


class _Rest:
    def __init__(self, description: dict[str, Any]) -> None:
        self._components = _without_nullable(description["components"])
        self._responses = description["components"]["responses"]
        self._paths = [
            (re.compile(re.sub(r"\{[^}]+\}", "[^/]+", path) + "$"), path, operations)
            for path, operations in description["paths"].items()
        ]
        # A path without parameters is meant where both kinds match.
        self._paths.sort(key=lambda entry: entry[1].count("{"))
        self._validators: dict[str, Any] = {}

    def problems(self, method: str, path: str, status: int, body: str) -> Iterator[str]:
        here = path.removeprefix(PREFIX)
        found = next(
            (
                (name, operations[method.lower()])
                for pattern, name, operations in self._paths
                if pattern.match(here) and method.lower() in operations
            ),
            None,
        )
        if found is None:
            if status not in {*NEWER.get((method, here), ()), *EVERYWHERE, 410}:
                yield f"{method} {here}: answered {status}, but the description has no such path"
            return
        name, operation = found
        where = f"{method} {name} {status}"
        documented = operation["responses"].get(str(status))
        if documented is None:
            if status not in EVERYWHERE and (method, name, status) not in SOMETIMES:
                yield f"{where}: the description has no such status"
                return
            documented = {"content": {"application/json": {"schema": ERROR}}}
        yield from self._body(where, documented, body)

    def _body(self, where: str, documented: Mapping[str, Any], body: str) -> Iterator[str]:
        if "$ref" in documented:
            documented = self._responses[documented["$ref"].rpartition("/")[2]]
        content = documented.get("content", {}).get("application/json")
        if content is None:
            return
        try:
            value = json.loads(body)
        except ValueError:
            yield f"{where}: {body[:100]!r} is not JSON"
            return
        for error in self._validator(content["schema"]).iter_errors(value):
            yield f"{where}: at {_place(error.instance_path)}: {error.message[:300]}"

    def _validator(self, schema: Any) -> Any:
        key = json.dumps(schema, sort_keys=True)
        if key not in self._validators:
            root = {"allOf": [_without_nullable(schema)], "components": self._components}
            self._validators[key] = jsonschema_rs.Draft4Validator(root, validate_formats=True)
        return self._validators[key]


class _Frames:
    def __init__(self, description: dict[str, Any]) -> None:
        components = _with_recorded_tickers(description["components"])
        self._validators = {
            name: jsonschema_rs.Draft7Validator(
                {"allOf": [message["payload"]], "components": components}, validate_formats=True
            )
            for name, message in components["messages"].items()
        }

    def problems(self, text: str) -> Iterator[str]:
        frame = json.loads(text)
        kind = frame.get("type")
        name = FRAMES.get(kind)
        if kind == "ok" and isinstance(frame.get("msg"), list):
            name = "listSubscriptionsResponse"
        if name is None:
            yield f"frame {kind!r}: the description has no such type"
            return
        for error in self._validators[name].iter_errors(frame):
            yield f"frame {kind}: at {_place(error.instance_path)}: {error.message[:300]}"


def _load(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load(path.read_text(), yaml.CSafeLoader)
    return loaded


def _lines(log: Path) -> Iterable[dict[str, Any]]:
    with log.open() as file:
        for line in file:
            yield json.loads(line)


def _with_recorded_tickers(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_with_recorded_tickers(part) for part in schema]
    if isinstance(schema, dict):
        return {key: _with_recorded_tickers(part) for key, part in schema.items()}
    return TICKER_PATTERN.get(schema, schema) if isinstance(schema, str) else schema


def _place(path: Iterable[Any]) -> str:
    """Name a place in a body, whatever the position in a list."""
    return "/".join("*" if isinstance(part, int) else str(part) for part in path) or "the top"


def _without_nullable(schema: Any) -> Any:
    """Turn OpenAPI's `nullable` into JSON Schema's own words for it."""
    if isinstance(schema, list):
        return [_without_nullable(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    turned = {key: _without_nullable(part) for key, part in schema.items() if key != "nullable"}
    if schema.get("nullable") is True:
        return {"anyOf": [turned, {"type": "null"}]}
    return turned

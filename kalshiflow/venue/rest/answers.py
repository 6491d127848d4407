"""REST answers in Kalshi's shapes, with its three kinds of error, and its way to read a query."""

from collections.abc import Collection, Mapping

import msgspec
from starlette.responses import Response

from kalshiflow.exchange import payloads
from kalshiflow.venue.clock import SECOND
from kalshiflow.venue.floor.refusals import Refused

JSON = "application/json"
DEFAULT_LIMIT, MOST = 100, 1000
_FLAGS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}


class BadParameter(Exception):
    """A query that fails validation: answered by HTTP 400 and `{"msg"}`."""

    def __init__(self, operation: str, field: str, tag: str) -> None:
        self.message = (
            f"Parameter validation failed for {operation}: Key: '{operation}Params.{field}' "
            f"Error:Field validation for '{field}' failed on the '{tag}' tag"
        )
        super().__init__(self.message)


class InvalidParameters(Refused):
    """A parameter that contradicts another one, or names what this exchange does not have."""

    code = "invalid_parameters"


class BadBody(Exception):
    """A body that cannot be read: answered by HTTP 400 and the flat shape."""


def body(content: msgspec.Struct, status: int = 200) -> Response:
    """Answer with a body."""
    return Response(payloads.encode(content), status, media_type=JSON)


def error_of(refused: Refused) -> payloads.ErrorDetail:
    """Write why something was refused."""
    return payloads.ErrorDetail(refused.code, refused.message, refused.details or None)


def refusal(refused: Refused) -> Response:
    """Answer with a business error."""
    return body(payloads.NestedError(error_of(refused)), refused.status)


def bad_parameter(error: BadParameter) -> Response:
    """Answer that a query failed validation."""
    return body(payloads.ParameterError(error.message), 400)


def bad_body(error: BadBody) -> Response:
    """Answer that a body could not be read."""
    return body(payloads.FlatError("bad_request", "bad request", str(error)), 400)


def limit_of(
    query: Mapping[str, str],
    operation: str,
    most: int = MOST,
    *,
    usual: int = DEFAULT_LIMIT,
    words: tuple[str, str] = ("gte", "lte"),
) -> int:
    """Read `limit`; raises `BadParameter` for one beyond the most, or below zero.

    `words` are how the endpoint's validator says at least and at most.
    """
    value = whole(query, "limit", operation)
    if value is None:
        return usual
    if value > most:
        raise BadParameter(operation, "Limit", words[1])
    if value < 0:
        raise BadParameter(operation, "Limit", words[0])
    return value or usual


def whole(query: Mapping[str, str], name: str, operation: str) -> int | None:
    """Read a whole number that may be absent."""
    text = query.get(name)
    if not text:
        return None
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 15):
        raise BadParameter(operation, _field(name), "number")
    return int(text)


def needed(query: Mapping[str, str], name: str, operation: str) -> int:
    """Read a whole number that must be there."""
    value = whole(query, name, operation)
    if value is None:
        raise BadParameter(operation, _field(name), "required")
    return value


def choice(query: Mapping[str, str], name: str, operation: str, words: Collection[str]) -> str:
    """Read one of some words; empty where the parameter is absent."""
    word = query.get(name) or ""
    if word and word not in words:
        raise BadParameter(operation, _field(name), "oneof")
    return word


def flag(query: Mapping[str, str], name: str, operation: str) -> bool | None:
    """Read a truth value that may be absent."""
    text = query.get(name)
    if not text:
        return None
    value = _FLAGS.get(text.lower())
    if value is None:
        raise BadParameter(operation, _field(name), "boolean")
    return value


def names(query: Mapping[str, str], name: str) -> frozenset[str]:
    """Read a comma-separated list; empty where the parameter is absent."""
    return frozenset(filter(None, query.get(name, "").split(",")))


def within(at: int, earliest: int | None, latest: int | None) -> bool:
    """Say whether a time lies within bounds in Unix seconds."""
    if earliest is not None and at < earliest * SECOND:
        return False
    return latest is None or at < (latest + 1) * SECOND


def _field(name: str) -> str:
    return name.title().replace("_", "")

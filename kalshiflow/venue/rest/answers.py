"""REST answers in Kalshi's shapes: bodies, the three kinds of error, pages and their cursors."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import TypeVar

import msgspec
from starlette.responses import Response

from kalshiflow.exchange import payloads
from kalshiflow.venue.floor.refusals import Refused

ItemT = TypeVar("ItemT")
JSON = "application/json"
DEFAULT_LIMIT, MOST = 100, 1000


class BadParameter(Exception):
    """A query that fails validation: answered by HTTP 400 and `{"msg"}`."""

    def __init__(self, operation: str, field: str, tag: str) -> None:
        self.message = (
            f"Parameter validation failed for {operation}: Key: '{operation}Params.{field}' "
            f"Error:Field validation for '{field}' failed on the '{tag}' tag"
        )
        super().__init__(self.message)


class BadBody(Exception):
    """A body that cannot be read: answered by HTTP 400 and the flat shape."""


def body(content: msgspec.Struct, status: int = 200) -> Response:
    """Answer with a body."""
    return Response(payloads.encode(content), status, media_type=JSON)


def refusal(refused: Refused) -> Response:
    """Answer with a business error."""
    detail = payloads.ErrorDetail(refused.code, refused.message, refused.details or None)
    return body(payloads.NestedError(detail), refused.status)


def bad_parameter(error: BadParameter) -> Response:
    """Answer that a query failed validation."""
    return body(payloads.ParameterError(error.message), 400)


def bad_body(error: BadBody) -> Response:
    """Answer that a body could not be read."""
    return body(payloads.FlatError("bad_request", "bad request", str(error)), 400)


def limit_of(query: Mapping[str, str], operation: str, most: int = MOST) -> int:
    """Read `limit`; raises `BadParameter` for one beyond the most, or none at all."""
    text = query.get("limit")
    if not text:
        return DEFAULT_LIMIT
    value = whole(query, "limit", operation)
    if value is None or value > most:
        raise BadParameter(operation, "Limit", "lte")
    if value < 0:
        raise BadParameter(operation, "Limit", "gte")
    return value or DEFAULT_LIMIT


def whole(query: Mapping[str, str], name: str, operation: str) -> int | None:
    """Read a whole number that may be absent."""
    text = query.get(name)
    if not text:
        return None
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 15):
        raise BadParameter(operation, name.title().replace("_", ""), "number")
    return int(text)


def page(items: Sequence[ItemT], cursor: str | None, limit: int) -> tuple[Sequence[ItemT], str]:
    """Cut one page out of a list; give it with the cursor of the next, empty after the last.

    A cursor that is none of ours begins anew, as at Kalshi.
    """
    begin = _offset(cursor)
    end = begin + limit
    return items[begin:end], _cursor(end) if end < len(items) else ""


def _cursor(offset: int) -> str:
    return base64.urlsafe_b64encode(f"from:{offset}".encode()).decode().rstrip("=")


def _offset(cursor: str | None) -> int:
    if not cursor:
        return 0
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        return 0
    word, _, digits = text.partition(":")
    return int(digits) if word == "from" and digits.isdecimal() and len(digits) <= 9 else 0

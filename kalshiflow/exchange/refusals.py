"""Error answers of REST and of the handshake, read into the error tree."""

import re
from dataclasses import dataclass
from typing import Any

import msgspec

from kalshiflow.exchange.errors import (
    ConnectionRefused,
    DuplicateClientOrderId,
    ExchangeError,
    ExchangeUnavailable,
    InsufficientBalance,
    InvalidPrice,
    MarketInactive,
    NotFillable,
    NotFound,
    OrderRejected,
    PostOnlyCross,
    RateLimited,
    RequestRejected,
    Unauthorised,
    UnknownOutcome,
)


@dataclass(frozen=True, slots=True)
class Words:
    """What an error answer says, whichever of the three shapes it has; nothing if it is no JSON."""

    code: str = ""
    message: str = ""
    details: str = ""

    def __str__(self) -> str:
        return " ".join(word for word in (self.code, self.message, self.details) if word)


class _AnyShape(msgspec.Struct):
    """All three shapes at once: nested (`error`), flat (`code`), parameters (`msg`)."""

    error: Any = None
    code: Any = None
    message: Any = None
    details: Any = None
    msg: Any = None


# By code; `invalid_order` is told apart by its words below.
_BY_CODE: dict[str, type[OrderRejected]] = {
    "insufficient_balance": InsufficientBalance,
    "available_balance_too_low": InsufficientBalance,
    "invalid_price": InvalidPrice,
    "order_already_exists": DuplicateClientOrderId,
    "market_inactive": MarketInactive,
}
_REQUEST_TIMEOUT = 408
_LONGEST_WORDS = 200
_TAGS = re.compile(rb"<[^>]*>")


def read_words(raw: bytes) -> Words:
    """Read an error answer; never raises, whatever came."""
    try:
        shape = msgspec.json.decode(raw, type=_AnyShape)
    except (ValueError, RecursionError):
        return Words()
    if isinstance(shape.error, dict):
        nested = shape.error
        return Words(_text(nested, "code"), _text(nested, "message"), _text(nested, "details"))
    if isinstance(shape.error, str):
        return Words(message=shape.error)
    flat = {"code": shape.code, "message": shape.message or shape.msg, "details": shape.details}
    return Words(_text(flat, "code"), _text(flat, "message"), _text(flat, "details"))


def refusal_of(
    status: int, raw: bytes, *, mutates: bool, retry_after: float | None = None
) -> ExchangeError:
    """Give the error that an answer means; `retry_after` is what its head says, in seconds.

    Of a mutation, a 5xx, a 408 and anything that is no refusal leave the outcome unknown.
    """
    words = read_words(raw)
    if mutates and (status == _REQUEST_TIMEOUT or not 400 <= status < 500):
        return UnknownOutcome(f"HTTP {status} {words}: it may have been done or not")
    common = connection_refusal(status, words, retry_after)
    if common is not None:
        return common
    kind: type[RequestRejected] = OrderRejected if mutates else RequestRejected
    known = _BY_CODE.get(words.code.lower())
    said = f"{words.message} {words.details}".lower()
    if known is not None:
        kind = known
    elif status == 404:
        kind = NotFound
    elif mutates and "post only" in said:
        kind = PostOnlyCross
    elif mutates and "fill_or_kill" in said:
        kind = NotFillable
    return kind(status, words.code, words.message, words.details)


def connection_refusal(
    status: int, words: Words, retry_after: float | None = None
) -> ConnectionRefused | None:
    """Give the error of a request that was not looked at, or `None` where it was."""
    said = f"HTTP {status} {words}".rstrip()
    if status in {401, 403}:
        return Unauthorised(said, retry_after)
    if status == 429:
        return RateLimited(said, retry_after)
    if status >= 500:
        return ExchangeUnavailable(said, retry_after)
    return None


def handshake_refusal(
    status: int, raw: bytes, retry_after: float | None = None
) -> ConnectionRefused:
    """Give the error of a WebSocket's handshake that was refused, whoever refused it.

    A gateway's page has words, too: they are kept as plain text, without tags, cut to 200 signs.
    """
    inner = raw[raw.find(b"{") : raw.rfind(b"}") + 1]  # less the sizes of a body sent in chunks
    words = read_words(inner)
    if not str(words):
        plain = _TAGS.sub(b" ", raw).decode("utf-8", "replace")
        said = " ".join(plain.split()).removeprefix(f"{status} ")  # which is told anyway
        words = Words(message=said[:_LONGEST_WORDS])
    known = connection_refusal(status, words, retry_after)
    return known or ConnectionRefused(f"HTTP {status} {words}".rstrip(), retry_after)


def _text(shape: dict[str, Any], name: str) -> str:
    value = shape.get(name)
    return "" if value is None else str(value)[:500]

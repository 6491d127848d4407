"""Bodies of order requests, read: what a client asks for, or why it cannot be asked."""

import re
from collections.abc import Mapping
from typing import TypeVar

import msgspec

from kalshiflow.exchange import payloads
from kalshiflow.exchange.translate import TranslationError, positive_quantity_of, side_of
from kalshiflow.market.events import Side
from kalshiflow.market.orders import TimeInForce
from kalshiflow.market.units import (
    CONTRACT,
    Price,
    Quantity,
    UnitError,
    price_from_dollars,
    quantity_from_contracts,
)
from kalshiflow.venue.clock import SECOND
from kalshiflow.venue.floor.refusals import InvalidOrder, InvalidOrderSize, InvalidPrice, Refused
from kalshiflow.venue.floor.requests import Amendment, NewOrder
from kalshiflow.venue.matching.messages import SelfTrade
from kalshiflow.venue.rest import answers

LATEST_EXPIRY = 9_000_000_000  # Unix seconds: what nanoseconds of 64 bits can hold
SUBACCOUNTS = 63
AUTO_ROUTE = -1
FormT = TypeVar("FormT")

# What the exchange's own decoder calls the types of JSON, and of its fields.
_JSON_TYPES = {"int": "number", "float": "number", "str": "string"}
_FIELD_TYPES = {"str": "string", "int": "int64"}
_MISMATCH = re.compile(r"Expected `(\w+)[^`]*`, got `(\w+)` - at `\$\.?([^`]*)`")
_MISSING = re.compile(r"missing required field `(\w+)`(?: - at `\$\.?([^`]*)`)?")


class MissingParameters(Refused):
    """A body without a field that must be there; `details` name it."""

    code = "missing_parameters"


class AmendForm(msgspec.Struct, frozen=True):
    """New terms of a resting order; `count` is the new total, what is filled included."""

    ticker: str
    side: str
    price: str
    count: str
    client_order_id: str | None = None
    updated_client_order_id: str | None = None
    expiration: int | None = None
    exchange_index: int | None = None


class DecreaseForm(msgspec.Struct, frozen=True):
    """How much to take off a resting order: exactly one of the two counts."""

    reduce_by: str | None = None
    reduce_to: str | None = None
    market_ticker: str | None = None
    exchange_index: int | None = None


class BatchCreateForm(msgspec.Struct, frozen=True):
    """Several new orders."""

    orders: list[payloads.CreateOrder]


class CancelForm(msgspec.Struct, frozen=True):
    """One order of a batch to cancel."""

    order_id: str
    subaccount: int | None = None
    exchange_index: int | None = None
    market_ticker: str | None = None


class BatchCancelForm(msgspec.Struct, frozen=True):
    """Several orders to cancel."""

    orders: list[CancelForm]


# --- bodies ----------------------------------------------------------------------------------


def read(raw: bytes, form: type[FormT], name: str, items: str = "") -> FormT:
    """Read a body; raises `BadBody` for a wrong type and `MissingParameters` for a missing field.

    `name` and `items` are the exchange's names of the form and of the things in its list: they
    stand in what it says of a field.
    """
    try:
        return payloads.decode(raw, form)
    except (ValueError, RecursionError) as unreadable:
        problem = str(unreadable)
    mismatch = _MISMATCH.search(problem)
    if mismatch:
        wanted, got, path = mismatch.groups()
        if got == "null":  # which the exchange's decoder takes for nothing at all
            raise missing(f"{name}.{path}")
        field = re.sub(r"\[\d*\]|\[\.\.\.\]", "", path)
        owner = items if "." in field and items else name
        raise answers.BadBody(
            f"json: cannot unmarshal {_JSON_TYPES.get(got, got)} into Go struct field "
            f"{owner}.{field} of type {_FIELD_TYPES.get(wanted, wanted)}"
        )
    absent = _MISSING.search(problem)
    if absent:
        field, path = absent.groups()
        raise missing(f"{name}.{path}.{field}" if path else f"{name}.{field}")
    raise answers.BadBody("invalid request body" if raw else "EOF")


def missing(path: str) -> MissingParameters:
    """Give the refusal of a body in which a field is missing, `path` beginning with its form."""
    words = ".".join(
        word.title().replace("_", "") if index else word
        for index, word in enumerate(path.split("."))
    )
    field = words.rpartition(".")[2]
    return MissingParameters(
        details=f"Key: '{words}' Error:Field validation for '{field}' failed on the 'required' tag"
    )


def route(subaccount: int | None, exchange_index: int | None, ticker: str | None) -> None:
    """Check that a request is for what there is here: the primary account on shard 0."""
    if subaccount:
        raise answers.InvalidParameters(details=f"subaccount {subaccount} does not exist")
    if exchange_index == AUTO_ROUTE and not ticker:
        raise MissingParameters(details="market_ticker is required when exchange_index is -1")
    if exchange_index and exchange_index != AUTO_ROUTE:
        raise answers.InvalidParameters(details=f"exchange_index {exchange_index} does not exist")


def routed_by(query: Mapping[str, str], operation: str) -> None:
    """Check where a query sends its request."""
    route(
        subaccount_of(query, operation),
        answers.whole(query, "exchange_index", operation),
        query.get("market_ticker"),
    )


def subaccount_of(query: Mapping[str, str], operation: str) -> int | None:
    """Read the subaccount that a query names; raises `BadParameter` for one that cannot be."""
    subaccount = answers.whole(query, "subaccount", operation)
    if subaccount is not None and not 0 <= subaccount <= SUBACCOUNTS:
        raise answers.BadParameter(operation, "Subaccount", "gte" if subaccount < 0 else "lte")
    return subaccount


# --- orders ----------------------------------------------------------------------------------


def check_words(body: payloads.CreateOrder) -> None:
    """Check the words of a new order that are a choice; raises `BadBody`, `MissingParameters`."""
    for field in ("ticker", "side", "time_in_force", "self_trade_prevention_type"):
        if not getattr(body, field):
            raise missing(f"CreateOrderV2Request.{field}")
    side(body.side)
    time_in_force(body.time_in_force)
    self_trade(body.self_trade_prevention_type)


def new_order(body: payloads.CreateOrder, now: int) -> NewOrder:
    """Read a new order at a market time; raises `BadBody` or a `Refused`."""
    check_words(body)
    route(body.subaccount, body.exchange_index, body.ticker)
    lasting = time_in_force(body.time_in_force)
    return NewOrder(
        ticker=body.ticker,
        side=side(body.side),
        price=price(body.price),
        quantity=quantity(body.count),
        time_in_force=lasting,
        client_order_id=body.client_order_id or "",
        post_only=bool(body.post_only),
        reduce_only=bool(body.reduce_only),
        self_trade=self_trade(body.self_trade_prevention_type),
        expires_at=expiry(body.expiration_time, lasting, now),
        group_id=body.order_group_id or "",
        cancel_on_pause=bool(body.cancel_order_on_pause),
    )


def amendment(body: AmendForm, now: int) -> Amendment:
    """Read the new terms of an order at a market time."""
    for field in ("ticker", "side"):
        if not getattr(body, field):
            raise missing(f"AmendOrderV2Request.{field}")
    route(None, body.exchange_index, body.ticker)
    return Amendment(
        ticker=body.ticker,
        side=side(body.side),
        price=price(body.price),
        quantity=quantity(body.count),
        client_order_id=body.client_order_id or "",
        updated_client_order_id=body.updated_client_order_id or "",
        expires_at=expiry(body.expiration, TimeInForce.GTC, now),
    )


def reduction(by: str | None, to: str | None) -> tuple[Quantity | None, Quantity | None]:
    """Read what to take off, or what to leave; the other one is `None`."""
    if (by is None) == (to is None):
        given = "neither" if by is None else "both"
        raise MissingParameters(details=f"exactly one of reduce_by and reduce_to, not {given}")
    return (None, _remainder(to)) if to is not None else (quantity(by or ""), None)


def side(text: str) -> Side:
    """Read bid or ask."""
    try:
        return side_of(text, None)
    except TranslationError:
        raise answers.BadBody(f"side {text!r} is neither bid nor ask") from None


def price(text: str) -> Price:
    """Read a price in dollars."""
    try:
        return price_from_dollars(text)
    except UnitError:
        raise InvalidPrice from None


def quantity(text: str) -> Quantity:
    """Read a number of contracts above zero."""
    try:
        return positive_quantity_of(text)
    except ValueError:
        raise InvalidOrderSize from None


def contracts(text: str) -> Quantity:
    """Read a number of contracts that may be nothing."""
    try:
        return quantity_from_contracts(text)
    except UnitError:
        raise InvalidOrderSize from None


def counted(count: int | None, count_fp: str | None, field: str) -> str | None:
    """Give a number of contracts as text; it may be told as a number, as text, or as both."""
    if count is None:
        return count_fp
    if count_fp is not None and contracts(count_fp) != count * CONTRACT:
        raise answers.InvalidParameters(details=f"{field} and {field}_fp differ")
    return f"{count}.00"


def time_in_force(text: str) -> TimeInForce:
    """Read how long an order lasts."""
    try:
        return TimeInForce(text)
    except ValueError:
        raise answers.BadBody(f"time_in_force {text!r} is not known") from None


def self_trade(text: str) -> SelfTrade:
    """Read who gives way to an order of the same account."""
    try:
        return SelfTrade(text)
    except ValueError:
        raise answers.BadBody(f"self_trade_prevention_type {text!r} is not known") from None


def expiry(seconds: int | None, lasting: TimeInForce, now: int) -> int | None:
    """Read when an order expires; raises `InvalidOrder` for a time that has passed."""
    if seconds is None:
        return None
    if lasting is not TimeInForce.GTC:
        raise InvalidOrder(details="only good_till_canceled orders may have an expiration")
    if seconds > LATEST_EXPIRY:
        raise InvalidOrder(details="Expiration timestamp is out of range")
    if seconds * SECOND <= now:
        raise InvalidOrder(details="Expiration timestamp must be in the future")
    return seconds * SECOND


def _remainder(text: str) -> Quantity:
    return quantity(text) if contracts(text) else Quantity(0)

"""Steps of markets' lives, and new events, as the bodies of their WebSocket frames.

Each kind of step tells its own fields and no others; which they are follows from the market as it
is when the step is told.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from kalshiflow.exchange.messages import LifecycleBody
from kalshiflow.exchange.times import NANOSECONDS
from kalshiflow.exchange.translate import ranges_of
from kalshiflow.market.units import price_to_dollars
from kalshiflow.venue.floor.facts import EventListed, LifecycleChanged, LifecycleKind
from kalshiflow.venue.floor.listed import ListedMarket
from kalshiflow.venue.floor.structures import structure_name

_encode = msgspec.json.Encoder().encode
_Fields = dict[str, Any]


def market_step(fact: LifecycleChanged, listed: ListedMarket) -> bytes:
    """Write a step of a market's life."""
    fields = _FIELDS[fact.kind](fact, listed)
    return _encode(LifecycleBody(fact.kind.value, fact.ticker, **fields))


def new_event(fact: EventListed) -> bytes:
    """Write that an event was listed; it has no collateral return scheme."""
    event = fact.event
    return _encode(
        {
            "event_ticker": event.ticker,
            "exchange_index": 0,
            "title": event.title,
            "subtitle": "",
            "collateral_return_type": "",
            "series_ticker": event.series_ticker,
        }
    )


def _created(fact: LifecycleChanged, listed: ListedMarket) -> _Fields:
    del fact
    market = listed.market
    return {
        "exchange_index": 0,
        "open_ts": _seconds(market.open_time),
        "close_ts": _seconds(market.close_time),
        "additional_metadata": _metadata(listed),
        **_price_levels(None, listed),
    }


def _metadata(listed: ListedMarket) -> _Fields:
    market, details = listed.market, listed.details
    told = {
        "name": market.title,
        "title": market.title,
        "yes_sub_title": details.yes_sub_title or market.title,
        "no_sub_title": details.no_sub_title or market.title,
        "rules_primary": details.rules_primary,
        "rules_secondary": details.rules_secondary,
        "can_close_early": details.can_close_early,
        "event_ticker": market.event_ticker,
        "expected_expiration_ts": _seconds(details.expected_expiration or market.close_time),
        "strike_type": details.strike_type,
        "floor_strike": details.floor_strike,
        "cap_strike": details.cap_strike,
    }
    return {name: value for name, value in told.items() if value is not None}


def _activated(fact: LifecycleChanged, listed: ListedMarket) -> _Fields:
    del listed
    return {"is_deactivated": fact.kind is LifecycleKind.DEACTIVATED}


def _close_date(fact: LifecycleChanged, listed: ListedMarket) -> _Fields:
    del fact
    return {"close_ts": _seconds(listed.market.close_time)}


def _determined(fact: LifecycleChanged, listed: ListedMarket) -> _Fields:
    value = listed.market.settlement_value
    return {
        "result": listed.market.result.value,
        "determination_ts": _seconds(fact.at),
        "settlement_value": None if value is None else price_to_dollars(value),
    }


def _settled(fact: LifecycleChanged, listed: ListedMarket) -> _Fields:
    del listed
    return {"settled_ts": _seconds(fact.at)}


def _price_levels(fact: LifecycleChanged | None, listed: ListedMarket) -> _Fields:
    del fact
    grid = listed.market.grid
    return {"price_level_structure": structure_name(grid), "price_ranges": ranges_of(grid)}


def _updated_metadata(fact: LifecycleChanged, listed: ListedMarket) -> _Fields:
    return {name: getattr(listed.details, name) for name in fact.changed}


_FIELDS: dict[LifecycleKind, Callable[[LifecycleChanged, ListedMarket], _Fields]] = {
    LifecycleKind.CREATED: _created,
    LifecycleKind.ACTIVATED: _activated,
    LifecycleKind.DEACTIVATED: _activated,
    LifecycleKind.CLOSE_DATE_UPDATED: _close_date,
    LifecycleKind.DETERMINED: _determined,
    LifecycleKind.SETTLED: _settled,
    LifecycleKind.PRICE_LEVELS_UPDATED: _price_levels,
    LifecycleKind.METADATA_UPDATED: _updated_metadata,
}


def _seconds(at: int | None) -> int | None:
    return None if at is None else at // NANOSECONDS

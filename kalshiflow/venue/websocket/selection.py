"""The markets that a command names, by ticker or by id, and whether its channels take them."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kalshiflow.exchange.messages import SubscribeParams, UpdateParams
from kalshiflow.venue.websocket.refusals import (
    INVALID_PARAMETER,
    SHARD_FACTOR_REQUIRED,
    SHARD_FACTOR_TOO_LARGE,
    SHARD_FACTOR_TOO_SMALL,
    SHARD_KEY_OUTSIDE,
    TICKER_REQUIRED,
    CommandRefused,
)
from kalshiflow.venue.websocket.sessions import BOOK, TICKER, UNFILTERED, Subscription

MOST_SHARDS = 100
_TICKER = re.compile(r"[A-Za-z0-9._-]{1,256}")
_MARKET_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Selection:
    """Markets, each once: `tickers`, or `ids` where they were named so."""

    tickers: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.tickers or self.ids)


def selection(
    params: SubscribeParams | UpdateParams, subscription: Subscription | None = None
) -> Selection:
    """Read which markets a command names; none at all is an empty selection.

    Raises `CommandRefused` for markets that are named in two ways, or by what can be no name.
    """
    ways = (params.market_ticker, params.market_tickers, params.market_id, params.market_ids)
    if sum(way is not None for way in ways) > 1:
        raise CommandRefused(INVALID_PARAMETER, subscription)
    tickers = _listed(params.market_ticker, params.market_tickers)
    ids = tuple(name.lower() for name in _listed(params.market_id, params.market_ids))
    for names, pattern in ((tickers, _TICKER), (ids, _MARKET_ID)):
        wrong = [name for name in names if pattern.fullmatch(name) is None]
        if wrong:
            raise CommandRefused(INVALID_PARAMETER, subscription)
    return Selection(tickers, ids)


def check_channels(channels: Iterable[str], named: Selection) -> None:
    """Refuse markets that the channels of a subscription do not take."""
    filtered = set(channels) - UNFILTERED
    if BOOK in filtered and not named.tickers:
        raise CommandRefused(TICKER_REQUIRED)
    if named.ids and filtered - {TICKER}:
        raise CommandRefused(INVALID_PARAMETER)


def check_shards(params: SubscribeParams) -> None:
    """Refuse shards that cannot be."""
    factor, key = params.shard_factor, params.shard_key
    if factor is None:
        if key is not None:
            raise CommandRefused(SHARD_FACTOR_REQUIRED)
        return
    if factor <= 0:
        raise CommandRefused(SHARD_FACTOR_TOO_SMALL)
    if factor > MOST_SHARDS:
        raise CommandRefused(SHARD_FACTOR_TOO_LARGE)
    if key is not None and not 0 <= key < factor:
        raise CommandRefused(SHARD_KEY_OUTSIDE)


def _listed(one: str | None, many: Sequence[str] | None) -> tuple[str, ...]:
    return (one,) if one is not None else tuple(dict.fromkeys(many or ()))

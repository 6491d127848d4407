"""Candlesticks as REST tells them, with the whole cents and contracts of former days beside."""

from collections.abc import Sequence

import msgspec

from kalshiflow.market.units import quantity_to_contracts
from kalshiflow.venue.floor.candles import Candle, Range
from kalshiflow.venue.rest.former import cents_of_price, contracts
from kalshiflow.venue.rest.market_bodies import DOLLARS


class QuoteBody(msgspec.Struct):
    """The best bid, or the best ask, over a period."""

    open: int
    low: int
    high: int
    close: int
    open_dollars: str
    low_dollars: str
    high_dollars: str
    close_dollars: str


class PriceBody(msgspec.Struct, omit_defaults=True):
    """The trades' YES prices over a period; nothing but `previous` where nothing traded."""

    open: int | None = None
    low: int | None = None
    high: int | None = None
    close: int | None = None
    mean: int | None = None
    previous: int | None = None
    open_dollars: str | None = None
    low_dollars: str | None = None
    high_dollars: str | None = None
    close_dollars: str | None = None
    mean_dollars: str | None = None
    previous_dollars: str | None = None


class CandleBody(msgspec.Struct):
    """One period; `end_period_ts` is its last second."""

    end_period_ts: int
    yes_bid: QuoteBody
    yes_ask: QuoteBody
    price: PriceBody
    volume_fp: str
    open_interest_fp: str
    volume: int
    open_interest: int


class CandlesAnswer(msgspec.Struct):
    ticker: str
    candlesticks: list[CandleBody]


class MarketCandles(msgspec.Struct):
    market_ticker: str
    candlesticks: list[CandleBody]


class BatchAnswer(msgspec.Struct):
    markets: list[MarketCandles]


class EventAnswer(msgspec.Struct):
    market_tickers: list[str]
    market_candlesticks: list[list[CandleBody]]
    adjusted_end_ts: int


def candle(told: Candle) -> CandleBody:
    """Write one period."""
    return CandleBody(
        told.end,
        _quote(told.bid),
        _quote(told.ask),
        _price(told),
        quantity_to_contracts(told.volume),
        quantity_to_contracts(told.open_interest),
        contracts(told.volume),
        contracts(told.open_interest),
    )


def asked_for(
    candles: Sequence[Candle], begin: int, end: int, length: int, *, with_latest_before: bool
) -> list[Candle]:
    """Give the periods that end from `begin` to `end` (Unix seconds).

    With `with_latest_before` the last one before them comes first, carried forward to the first
    period's end: nothing traded in it, and the touch stands as it stood.
    """
    found = [one for one in candles if begin <= one.end <= end]
    if not with_latest_before:
        return found
    earlier = [one for one in candles if one.end < begin]
    boundary = -(-begin // length) * length
    if not earlier or boundary > end or (found and found[0].end == boundary):
        return found
    return [_carried(earlier[-1], boundary), *found]


def _carried(last: Candle, end: int) -> Candle:
    bid, ask = last.bid.close, last.ask.close
    return Candle(
        end,
        Range(bid, bid, bid, bid),
        Range(ask, ask, ask, ask),
        last.price.close if last.price else last.previous,
        last.volume_before,
        open_interest=last.open_interest,
    )


def _quote(told: Range) -> QuoteBody:
    return QuoteBody(
        cents_of_price(told.open),
        cents_of_price(told.low),
        cents_of_price(told.high),
        cents_of_price(told.close),
        DOLLARS[told.open],
        DOLLARS[told.low],
        DOLLARS[told.high],
        DOLLARS[told.close],
    )


def _price(told: Candle) -> PriceBody:
    previous = told.previous or None
    before = PriceBody(
        previous=None if previous is None else cents_of_price(previous),
        previous_dollars=None if previous is None else DOLLARS[previous],
    )
    price, mean = told.price, told.mean()
    if price is None or mean is None:
        return before
    return PriceBody(
        cents_of_price(price.open),
        cents_of_price(price.low),
        cents_of_price(price.high),
        cents_of_price(price.close),
        cents_of_price(mean),
        before.previous,
        DOLLARS[price.open],
        DOLLARS[price.low],
        DOLLARS[price.high],
        DOLLARS[price.close],
        DOLLARS[mean],
        before.previous_dollars,
    )

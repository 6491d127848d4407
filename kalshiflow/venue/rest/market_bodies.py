"""Markets and books as the public REST tells them.

Each body has what Kalshi's description requires today, as text, and beside it the whole numbers of
former days that older clients insist on (see `former`).
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec

from kalshiflow.exchange import payloads, translate
from kalshiflow.exchange.times import iso_time
from kalshiflow.market.events import Side
from kalshiflow.market.listing import Market, MarketResult, MarketStatus
from kalshiflow.market.units import (
    DOLLAR,
    Price,
    Quantity,
    complement,
    price_to_dollars,
    quantity_to_contracts,
)
from kalshiflow.venue.clock import SECOND
from kalshiflow.venue.floor.candles import Candle
from kalshiflow.venue.floor.listed import Details, ListedMarket
from kalshiflow.venue.floor.structures import structure_name
from kalshiflow.venue.rest.former import cents_of_both, cents_of_price, contracts

NEVER = 9_000_000_000 * SECOND  # the close of a market that has none: the year 2255
NO_PRICE = Price(0)
DOLLARS = tuple(price_to_dollars(Price(price)) for price in range(DOLLAR + 1))
EARLY_CLOSE = "This market closes early once its outcome is known."

# What the older clients' words can say of the stages that they do not know.
FORMER_STATUS = {
    MarketStatus.INACTIVE: "active",
    MarketStatus.DISPUTED: "determined",
    MarketStatus.AMENDED: "determined",
    MarketStatus.FINALIZED: "settled",
}
# Of a void market, too, YES is paid a value; there is no word of its own for it.
RESULTS = {MarketResult.VOID: MarketResult.SCALAR.value}
FORMER_RESULTS = {MarketResult.VOID: "", MarketResult.SCALAR: ""}


class MarketBody(payloads.MarketBody, frozen=True, kw_only=True):
    """One market, with its figures of old: cents and contracts."""

    status: str
    yes_bid: int
    yes_ask: int
    no_bid: int
    no_ask: int
    last_price: int
    previous_yes_bid: int
    previous_yes_ask: int
    previous_price: int
    volume: int
    volume_24h: int
    open_interest: int
    category: str
    early_close_condition: str | None = None
    floor_strike: float | int | None = None
    cap_strike: float | int | None = None
    settlement_value: int | None = None
    response_price_units: str
    notional_value: int
    liquidity: int
    risk_limit_cents: int
    tick_size: int


class MarketAnswer(msgspec.Struct):
    market: MarketBody


class MarketsPage(msgspec.Struct):
    markets: list[MarketBody]
    cursor: str


class OrderbookAnswer(msgspec.Struct):
    """A book, twice: under today's name and under the one of old."""

    orderbook_fp: payloads.OrderbookLevels
    orderbook: payloads.OrderbookLevels


class NamedOrderbook(msgspec.Struct):
    ticker: str
    orderbook_fp: payloads.OrderbookLevels


class OrderbooksAnswer(msgspec.Struct):
    orderbooks: list[NamedOrderbook]


class MarketWriter:
    """Writes markets. What does not change by trading is written once and kept.

    `category_of` gives a series' category; `begun` is when the venue began, which is when a market
    was made that does not say so itself. With `compat` statuses and results are in the words of
    the older clients, who refuse a body with any other.
    """

    def __init__(
        self, category_of: Callable[[str], str], begun: int, *, compat: bool = False
    ) -> None:
        self._category_of = category_of
        self._begun = begun
        self._statuses = FORMER_STATUS if compat else {}
        self._results = FORMER_RESULTS if compat else RESULTS
        self._kept: dict[str, tuple[Market, Details, int, MarketBody]] = {}

    def bodies(self, listed: Iterable[ListedMarket], now: int) -> list[MarketBody]:
        """Write markets as they stand at a market time."""
        return [self.body(one, now) for one in listed]

    def body(self, listed: ListedMarket, now: int) -> MarketBody:
        """Write a market as it stands at a market time."""
        bid, bid_size, ask, ask_size = listed.touch()
        bid, ask = bid or NO_PRICE, ask or DOLLAR
        no_bid, no_ask, last = complement(ask), complement(bid), listed.last_price
        before = _day_before(listed.candles.day_before(now))
        volume_24h = listed.candles.volume_since(now)
        yes_bid_cents, no_ask_cents = cents_of_both(bid)
        yes_ask_cents, no_bid_cents = cents_of_both(ask)
        return msgspec.structs.replace(
            self._still(listed),
            yes_bid_dollars=DOLLARS[bid],
            yes_bid_size_fp=quantity_to_contracts(Quantity(bid_size)),
            yes_ask_dollars=DOLLARS[ask],
            yes_ask_size_fp=quantity_to_contracts(Quantity(ask_size)),
            no_bid_dollars=DOLLARS[no_bid],
            no_ask_dollars=DOLLARS[no_ask],
            last_price_dollars=DOLLARS[last],
            previous_yes_bid_dollars=DOLLARS[before.bid],
            previous_yes_ask_dollars=DOLLARS[before.ask],
            previous_price_dollars=DOLLARS[before.last],
            volume_fp=quantity_to_contracts(listed.volume),
            volume_24h_fp=quantity_to_contracts(volume_24h),
            open_interest_fp=quantity_to_contracts(listed.open_interest),
            yes_bid=yes_bid_cents,
            yes_ask=yes_ask_cents,
            no_bid=no_bid_cents,
            no_ask=no_ask_cents,
            last_price=cents_of_price(last),
            previous_yes_bid=cents_of_price(before.bid),
            previous_yes_ask=cents_of_price(before.ask),
            previous_price=cents_of_price(before.last),
            volume=contracts(listed.volume),
            volume_24h=contracts(volume_24h),
            open_interest=contracts(listed.open_interest),
        )

    def _still(self, listed: ListedMarket) -> MarketBody:
        market, details, described_at = listed.market, listed.details, listed.described_at
        kept = self._kept.get(market.ticker)
        if (
            kept is not None
            and kept[0] is market
            and kept[1] is details
            and kept[2] == described_at
        ):
            return kept[3]
        body = self._described(listed)
        self._kept[market.ticker] = (market, details, described_at, body)
        return body

    def _described(self, listed: ListedMarket) -> MarketBody:
        market, details = listed.market, listed.details
        made_at = made(listed, self._begun)
        closes = market.close_time or NEVER
        value, settled = market.settlement_value, details.settled_at
        return MarketBody(
            ticker=market.ticker,
            event_ticker=market.event_ticker,
            market_type="binary",
            title=market.title,
            subtitle="",
            yes_sub_title=details.yes_sub_title or market.title,
            no_sub_title=details.no_sub_title or market.title,
            created_time=iso_time(made_at),
            updated_time=iso_time(max(made_at, listed.described_at)),
            open_time=iso_time(market.open_time or made_at),
            close_time=iso_time(closes),
            expected_expiration_time=iso_time(details.expected_expiration or closes),
            expiration_time=iso_time(details.latest_expiration or closes),
            latest_expiration_time=iso_time(details.latest_expiration or closes),
            settlement_timer_seconds=details.settlement_timer_seconds,
            status=self._statuses.get(market.status, market.status.value),
            notional_value_dollars=DOLLARS[DOLLAR],
            liquidity_dollars=DOLLARS[0],
            result=self._results.get(market.result, market.result.value),
            expiration_value="",
            settlement_value_dollars=None if value is None else DOLLARS[value],
            settlement_ts=None if settled is None else iso_time(settled),
            can_close_early=details.can_close_early,
            early_close_condition=EARLY_CLOSE if details.can_close_early else "",
            rules_primary=details.rules_primary,
            rules_secondary=details.rules_secondary,
            price_level_structure=structure_name(market.grid) or "banded_centi_cent",
            price_ranges=translate.ranges_of(market.grid),
            strike_type=details.strike_type or None,
            floor_strike=_number(details.floor_strike),
            cap_strike=_number(details.cap_strike),
            exchange_index=0,
            category=self._category_of(market.series_ticker),
            settlement_value=None if value is None else cents_of_price(value),
            response_price_units="usd_cent",
            notional_value=100,
            liquidity=0,
            risk_limit_cents=0,
            tick_size=1,
            # The figures that every answer has anew.
            yes_bid=0,
            yes_ask=0,
            no_bid=0,
            no_ask=0,
            last_price=0,
            previous_yes_bid=0,
            previous_yes_ask=0,
            previous_price=0,
            volume=0,
            volume_24h=0,
            open_interest=0,
        )


def made(listed: ListedMarket, begun: int) -> int:
    """Give when a market was made; `begun` for one that knows neither that nor its opening."""
    return listed.details.created_at or listed.market.open_time or begun


def orderbook(listed: ListedMarket, depth: int | None = None) -> payloads.OrderbookLevels:
    """Write a book's bids of both sides, at most `depth` levels of each, the best last."""
    book = listed.matching.book
    yes, no = translate.wire_levels(book.levels(Side.BID, depth), book.levels(Side.ASK, depth))
    return payloads.OrderbookLevels(yes, no)


def _number(strike: float | None) -> float | int | None:
    """Give a whole strike as Kalshi writes it: without a point."""
    return int(strike) if strike is not None and strike.is_integer() else strike


class _DayBefore(NamedTuple):
    bid: Price = NO_PRICE
    ask: Price = NO_PRICE
    last: Price = NO_PRICE


def _day_before(minute: Candle | None) -> _DayBefore:
    if minute is None:
        return _DayBefore()
    last = minute.price.close if minute.price else minute.previous
    return _DayBefore(minute.bid.close, minute.ask.close, last)

"""Public REST of trades: anyone's, over all markets, the newest first."""

import heapq
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice, takewhile

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from kalshiflow.exchange import payloads, translate
from kalshiflow.exchange.times import iso_time
from kalshiflow.market.units import DOLLAR, complement, quantity_to_contracts
from kalshiflow.venue.clock import SECOND
from kalshiflow.venue.core import Venue
from kalshiflow.venue.floor.facts import Traded
from kalshiflow.venue.floor.listed import ListedMarket
from kalshiflow.venue.rest import answers
from kalshiflow.venue.rest.former import cents_of_both, contracts
from kalshiflow.venue.rest.market_bodies import DOLLARS
from kalshiflow.venue.rest.pages import Place, cursor_of, place_of


class TradeBody(payloads.TradeBody, frozen=True, kw_only=True):
    """Anyone's trade, with its figures of old; `price` is YES in dollars."""

    price: float
    count: int
    yes_price: int
    no_price: int


class TradesPage(msgspec.Struct):
    trades: list[TradeBody]
    cursor: str


def routes(venue: Venue) -> list[BaseRoute]:
    """Give the route of trades."""

    async def trades(request: Request) -> Response:
        query = request.query_params
        limit = answers.limit_of(query, "GetTrades")
        earliest = answers.whole(query, "min_ts", "GetTrades")
        latest = answers.whole(query, "max_ts", "GetTrades")
        ticker = query.get("ticker")
        markets: Iterable[ListedMarket | None] = venue.floor.markets()
        if ticker:
            markets = [venue.floor.find_market(ticker)]
        if answers.flag(query, "is_block_trade", "GetTrades"):
            markets = []  # the venue has none
        found = newest_first(
            [listed.trades for listed in markets if listed is not None],
            0 if earliest is None else earliest * SECOND,
            None if latest is None else (latest + 1) * SECOND - 1,
            place_of(query.get("cursor")),
        )
        part = list(islice(found, limit + 1))
        cursor = ""
        if len(part) > limit:
            part.pop()
            cursor = cursor_of((part[-1].at, part[-1].trade_id))
        page = TradesPage([trade_body(one) for one in part], cursor)
        return answers.body(page)

    return [Route("/markets/trades", trades)]


def trade_body(traded: Traded) -> TradeBody:
    """Write anyone's trade."""
    outcome = translate.OUTCOMES[traded.taker_side]
    yes_price, no_price = cents_of_both(traded.price)
    return TradeBody(
        trade_id=traded.trade_id,
        ticker=traded.ticker,
        count_fp=quantity_to_contracts(traded.quantity),
        yes_price_dollars=DOLLARS[traded.price],
        created_time=iso_time(traded.at),
        no_price_dollars=DOLLARS[complement(traded.price)],
        taker_side=outcome,
        taker_outcome_side=outcome,
        taker_book_side=translate.BOOK_SIDES[traded.taker_side],
        is_block_trade=False,
        price=traded.price / DOLLAR,
        count=contracts(traded.quantity),
        yes_price=yes_price,
        no_price=no_price,
    )


def newest_first(
    tapes: Iterable[deque[Traded]],
    earliest: int,
    latest: int | None = None,
    after: Place | None = None,
) -> Iterator[Traded]:
    """Give the trades of many markets, the newest first, within bounds in nanoseconds.

    `after` is time and id of the last trade that was given before: what follows it is given. A
    trade that comes meanwhile is the newest of its market, so it moves nothing that follows.
    """
    if after is not None:
        latest = after[0] if latest is None else min(latest, after[0])
    merged: Iterator[Traded] = heapq.merge(
        *(_up_to(tape, latest) for tape in tapes), key=lambda trade: -trade.at
    )
    wanted = takewhile(lambda trade: trade.at >= earliest, merged)
    return wanted if after is None else _following(wanted, after)


def _up_to(tape: deque[Traded], latest: int | None) -> Iterator[Traded]:
    if latest is None:
        return reversed(tape)
    kept = bisect_right(tape, latest, key=lambda trade: trade.at)
    return islice(reversed(tape), len(tape) - kept, None)


def _following(trades: Iterator[Traded], after: Place) -> Iterator[Traded]:
    """Leave out what was given before of those that share the time of the last one given."""
    at, trade_id = after
    level: list[Traded] = []
    for trade in trades:
        if trade.at != at:
            yield from level
            level = []
            yield trade
            break
        level.append(trade)
        if trade.trade_id == trade_id:
            level = []
            break
    yield from level
    yield from trades

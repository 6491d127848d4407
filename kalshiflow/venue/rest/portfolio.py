"""REST of one's own account: balance, fills, positions, settlements, transfers."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from kalshiflow.market.fees import CENTICENT
from kalshiflow.market.orders import Fill
from kalshiflow.market.units import CASH_PER_CENT, Cash, Price, cash_to_dollars, floor_cash
from kalshiflow.venue.clock import SECOND
from kalshiflow.venue.core import Venue
from kalshiflow.venue.floor.accounts import Account, Activity, SettlementRecord
from kalshiflow.venue.rest import answers, own_bodies, pages
from kalshiflow.venue.rest.callers import Callers
from kalshiflow.venue.rest.order_reads import LEAST_AND_MOST, event_of, is_here

COUNTS = frozenset({"position", "total_traded"})
TRANSFERS = 500  # the most that one page may hold


class IndexedBalance(msgspec.Struct):
    """The cash on one exchange shard: dollars as text."""

    exchange_index: int
    balance: str


class BalanceBody(msgspec.Struct):
    """Free cash and what the positions would bring: whole cents, cut off; as text, exact."""

    balance: int
    balance_dollars: str
    portfolio_value: int
    updated_ts: int
    balance_breakdown: list[IndexedBalance]


class FillsPage(msgspec.Struct):
    """Fills, the newest first."""

    fills: list[own_bodies.FillBody]
    cursor: str


class PositionsPage(msgspec.Struct):
    """Positions by market, and those of the same events together."""

    market_positions: list[own_bodies.MarketPositionBody]
    event_positions: list[own_bodies.EventPositionBody]
    cursor: str


class SettlementsPage(msgspec.Struct):
    """Settlements, the newest first."""

    settlements: list[own_bodies.SettlementBody]
    cursor: str


class DepositsPage(msgspec.Struct):
    """What was paid in: an account here begins with its cash, and is paid nothing."""

    deposits: list[str]
    cursor: str


class WithdrawalsPage(msgspec.Struct):
    """What was paid out: nothing is."""

    withdrawals: list[str]
    cursor: str


class SubaccountBalance(msgspec.Struct):
    """The cash of one subaccount: dollars as text."""

    subaccount_number: int
    exchange_index: int
    balance: str
    updated_ts: int


class SubaccountBalances(msgspec.Struct):
    """The cash of all subaccounts: there is the primary one."""

    subaccount_balances: list[SubaccountBalance]


def routes(venue: Venue, callers: Callers) -> list[BaseRoute]:
    """Give the account's routes."""
    portfolio = _Portfolio(venue, callers)
    return [
        Route("/portfolio/balance", portfolio.balance),
        Route("/portfolio/subaccounts/balances", portfolio.subaccounts),
        Route("/portfolio/fills", portfolio.fills),
        Route("/portfolio/positions", portfolio.positions),
        Route("/portfolio/settlements", portfolio.settlements),
        Route("/portfolio/deposits", portfolio.deposits),
        Route("/portfolio/withdrawals", portfolio.withdrawals),
    ]


class _Portfolio:
    def __init__(self, venue: Venue, callers: Callers) -> None:
        self._venue = venue
        self._callers = callers

    async def balance(self, request: Request) -> Response:
        account = self._callers.account(request)
        here = is_here(request.query_params, "GetBalance")
        now = self._venue.catch_up()
        available, value = (account.portfolio.available, self._value(account)) if here else (0, 0)
        told = _dollars(available)
        body = BalanceBody(
            balance=available // CASH_PER_CENT,
            balance_dollars=told,
            portfolio_value=value // CASH_PER_CENT,
            updated_ts=now // SECOND,
            balance_breakdown=[IndexedBalance(0, told)],
        )
        return answers.body(body)

    async def subaccounts(self, request: Request) -> Response:
        account = self._callers.account(request)
        now = self._venue.catch_up()
        primary = SubaccountBalance(0, 0, _dollars(account.portfolio.available), now // SECOND)
        return answers.body(SubaccountBalances([primary]))

    async def fills(self, request: Request) -> Response:
        account = self._callers.account(request)
        query, operation = request.query_params, "GetFills"
        limit = answers.limit_of(query, operation, words=LEAST_AND_MOST)
        earliest = answers.whole(query, "min_ts", operation)
        latest = answers.whole(query, "max_ts", operation)
        ticker, order_id = query.get("ticker"), query.get("order_id")
        here = is_here(query, operation)
        self._venue.catch_up()

        def is_asked_for(fill: Fill) -> bool:
            return (
                here
                and (not ticker or ticker == fill.ticker)
                and (not order_id or order_id == fill.order_id)
                and answers.within(fill.at, earliest, latest)
            )

        found, cursor = pages.newest_first(account.fills, is_asked_for, query.get("cursor"), limit)
        return answers.body(FillsPage([own_bodies.fill_body(fill) for fill in found], cursor))

    async def positions(self, request: Request) -> Response:
        account = self._callers.account(request)
        query, operation = request.query_params, "GetPositions"
        limit = answers.limit_of(query, operation, words=LEAST_AND_MOST)
        ticker, events = query.get("ticker"), answers.names(query, "event_ticker")
        counts = answers.names(query, "count_filter")
        if counts - COUNTS:
            raise answers.BadParameter(operation, "CountFilter", "oneof")
        here = is_here(query, operation)
        self._venue.catch_up()

        def is_asked_for(held: str) -> bool:
            return (
                here
                and (not ticker or ticker == held)
                and (not events or event_of(self._venue, held) in events)
                and (not counts or _counts(account, held, counts))
            )

        listed = list(account.portfolio.positions)
        found, cursor = pages.oldest_first(listed, is_asked_for, query.get("cursor"), limit)
        markets = [own_bodies.position_body(account, held) for held in found]
        return answers.body(PositionsPage(markets, self._events(account, found), cursor))

    async def settlements(self, request: Request) -> Response:
        account = self._callers.account(request)
        query, operation = request.query_params, "GetSettlements"
        limit = answers.limit_of(query, operation, words=LEAST_AND_MOST)
        earliest = answers.whole(query, "min_ts", operation)
        latest = answers.whole(query, "max_ts", operation)
        ticker, events = query.get("ticker"), answers.names(query, "event_ticker")
        here = is_here(query, operation)
        self._venue.catch_up()

        def is_asked_for(settlement: SettlementRecord) -> bool:
            return (
                here
                and (not ticker or ticker == settlement.ticker)
                and (not events or settlement.event_ticker in events)
                and answers.within(settlement.at, earliest, latest)
            )

        found, cursor = pages.newest_first(
            account.settlements, is_asked_for, query.get("cursor"), limit
        )
        page = SettlementsPage([own_bodies.settlement_body(one) for one in found], cursor)
        return answers.body(page)

    async def deposits(self, request: Request) -> Response:
        self._callers.account(request)
        answers.limit_of(request.query_params, "GetDeposits", most=TRANSFERS, words=LEAST_AND_MOST)
        return answers.body(DepositsPage([], ""))

    async def withdrawals(self, request: Request) -> Response:
        self._callers.account(request)
        answers.limit_of(
            request.query_params, "GetWithdrawals", most=TRANSFERS, words=LEAST_AND_MOST
        )
        return answers.body(WithdrawalsPage([], ""))

    def _value(self, account: Account) -> int:
        portfolio = account.portfolio
        return sum(
            portfolio.market_value(ticker, *self._touch(ticker)) for ticker in portfolio.positions
        )

    def _touch(self, ticker: str) -> tuple[Price | None, Price | None]:
        book = self._venue.floor.market(ticker).matching.book
        return book.best_bid, book.best_ask

    def _events(self, account: Account, tickers: list[str]) -> list[own_bodies.EventPositionBody]:
        """Tell of the events of these markets, with all that the account holds in each."""
        events: dict[str, list[str]] = {event_of(self._venue, one): [] for one in tickers}
        for ticker in account.portfolio.positions:
            event = event_of(self._venue, ticker)
            if event in events:
                events[event].append(ticker)
        return [own_bodies.event_body(account, event, held) for event, held in events.items()]


def _dollars(cash: int) -> str:
    """Write cash with four decimals; what is below a hundredth of a cent is cut off."""
    return cash_to_dollars(floor_cash(Cash(cash), CENTICENT), 4)


def _counts(account: Account, ticker: str, counts: frozenset[str]) -> bool:
    """Say whether any of these figures of a market is not zero."""
    traded = account.activity.get(ticker, Activity()).traded
    return bool(
        ("position" in counts and account.portfolio.held(ticker))
        or ("total_traded" in counts and traded)
    )

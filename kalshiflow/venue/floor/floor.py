"""The trading floor: every market's book and every account's ledger behind one door.

Synthetic traders, replays and clients all place orders here. What happens is told at once, in
order, to the one listener, as facts; nothing here knows of frames or requests.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace

from kalshiflow.market.listing import Market
from kalshiflow.market.portfolio import InsufficientCash
from kalshiflow.market.units import Quantity
from kalshiflow.venue.floor.accounts import Account, Accounts, OrderRecord
from kalshiflow.venue.floor.agenda import Agenda
from kalshiflow.venue.floor.bookkeeping import Bookkeeping
from kalshiflow.venue.floor.clearing import Clearing
from kalshiflow.venue.floor.entry import (
    amended_order,
    decreased_to,
    incoming_of,
    new_order,
    record_of,
)
from kalshiflow.venue.floor.exchange_state import ExchangeState
from kalshiflow.venue.floor.facts import Fact, Traded
from kalshiflow.venue.floor.groups import OrderGroups
from kalshiflow.venue.floor.lifecycle import Lifecycle
from kalshiflow.venue.floor.listed import NO_DETAILS, Details, ListedMarket
from kalshiflow.venue.floor.refusals import (
    InsufficientBalance,
    InvalidOrder,
    MarketInactive,
    MarketNotFound,
    NotFilled,
    OrderNotFound,
)
from kalshiflow.venue.floor.requests import Amendment, NewOrder
from kalshiflow.venue.ids import Identifiers
from kalshiflow.venue.matching.engine import MatchingBook
from kalshiflow.venue.matching.errors import NotFillable, PostOnlyCross
from kalshiflow.venue.matching.messages import EngineEvent, Incoming, Removal


class Floor:
    """Markets, accounts and orders. `publish` hears each fact as it happens."""

    def __init__(
        self, ids: Identifiers, accounts: Accounts, publish: Callable[[Fact], None]
    ) -> None:
        self.ids = ids
        self.accounts = accounts
        self.publish = publish
        self._markets: dict[str, ListedMarket] = {}
        self._records: dict[str, OrderRecord] = {}
        self.exchange = ExchangeState()
        self.groups = OrderGroups(ids, publish, self._cancel_grouped, self.exchange.check_active)
        clearing = Clearing(ids, accounts, self.groups, self._records, publish)
        self._books = Bookkeeping(clearing, self.groups, self._markets, publish)
        self.agenda = Agenda()
        self.lifecycle = Lifecycle(self)

    # --- markets ---------------------------------------------------------------------------

    def list_market(
        self, market: Market, matching: MatchingBook, details: Details = NO_DETAILS
    ) -> ListedMarket:
        """List a market in its state of life; its opening and its close come at their times."""
        listed = ListedMarket(market, matching, self.ids.of("market", market.ticker), details)
        self._markets[market.ticker] = listed
        matching.held = lambda user_id: self.accounts.held(user_id, market.ticker)
        matching.stopped = lambda: self._why_stopped(listed)
        self.lifecycle.schedule(listed)
        return listed

    def market(self, ticker: str) -> ListedMarket:
        """Give a market; raises `MarketNotFound`."""
        try:
            return self._markets[ticker]
        except KeyError:
            raise MarketNotFound(details=ticker) from None

    def markets(self) -> Iterator[ListedMarket]:
        """Give all markets, in the order in which they were listed."""
        return iter(self._markets.values())

    def find_market(self, ticker: str) -> ListedMarket | None:
        """Give a market, or `None` where there is none."""
        return self._markets.get(ticker)

    def find_order(self, order_id: str) -> OrderRecord | None:
        """Give an order that has not ended, whoever owns it."""
        return self._records.get(order_id)

    # --- orders ----------------------------------------------------------------------------

    def place(self, account: Account, new: NewOrder, now: int) -> OrderRecord:
        """Accept an order, match it and give its record; raises a `Refused`."""
        listed = self._tradable(new.ticker)
        record, incoming = self._accept(account, new, listed, now)
        self._let_in(listed, record, lambda: listed.matching.place(incoming, now), now)
        if new.expires_at is not None and record.remaining:
            self.agenda.add(new.expires_at, lambda at: self._expire(record, at))
        return record

    def cancel(
        self, account: Account, order_id: str, now: int, reason: Removal = Removal.CANCEL
    ) -> tuple[OrderRecord, Quantity]:
        """Take a resting order off; give its record and what was left of it.

        Raises `OrderNotFound` for any id that is not a resting order of this account, and
        `MarketInactive` after the market's close.
        """
        record = self._order_to_cancel(account, order_id)
        return record, self.take_off(record, now, reason)

    def amend(self, account: Account, order_id: str, amendment: Amendment, now: int) -> OrderRecord:
        """Change a resting order's price, quantity or expiry; give its record.

        At its price, with no more to fill than before, it keeps its place; else it comes in anew,
        last in line, and may match. A post-only order that would then take is taken off instead:
        the reason PostOnlyCrossCancel is Kalshi's for that. Raises a `Refused`, and then nothing
        has changed.
        """
        record = self._order_to_change(account, order_id)
        listed = self._tradable(record.order.ticker)
        order = amended_order(record, amendment, listed.market.grid, now)
        incoming, fees = incoming_of(record, order), listed.market.fees
        ledger_order = replace(order, filled=record.filled)
        if not account.portfolio.can_replace(ledger_order, fees):
            raise InsufficientBalance
        try:
            listed.matching.check(incoming)
        except PostOnlyCross:
            self.take_off(record, now, Removal.POST_ONLY_CROSS)
            return record
        account.portfolio.replace(ledger_order, fees)
        if amendment.updated_client_order_id:
            account.client_order_ids.add(amendment.updated_client_order_id)
        record.amend(order, amendment.expires_at or record.expires_at, now)
        self._let_in(listed, record, lambda: listed.matching.replace(incoming, now), now)
        if amendment.expires_at is not None and record.remaining:
            self.agenda.add(amendment.expires_at, lambda at: self._expire(record, at))
        return record

    def decrease(
        self,
        account: Account,
        order_id: str,
        now: int,
        *,
        by: Quantity | None = None,
        to: Quantity | None = None,
    ) -> OrderRecord:
        """Lower what remains of a resting order `by` so much or `to` so much; it keeps its place.

        Nothing left cancels it. Raises what `cancel` does, and `InvalidOrderSize`.
        """
        record = self._order_to_cancel(account, order_id)
        left = decreased_to(record, by, to)
        if left < record.remaining:
            self.take_off(record, now, Removal.DECREASE, Quantity(record.remaining - left))
        return record

    def cancel_all(self, account: Account, now: int) -> None:
        """Cancel every resting order of an account, but for those in markets that are closed."""
        self.exchange.check_active()
        for order_id in tuple(account.portfolio.orders):
            with suppress(OrderNotFound, MarketInactive):
                self.cancel(account, order_id, now)

    def queue_position(self, account: Account, order_id: str) -> Quantity:
        """Give the contracts that stand before a resting order at its price.

        Raises `OrderNotFound` for any id that is not a resting order of this account.
        """
        record = self._resting_order(account, order_id)
        return self._markets[record.order.ticker].matching.ahead(order_id)

    # --- what the exchange itself takes off --------------------------------------------------

    def resting(self, ticker: str | None = None) -> tuple[OrderRecord, ...]:
        """Give the orders that rest, in one market or in all, oldest first."""
        return tuple(
            record
            for record in self._records.values()
            if record.remaining and ticker in {None, record.order.ticker}
        )

    def take_off(
        self, record: OrderRecord, at: int, reason: Removal, quantity: Quantity | None = None
    ) -> Quantity:
        """Take a resting order, or so much of it, off, whatever its market's state.

        Gives what was left of it before.
        """
        return self._books.take_off(record, at, reason, quantity)

    def sweep(self, listed: ListedMarket, at: int, reason: Removal) -> None:
        """Take every resting order of a market off."""
        self._books.carry_out(listed, at, lambda: listed.matching.cancel_all(at, reason))

    # --- recordings ------------------------------------------------------------------------

    def follow_recording(
        self, ticker: str, now: int, apply: Callable[[], list[EngineEvent]], *, is_whole: bool
    ) -> None:
        """Let a recording change a market's book, and settle what that filled of our orders.

        `is_whole` says that the book is told anew rather than by its changes.
        """
        self._books.carry_out(self._markets[ticker], now, apply, is_whole=is_whole)

    def tell_trade(self, trade: Traded) -> None:
        """Tell of a trade between others; it moves no book."""
        self._markets[trade.ticker].count(trade)
        self.publish(trade)

    # --- time ------------------------------------------------------------------------------

    def _expire(self, record: OrderRecord, at: int) -> None:
        is_due = record.expires_at is not None and record.expires_at <= at
        if is_due and record.remaining:  # else it ended, or was given more time
            self.take_off(record, at, Removal.EXPIRY)

    # --- the inside ------------------------------------------------------------------------

    def _cancel_grouped(self, record: OrderRecord, at: int) -> None:
        if self.market(record.order.ticker).lets_cancel:  # after the close it goes with all others
            self.take_off(record, at, Removal.CANCEL)

    def _why_stopped(self, listed: ListedMarket) -> Removal | None:
        """Say how orders end that a recording reaches while nothing may trade; `None`: it may."""
        if listed.is_open and self.exchange.is_trading:
            return None
        return Removal.HALT if listed.lets_cancel else Removal.CLOSE

    def _tradable(self, ticker: str) -> ListedMarket:
        self.exchange.check_trading()
        listed = self.market(ticker)
        if not listed.is_open:
            raise MarketInactive
        return listed

    def _order_to_change(self, account: Account, order_id: str) -> OrderRecord:
        known = account.orders.get(order_id)
        if known is not None and not self.market(known.order.ticker).lets_cancel:
            raise MarketInactive  # whether or not it was cancelled already after the close
        return self._resting_order(account, order_id)

    def _order_to_cancel(self, account: Account, order_id: str) -> OrderRecord:
        record = self._order_to_change(account, order_id)
        self.exchange.check_active()
        if not self.market(record.order.ticker).lets_cancel:  # a house account's, in no history
            raise MarketInactive
        return record

    def _resting_order(self, account: Account, order_id: str) -> OrderRecord:
        record = self._records.get(order_id)
        if record is None or record.owner is not account or not record.remaining:
            raise OrderNotFound
        return record

    def _accept(
        self, account: Account, new: NewOrder, listed: ListedMarket, now: int
    ) -> tuple[OrderRecord, Incoming]:
        self.groups.check(account, new.group_id)
        order = new_order(self.ids.next("order"), account, new, listed.market.grid, now)
        record = record_of(order, account, new, now)
        incoming = incoming_of(record, order)
        try:
            listed.matching.check(incoming)
            account.portfolio.place(order, listed.market.fees)
        except PostOnlyCross:
            raise InvalidOrder(details="post only cross") from None
        except NotFillable:
            raise NotFilled(
                "fill_or_kill order would not be filled immediately due to insufficient resting "
                "volume"
            ) from None
        except InsufficientCash:
            raise InsufficientBalance from None
        self._records[order.order_id] = record
        self.groups.join(record)
        if new.client_order_id:
            account.client_order_ids.add(new.client_order_id)
        if not account.is_house:
            account.orders[order.order_id] = record
        return record, incoming

    def _let_in(
        self,
        listed: ListedMarket,
        record: OrderRecord,
        change: Callable[[], list[EngineEvent]],
        now: int,
    ) -> None:
        if record.order.reduce_only:
            listed.reduce_only[record.order.order_id] = record
        self._books.carry_out(listed, now, change, arrived=record)

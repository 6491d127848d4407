"""The trading floor: every market's book and every account's ledger behind one door.

Synthetic traders, replays and clients all place orders here. What happens is told at once, in
order, to the one listener, as facts; nothing here knows of frames or requests.
"""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from kalshiflow.market.events import Side
from kalshiflow.market.listing import Market, MarketStatus
from kalshiflow.market.orders import Order, OrderState, TimeInForce
from kalshiflow.market.portfolio import InsufficientCash
from kalshiflow.market.units import Price, Quantity
from kalshiflow.venue.floor.accounts import Account, Accounts, OrderRecord
from kalshiflow.venue.floor.clearing import Clearing
from kalshiflow.venue.floor.facts import (
    BookReplaced,
    Fact,
    TickerMoved,
    Traded,
)
from kalshiflow.venue.floor.listed import ListedMarket, Touch
from kalshiflow.venue.floor.refusals import (
    InsufficientBalance,
    InvalidOrder,
    InvalidOrderSize,
    InvalidPrice,
    MarketInactive,
    MarketNotFound,
    NotFilled,
    OrderAlreadyExists,
    OrderNotFound,
)
from kalshiflow.venue.ids import Identifiers
from kalshiflow.venue.matching.engine import (
    MatchingBook,
    NotFillable,
    PostOnlyCross,
)
from kalshiflow.venue.matching.messages import (
    EngineEvent,
    Incoming,
    LevelChanged,
    Matched,
    Removal,
    Removed,
    SelfTrade,
)


@dataclass(frozen=True, slots=True)
class NewOrder:
    """What a client asks for. `expires_at` is market time."""

    ticker: str
    side: Side
    price: Price
    quantity: Quantity
    time_in_force: TimeInForce = TimeInForce.GTC
    client_order_id: str = ""
    post_only: bool = False
    reduce_only: bool = False
    self_trade: SelfTrade = SelfTrade.TAKER
    expires_at: int | None = None


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
        self._clearing = Clearing(ids, accounts, self._records, publish)
        self._expiries: list[tuple[int, str]] = []
        self._closes: list[tuple[int, str]] = []

    # --- markets ---------------------------------------------------------------------------

    def list_market(self, market: Market, matching: MatchingBook) -> ListedMarket:
        """Open a market for trading."""
        listed = ListedMarket(market, matching, self.ids.of("market", market.ticker))
        self._markets[market.ticker] = listed
        if market.close_time is not None:
            heapq.heappush(self._closes, (market.close_time, market.ticker))
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
        touch = listed.touch()
        record = self._accept(account, new, listed, now)
        self._follow(listed, listed.matching.place(_incoming(record), now))
        if new.expires_at is not None and record.remaining:
            heapq.heappush(self._expiries, (new.expires_at, record.order.order_id))
        if not record.removed:  # a remainder that was removed has been told already
            self._clearing.tell(record)
        self._tell_touch(listed, touch, now)
        self._clearing.forget_if_ended(record)
        return record

    def cancel(
        self, account: Account, order_id: str, now: int, reason: Removal = Removal.CANCEL
    ) -> tuple[OrderRecord, Quantity]:
        """Take a resting order off; give its record and what was left of it.

        Raises `OrderNotFound` for any id that is not a resting order of this account, and
        `MarketInactive` after the market's close.
        """
        record = self._records.get(order_id)
        if record is None or record.owner is not account or not record.remaining:
            raise OrderNotFound
        listed = self._tradable(record.order.ticker)
        left = record.remaining
        touch = listed.touch()
        self._follow(listed, listed.matching.cancel(order_id, now, reason))
        self._tell_touch(listed, touch, now)
        return record, left

    # --- recordings ------------------------------------------------------------------------

    def follow_recording(
        self, ticker: str, now: int, apply: Callable[[], list[EngineEvent]], *, is_whole: bool
    ) -> None:
        """Let a recording change a market's book, and settle what that filled of our orders.

        `is_whole` says that the book is told anew rather than by its changes.
        """
        listed = self._markets[ticker]
        touch = listed.touch()
        self._follow(listed, apply())
        if is_whole:
            self.publish(BookReplaced(ticker, now))
        self._tell_touch(listed, touch, now)

    def tell_trade(self, trade: Traded) -> None:
        """Tell of a trade between others; it moves no book."""
        self._markets[trade.ticker].count(trade)
        self.publish(trade)

    # --- time ------------------------------------------------------------------------------

    def next_timer(self) -> int | None:
        """Give the market time of the next expiry or close."""
        times = [queue[0][0] for queue in (self._expiries, self._closes) if queue]
        return min(times, default=None)

    def run_timers(self, until: int) -> None:
        """Expire orders and close markets that are due, each at its own time."""
        while self._expiries and self._expiries[0][0] <= until:
            at, order_id = heapq.heappop(self._expiries)
            record = self._records.get(order_id)
            if record is not None and record.remaining:
                self.cancel(record.owner, order_id, at, Removal.EXPIRY)
        while self._closes and self._closes[0][0] <= until:
            at, ticker = heapq.heappop(self._closes)
            self._close(self._markets[ticker], at)

    def _close(self, listed: ListedMarket, at: int) -> None:
        touch = listed.touch()
        self._follow(listed, listed.matching.cancel_all(at, Removal.CLOSE))
        listed.market = replace(listed.market, status=MarketStatus.CLOSED)
        self._tell_touch(listed, touch, at)

    # --- the inside ------------------------------------------------------------------------

    def _tradable(self, ticker: str) -> ListedMarket:
        listed = self.market(ticker)
        if not listed.is_open:
            raise MarketInactive
        return listed

    def _accept(
        self, account: Account, new: NewOrder, listed: ListedMarket, now: int
    ) -> OrderRecord:
        if new.client_order_id and new.client_order_id in account.client_order_ids:
            raise OrderAlreadyExists
        if new.price not in listed.market.grid:
            raise InvalidPrice
        order = Order(
            self.ids.next("order"),
            new.ticker,
            new.side,
            new.price,
            _size_of(account, new),
            new.time_in_force,
            new.client_order_id,
            new.post_only,
            new.reduce_only,
            OrderState.RESTING,
        )
        record = OrderRecord(order, account, now, now, new.self_trade, new.expires_at)
        try:
            listed.matching.check(_incoming(record))
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
        if not account.is_house:
            account.orders[order.order_id] = record
            if new.client_order_id:
                account.client_order_ids.add(new.client_order_id)
        return record

    def _follow(self, listed: ListedMarket, events: list[EngineEvent]) -> None:
        for event in events:
            if isinstance(event, LevelChanged):
                self.publish(event)
            elif isinstance(event, Matched):
                self._clearing.settle(listed, event)
            elif isinstance(event, Removed):
                self._clearing.remove(event)

    def _tell_touch(self, listed: ListedMarket, before: Touch, now: int) -> None:
        listed.updated_at = now
        if listed.touch() != before:
            self.publish(TickerMoved(listed.market.ticker, now))


def _incoming(record: OrderRecord) -> Incoming:
    order = record.order
    return Incoming(
        order.order_id,
        record.owner.user_id,
        order.side,
        order.price,
        order.quantity,
        order.time_in_force,
        order.post_only,
        record.self_trade,
    )


def _size_of(account: Account, new: NewOrder) -> Quantity:
    """Give the order's size: a reduce-only one is cut to the position that it closes."""
    if new.quantity <= 0:
        raise InvalidOrderSize
    if not new.reduce_only:
        return new.quantity
    held = account.portfolio.held(new.ticker)
    closable = max(-held if new.side == Side.BID else held, 0)
    if not closable:
        raise InvalidOrder(details="reduce only order would not reduce the position")
    return Quantity(min(new.quantity, closable))

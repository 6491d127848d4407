"""What one connection must be told, by the rules alone: the plain model of sessions and hub.

A frame is a tuple (type, id, sid, seq, what it says): of a delta its ticker, side, price, change
and name, of a snapshot its ticker and levels, of other frames of markets their ticker.
"""

from dataclasses import dataclass, field
from typing import Any

from kalshiflow.market.events import Side
from kalshiflow.venue.floor.facts import (
    BookReplaced,
    Fact,
    Filled,
    LifecycleChanged,
    LifecycleKind,
    OrderChanged,
    OrderGroupChanged,
    PositionChanged,
    TickerMoved,
    Traded,
)
from kalshiflow.venue.matching.messages import LevelChanged

Told = tuple[str, int, int, int, Any]
Book = dict[tuple[str, int], int]  # the contracts at each side and price of the yes leg

LIFECYCLES = {"market_lifecycle_v2", "multivariate_market_lifecycle"}
OF_ALL = LIFECYCLES | {"order_group_updates", "communications"}  # whatever markets are named
NUMBERED = OF_ALL | {"orderbook_delta", "trade"}


def levels(book: Book, *, yes_price: bool) -> tuple[tuple[str, int, int], ...]:
    return tuple(
        sorted((side, at(side, price, yes_price), count) for (side, price), count in book.items())
    )


def at(side: str, price: int, yes_price: bool) -> int:
    return price if side == "yes" or yes_price else 10_000 - price


@dataclass
class PlainSubscription:
    sid: int
    channel: str
    tickers: set[str] | None  # None: all
    ids: set[str]
    yes_price: bool
    seq: int = 0

    def number(self) -> int:
        if self.channel not in NUMBERED:
            return 0
        self.seq += 1
        return self.seq

    def hears(self, ticker: str, market_id: str) -> bool:
        return self.tickers is None or ticker in self.tickers or market_id in self.ids

    def size(self) -> int:
        return 1 if self.tickers is None else len(self.tickers) + len(self.ids)

    def growth(self, tickers: list[str], ids: list[str]) -> int:
        if self.tickers is None:
            return 0
        return len({*tickers} - self.tickers) + len({*ids} - self.ids)


@dataclass
class PlainFloor:
    """The markets' ids and books, and the accounts and names of the orders."""

    ids: dict[str, str]
    books: dict[str, Book]
    orders: dict[str, tuple[object, str]] = field(default_factory=dict)


class PlainListener:
    """One connection of `account`; `limit` frames may wait, `most` markets be asked for."""

    def __init__(self, floor: PlainFloor, account: object, limit: int, most: int) -> None:
        self.floor, self.account, self.limit, self.most = floor, account, limit, most
        self.subscriptions: list[PlainSubscription] = []
        self.opened = 0
        self.waiting: list[Told] = []

    # --- commands ----------------------------------------------------------------------------

    def subscribe(
        self,
        command: int,
        channels: list[str],
        tickers: list[str],
        ids: list[str],
        *,
        yes_price: bool,
    ) -> None:
        refusal = self._why_no_subscription(channels, tickers, ids)
        if refusal is not None:
            self._refuse(command, *refusal)
            return
        books: list[tuple[PlainSubscription, str]] = []
        for channel in channels:
            is_of_all = channel in OF_ALL or not (tickers or ids)
            held = self._on(channel)
            if held is None:
                named = (None, set()) if is_of_all else ({*tickers}, {*ids})
                held = self._open(command, channel, *named, yes_price=yes_price)
                fresh = tickers
            else:
                fresh = self._add(held, command, tickers, ids, widens=is_of_all)
            if channel == "orderbook_delta":
                books = [(held, ticker) for ticker in fresh]
        for held, ticker in books:
            self._snapshot(held, ticker)

    def update(self, command: int, sid: int, action: str, tickers: list[str]) -> None:
        held = next((one for one in self.subscriptions if one.sid == sid), None)
        if held is None:
            self._refuse(command, 7)
            return
        code = self._why_no_update(held, action, tickers)
        if code is not None:
            self._refuse(command, code, held)
        elif action == "get_snapshot":
            self._show(held, command, tickers)
        elif action == "delete_markets":
            held.tickers = (held.tickers or set()) - {*tickers}
            self._ok(held, command)
        else:
            fresh = self._add(held, command, tickers, [], widens=False)
            for ticker in fresh if held.channel == "orderbook_delta" else ():
                self._snapshot(held, ticker)

    def unsubscribe(self, command: int, sids: list[int]) -> None:
        if not {*sids} <= {one.sid for one in self.subscriptions}:
            self._refuse(command, 7)
            return
        for sid in dict.fromkeys(sids):
            held = next(one for one in self.subscriptions if one.sid == sid)
            self.subscriptions.remove(held)
            self.waiting.append(("unsubscribed", command, sid, held.seq + 1, None))

    def list_all(self, command: int) -> None:
        told = tuple((one.channel, one.sid) for one in self.subscriptions)
        self.waiting.append(("ok", command, 0, 0, told))

    def _why_no_subscription(
        self, channels: list[str], tickers: list[str], ids: list[str]
    ) -> tuple[int, PlainSubscription | None] | None:
        filtered = {*channels} - OF_ALL
        if "orderbook_delta" in filtered and not tickers:
            return 14, None
        if ids and filtered - {"ticker"}:
            return 11, None
        grown = sum(one.size() for one in self.subscriptions)
        for channel in channels:
            held = self._on(channel)
            if held is None:
                is_of_all = channel in OF_ALL or not (tickers or ids)
                grown += 1 if is_of_all else len(tickers) + len(ids)
            else:
                grown += held.growth(tickers, ids)
            if grown > self.most:
                return 26, held
        return None

    def _why_no_update(
        self, held: PlainSubscription, action: str, tickers: list[str]
    ) -> int | None:
        takes = {
            "add_markets": held.channel not in OF_ALL,
            "delete_markets": held.channel not in OF_ALL,
            "get_snapshot": held.channel == "orderbook_delta",
        }
        if not takes.get(action, False):
            return 13
        if not tickers:
            return 14
        if action == "delete_markets" and held.tickers is None:
            return 11
        grown = sum(one.size() for one in self.subscriptions) + held.growth(tickers, [])
        return 26 if action == "add_markets" and grown > self.most else None

    # --- facts -------------------------------------------------------------------------------

    def hear(self, fact: Fact) -> None:
        match fact:
            case LevelChanged():
                self._change(fact)
            case BookReplaced(ticker):
                self._replace(ticker)
            case Traded():
                self._market("trade", "trade", fact.ticker)
            case TickerMoved():
                self._market("ticker", "ticker", fact.ticker)
            case LifecycleChanged():
                self._market("market_lifecycle_v2", "market_lifecycle_v2", fact.ticker)
                if fact.kind is LifecycleKind.CREATED:
                    self._replace(fact.ticker)
            case Filled(record, fill) if record.owner is self.account:
                self._market("fill", "fill", fill.ticker)
            case OrderChanged(record) if record.owner is self.account:
                self._market("user_orders", "user_order", record.order.ticker)
            case PositionChanged(account, ticker) if account is self.account:
                self._market("market_positions", "market_position", ticker)
            case OrderGroupChanged(account) if account is self.account:
                self._market("order_group_updates", "order_group_updates", "")

    def _change(self, fact: LevelChanged) -> None:
        held = self._on("orderbook_delta")
        if held is None or fact.ticker not in (held.tickers or ()):
            return
        side = "yes" if fact.side is Side.BID else "no"
        account, name = self.floor.orders.get(fact.order_id or "", (None, ""))
        told = name if account is self.account else ""
        price = at(side, fact.price, held.yes_price)
        self._send(held, "orderbook_delta", (fact.ticker, side, price, fact.change, told))

    def _replace(self, ticker: str) -> None:
        held = self._on("orderbook_delta")
        if held is not None and ticker in (held.tickers or ()):
            self._snapshot(held, ticker)

    def _market(self, channel: str, kind: str, ticker: str) -> None:
        held = self._on(channel)
        if held is not None and held.hears(ticker, self.floor.ids.get(ticker, "")):
            self._send(held, kind, ticker)

    # --- frames ------------------------------------------------------------------------------

    def _on(self, channel: str) -> PlainSubscription | None:
        return next((one for one in self.subscriptions if one.channel == channel), None)

    def _open(
        self,
        command: int,
        channel: str,
        tickers: set[str] | None,
        ids: set[str],
        *,
        yes_price: bool,
    ) -> PlainSubscription:
        self.opened += 1
        opened = PlainSubscription(self.opened, channel, tickers, ids, yes_price)
        self.subscriptions.append(opened)
        self.waiting.append(("subscribed", command, 0, 0, (channel, opened.sid)))
        return opened

    def _add(
        self,
        held: PlainSubscription,
        command: int,
        tickers: list[str],
        ids: list[str],
        *,
        widens: bool,
    ) -> list[str]:
        fresh = [ticker for ticker in tickers if ticker not in (held.tickers or ())]
        if widens:
            held.tickers, held.ids = None, set()
        elif held.tickers is not None:
            held.tickers |= {*tickers}
            held.ids |= {*ids}
        self._ok(held, command)
        return fresh

    def _ok(self, held: PlainSubscription, command: int) -> None:
        told = None if held.tickers is None else (sorted(held.tickers), sorted(held.ids))
        self.waiting.append(("ok", command, held.sid, held.number(), told))

    def _refuse(self, command: int, code: int, held: PlainSubscription | None = None) -> None:
        sid, seq = (0, 0) if held is None else (held.sid, held.number())
        self.waiting.append(("error", command, sid, seq, code))

    def _show(self, held: PlainSubscription, command: int, tickers: list[str]) -> None:
        for ticker in tickers:
            self._snapshot(held, ticker, command)
        if held in self.subscriptions and not {*tickers} <= self.floor.books.keys():
            self._refuse(command, 11, held)

    def _snapshot(self, held: PlainSubscription, ticker: str, command: int = 0) -> None:
        if ticker in self.floor.books:
            told = levels(self.floor.books[ticker], yes_price=held.yes_price)
            self._send(held, "orderbook_snapshot", (ticker, told), command)

    def _send(self, held: PlainSubscription, kind: str, told: Any, command: int = 0) -> None:
        if held not in self.subscriptions:
            return
        if len(self.waiting) >= self.limit:
            self._refuse(0, 25, held)
            self.subscriptions.remove(held)
            return
        self.waiting.append((kind, command, held.sid, held.number(), told))

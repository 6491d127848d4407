"""The WebSocket's subscriptions: facts in, frames out to each session that asked; no I/O.

A frame's body is encoded once, whoever reads it: only the head with sid and seq is each session's
own. A session whose queue is full loses the subscription that filled it, with error 25.
"""

from collections.abc import Callable, Iterable

from kalshiflow.venue.floor.accounts import Account, OrderRecord
from kalshiflow.venue.floor.facts import (
    BookReplaced,
    Fact,
    Filled,
    OrderChanged,
    PositionChanged,
    TickerMoved,
    Traded,
)
from kalshiflow.venue.floor.listed import ListedMarket
from kalshiflow.venue.matching.messages import LevelChanged
from kalshiflow.venue.websocket import bodies
from kalshiflow.venue.websocket.sessions import (
    BOOK,
    CHANNELS,
    FILL,
    POSITIONS,
    QUEUE_LIMIT,
    TICKER,
    TRADE,
    USER_ORDERS,
    Session,
    Subscription,
)


class Hub:
    """All sessions, and who of them hears what.

    `find_market` and `find_order` look up what a fact is about; they give `None` for the unknown.
    """

    def __init__(
        self,
        find_market: Callable[[str], ListedMarket | None],
        find_order: Callable[[str], OrderRecord | None],
    ) -> None:
        self._find_market = find_market
        self._find_order = find_order
        self._sessions: dict[Session, None] = {}
        # Per channel: the subscriptions of each ticker, and under None those of all markets.
        self._index: dict[str, dict[str | None, list[Subscription]]] = {c: {} for c in CHANNELS}

    # --- sessions --------------------------------------------------------------------------

    def join(self, account: Account, queue_limit: int = QUEUE_LIMIT) -> Session:
        """Begin a session."""
        session = Session(account, queue_limit)
        session.on_end = self.end
        self._sessions[session] = None
        return session

    def leave(self, session: Session) -> None:
        """End a session with all its subscriptions."""
        for subscription in list(session.by_sid.values()):
            self.end(subscription)
        del self._sessions[session]

    def sessions(self) -> tuple[Session, ...]:
        """Give the open sessions."""
        return tuple(self._sessions)

    def has_book_subscriber(self, ticker: str) -> bool:
        """Say whether anyone listens to a market's book."""
        return bool(self._index[BOOK].get(ticker))

    def begin(
        self,
        session: Session,
        channel: str,
        tickers: Iterable[str] | None,
        *,
        uses_yes_price: bool,
    ) -> Subscription:
        """Open a channel for a session, under its next sid."""
        session.last_sid += 1
        subscription = Subscription(
            session, session.last_sid, channel, tickers, uses_yes_price=uses_yes_price
        )
        session.by_sid[subscription.sid] = session.by_channel[channel] = subscription
        for ticker in (None,) if subscription.tickers is None else subscription.tickers:
            self._index[channel].setdefault(ticker, []).append(subscription)
        return subscription

    def end(self, subscription: Subscription) -> None:
        """Close a channel of a session."""
        session = subscription.session
        session.by_sid.pop(subscription.sid, None)
        session.by_channel.pop(subscription.channel, None)
        tickers = (None,) if subscription.tickers is None else tuple(subscription.tickers)
        for ticker in tickers:
            self._drop(subscription, ticker)

    def add(self, subscription: Subscription, tickers: Iterable[str]) -> list[str]:
        """Add markets to a subscription; give those that are new to it."""
        if subscription.tickers is None:
            return []
        new = [ticker for ticker in dict.fromkeys(tickers) if ticker not in subscription.tickers]
        for ticker in new:
            subscription.tickers[ticker] = None
            self._index[subscription.channel].setdefault(ticker, []).append(subscription)
        return new

    def remove(self, subscription: Subscription, tickers: Iterable[str]) -> None:
        """Take markets off a subscription."""
        for ticker in tickers:
            if subscription.tickers is not None and ticker in subscription.tickers:
                del subscription.tickers[ticker]
                self._drop(subscription, ticker)

    def _drop(self, subscription: Subscription, ticker: str | None) -> None:
        listeners = self._index[subscription.channel].get(ticker)
        if listeners is not None and subscription in listeners:
            listeners.remove(subscription)
            if not listeners:
                del self._index[subscription.channel][ticker]

    # --- frames on demand ------------------------------------------------------------------

    def send_snapshots(
        self, subscription: Subscription, tickers: Iterable[str], command_id: int = 0
    ) -> None:
        """Queue a snapshot of each market that is listed."""
        for ticker in tickers:
            listed = self._find_market(ticker)
            if listed is not None:
                body = bodies.snapshot(listed, uses_yes_price=subscription.uses_yes_price)
                subscription.send(b"orderbook_snapshot", body, command_id)

    def send_tickers(self, subscription: Subscription, tickers: Iterable[str]) -> None:
        """Queue the current ticker of each market that is listed."""
        for ticker in tickers:
            listed = self._find_market(ticker)
            if listed is not None:
                subscription.send(b"ticker", bodies.ticker(listed, listed.updated_at))

    # --- facts -----------------------------------------------------------------------------

    def publish(self, fact: Fact) -> None:
        """Queue the frames that a fact makes, for each session that subscribed to them."""
        match fact:
            case LevelChanged():
                self._publish_delta(fact)
            case Traded():
                self._to_all(TRADE, b"trade", fact.ticker, lambda: bodies.trade(fact))
            case TickerMoved():
                self._publish_ticker(fact)
            case BookReplaced():
                self._publish_snapshot(fact)
            case Filled():
                owner, ticker = fact.record.owner, fact.fill.ticker
                self._to_owner(FILL, b"fill", owner, ticker, lambda: bodies.fill(fact))
            case OrderChanged():
                record = fact.record
                self._to_owner(
                    USER_ORDERS,
                    b"user_order",
                    record.owner,
                    record.order.ticker,
                    lambda: bodies.user_order(record),
                )
            case PositionChanged():
                self._to_owner(
                    POSITIONS,
                    b"market_position",
                    fact.account,
                    fact.ticker,
                    lambda: bodies.position(fact),
                )

    def _publish_delta(self, fact: LevelChanged) -> None:
        listeners = self._index[BOOK].get(fact.ticker)
        if not listeners:
            return
        listed = self._find_market(fact.ticker)
        if listed is None:
            return
        record = None if fact.order_id is None else self._find_order(fact.order_id)
        owner = None if record is None or record.owner.is_house else record.owner
        shared: dict[bool, bytes] = {}
        for subscription in tuple(listeners):
            yes = subscription.uses_yes_price
            if owner is not None and record is not None and subscription.session.account is owner:
                client_order_id = record.order.client_order_id
                body = bodies.delta(
                    fact, listed, uses_yes_price=yes, client_order_id=client_order_id
                )
            else:
                body = shared.get(yes) or bodies.delta(fact, listed, uses_yes_price=yes)
                shared[yes] = body
            subscription.send(b"orderbook_delta", body)

    def _publish_snapshot(self, fact: BookReplaced) -> None:
        listed = self._find_market(fact.ticker)
        shared: dict[bool, bytes] = {}
        for subscription in tuple(self._index[BOOK].get(fact.ticker, ())):
            if listed is None:
                return
            yes = subscription.uses_yes_price
            body = shared.get(yes) or bodies.snapshot(listed, uses_yes_price=yes)
            shared[yes] = body
            subscription.send(b"orderbook_snapshot", body)

    def _publish_ticker(self, fact: TickerMoved) -> None:
        listed = self._find_market(fact.ticker)
        if listed is not None:
            self._to_all(TICKER, b"ticker", fact.ticker, lambda: bodies.ticker(listed, fact.at))

    def _to_all(self, channel: str, kind: bytes, ticker: str, write: Callable[[], bytes]) -> None:
        listeners = self._listeners(channel, ticker)
        if listeners:
            body = write()
            for subscription in listeners:
                subscription.send(kind, body)

    def _to_owner(
        self,
        channel: str,
        kind: bytes,
        owner: Account,
        ticker: str,
        write: Callable[[], bytes],
    ) -> None:
        listeners = [s for s in self._listeners(channel, ticker) if s.session.account is owner]
        if listeners:
            body = write()
            for subscription in listeners:
                subscription.send(kind, body)

    def _listeners(self, channel: str, ticker: str) -> list[Subscription]:
        index = self._index[channel]
        if not index:
            return []
        return [*index.get(ticker, ()), *index.get(None, ())]

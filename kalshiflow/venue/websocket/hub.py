"""The WebSocket's sessions and their subscriptions: who hears what; no I/O.

A session whose queue is full loses the subscription that filled it, with error 25.
"""

from collections.abc import Callable, Iterable

from kalshiflow.venue.config import MARKET_LIMIT, QUEUE_LIMIT
from kalshiflow.venue.floor.accounts import Account, OrderRecord
from kalshiflow.venue.floor.facts import Fact
from kalshiflow.venue.floor.listed import ListedMarket
from kalshiflow.venue.websocket import bodies
from kalshiflow.venue.websocket.audience import Audience
from kalshiflow.venue.websocket.publisher import Publisher
from kalshiflow.venue.websocket.selection import Selection
from kalshiflow.venue.websocket.sessions import BOOK, TRADE, Session, Subscription


def _no_markets() -> Iterable[ListedMarket]:
    return ()


class Hub:
    """All sessions, and who of them hears what.

    `find_market` and `find_order` look up what a fact is about and give `None` for the unknown;
    `markets` gives all that are listed. `trade_seq` says whether trade frames are numbered, and
    `market_limit` how many markets the subscriptions of one session may have.
    """

    def __init__(
        self,
        find_market: Callable[[str], ListedMarket | None],
        find_order: Callable[[str], OrderRecord | None],
        markets: Callable[[], Iterable[ListedMarket]] = _no_markets,
        *,
        trade_seq: bool = True,
        market_limit: int = MARKET_LIMIT,
    ) -> None:
        self._find_market = find_market
        self._markets = markets
        self._trade_seq = trade_seq
        self.market_limit = market_limit
        self._sessions: dict[Session, None] = {}
        self._last_number = 0
        self._audience = Audience()
        self._publisher = Publisher(self._audience, find_market, find_order)

    def publish(self, fact: Fact) -> None:
        """Queue the frames that a fact makes, for each session that subscribed to them."""
        self._publisher.publish(fact)

    # --- sessions --------------------------------------------------------------------------

    def join(self, account: Account, queue_limit: int = QUEUE_LIMIT) -> Session:
        """Begin a session."""
        self._last_number += 1
        session = Session(account, queue_limit, self._last_number)
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
        return bool(self._audience.of_market(BOOK, ticker))

    def begin(
        self,
        session: Session,
        channel: str,
        named: Selection | None,
        *,
        uses_yes_price: bool = False,
    ) -> Subscription:
        """Open a channel for a session, under its next sid; `None` covers every market."""
        session.last_sid += 1
        subscription = Subscription(
            session,
            session.last_sid,
            channel,
            None if named is None else named.tickers,
            ids=() if named is None else named.ids,
            uses_yes_price=uses_yes_price,
            is_sequenced=self._trade_seq if channel == TRADE else None,
        )
        session.by_sid[subscription.sid] = session.by_channel[channel] = subscription
        self._audience.enter(subscription)
        return subscription

    def end(self, subscription: Subscription) -> None:
        """Close a channel of a session."""
        subscription.session.forget(subscription)
        self._audience.leave(subscription)

    def add(self, subscription: Subscription, named: Selection) -> Selection:
        """Add markets to a subscription; give those that are new to it."""
        return self._audience.add(subscription, named)

    def remove(self, subscription: Subscription, named: Selection) -> None:
        """Take markets off a subscription; one that covers all markets keeps covering them."""
        self._audience.remove(subscription, named)

    def widen(self, subscription: Subscription) -> None:
        """Let a subscription cover every market."""
        self._audience.widen(subscription)

    # --- frames on demand ------------------------------------------------------------------

    def unlisted(self, tickers: Iterable[str]) -> list[str]:
        """Give those that name no listed market."""
        return [ticker for ticker in tickers if self._find_market(ticker) is None]

    def send_snapshots(
        self, subscription: Subscription, tickers: Iterable[str], command_id: int = 0
    ) -> None:
        """Queue a snapshot of each market that is listed, until the queue is full."""
        for ticker in tickers:
            if subscription.has_ended:
                return
            listed = self._find_market(ticker)
            if listed is not None:
                body = bodies.snapshot(listed, uses_yes_price=subscription.uses_yes_price)
                subscription.send(b"orderbook_snapshot", body, command_id)

    def send_tickers(self, subscription: Subscription, named: Selection | None) -> None:
        """Queue the current ticker of each market that is listed, of all markets for `None`."""
        for listed in self._listed(named):
            if subscription.has_ended:
                return
            at = listed.updated_at or listed.details.created_at
            subscription.send(b"ticker", bodies.ticker(listed, at))

    def _listed(self, named: Selection | None) -> list[ListedMarket]:
        if named is None:
            return list(self._markets())
        found = [self._find_market(ticker) for ticker in named.tickers]
        if named.ids:
            by_id = {listed.market_id: listed for listed in self._markets()}
            found += [by_id.get(market_id) for market_id in named.ids]
        return [listed for listed in found if listed is not None]

"""Facts in, frames out to each session that subscribed to them; no I/O.

A frame's body is encoded once, whoever reads it: only the head with sid and seq is each session's
own. Whose order changed a level is told to its owner in a body apart.
"""

from collections.abc import Callable

from kalshiflow.venue.floor.accounts import Account, OrderRecord
from kalshiflow.venue.floor.facts import (
    BookReplaced,
    EventListed,
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
from kalshiflow.venue.floor.listed import ListedMarket
from kalshiflow.venue.matching.messages import LevelChanged
from kalshiflow.venue.websocket import bodies, lifecycle_bodies
from kalshiflow.venue.websocket.audience import Audience
from kalshiflow.venue.websocket.sessions import (
    BOOK,
    COMBO_LIFECYCLE,
    FILL,
    LIFECYCLE,
    ORDER_GROUPS,
    POSITIONS,
    TICKER,
    TRADE,
    USER_ORDERS,
    Subscription,
)


class Publisher:
    """Tells an audience what happens.

    `find_market` and `find_order` look up what a fact is about; they give `None` for the unknown.
    """

    def __init__(
        self,
        audience: Audience,
        find_market: Callable[[str], ListedMarket | None],
        find_order: Callable[[str], OrderRecord | None],
    ) -> None:
        self._audience = audience
        self._find_market = find_market
        self._find_order = find_order

    def publish(self, fact: Fact) -> None:
        """Queue the frames that a fact makes."""
        match fact:
            case LevelChanged():
                self._change_level(fact)
            case Traded():
                self._to_all(TRADE, b"trade", fact.ticker, lambda: bodies.trade(fact))
            case TickerMoved():
                self._move_ticker(fact)
            case BookReplaced():
                self._replace_book(fact.ticker)
            case LifecycleChanged():
                self._step(fact)
            case EventListed():
                channel = _lifecycle_channel(fact.event.ticker)
                self._to_all(
                    channel,
                    b"event_lifecycle",
                    fact.event.ticker,
                    lambda: lifecycle_bodies.new_event(fact),
                )
            case _:
                self._tell_owner(fact)

    def _tell_owner(
        self, fact: Filled | OrderChanged | PositionChanged | OrderGroupChanged
    ) -> None:
        match fact:
            case Filled(record, fill):
                owner, ticker = record.owner, fill.ticker
                self._to_owner(FILL, b"fill", owner, ticker, lambda: bodies.fill(fact))
            case OrderChanged(record):
                owner, ticker = record.owner, record.order.ticker
                self._to_owner(
                    USER_ORDERS, b"user_order", owner, ticker, lambda: bodies.user_order(record)
                )
            case PositionChanged(owner, ticker):
                self._to_owner(
                    POSITIONS, b"market_position", owner, ticker, lambda: bodies.position(fact)
                )
            case OrderGroupChanged(owner):
                self._to_owner(
                    ORDER_GROUPS,
                    b"order_group_updates",
                    owner,
                    "",
                    lambda: bodies.order_group(fact),
                )

    def _change_level(self, fact: LevelChanged) -> None:
        listeners = self._audience.of_market(BOOK, fact.ticker)
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
                name = record.order.client_order_id
                body = bodies.delta(fact, listed, uses_yes_price=yes, client_order_id=name)
            elif yes in shared:
                body = shared[yes]
            else:
                body = shared[yes] = bodies.delta(fact, listed, uses_yes_price=yes)
            subscription.send(b"orderbook_delta", body)

    def _replace_book(self, ticker: str) -> None:
        listed = self._find_market(ticker)
        if listed is None:
            return
        shared: dict[bool, bytes] = {}
        for subscription in tuple(self._audience.of_market(BOOK, ticker)):
            yes = subscription.uses_yes_price
            body = shared.get(yes) or bodies.snapshot(listed, uses_yes_price=yes)
            shared[yes] = body
            subscription.send(b"orderbook_snapshot", body)

    def _step(self, fact: LifecycleChanged) -> None:
        listed = self._find_market(fact.ticker)
        if listed is None:
            return
        channel = _lifecycle_channel(fact.ticker)
        self._to_all(
            channel,
            channel.encode(),  # the frame is named as its channel
            fact.ticker,
            lambda: lifecycle_bodies.market_step(fact, listed),
        )
        if fact.kind is LifecycleKind.CREATED:  # some may have waited for it
            self._replace_book(fact.ticker)

    def _move_ticker(self, fact: TickerMoved) -> None:
        listed = self._find_market(fact.ticker)
        if listed is None:
            return
        listeners = self._audience.of(TICKER, fact.ticker, listed.market_id)
        _send(listeners, b"ticker", lambda: bodies.ticker(listed, fact.at))

    def _to_all(self, channel: str, kind: bytes, ticker: str, write: Callable[[], bytes]) -> None:
        _send(self._audience.of(channel, ticker), kind, write)

    def _to_owner(
        self, channel: str, kind: bytes, owner: Account, ticker: str, write: Callable[[], bytes]
    ) -> None:
        heard = self._audience.of(channel, ticker)
        _send([one for one in heard if one.session.account is owner], kind, write)


def _send(listeners: list[Subscription], kind: bytes, write: Callable[[], bytes]) -> None:
    if listeners:
        body = write()
        for subscription in listeners:
            subscription.send(kind, body)


def _lifecycle_channel(ticker: str) -> str:
    """Give the channel that tells of a market's or an event's life: combinations have their own."""
    return COMBO_LIFECYCLE if ticker.startswith("KXMVE") else LIFECYCLE

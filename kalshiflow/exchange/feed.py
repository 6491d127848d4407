"""Raw frames to market events, in order, with the sequence ledger of each subscription; no I/O.

One `Feed` serves one connection: sequence numbers, subscription ids and market time begin anew with
the next. Receiving never raises: what cannot be read comes back with its `error`, and what is
missing with its `gap`.
"""

from collections.abc import Iterable
from typing import NamedTuple, get_args

from kalshiflow.exchange import translate, translate_own
from kalshiflow.exchange.messages import (
    DeltaFrame,
    FillFrame,
    Frame,
    LifecycleFrame,
    MarketPositionFrame,
    MultivariateLifecycleFrame,
    SnapshotFrame,
    SubscribedFrame,
    TickerFrame,
    TradeFrame,
    UserOrderFrame,
    decode_envelope,
    decode_frame,
)
from kalshiflow.exchange.received import (
    Own,
    Received,
    Refusal,
    concerned,
    exchange_time,
    heed_control,
    refusal_of,
    text_fault,
)
from kalshiflow.exchange.records import OwnFill, OwnOrder, OwnPosition, TickerUpdate
from kalshiflow.exchange.sequence import (
    SequenceGap,
    SequenceLedger,
    Subscription,
    SubscriptionState,
)
from kalshiflow.market.events import BookDelta, MarketEvent, Stamp, TimeSource

__all__ = [
    "UNDECODABLE",
    "Feed",
    "FeedState",
    "OwnFill",
    "OwnOrder",
    "OwnPosition",
    "Received",
    "Refusal",
    "SequenceGap",
    "SequenceLedger",
    "TickerUpdate",
]

UNDECODABLE = "undecodable"

_Meaning = tuple[MarketEvent | None, Own | None, TickerUpdate | None]

# A subscription's channel, where the frame that opened it was not seen.
_CHANNELS = {
    "orderbook_snapshot": "orderbook_delta",
    "orderbook_delta": "orderbook_delta",
    "trade": "trade",
    "ticker": "ticker",
    "fill": "fill",
    "user_order": "user_orders",
    "market_position": "market_positions",
    "market_lifecycle_v2": "market_lifecycle_v2",
}
_KINDS: dict[type, str] = {kind: kind.__struct_config__.tag for kind in get_args(Frame)}
_KNOWN_KINDS = frozenset(_KINDS.values())
_DELTA = "orderbook_delta"
_EXCHANGE, _CARRIED, _RECEIVE = TimeSource  # their look-up in the class costs as much as a frame's
_new = tuple.__new__  # of a named tuple whose fields are all at hand, in a third of the time
_BACKSLASH = 0x5C  # a number is found in a quarter of the time


class FeedState(NamedTuple):
    """A feed as plain values: its subscriptions by id, and what was asked by command."""

    uses_yes_price: bool
    market_time: int | None
    frame_no: int
    subscriptions: list[SubscriptionState]
    asked: list[tuple[int, list[str]]]


class Feed:
    """Numbers, checks and translates the frames of one connection.

    `uses_yes_price` is what the subscription asked for: whether NO levels carry YES prices.
    """

    def __init__(self, *, uses_yes_price: bool = True) -> None:
        self.uses_yes_price = uses_yes_price
        # The largest exchange time seen so far on the connection.
        self.market_time: int | None = None
        self._frame_no = 0
        self._subscriptions: dict[int, Subscription] = {}
        self._asked: dict[int, tuple[str, ...]] = {}

    @classmethod
    def restore(cls, state: FeedState) -> "Feed":
        """Give the feed that `state` was taken of."""
        feed = cls(uses_yes_price=state.uses_yes_price)
        feed.market_time = state.market_time
        feed._frame_no = state.frame_no
        feed._subscriptions = {each.sid: Subscription.of(each) for each in state.subscriptions}
        feed._asked = {command_id: tuple(tickers) for command_id, tickers in state.asked}
        return feed

    def state(self) -> FeedState:
        """Give all there is as plain values."""
        return FeedState(
            self.uses_yes_price,
            self.market_time,
            self._frame_no,
            [subscription.state() for subscription in self._subscriptions.values()],
            [(command_id, list(tickers)) for command_id, tickers in self._asked.items()],
        )

    def asked(self, command_id: int, tickers: Iterable[str]) -> None:
        """Tell which markets a `subscribe` names: a gap before their snapshots then names them."""
        named = self._asked[command_id] = tuple(tickers)
        for subscription in self._subscriptions.values():  # the answer may have come already
            if subscription.command_id == command_id:
                subscription.tickers.update(named)

    def receive(self, raw: bytes, received_at: int) -> Received:
        """Take one frame as it came, with our clock's time in nanoseconds."""
        return self.told(self.take(raw, received_at))

    def take(self, raw: bytes, received_at: int) -> BookDelta | Received:
        """Do what `receive` does, and give of a delta that came in its turn no more than its event.

        Nine of ten frames are such deltas, and their stamp tells the rest.
        """
        self._frame_no += 1
        if _BACKSLASH in raw or not raw.isascii():
            fault = text_fault(raw)
            if fault is not None:
                return self._unreadable(raw, received_at, fault, is_malformed=True)
        try:
            frame = decode_frame(raw)
        except (ValueError, RecursionError) as unreadable:
            return self._unreadable(raw, received_at, str(unreadable), is_malformed=False)
        if type(frame) is not DeltaFrame:
            return self._receive(frame, raw, received_at)
        sid, seq, body = frame.sid, frame.seq, frame.msg
        subscription = self._subscriptions.get(sid)  # type: ignore[arg-type]  # None is never there
        if (
            subscription is None
            or seq != subscription.expected
            or not subscription.channel
            or frame.id
        ):
            return self._receive(frame, raw, received_at)
        try:
            stamp = self._stamp(received_at, translate.delta_time(body), sid, seq)
            event = translate.book_delta(body, stamp, uses_yes_price=self.uses_yes_price)
        except ValueError:  # which is told where all such frames are
            return self._receive(frame, raw, received_at)
        subscription.expected += 1
        if body.market_ticker not in subscription.tickers:
            subscription.tickers.add(body.market_ticker)
        return event

    def told(self, taken: BookDelta | Received) -> Received:
        """Give what `take` gave in the form that all frames have."""
        if not isinstance(taken, BookDelta):
            return taken
        stamp = taken.stamp
        return Received(stamp.frame_no, _DELTA, stamp, stamp.sid, stamp.seq, taken)

    def _receive(self, frame: Frame, raw: bytes, received_at: int) -> Received:
        kind = _KINDS[type(frame)]
        if type(frame) is SubscribedFrame:
            return self._subscribed(frame, received_at)
        sid, seq = frame.sid, frame.seq
        subscription = None if sid is None else self._subscription(sid, kind)
        gap = None if subscription is None else subscription.receive(seq)
        exchange_ts = None
        try:
            exchange_ts = exchange_time(frame)
            stamp = self._stamp(received_at, exchange_ts, sid, seq)
            event, own, ticker = self._translate(frame, stamp)
        except ValueError as untranslatable:
            return Received(
                self._frame_no,
                kind,
                self._stamp(received_at, exchange_ts, sid, seq),
                sid,
                seq,
                gap=gap,
                error=str(untranslatable),
                tickers=concerned(raw, subscription),
            )
        if event is not None:
            if subscription is not None:
                subscription.tickers.add(event.ticker)
            return Received(
                self._frame_no, kind, stamp, sid, seq, event, None, None, gap, None, (), frame.id
            )
        return Received(
            self._frame_no,
            kind,
            stamp,
            sid,
            seq,
            own=own,
            ticker=ticker,
            gap=gap,
            tickers=heed_control(frame, subscription),
            command_id=frame.id or None,
            refusal=refusal_of(frame),
        )

    def set_aside(self, received_at: int, reason: str) -> Received:
        """Number a frame that is not to be looked at, for a reason."""
        self._frame_no += 1
        stamp = self._stamp(received_at, None, None, None)
        return Received(self._frame_no, UNDECODABLE, stamp, error=reason)

    def restart_numbers(self) -> None:
        """Begin a new recording within the same connection.

        Frame numbers begin at 1 again; subscriptions and their sequence numbers go on, each ledger
        from its next number. Market time goes on too.
        """
        self._frame_no = 0
        for sid, subscription in tuple(self._subscriptions.items()):
            if subscription.ended:
                del self._subscriptions[sid]
            else:
                subscription.restart()

    def ledgers(self) -> dict[int, SequenceLedger]:
        """Give the account of each subscription id."""
        return {sid: subscription.ledger() for sid, subscription in self._subscriptions.items()}

    def tickers(self, sid: int) -> tuple[str, ...]:
        """Give the markets that a subscription is known to have, sorted."""
        return tuple(sorted(self._subscriptions[sid].tickers))

    def sid_of(self, channel: str) -> int | None:
        """Give the open subscription of a channel, if there is one."""
        for sid, subscription in self._subscriptions.items():
            if subscription.channel == channel and not subscription.ended:
                return sid
        return None

    def _unreadable(
        self, raw: bytes, received_at: int, reason: str, *, is_malformed: bool
    ) -> Received:
        try:
            envelope = decode_envelope(raw)
        except (ValueError, RecursionError):
            stamp = self._stamp(received_at, None, None, None)
            return Received(self._frame_no, UNDECODABLE, stamp, error=reason)
        # Its number still counts: a frame that came is not a frame that is missing.
        sid, seq = envelope.sid, envelope.seq
        subscription = None if sid is None else self._subscription(sid, envelope.type)
        gap = None if subscription is None else subscription.receive(seq)
        is_new_kind = envelope.type not in _KNOWN_KINDS and not is_malformed
        return Received(
            self._frame_no,
            envelope.type,
            self._stamp(received_at, None, sid, seq),
            sid,
            seq,
            gap=gap,
            error=None if is_new_kind else reason,
            tickers=() if is_new_kind else concerned(raw, subscription),
            command_id=envelope.id or None,
        )

    def _subscribed(self, frame: SubscribedFrame, received_at: int) -> Received:
        sid, channel = frame.msg.sid, frame.msg.channel
        known = self._subscriptions.get(sid)
        if known is None or known.ended:
            asked = self._asked.get(frame.id or 0, ())
            self._subscriptions[sid] = Subscription(sid, channel, asked, frame.id or None)
        stamp = self._stamp(received_at, None, sid, None)
        return Received(self._frame_no, "subscribed", stamp, sid, command_id=frame.id or None)

    def _subscription(self, sid: int, kind: str) -> Subscription:
        subscription = self._subscriptions.get(sid)
        if subscription is None:
            subscription = self._subscriptions[sid] = Subscription(sid)
        if not subscription.channel:
            subscription.channel = _CHANNELS.get(kind, "")
        return subscription

    def _stamp(
        self, received_at: int, exchange_ts: int | None, sid: int | None, seq: int | None
    ) -> Stamp:
        latest = self.market_time
        if exchange_ts is not None and (latest is None or exchange_ts >= latest):
            self.market_time = latest = exchange_ts
            source = _EXCHANGE
        elif latest is not None:
            source = _CARRIED
        else:
            latest, source = received_at, _RECEIVE
        return _new(Stamp, (self._frame_no, received_at, latest, source, exchange_ts, sid, seq))

    def _translate(self, frame: Frame, stamp: Stamp) -> _Meaning:
        match frame:
            case DeltaFrame():
                yes = self.uses_yes_price
                return translate.book_delta(frame.msg, stamp, uses_yes_price=yes), None, None
            case SnapshotFrame():
                yes = self.uses_yes_price
                return translate.book_snapshot(frame.msg, stamp, uses_yes_price=yes), None, None
            case TradeFrame():
                return translate.public_trade(frame.msg, stamp), None, None
            case TickerFrame():
                return None, None, translate.ticker_update(frame.msg)
            case LifecycleFrame() | MultivariateLifecycleFrame():
                return translate.status_changed(frame.msg, stamp), None, None
            case FillFrame():
                return None, translate_own.own_fill(frame.msg, stamp.market_time), None
            case UserOrderFrame():
                return None, translate_own.own_order(frame.msg), None
            case MarketPositionFrame():
                return None, translate_own.own_position(frame.msg), None
        return None, None, None

"""Raw frames to market events, in order, with the sequence ledger of each subscription; no I/O.

One `Feed` serves one connection: sequence numbers, subscription ids and market time begin anew with
the next. Receiving never raises: what cannot be read comes back with its `error`, and what is
missing with its `gap`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import get_args

import msgspec

from kalshiflow.exchange import translate, translate_own
from kalshiflow.exchange.messages import (
    TERMINAL_ERRORS,
    DeltaFrame,
    ErrorFrame,
    FillFrame,
    Frame,
    LifecycleFrame,
    MarketPositionFrame,
    MultivariateLifecycleFrame,
    OkFrame,
    SnapshotFrame,
    SubscribedFrame,
    TickerFrame,
    TickersBody,
    TradeFrame,
    UnsubscribedFrame,
    UserOrderFrame,
    decode_body_ticker,
    decode_envelope,
    decode_frame,
)
from kalshiflow.exchange.records import OwnFill, OwnOrder, OwnPosition, TickerUpdate
from kalshiflow.exchange.sequence import SequenceGap, SequenceLedger, Subscription
from kalshiflow.market.events import MarketEvent, Stamp, TimeSource

__all__ = [
    "UNDECODABLE",
    "Feed",
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

Own = OwnFill | OwnOrder | OwnPosition
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
_NUL = b"\\u0000"  # JSON's spelling of the one character that PostgreSQL's text cannot hold


@dataclass(frozen=True, slots=True)
class Refusal:
    """An `error` frame of the exchange; a terminal one ended the subscription that it names."""

    code: int
    message: str
    is_terminal: bool


class Received(msgspec.Struct, frozen=True, gc=False):  # one per frame: cheaper than a dataclass
    """One frame, numbered, and what it meant.

    At most one of `event`, `own` and `ticker` is there. `error` says why a frame could not be read
    or translated. `tickers` are the markets of an `ok` frame (the subscription's full list), or
    those that a frame with an `error` may have been about. `command_id` is that of the command it
    answers.
    """

    frame_no: int
    kind: str
    stamp: Stamp
    sid: int | None = None
    seq: int | None = None
    event: MarketEvent | None = None
    own: Own | None = None
    ticker: TickerUpdate | None = None
    gap: SequenceGap | None = None
    error: str | None = None
    tickers: tuple[str, ...] = ()
    command_id: int | None = None
    refusal: Refusal | None = None


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

    def asked(self, command_id: int, tickers: Iterable[str]) -> None:
        """Tell which markets a `subscribe` names: a gap before their snapshots then names them."""
        named = self._asked[command_id] = tuple(tickers)
        for subscription in self._subscriptions.values():  # the answer may have come already
            if subscription.command_id == command_id:
                subscription.tickers.update(named)

    def receive(self, raw: bytes, received_at: int) -> Received:
        """Take one frame as it came, with our clock's time in nanoseconds."""
        self._frame_no += 1
        fault = _text_fault(raw)
        if fault is not None:
            return self._unreadable(raw, received_at, fault, is_malformed=True)
        try:
            frame = decode_frame(raw)
        except (ValueError, RecursionError) as unreadable:
            return self._unreadable(raw, received_at, str(unreadable), is_malformed=False)
        kind = _KINDS[type(frame)]
        if type(frame) is SubscribedFrame:
            return self._subscribed(frame, received_at)
        sid, seq = frame.sid, frame.seq
        subscription = None if sid is None else self._subscription(sid, kind)
        gap = None if subscription is None else subscription.receive(seq)
        exchange_ts = None
        try:
            exchange_ts = _exchange_time(frame)
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
                tickers=_concerned(raw, subscription),
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
            tickers=_control(frame, subscription),
            command_id=frame.id or None,
            refusal=_refusal(frame),
        )

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
            tickers=() if is_new_kind else _concerned(raw, subscription),
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
            source = TimeSource.EXCHANGE
        elif latest is not None:
            source = TimeSource.CARRIED
        else:
            latest, source = received_at, TimeSource.RECEIVE
        return Stamp(self._frame_no, received_at, latest, source, exchange_ts, sid, seq)

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


def _text_fault(raw: bytes) -> str | None:
    if not raw.isascii():
        try:
            raw.decode()
        except UnicodeDecodeError as broken:
            return str(broken)
    if _NUL in raw:
        return "the frame holds a NUL character"
    return None


def _exchange_time(frame: Frame) -> int | None:
    match frame:
        case DeltaFrame():
            return translate.delta_time(frame.msg)
        case TradeFrame() | FillFrame():
            return translate.stamped_time(frame.msg.ts_ms, frame.msg.ts)
        case TickerFrame():
            return translate.ticker_time(frame.msg)
        case UserOrderFrame():
            return translate_own.order_time(frame.msg)
        case LifecycleFrame() | MultivariateLifecycleFrame():
            return translate.lifecycle_time(frame.msg)
    return None


def _control(frame: Frame, subscription: Subscription | None) -> tuple[str, ...]:
    """Let a control frame have its effect on its subscription; gives the tickers it lists."""
    if subscription is None:
        return ()
    match frame:
        case UnsubscribedFrame():
            subscription.ended = True
        case ErrorFrame(msg=body) if body.code in TERMINAL_ERRORS:
            subscription.ended = True
        case OkFrame(msg=TickersBody(market_tickers=list(listed))):
            subscription.tickers = set(listed)
            return tuple(listed)
    return ()


def _refusal(frame: Frame) -> Refusal | None:
    if not isinstance(frame, ErrorFrame):
        return None
    return Refusal(frame.msg.code, frame.msg.msg, frame.msg.code in TERMINAL_ERRORS)


def _concerned(raw: bytes, subscription: Subscription | None) -> tuple[str, ...]:
    """Give the market that a bad frame names, else all those of its subscription."""
    try:
        named = decode_body_ticker(decode_envelope(raw).msg).market_ticker
    except (ValueError, RecursionError):
        named = None
    if named is not None:
        return (named,)
    return () if subscription is None else tuple(sorted(subscription.tickers))

"""One received frame as a value, and what frames say beside their events."""

from dataclasses import dataclass

import msgspec

from kalshiflow.exchange import translate, translate_own
from kalshiflow.exchange.messages import (
    TERMINAL_ERRORS,
    DeltaFrame,
    ErrorFrame,
    FillFrame,
    Frame,
    LifecycleFrame,
    MultivariateLifecycleFrame,
    OkFrame,
    TickerFrame,
    TickersBody,
    TradeFrame,
    UnsubscribedFrame,
    UserOrderFrame,
    decode_body_ticker,
    decode_envelope,
)
from kalshiflow.exchange.records import OwnFill, OwnOrder, OwnPosition, TickerUpdate
from kalshiflow.exchange.sequence import SequenceGap, Subscription
from kalshiflow.market.events import MarketEvent, Stamp

Own = OwnFill | OwnOrder | OwnPosition
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


def text_fault(raw: bytes) -> str | None:
    try:
        raw.decode()
    except UnicodeDecodeError as broken:
        return str(broken)
    if raw.find(_NUL) >= 0:
        return "the frame holds a NUL character"
    return None


def exchange_time(frame: Frame) -> int | None:
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


def heed_control(frame: Frame, subscription: Subscription | None) -> tuple[str, ...]:
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


def refusal_of(frame: Frame) -> Refusal | None:
    if not isinstance(frame, ErrorFrame):
        return None
    return Refusal(frame.msg.code, frame.msg.msg, frame.msg.code in TERMINAL_ERRORS)


def concerned(raw: bytes, subscription: Subscription | None) -> tuple[str, ...]:
    """Give the market that a bad frame names, else all those of its subscription."""
    try:
        named = decode_body_ticker(decode_envelope(raw).msg).market_ticker
    except (ValueError, RecursionError):
        named = None
    if named is not None:
        return (named,)
    return () if subscription is None else tuple(sorted(subscription.tickers))

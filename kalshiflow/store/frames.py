"""Received frames as the store sees them, and the gaps that they leave or tell of; pure."""

from collections.abc import Iterable
from typing import Protocol

from kalshiflow.market.events import MarketEvent, Stamp
from kalshiflow.store.replay import BOOK_CHANNEL, Gap

_BOOK_KINDS = frozenset({"orderbook_snapshot", "orderbook_delta", "undecodable"})


class FoundGap(Protocol):
    """The feed's word that frames `expected` to `received - 1` of a subscription never came."""

    @property
    def sid(self) -> int: ...
    @property
    def channel(self) -> str: ...
    @property
    def expected(self) -> int: ...
    @property
    def received(self) -> int: ...
    @property
    def tickers(self) -> tuple[str, ...]: ...


class ReceivedFrame(Protocol):
    """What the store needs of a frame that the feed has understood (or not: `error`)."""

    @property
    def frame_no(self) -> int: ...
    @property
    def kind(self) -> str: ...
    @property
    def sid(self) -> int | None: ...
    @property
    def seq(self) -> int | None: ...
    @property
    def event(self) -> MarketEvent | None: ...
    @property
    def gap(self) -> FoundGap | None: ...
    @property
    def error(self) -> str | None: ...
    @property
    def tickers(self) -> tuple[str, ...]: ...
    @property
    def stamp(self) -> Stamp: ...


def missing_gap(received: ReceivedFrame) -> Gap | None:
    """Give the gap that a frame told of, if it did."""
    gap = received.gap
    if gap is None:
        return None
    return Gap(
        frame_no=received.frame_no,
        kind="missing",
        tickers=tuple(sorted(gap.tickers)),
        reason=f"expected seq {gap.expected}, received {gap.received}",
        started_at=received.stamp.received_at,
        channel=gap.channel,
        sid=gap.sid,
        seq=received.seq,
        expected=gap.expected,
        received=gap.received,
    )


def bad_frame_gap(received: ReceivedFrame, raw: bytes, reason: str, markets: Iterable[str]) -> Gap:
    """Give the gap that a frame leaves which could not be used.

    Where the frame does not tell its market, any of `markets` may be meant.
    """
    event = received.event
    tickers = (event.ticker,) if event is not None else received.tickers or tuple(markets)
    return Gap(
        frame_no=received.frame_no,
        kind="bad_frame",
        tickers=tuple(sorted(map(storable, tickers))),
        reason=storable(reason),
        started_at=received.stamp.received_at,
        channel=BOOK_CHANNEL if received.kind in _BOOK_KINDS else storable(received.kind),
        sid=received.sid,
        seq=received.seq,
        raw=text_of(raw),
    )


def text_of(raw: bytes) -> str:
    """Give a frame as text that PostgreSQL can hold."""
    return storable(raw.decode("utf-8", "backslashreplace"))


def storable(text: str) -> str:
    """Write out the characters that PostgreSQL's text cannot hold: NUL and lone surrogates."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")

"""Top speed: a recording's frames written ready-made, while no order of ours is in its books.

Until a client's order is accepted, what subscribers of books and trades are to hear is known from
the recording alone. So a passage of it is written as bodies once, numbered for each subscription,
and handed to each socket as one piece of bytes in the WebSocket's own framing. The floor's books
stay behind; whoever asks for them first brings them up to what subscribers were told.

All subscribers are at the same place of the tape. Whoever plays it waits for readers that are
behind; one that is given up gets its frames queued, like any other frame, until its queue is full.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from kalshiflow.market.events import BookDelta, BookSnapshot, PublicTrade
from kalshiflow.venue.floor.facts import Fact, OrderChanged
from kalshiflow.venue.floor.listed import ListedMarket
from kalshiflow.venue.replay.bodies import BYTE_BY_BYTE, RecordedBodies
from kalshiflow.venue.replay.capture import TimedEvent
from kalshiflow.venue.replay.source import CaptureSource
from kalshiflow.venue.websocket.framing import header
from kalshiflow.venue.websocket.hub import Hub
from kalshiflow.venue.websocket.sessions import BOOK, TICKER, TRADE, Session, Subscription

# A session that more bytes than this wait for is behind.
MOST_WAITING = 2**20
_KINDS: Mapping[type, tuple[str, bytes]] = {
    BookDelta: (BOOK, b"orderbook_delta"),
    BookSnapshot: (BOOK, b"orderbook_snapshot"),
    PublicTrade: (TRADE, b"trade"),
}


class Line(Protocol):
    """What carries frames to the sessions."""

    def waiting_bytes(self, session: Session) -> int:
        """Give how much waits for a session, in its queue and in its socket."""

    def send_framed(self, session: Session, data: bytes, frames: int) -> bool:
        """Write so many frames, framed for the WebSocket, after what waits for a session."""


def takes_more(line: Line, session: Session) -> bool:
    """Say whether a session reads what it gets: little waits for it."""
    return line.waiting_bytes(session) <= MOST_WAITING


class Tape:
    """Plays a recording to the hub's subscribers without going through the floor.

    `listed` are the recording's markets by ticker.
    """

    def __init__(self, source: CaptureSource, hub: Hub, listed: Mapping[str, ListedMarket]) -> None:
        self._source = source
        self._hub = hub
        self._listed = listed
        self._bodies = {yes: RecordedBodies(listed, uses_yes_price=yes) for yes in (False, True)}
        self._has_orders = False

    @property
    def is_playable(self) -> bool:
        """Say whether all that subscribers are to hear next is on the tape.

        It is not once an order was accepted, nor while somebody listens to tickers, which are
        drawn from the books.
        """
        return not self._has_orders and not any(
            TICKER in session.by_channel for session in self._hub.sessions()
        )

    @property
    def lag(self) -> int:
        """Give the events that subscribers were told of and the books were not."""
        return self._source.lag

    @property
    def reached_at(self) -> int:
        """Give the market time of the last event that subscribers were told; 0 before the first."""
        return self._source.reached_at

    def settle(self, limit: int | None = None) -> None:
        """Bring the books up to what subscribers were told, at most `limit` events."""
        self._source.settle(limit)

    def publish(self, fact: Fact) -> None:
        """Pass a fact of the floor on to the hub, unless its subscribers were told of it before."""
        if isinstance(fact, OrderChanged):
            self._has_orders = True
        if not self._source.is_settling:
            self._hub.publish(fact)

    def play(self, line: Line, limit: int, before: int | None) -> int:
        """Tell subscribers the next events, at most `limit`, all due earlier than `before`.

        Gives their number: 0 where the next one is a step of a market's life, or too late.
        """
        events = self._passage(limit, before)
        written: dict[bool, list[str | None]] = {}
        for session in self._hub.sessions() if events else ():
            cues = self._cues(session)
            if not cues:
                continue
            book = session.by_channel.get(BOOK)
            yes = book is not None and book.uses_yes_price
            if yes not in written:
                written[yes] = self._bodies[yes].of(events)
            if takes_more(line, session):
                self._write(line, session, cues, events, written[yes])
            else:
                self._queue(cues, events, written[yes])
        self._source.tell(len(events))
        return len(events)

    def _passage(self, limit: int, before: int | None) -> Sequence[TimedEvent]:
        events = self._source.coming(limit)
        if events and before is not None and events[-1].at >= before:
            events = events[: bisect_left(events, before, key=_at)]
        return events

    def _write(
        self,
        line: Line,
        session: Session,
        cues: Mapping[type, "_Cue"],
        events: Sequence[TimedEvent],
        written: Sequence[str | None],
    ) -> None:
        """Number a passage's frames for a session as `Subscription.send` does, and frame them."""
        pieces: list[str] = []
        for timed, body in zip(events, written, strict=True):
            event = timed.event
            cue = cues.get(type(event))
            if cue is None or body is None:
                continue
            subscription, head, hears_all = cue.subscription, cue.head, cue.hears_all
            if not hears_all and not self._is_for(subscription, event.ticker):
                continue
            if subscription.is_sequenced:
                subscription.seq += 1
                text = f'{head},"seq":{subscription.seq},"msg":{body}}}'
            else:
                text = f'{head},"msg":{body}}}'
            pieces.append(_HEADERS[len(text)])
            pieces.append(text)
        if pieces:
            line.send_framed(session, "".join(pieces).encode(BYTE_BY_BYTE), len(pieces) // 2)

    def _queue(
        self,
        cues: Mapping[type, "_Cue"],
        events: Sequence[TimedEvent],
        written: Sequence[str | None],
    ) -> None:
        for timed, body in zip(events, written, strict=True):
            cue = cues.get(type(timed.event))
            if cue is None or body is None:
                continue
            if self._is_for(cue.subscription, timed.event.ticker):
                cue.subscription.send(cue.kind, body.encode(BYTE_BY_BYTE))

    def _cues(self, session: Session) -> dict[type, "_Cue"]:
        cues: dict[type, _Cue] = {}
        for event, (channel, kind) in _KINDS.items():
            subscription = session.by_channel.get(channel)
            if subscription is not None:
                tickers = subscription.tickers
                hears_all = tickers is None or self._listed.keys() <= tickers.keys()
                head = f'{{"type":"{kind.decode()}","sid":{subscription.sid}'
                cues[event] = _Cue(subscription, kind, head, hears_all)
        return cues

    def _is_for(self, subscription: Subscription, ticker: str) -> bool:
        if subscription.tickers is None or ticker in subscription.tickers:
            return True
        return bool(subscription.ids) and self._listed[ticker].market_id in subscription.ids


@dataclass(frozen=True, slots=True)
class _Cue:
    """How a session's frames of one kind begin, and the subscription that numbers them.

    `hears_all` says that it hears every market of the recording.
    """

    subscription: Subscription
    kind: bytes
    head: str
    hears_all: bool


class _Headers(dict[int, str]):
    """The WebSocket's headers by the length of the text, one character for each byte."""

    def __missing__(self, length: int) -> str:
        made = self[length] = header(length).decode(BYTE_BY_BYTE)
        return made


_HEADERS = _Headers()


def _at(timed: TimedEvent) -> int:
    return timed.at

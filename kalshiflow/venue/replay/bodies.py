"""Recorded events as the bodies of frames, byte for byte as the hub writes them, only faster.

They are text in which one character stands for each byte (Latin-1), as text is put together faster
than bytes are.
"""

from collections.abc import Iterable, Mapping

import msgspec

from kalshiflow.exchange import translate
from kalshiflow.exchange.times import NANOSECONDS, iso_time
from kalshiflow.market.events import BookDelta, BookSnapshot, PublicTrade, Side
from kalshiflow.market.units import Price, Quantity, quantity_to_contracts
from kalshiflow.venue.clock import MILLISECOND
from kalshiflow.venue.floor.facts import Traded
from kalshiflow.venue.floor.listed import ListedMarket
from kalshiflow.venue.matching.messages import LevelChanged
from kalshiflow.venue.replay.capture import TimedEvent
from kalshiflow.venue.websocket import bodies

BYTE_BY_BYTE = "latin-1"
# What varies between the deltas of one price, as the hub writes it for one hundredth at time 0.
_CHANGE = '"0.01"'
_TIMES = '"1970-01-01T00:00:00Z","ts_ms":0'
_PATTERNS_KEPT = 200_000
_TEXTS_KEPT = 20_000
_BID = Side.BID  # a look-up in an enumeration takes its time

_encode = msgspec.json.Encoder().encode

Pattern = tuple[str, str, str]


class RecordedBodies:
    """Writes recorded events as bodies of frames, with NO levels at `uses_yes_price` or not.

    `listed` are the recording's markets by ticker.
    """

    def __init__(self, listed: Mapping[str, ListedMarket], *, uses_yes_price: bool) -> None:
        self._listed = listed
        self._uses_yes_price = uses_yes_price
        self._patterns: dict[tuple[str, Price, bool], Pattern] = {}

    def of(self, events: Iterable[TimedEvent]) -> list[str | None]:
        """Give the events' bodies; `None` for one that makes no frame."""
        patterns = self._patterns
        written: list[str | None] = []
        for timed in events:
            event = timed.event
            if type(event) is not BookDelta:
                written.append(self._other(timed))
            elif not event.change:
                written.append(None)
            else:
                key = (event.ticker, event.price, event.side is _BID)
                before, between, after = patterns.get(key) or self._learn(event, key)
                change = _CHANGES[event.change]
                written.append(f"{before}{change}{between}{_times(timed.at)}{after}")
        return written

    def _other(self, timed: TimedEvent) -> str | None:
        event = timed.event
        if isinstance(event, BookSnapshot):
            return self._snapshot(event).decode(BYTE_BY_BYTE)
        if isinstance(event, PublicTrade):
            return bodies.trade(traded(event, timed.at)).decode(BYTE_BY_BYTE)
        return None

    def _learn(self, event: BookDelta, key: tuple[str, Price, bool]) -> Pattern:
        """Take a delta's fixed parts from one that the hub's own writer makes."""
        fact = LevelChanged(event.ticker, event.side, event.price, 1, 0)
        listed = self._listed[event.ticker]
        sample = bodies.delta(fact, listed, uses_yes_price=self._uses_yes_price)
        # Names in the body cannot hold these: a quote within a JSON string is escaped.
        before, change, rest = sample.decode(BYTE_BY_BYTE).partition(_CHANGE)
        between, times, after = rest.partition(_TIMES)
        if not change or not times:
            raise AssertionError(f"a delta is written in another way: {sample!r}")
        if len(self._patterns) >= _PATTERNS_KEPT:
            self._patterns.clear()
        pattern = self._patterns[key] = before, between, after
        return pattern

    def _snapshot(self, event: BookSnapshot) -> bytes:
        return _encode(
            translate.snapshot_body(
                event.ticker,
                event.bids,
                event.asks,
                uses_yes_price=self._uses_yes_price,
                market_id=self._listed[event.ticker].market_id,
            )
        )


def traded(trade: PublicTrade, at: int) -> Traded:
    """Give a recorded trade as a fact of the floor."""
    return Traded(trade.ticker, trade.trade_id, trade.price, trade.quantity, trade.taker_side, at)


class _Changes(dict[int, str]):
    """Changes as the wire writes them."""

    def __missing__(self, change: int) -> str:
        if len(self) >= _TEXTS_KEPT:
            self.clear()
        text = self[change] = f'"{quantity_to_contracts(Quantity(change))}"'
        return text


class _Seconds(dict[int, tuple[str, str]]):
    """Whole seconds as the wire writes them: as a time without its zone, and as digits."""

    def __missing__(self, seconds: int) -> tuple[str, str]:
        if len(self) >= _TEXTS_KEPT:
            self.clear()
        whole = iso_time(seconds * NANOSECONDS).removesuffix("Z")
        texts = self[seconds] = whole, str(seconds)
        return texts


# Look-ups in these cost half of what a cache of a function's answers does.
_CHANGES = _Changes()
_SECONDS = _Seconds()


def _times(at: int) -> str:
    seconds, rest = divmod(at, NANOSECONDS)
    if not rest or not seconds:
        return f'"{iso_time(at)}","ts_ms":{at // MILLISECOND}'
    whole, digits = _SECONDS[seconds]
    fraction = str(rest + NANOSECONDS)  # a one, and nine digits
    return f'"{whole}.{fraction[1:].rstrip("0")}Z","ts_ms":{digits}{fraction[1:4]}'

"""Recordings of frames as the records of a spool: who recorded them knew nothing of ours."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from kalshiflow.exchange.capture import (
    CapturedFrame,
    coarsest_grid,
    has_receive_times,
    named_market,
    read_capture,
    told_price_scale,
)
from kalshiflow.exchange.feed import Feed
from kalshiflow.exchange.messages import SubscribedFrame, decode_envelope, decode_frame
from kalshiflow.market.book import BookCorrupt
from kalshiflow.market.books import Books
from kalshiflow.market.events import BookDelta, BookSnapshot
from kalshiflow.market.listing import Market, PriceGrid
from kalshiflow.market.units import Price
from kalshiflow.recording.notes import Connected, Disconnected, encode_note, listed
from kalshiflow.recording.spool import Kind, Record

RECEIVE_TIMES = "receive times are exchange times, carried forward where a frame has none"
NO_NUMBERS = "its frames carry no sequence numbers: a loss cannot be seen"
ASSUMED_SCALE = "which price scale its NO side was subscribed with is assumed: {}"
NO_COMMANDS = "commands were not recorded"
NO_LISTINGS = "its markets were not described: their events, series, fees and times are guessed"
NO_GRIDS = "their price grids are the coarsest that hold all prices seen"
ENDED = "the recording ends here"
RESTARTED = "the recording goes on with another connection"
TRIED_FRAMES = 200_000  # on which the price scale is tried


@dataclass(slots=True)
class Part:
    """What a recording holds of one connection."""

    started_at: int
    frames: int = 0
    snapshots: int = 0
    is_numbered: bool = False
    has_own: bool = False  # fills or orders of whoever recorded it
    tickers: dict[str, None] = field(default_factory=dict)


@dataclass(slots=True)
class Survey:
    """What a recording holds in all; `prices` are those of its books by ticker."""

    path: Path
    parts: list[Part] = field(default_factory=list)
    prices: dict[str, set[Price]] = field(default_factory=dict)

    @property
    def records(self) -> int:
        """The records that it makes: its frames, and for each part its beginning and its end."""
        return sum(part.frames + 2 for part in self.parts)


class Restarts:
    """Finds where a recording goes on with another connection: its numbers begin anew."""

    def __init__(self) -> None:
        self._last: dict[int, int] = {}

    def begins(self, raw: bytes) -> bool:
        """Say whether a frame is the first of another connection."""
        try:
            envelope = decode_envelope(raw)
        except (ValueError, RecursionError):
            return False
        sid, seq = envelope.sid, envelope.seq
        begins = sid is not None and seq == 1 and self._last.get(sid, 0) > 1
        if envelope.type == "subscribed":
            begins = _opened(raw) in self._last
        if begins:
            self._last.clear()
        if sid is not None and seq is not None:
            self._last[sid] = max(seq, self._last.get(sid, 0))
        return begins


def survey(path: Path) -> Survey:
    """Look a recording through; raises `CaptureError` where no frame of it tells a time."""
    found, restarts, feed = Survey(path), Restarts(), Feed(uses_yes_price=False)
    for frame in read_capture(path, keeps_bad=True):
        if restarts.begins(frame.raw) or not found.parts:
            found.parts.append(Part(frame.received_at))
            feed = Feed(uses_yes_price=False)
        part = found.parts[-1]
        part.frames += 1
        received = feed.receive(frame.raw, frame.received_at)
        part.is_numbered |= received.seq is not None
        part.has_own |= received.own is not None
        event = received.event
        if isinstance(event, BookSnapshot):
            part.snapshots += 1
            prices = {price for price, _ in (*event.bids, *event.asks)}
        elif isinstance(event, BookDelta):
            prices = {event.price}
        else:
            continue
        part.tickers[event.ticker] = None
        found.prices.setdefault(event.ticker, set()).update(prices)
    return found


def markets_of(found: Survey, described: Mapping[str, Market]) -> dict[str, Market]:
    """Give the markets whose books a recording holds: as described, else by ticker and prices.

    A described grid that does not hold all prices seen is not the one that it had.
    """
    markets = {}
    for ticker, prices in found.prices.items():
        grid = coarsest_grid(prices)
        market = described.get(ticker)
        if market is None:
            markets[ticker] = named_market(ticker, grid)
        else:
            fits = all(price in market.grid for price in prices)
            markets[ticker] = market if fits else replace(market, grid=grid)
    return markets


def price_scale(path: Path, markets: Mapping[str, Market], wish: bool | None) -> tuple[bool, str]:
    """Give whether the NO levels carry YES prices, and why we think so (empty: it was told).

    That is what is wished, what the recording says, or what lets the books make more sense.
    """
    told = told_price_scale(path)
    if told is not None and wish is None:
        return told, ""
    if wish is not None:
        return wish, "" if told == wish else "it was given by hand"
    grids = {ticker: market.grid for ticker, market in markets.items()}
    refused = {scale: _refused(path, grids, uses_yes_price=scale) for scale in (False, True)}
    scale = refused[True] < refused[False]
    name, other = ("YES", "NO") if scale else ("NO", "YES")
    return scale, (
        f"{name} prices, with which {refused[scale]} book frames make no sense"
        f" (with {other} prices: {refused[not scale]})"
    )


def cannot_know(
    found: Survey, part: Part, scale: str, described: Mapping[str, Market]
) -> list[str]:
    """Say what no row of a part can prove."""
    missing = [ticker for ticker in part.tickers if ticker not in described]
    told = (
        (not has_receive_times(found.path), RECEIVE_TIMES),
        (not part.is_numbered, NO_NUMBERS),
        (bool(scale), ASSUMED_SCALE.format(scale)),
        (True, NO_COMMANDS),
        (bool(missing), NO_LISTINGS),
        (bool(missing), NO_GRIDS),
    )
    return [sentence for holds, sentence in told if holds]


def records(found: Survey, beginnings: list[Connected]) -> Iterator[Record]:
    """Give a recording as a spool would hold it, each part with the note that begins it."""
    restarts, position, part, at = Restarts(), 0, -1, 0
    for frame in read_capture(found.path, keeps_bad=True):
        if restarts.begins(frame.raw) or part < 0:
            if part >= 0:
                position += 1
                yield _note(position, at, Disconnected(reason=RESTARTED))
            part += 1
            position += 1
            yield _note(position, frame.received_at, beginnings[part])
        position, at = position + 1, frame.received_at
        yield Record(position, Kind.FRAME, frame.received_at, frame.raw)
    yield _note(position + 1, at, Disconnected(reason=ENDED))


def beginning(
    session_id: str,
    part: Part,
    markets: Mapping[str, Market],
    *,
    environment: str,
    uses_yes_price: bool,
    unknown: list[str],
) -> Connected:
    """Give the note that a part begins with."""
    return Connected(
        session_id=session_id,
        origin="import",
        environment=environment,
        traded=part.has_own,
        markets=listed(markets[ticker] for ticker in part.tickers),
        uses_yes_price=uses_yes_price,
        cannot_know=unknown,
    )


def _refused(path: Path, grids: Mapping[str, PriceGrid], *, uses_yes_price: bool) -> int:
    """Count the book frames that could not be true on one price scale."""
    refused, restarts = 0, Restarts()
    feed, books = Feed(uses_yes_price=uses_yes_price), Books(grids)
    for number, frame in enumerate(read_capture(path, keeps_bad=True)):
        if number >= TRIED_FRAMES:
            break
        if restarts.begins(frame.raw):
            feed, books = Feed(uses_yes_price=uses_yes_price), Books(grids)
        refused += _is_refused(feed, books, frame)
    return refused


def _is_refused(feed: Feed, books: Books, frame: CapturedFrame) -> bool:
    event = feed.receive(frame.raw, frame.received_at).event
    if not isinstance(event, BookDelta | BookSnapshot):
        return False
    try:
        books.apply(event)
    except BookCorrupt:
        return True
    return False


def _opened(raw: bytes) -> int | None:
    try:
        frame = decode_frame(raw)
    except (msgspec.DecodeError, RecursionError):
        return None
    return frame.msg.sid if isinstance(frame, SubscribedFrame) else None


def _note(position: int, at: int, note: Connected | Disconnected) -> Record:
    return Record(position, Kind.NOTE, at, encode_note(note))

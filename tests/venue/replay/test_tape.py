"""Ready-made frames against those that the hub writes: byte for byte, whenever one takes over."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshiflow.market.events import (
    BookDelta,
    BookSnapshot,
    MarketEvent,
    MarketStatusChanged,
    PublicTrade,
    Side,
    Stamp,
    TimeSource,
)
from kalshiflow.market.listing import CENT_GRID, MarketStatus
from kalshiflow.market.orders import TimeInForce
from kalshiflow.market.units import Price, Quantity
from kalshiflow.venue.app import build_venue
from kalshiflow.venue.config import VenueConfig
from kalshiflow.venue.core import State, Venue
from kalshiflow.venue.floor.refusals import MarketNotFound
from kalshiflow.venue.floor.requests import NewOrder
from kalshiflow.venue.keys import client_key
from kalshiflow.venue.replay.capture import Capture, capture_of
from kalshiflow.venue.websocket import commands
from kalshiflow.venue.websocket.sessions import Session

START = 1_767_700_000_000_000_000
MILLISECOND = 1_000_000
TICKERS = ("KXA-26JAN06-B50", "KXA-26JAN06-B60", 'KXQ"-€')
TOP_SPEED = VenueConfig(speed=float("inf"), queue_limit=1_000)


class Socket:
    """What sessions read, and whether their sockets take more."""

    def __init__(self) -> None:
        self.is_open = True
        self.read: dict[int, list[bytes]] = {}
        self.pieces = 0

    def waiting_bytes(self, session: Session) -> int:
        del session
        return 0 if self.is_open else 2**30

    def send_framed(self, session: Session, data: bytes, frames: int) -> bool:
        self.drain(session)
        found = unframed(data)
        assert len(found) == frames
        self.read[session.number] += found
        self.pieces += 1
        return True

    def drain(self, session: Session) -> None:
        self.read.setdefault(session.number, []).extend(session.take())


def unframed(data: bytes) -> list[bytes]:
    """Read text frames as a WebSocket client does, by the length in each head."""
    found, place = [], 0
    while place < len(data):
        assert data[place] == 0x81
        length, place = data[place + 1], place + 2
        assert length != 127
        if length == 126:
            length, place = int.from_bytes(data[place : place + 2]), place + 2
        found.append(data[place : place + length])
        place += length
    return found


@dataclass
class Visitor:
    """A venue at top speed with its sessions; `uses_tape` says which path it goes."""

    venue: Venue
    uses_tape: bool
    socket: Socket = field(default_factory=Socket)
    sessions: list[Session] = field(default_factory=list)

    def go_on(self, events: int) -> None:
        """Let so many events of the recording happen, or as many as are left."""
        for _ in range(events):
            before = self.venue.position()
            while self.venue.position() == before and self.venue.state is not State.FINISHED:
                self._move(1)

    def jump(self, to: int) -> None:
        """Go on to a frame, in the biggest pieces that there are."""
        while self.venue.position() < to:
            self._move(to - self.venue.position())

    def _move(self, events: int) -> None:
        if self.uses_tape and self.venue.is_on_tape:
            self.venue.play(self.socket, events)
        else:
            self.venue.advance(1)

    def command(self, place: int, text: str) -> None:
        if self.sessions:
            commands.receive(self.venue.hub, self.sessions[place % len(self.sessions)], text)

    def connect(self) -> None:
        account = self.venue.floor.accounts.with_keys()[0]
        self.sessions.append(self.venue.hub.join(account, 1_000))

    def order(self, order: NewOrder) -> None:
        self.venue.place(self.venue.floor.accounts.with_keys()[0], order)

    def frames(self) -> dict[int, list[bytes]]:
        for session in self.sessions:
            self.socket.drain(session)
        return {number: read for number, read in self.socket.read.items() if read}


Action = Callable[[Visitor], None]


@st.composite
def captures(draw: st.DrawFn) -> Capture:
    """Draw a recording: books, changes, trades and steps of life, with frames between them that
    are of no use. What would cross a book is left out as it is loaded.
    """
    held: dict[str, dict[tuple[Side, int], int]] = {}
    events: list[MarketEvent] = []
    frame, at = 0, START
    for _ in range(draw(st.integers(8, 60))):
        frame += draw(st.sampled_from([1, 1, 1, 3]))
        at += draw(st.sampled_from([0, 1, 1_000, 61_000])) * MILLISECOND
        stamp = Stamp(frame, at, at, TimeSource.EXCHANGE, at)
        ticker = draw(st.sampled_from(TICKERS))
        kinds = ["delta"] * 6 + ["trade", "snapshot", "life"] if ticker in held else ["snapshot"]
        match draw(st.sampled_from(kinds)):
            case "delta":
                events.append(draw(deltas(held[ticker], ticker, stamp)))
            case "snapshot":
                events.append(draw(snapshots(held, ticker, stamp)))
            case "trade":
                events.append(
                    PublicTrade(ticker, f"t{frame}", Price(4_800), Quantity(150), Side.ASK, stamp)
                )
            case _:
                kind = draw(st.sampled_from(["activated", "deactivated"]))
                events.append(MarketStatusChanged(ticker, kind, stamp, MarketStatus.ACTIVE))
    grids = dict.fromkeys(sorted({event.ticker for event in events}), CENT_GRID)
    return capture_of("drawn", events, (), grids, {})


@st.composite
def deltas(draw: st.DrawFn, held: dict[tuple[Side, int], int], ticker: str, stamp: Stamp):
    side = draw(st.sampled_from(list(Side)))
    cents = draw(st.integers(44, 50)) if side is Side.BID else draw(st.integers(48, 54))
    size = held.get((side, cents), 0)
    change = draw(st.sampled_from([100, 2_345, 0, -size, -(size // 2)]))
    held[side, cents] = size + change
    return BookDelta(ticker, side, Price(cents * 100), Quantity(change), stamp, "not-ours")


@st.composite
def snapshots(draw: st.DrawFn, held: dict, ticker: str, stamp: Stamp):
    bids = {cents: draw(st.integers(1, 50_000)) for cents in draw(st.sets(st.integers(44, 47)))}
    asks = {cents: draw(st.integers(1, 50_000)) for cents in draw(st.sets(st.integers(50, 55)))}
    held[ticker] = {(Side.BID, c): q for c, q in bids.items()}
    held[ticker] |= {(Side.ASK, c): q for c, q in asks.items()}
    levels = [
        tuple((Price(cents * 100), Quantity(side[cents])) for cents in sorted(side, reverse=down))
        for side, down in ((bids, True), (asks, False))
    ]
    return BookSnapshot(ticker, levels[0], levels[1], stamp)


def escaped(ticker: str) -> str:
    return ticker.replace('"', '\\"')


def subscribe(channels: str, tickers: list[str], *, yes: bool) -> str:
    names = ",".join(f'"{escaped(ticker)}"' for ticker in tickers)
    return (
        f'{{"id":7,"cmd":"subscribe","params":{{"channels":[{channels}],'
        f'"market_tickers":[{names}],"use_yes_price":{str(yes).lower()}}}}}'
    )


def commanding(place: int, text: str) -> Action:
    return lambda visitor: visitor.command(place, text)


def ordering(ticker: str, cents: int, side: Side) -> Action:
    order = NewOrder(ticker, side, Price(cents * 100), Quantity(300), TimeInForce.GTC)
    return lambda visitor: visitor.order(order)


def opening(*, is_open: bool) -> Action:
    def act(visitor: Visitor) -> None:
        visitor.socket.is_open = is_open

    return act


def actions(tickers: list[str]) -> st.SearchStrategy[Action]:
    """Draw what a client does, or the recording; an order is the rarest of all."""
    some = st.lists(st.sampled_from(tickers), min_size=1, unique=True)
    place = st.integers(0, 3)
    channels = st.sampled_from(
        ['"orderbook_delta"', '"trade"', '"orderbook_delta","trade"', '"fill","orderbook_delta"']
    )
    moves = st.integers(1, 12).map(lambda count: lambda visitor: visitor.go_on(count))
    return st.one_of(
        moves,
        moves,
        moves,
        st.just(lambda visitor: visitor.connect()),
        st.builds(
            lambda where, what, names, yes: commanding(where, subscribe(what, names, yes=yes)),
            place,
            channels,
            some,
            st.booleans(),
        ),
        st.builds(
            lambda where, action, name: commanding(
                where,
                '{"id":9,"cmd":"update_subscription","params":{"sid":1,'
                f'"action":"{action}","market_ticker":"{escaped(name)}"}}}}',
            ),
            place,
            st.sampled_from(["get_snapshot", "add_markets", "delete_markets"]),
            st.sampled_from(tickers),
        ),
        st.just(commanding(1, '{"id":3,"cmd":"unsubscribe","params":{"sids":[1]}}')),
        st.just(commanding(2, subscribe('"ticker"', tickers, yes=False))),
        st.just(
            commanding(
                3,
                '{"id":8,"cmd":"subscribe","params":{"channels":["ticker"],'
                '"send_initial_snapshot":true}}',
            )
        ),
        st.booleans().map(lambda is_open: opening(is_open=is_open)),
    )


@settings(max_examples=40, deadline=None)
@given(data=st.data(), capture=captures())
def test_both_paths_send_the_same_bytes_whenever_one_takes_over(
    key_dir: Path, data: st.DataObject, capture: Capture
) -> None:
    tickers = [market.ticker for market in capture.markets]
    book = subscribe('"orderbook_delta","trade"', tickers, yes=data.draw(st.booleans()))
    script: list[Action] = [Visitor.connect, commanding(0, book)]
    script += data.draw(st.lists(actions(tickers), max_size=10))
    if data.draw(st.booleans()):
        cents, side = data.draw(st.sampled_from([(53, Side.BID), (42, Side.ASK), (48, Side.BID)]))
        order = ordering(data.draw(st.sampled_from(tickers)), cents, side)
        script += [order, *data.draw(st.lists(actions(tickers), max_size=5))]
    script.append(lambda visitor: visitor.jump(capture.events[-1].frame_no))
    taped, plain = visitors(key_dir, capture)

    for act in script:
        outcomes = [outcome(act, visitor) for visitor in (taped, plain)]
        assert outcomes[0] == outcomes[1]
        assert taped.venue.position() == plain.venue.position()
        assert taped.venue.clock.now() == plain.venue.clock.now()

    assert taped.frames() == plain.frames()
    for ticker in tickers:
        ours, theirs = (each.venue.floor.market(ticker) for each in (taped, plain))
        assert ours.matching.book == theirs.matching.book
        assert (ours.volume, ours.last_price) == (theirs.volume, theirs.last_price)
        assert ours.updated_at == theirs.updated_at


def outcome(act: Action, visitor: Visitor) -> str:
    try:
        act(visitor)
    except Exception as refused:  # noqa: BLE001 - whatever it is, both must meet it
        return repr(refused)
    return ""


def visitors(key_dir: Path, capture: Capture) -> tuple[Visitor, Visitor]:
    """Give the same venue twice: on the tape wherever it may, and never."""
    key = client_key(key_dir)
    made = [
        Visitor(build_venue(TOP_SPEED, key, recording=capture), uses_tape)
        for uses_tape in (True, False)
    ]
    for visitor in made:
        visitor.venue.clock.begin()
    return made[0], made[1]


def quiet_capture(changes: int = 50) -> Capture:
    """Give one market whose best bid grows by a contract each second, from frame 3 on."""
    held = ((Price(4_000), Quantity(100)),)
    stamps = [
        Stamp(2 + n, START, START + n * 1_000 * MILLISECOND, TimeSource.EXCHANGE)
        for n in range(changes + 1)
    ]
    events: list[MarketEvent] = [BookSnapshot(TICKERS[0], held, (), stamps[0])]
    events += [
        BookDelta(TICKERS[0], Side.BID, Price(4_000), Quantity(100), stamp) for stamp in stamps[1:]
    ]
    return capture_of("quiet", events, (), {TICKERS[0]: CENT_GRID}, {})


@pytest.fixture
def taped(key_dir: Path) -> Visitor:
    """Give a venue on the tape, and a session that hears its one book."""
    visitor, _ = visitors(key_dir, quiet_capture())
    visitor.connect()
    visitor.command(0, subscribe('"orderbook_delta"', [TICKERS[0]], yes=True))
    visitor.socket.drain(visitor.sessions[0])
    return visitor


def test_a_passage_goes_out_as_one_piece(taped: Visitor) -> None:
    assert taped.venue.play(taped.socket, 30) == 30

    assert taped.socket.pieces == 1
    assert len(taped.frames()[1]) == 2 + 30  # the answer and the empty book before them
    assert taped.venue.position() == 31
    assert taped.venue.clock.now() == START + 29 * 1_000 * MILLISECOND


def test_the_books_catch_up_when_somebody_looks(taped: Visitor) -> None:
    taped.venue.play(taped.socket, 30)
    assert taped.venue.settle(1)

    book = taped.venue.floor.market(TICKERS[0]).matching.book

    assert book.levels(Side.BID) == ((Price(4_000), Quantity(3_000)),)
    assert not taped.venue.settle(1)


def test_an_order_ends_the_tape_and_nothing_comes_twice(taped: Visitor) -> None:
    taped.venue.play(taped.socket, 10)
    taped.order(NewOrder(TICKERS[0], Side.ASK, Price(4_000), Quantity(150), TimeInForce.IOC))

    assert not taped.venue.is_on_tape
    taped.jump(52)

    quantity = taped.venue.floor.market(TICKERS[0]).matching.book.quantity_at(
        Side.BID, Price(4_000)
    )
    assert quantity == 5_100 - 150


def test_a_refused_order_leaves_it_on_the_tape(taped: Visitor) -> None:
    taped.venue.play(taped.socket, 10)
    with pytest.raises(MarketNotFound):
        taped.order(NewOrder("NONE", Side.ASK, Price(4_000), Quantity(150)))

    assert taped.venue.is_on_tape


def test_tickers_are_drawn_from_the_books_so_the_tape_waits(taped: Visitor) -> None:
    taped.venue.play(taped.socket, 10)
    taped.connect()
    taped.command(1, subscribe('"ticker"', [TICKERS[0]], yes=False))
    assert not taped.venue.is_on_tape

    taped.go_on(5)
    taped.venue.hub.leave(taped.sessions[1])

    assert taped.venue.is_on_tape


def test_a_reader_that_is_behind_is_queued_for_and_loses_a_full_queue(taped: Visitor) -> None:
    taped.sessions[0].queue_limit = 20
    taped.socket.is_open = False

    taped.venue.play(taped.socket, 30)

    assert len(taped.sessions[0].outbox) == 21
    assert b'"code":25' in taped.sessions[0].outbox[-1]
    assert not taped.sessions[0].by_channel

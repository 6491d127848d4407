"""The same orders make the same fills at the venue that replays a session and in the simulator."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from agreement import RICH, Client, logged_frames, simulated
from stored_session import frames_of, store_session

from kalshiflow.market.book import Book
from kalshiflow.market.events import (
    BookDelta,
    BookSnapshot,
    MarketEvent,
    MarketStatusChanged,
    PublicTrade,
    Side,
)
from kalshiflow.market.listing import FeeTerms, FeeType, MarketStatus
from kalshiflow.market.orders import Role
from kalshiflow.market.units import Cash
from kalshiflow.simulator.overlay import FillModel
from kalshiflow.store.database import Store
from kalshiflow.venue.config import RecordedSession
from kalshiflow.venue.keys import ClientKey, client_key
from kalshiflow.venue.replay.capture import Capture, capture_of, load_capture
from kalshiflow.venue.replay.session import load_session
from kalshiflow.venue.traders.synthetic import Recording, record

ORDERS = 334  # with each of the three models: 1,000 and more
EVENTS_OF_A_LONG_RECORDING = 6_000
PAUSE, RESUMPTION = ("deactivated", MarketStatus.INACTIVE), ("activated", MarketStatus.ACTIVE)
FEES = FeeTerms(FeeType.QUADRATIC_WITH_MAKER_FEES)


def synthetic(markets: int, seconds: float = 240.0) -> Recording:
    recording = record(markets, seconds)
    listed = tuple(replace(market, fees=FEES) for market in recording.markets)
    return replace(recording, markets=listed)


def captured(recording: Recording) -> Capture:
    described = {market.ticker: market for market in recording.markets}
    grids = {ticker: market.grid for ticker, market in described.items()}
    return capture_of("synthetic", recording.events, (), grids, described)


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> ClientKey:
    return client_key(tmp_path_factory.mktemp("key"), kind="ed25519")


@pytest.fixture(scope="module")
def session() -> Capture:
    """Give a session of eight markets, on three price grids, with trades."""
    return captured(synthetic(8))


def with_pauses(capture: Capture, every: int) -> Capture:
    """After one of so many events let its market pause, or go on where it was paused."""
    is_paused: dict[str, bool] = {}
    events: list[MarketEvent] = []
    for number, timed in enumerate(capture.events):
        events.append(timed.event)
        if number % every == 0:
            ticker, stamp = timed.event.ticker, timed.event.stamp
            is_paused[ticker] = not is_paused.get(ticker, False)
            step = PAUSE if is_paused[ticker] else RESUMPTION
            events.append(MarketStatusChanged(ticker, step[0], stamp, step[1]))
    return renumbered("paused", events, capture)


def with_lost_changes(capture: Capture, every: int) -> Capture:
    """Leave out each third stretch of so many events' changes, and tell the books anew after it."""
    books = {market.ticker: Book(market.ticker, market.grid) for market in capture.markets}
    lost: set[str] = set()
    events: list[MarketEvent] = []
    for number, timed in enumerate(capture.events):
        event = timed.event
        is_lost = number // every % 3 == 2
        for ticker in sorted(lost) if not is_lost else ():
            bids, asks = (tuple(books[ticker].levels(side)) for side in Side)
            events.append(BookSnapshot(ticker, bids, asks, event.stamp))
        if not is_lost:
            lost.clear()
        if isinstance(event, BookDelta | BookSnapshot):
            books[event.ticker].apply(event)
        if is_lost and isinstance(event, BookDelta):
            lost.add(event.ticker)
        else:
            events.append(event)
    return renumbered("lost", events, capture)


def renumbered(name: str, events: list[MarketEvent], capture: Capture) -> Capture:
    numbered = [
        event._replace(stamp=event.stamp._replace(frame_no=frame_no))
        for frame_no, event in enumerate(events, 1)
    ]
    described = {market.ticker: market for market in capture.markets}
    grids = {ticker: market.grid for ticker, market in described.items()}
    return capture_of(name, numbered, (), grids, described)


@cache
def loaded(path: Path) -> Capture:
    return load_capture(path)


def trade(
    capture: Capture, model: FillModel, key: ClientKey, log: Path, orders: int, cash: Cash = RICH
) -> Client:
    """Send random orders to the venue, and assert that the simulator fills and tells them alike."""
    client = Client(capture, model, key, log, cash=cash)

    client.trade(orders)

    assert simulated(capture, model, client.commands, cash) == client.outcome
    return client


@pytest.mark.parametrize("model", FillModel)
def test_a_thousand_random_orders_are_filled_alike(
    model: FillModel, session: Capture, key: ClientKey, tmp_path: Path
) -> None:
    client = trade(session, model, key, tmp_path / "log", ORDERS)

    roles = [fill[4] for fills in client.outcome.fills.values() for fill in fills]
    assert min(roles.count(role) for role in Role) > 60
    assert client.outcome.refused == 0
    sent = {command.name: command.after_frame for command in client.commands if command.order}
    assert logged_frames(tmp_path / "log") == sent


@pytest.mark.parametrize("model", FillModel)
def test_they_are_where_trades_are_inferred(
    model: FillModel, session: Capture, key: ClientKey, tmp_path: Path
) -> None:
    silent = tuple(each for each in session.events if not isinstance(each.event, PublicTrade))

    client = trade(replace(session, events=silent), model, key, tmp_path / "log", 100)

    assert client.outcome.count > 40


def test_they_are_where_cash_is_short(key: ClientKey, tmp_path: Path) -> None:
    capture = captured(synthetic(1))

    client = trade(capture, FillModel.REALISTIC, key, tmp_path / "log", 150, Cash(15_000_000))

    assert client.outcome.refused > 20
    assert client.outcome.count > 20


def test_they_are_where_markets_pause(session: Capture, key: ClientKey, tmp_path: Path) -> None:
    capture = with_pauses(session, every=211)

    client = trade(capture, FillModel.OPTIMISTIC, key, tmp_path / "log", 150)

    assert client.outcome.refused > 10
    assert client.outcome.count > 40


@pytest.mark.parametrize("model", FillModel)
def test_they_are_where_changes_are_lost_and_books_are_told_anew(
    model: FillModel, session: Capture, key: ClientKey, tmp_path: Path
) -> None:
    capture = with_lost_changes(session, every=80)

    client = trade(capture, model, key, tmp_path / "log", 120)

    assert client.outcome.count > 40
    assert sum(key[0] == "book" for key in client.outcome.public) > 100


@pytest.mark.integration
async def test_they_are_in_a_session_of_the_database(
    key: ClientKey, tmp_path: Path, postgres_url: str
) -> None:
    recording = synthetic(4, 60.0)
    async with await Store.open(postgres_url) as store:
        session_id, _ = await store_session(store, recording.markets, frames_of(recording.events))

    capture = await load_session(RecordedSession(session_id, postgres_url))

    assert trade(capture, FillModel.REALISTIC, key, tmp_path / "log", 100).outcome.count > 40


@pytest.mark.recorded
@pytest.mark.parametrize("model", FillModel)
@pytest.mark.parametrize(
    "file",
    [
        "kalshi-demo-ws-2026-07/session.jsonl",
        "kalshi-prod-inxd-2023-08-31/INXD-23AUG31-B4512.jsonl",
    ],
    ids=["demo", "production"],
)
def test_they_are_over_real_recordings(
    model: FillModel, file: str, recorded_data: Path, key: ClientKey, tmp_path: Path
) -> None:
    whole = loaded(recorded_data / file)
    capture = replace(whole, events=whole.events[:EVENTS_OF_A_LONG_RECORDING])

    assert trade(capture, model, key, tmp_path / "log", 80).outcome.count > 20

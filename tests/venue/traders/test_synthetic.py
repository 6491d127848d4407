"""The synthetic exchange: the same for the same seed, sane to look at, and wrong in one way only."""

from collections import Counter
from itertools import groupby
from statistics import median

import pytest

from kalshiflow.exchange.feed import Feed
from kalshiflow.market.book import Book
from kalshiflow.market.events import BookDelta, BookSnapshot, PublicTrade, Side, TimeSource
from kalshiflow.market.units import DOLLAR, Price
from kalshiflow.venue.app import build_venue
from kalshiflow.venue.clock import SECOND
from kalshiflow.venue.config import VenueConfig
from kalshiflow.venue.core import Venue
from kalshiflow.venue.keys import ClientKey, client_key
from kalshiflow.venue.traders.synthetic import RECORD_START, Recording, record
from kalshiflow.venue.websocket import commands

MARKETS, SECONDS = 8, 240


@pytest.fixture(scope="module")
def recording() -> Recording:
    return record(MARKETS, SECONDS, seed=7)


def test_equal_arguments_give_equal_recordings_and_longer_ones_begin_alike() -> None:
    short, long = record(3, 30, seed=5), record(3, 60, seed=5)

    assert record(3, 30, seed=5) == short
    assert long.events[: len(short.events)] == short.events
    assert record(3, 30, seed=6).events != short.events


def test_a_market_is_the_same_however_many_others_there_are() -> None:
    alone = [e for e in record(1, 60, seed=5).events if isinstance(e, BookDelta)]
    among = [
        e
        for e in record(4, 60, seed=5).events
        if isinstance(e, BookDelta) and e.ticker == "SYN-5-01"
    ]

    def facts(events: list[BookDelta]) -> list[tuple]:
        return [(e.side, e.price, e.change, e.stamp.market_time) for e in events]

    assert facts(alone) == facts(among)


def test_a_recording_begins_with_snapshots_and_counts_its_frames(recording: Recording) -> None:
    first, rest = recording.events[:MARKETS], recording.events[MARKETS:]

    assert [e.ticker for e in first if isinstance(e, BookSnapshot)] == [
        market.ticker for market in recording.markets
    ]
    assert all(e.stamp.time_source is TimeSource.RECEIVE for e in first)
    assert all(e.stamp.time_source is TimeSource.EXCHANGE for e in rest)
    assert [e.stamp.frame_no for e in recording.events] == list(range(1, len(recording.events) + 1))
    for sid in (1, 2):
        numbers = [e.stamp.seq for e in recording.events if e.stamp.sid == sid]
        assert numbers == list(range(1, len(numbers) + 1))
    times = [e.stamp.market_time for e in recording.events]
    assert times == sorted(times)
    assert times[0] == RECORD_START
    assert times[-1] < RECORD_START + SECONDS * SECOND


def test_books_stay_whole_and_two_sided(recording: Recording) -> None:
    books = {market.ticker: Book(market.ticker, market.grid) for market in recording.markets}
    spreads: list[int] = []
    for event in recording.events:
        if isinstance(event, BookSnapshot | BookDelta):
            book = books[event.ticker]
            book.apply(event)  # raises where a level would be negative or the book crossed
            if book.best_bid is not None and book.best_ask is not None:
                spreads.append(book.best_ask - book.best_bid)

    changes = Counter(type(event) for event in recording.events)
    assert 2 <= changes[BookDelta] / MARKETS / SECONDS <= 4
    assert 0.1 <= changes[PublicTrade] / MARKETS / SECONDS <= 0.4
    assert median(spreads) == 200
    assert len(spreads) > 0.95 * (changes[BookDelta] + MARKETS)


def test_after_a_jump_the_old_quotes_stand_for_the_lag_and_with_no_lag_not_at_all() -> None:
    late, prompt = (longest_narrow_touch(record(4, 400, seed=3, lag=lag)) for lag in (4.0, 0.0))

    assert 3.5 <= late <= 9.0  # a second jump within the lag may add to it
    assert prompt == 0.0


def longest_narrow_touch(recording: Recording) -> float:
    """Give the longest time in seconds for which the touches of a market were one step apart.

    What happens at one moment is looked at when all of it has happened.
    """
    books = {market.ticker: Book(market.ticker, market.grid) for market in recording.markets}
    since: dict[str, int] = {}
    longest = 0
    for (ticker, at), changes in groupby(
        (e for e in recording.events if isinstance(e, BookSnapshot | BookDelta)),
        key=lambda event: (event.ticker, event.stamp.market_time),
    ):
        book = books[ticker]
        for change in changes:
            book.apply(change)
        if book.best_ask_index - book.best_bid_index == 1:
            longest = max(longest, at - since.setdefault(ticker, at))
        else:
            since.pop(ticker, None)
    return longest / SECOND


def test_trades_take_from_the_recorded_touch(recording: Recording) -> None:
    trades = [event for event in recording.events if isinstance(event, PublicTrade)]

    assert {trade.taker_side for trade in trades} == set(Side)
    assert all(0 < trade.price < DOLLAR and trade.quantity > 0 for trade in trades)
    assert len({trade.trade_id for trade in trades}) == len(trades)


# --- the venue on a clock of its own ----------------------------------------------------------


class Ticks:
    def __init__(self) -> None:
        self.at = 0

    def __call__(self) -> int:
        return self.at


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> ClientKey:
    return client_key(tmp_path_factory.mktemp("key"))


def run_frames(key: ClientKey, seconds: int, step_ms: int) -> list[bytes]:
    """Run a venue at speed 20 on a hand-moved clock, with one subscriber to everything public."""
    ticks = Ticks()
    config = VenueConfig(markets=4, speed=20.0, seed=11, start=RECORD_START)
    venue: Venue = build_venue(config, key, ticks)
    session = venue.hub.join(venue.floor.accounts.with_keys()[0])
    tickers = ",".join(f'"{listed.market.ticker}"' for listed in venue.floor.markets())
    commands.receive(
        venue.hub,
        session,
        '{"id":1,"cmd":"subscribe","params":{"channels":["orderbook_delta","trade","ticker"],'
        f'"market_tickers":[{tickers}],"use_yes_price":true}}}}',
    )
    while ticks.at < seconds * SECOND:
        ticks.at += step_ms * 1_000_000
        venue.advance(10_000)
    return session.take()


def test_two_runs_with_one_seed_send_byte_equal_frames_however_the_clock_ticks(
    key: ClientKey,
) -> None:
    first, second = run_frames(key, 3, 5), run_frames(key, 3, 60)

    assert len(first) > 500
    assert first == second


def test_the_frames_are_the_recording(key: ClientKey) -> None:
    feed = Feed(uses_yes_price=True)
    heard = [feed.receive(frame, RECORD_START).event for frame in run_frames(key, 3, 20)]
    changes = [e for e in heard if isinstance(e, BookDelta | PublicTrade)]
    expected = [
        e for e in record(4, 60.001, seed=11).events if isinstance(e, BookDelta | PublicTrade)
    ]

    def facts(events: list) -> list[tuple]:
        return [(type(e), e.ticker, e.price, e.stamp.market_time) for e in events]

    assert facts(changes) == facts(expected)


def test_a_held_venue_stands_still_until_it_is_started(key: ClientKey) -> None:
    ticks = Ticks()
    venue = build_venue(VenueConfig(markets=2, hold=True, start=RECORD_START), key, ticks)
    ticks.at += 60 * SECOND

    assert venue.state == "holding"
    assert venue.advance(1000) == 0
    venue.clock.begin()
    ticks.at += 10 * SECOND
    assert venue.state == "running"
    assert venue.advance(1000) > 0
    assert venue.clock.now() == RECORD_START + 10 * SECOND


def test_what_is_due_happens_before_a_clients_order(key: ClientKey) -> None:
    from kalshiflow.market.units import Quantity
    from kalshiflow.venue.floor.requests import NewOrder

    ticks = Ticks()
    venue = build_venue(VenueConfig(markets=1, start=RECORD_START), key, ticks)
    ticks.at += 30 * SECOND
    account = venue.floor.accounts.with_keys()[0]

    record_of_order = venue.place(
        account, NewOrder("SYN-7-01", Side.BID, Price(100), Quantity(100))
    )

    assert record_of_order.created_at == RECORD_START + 30 * SECOND
    assert venue.advance(1000) == 0

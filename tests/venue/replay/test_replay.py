"""Captures as a source: what is loaded from a file, and how it meets our orders."""

import json
from pathlib import Path

import pytest

from kalshiflow.exchange.capture import CaptureError, CaptureWriter
from kalshiflow.exchange.feed import Feed
from kalshiflow.market.books import Books
from kalshiflow.market.events import (
    BookDelta,
    BookSnapshot,
    MarketStatusChanged,
    Side,
    Stamp,
    TimeSource,
)
from kalshiflow.market.listing import CENT_GRID
from kalshiflow.market.orders import TimeInForce
from kalshiflow.market.units import Price, Quantity
from kalshiflow.venue.app import build_venue
from kalshiflow.venue.config import VenueConfig
from kalshiflow.venue.core import State, Venue
from kalshiflow.venue.floor.requests import NewOrder
from kalshiflow.venue.keys import client_key
from kalshiflow.venue.replay.capture import capture_of, load_capture
from kalshiflow.venue.traders.listings import DECI_CENT_GRID
from kalshiflow.venue.websocket import commands
from kalshiflow.venue.websocket.sessions import (
    Session,
)

BASE = 1_767_700_000_000  # milliseconds
TICKER = "KXA-26JAN06-B50"


def snapshot(seq: int, yes: list, no: list) -> dict:
    body = {"market_ticker": TICKER, "yes_dollars_fp": yes, "no_dollars_fp": no}
    return {"type": "orderbook_snapshot", "sid": 1, "seq": seq, "msg": body}


def delta(seq: int, side: str, price: str, change: str, ms: int) -> dict:
    body = {
        "market_ticker": TICKER,
        "price_dollars": price,
        "delta_fp": change,
        "side": side,
        "ts_ms": BASE + ms,
    }
    return {"type": "orderbook_delta", "sid": 1, "seq": seq, "msg": body}


FRAMES = [
    snapshot(1, [["0.4800", "10.00"]], [["0.5000", "10.00"]]),
    delta(2, "yes", "0.4700", "5.00", 0),
    delta(3, "no", "0.4900", "20.00", 2_000),
    delta(4, "yes", "0.4800", "-10.00", 4_000),
    delta(5, "no", "0.5200", "6.00", 6_000),  # an ask at 48
    delta(6, "yes", "0.4700", "1.00", 10_000),
]


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    return write(tmp_path, FRAMES)


def write(folder: Path, frames: list[dict]) -> Path:
    path = folder / "capture.jsonl"
    path.write_text("\n\n".join(json.dumps(frame) for frame in frames))
    return path


def replaying(capture: Path, key_dir: Path, **options: object) -> tuple[Venue, Session]:
    """Give a venue at top speed and a session that listens to the capture's one market."""
    config = VenueConfig(capture=capture, speed=float("inf"), **options)  # type: ignore[arg-type]
    venue = build_venue(config, client_key(key_dir))
    session = venue.hub.join(venue.floor.accounts.with_keys()[0])
    commands.receive(
        venue.hub,
        session,
        '{"id":1,"cmd":"subscribe","params":{"channels":["orderbook_delta","fill","trade"],'
        f'"market_ticker":"{TICKER}"}}}}',
    )
    return venue, session


def told(session: Session, kind: str) -> list[dict]:
    frames = [json.loads(frame) for frame in session.outbox]
    return [frame["msg"] for frame in frames if frame["type"] == kind]


def test_a_captures_markets_are_binary_active_and_open_past_its_end(capture: Path) -> None:
    loaded = load_capture(capture)

    (market,) = loaded.markets
    assert (market.ticker, market.event_ticker, market.series_ticker) == (
        TICKER,
        "KXA-26JAN06",
        "KXA",
    )
    assert market.status == "active"
    assert len(market.grid) == 99
    assert market.open_time == BASE * 1_000_000
    assert market.close_time is not None
    assert market.close_time > loaded.end == (BASE + 10_000) * 1_000_000
    assert loaded.skipped == 0


def test_sub_cent_prices_give_the_market_a_finer_grid(tmp_path: Path) -> None:
    frames = [*FRAMES, delta(7, "yes", "0.4725", "1.00", 11_000)]

    assert len(load_capture(write(tmp_path, frames)).markets[0].grid) == 9_999


def test_what_cannot_be_true_is_left_out_and_counted(tmp_path: Path) -> None:
    frames = [*FRAMES, delta(7, "yes", "0.4700", "-99.00", 11_000)]

    loaded = load_capture(write(tmp_path, frames))

    assert loaded.skipped == 1
    assert len(loaded.events) == len(FRAMES)


def test_a_file_without_books_is_refused(tmp_path: Path) -> None:
    frames = [{"type": "subscribed", "id": 1, "msg": {"channel": "trade", "sid": 1}}]

    with pytest.raises(CaptureError):
        load_capture(write(tmp_path, frames))


def test_a_file_of_changes_without_a_book_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="could be true"):
        load_capture(write(tmp_path, [delta(1, "yes", "0.4700", "1.00", 11_000)]))


def test_a_replay_sends_the_files_frames_with_their_own_times(capture: Path, key_dir: Path) -> None:
    venue, session = replaying(capture, key_dir)
    assert venue.is_covered()
    assert venue.advance(100) == 0  # held until it begins

    venue.clock.begin()
    venue.advance(100)

    sent = told(session, "orderbook_delta")
    assert [frame["ts_ms"] for frame in sent] == [f["msg"]["ts_ms"] for f in FRAMES[1:]]
    assert [(f["side"], f["price_dollars"], f["delta_fp"]) for f in sent] == [
        (f["msg"]["side"], f["msg"]["price_dollars"], f["msg"]["delta_fp"]) for f in FRAMES[1:]
    ]
    first, second = told(session, "orderbook_snapshot")
    assert "yes_dollars_fp" not in first  # nothing was recorded yet when we subscribed
    assert second["yes_dollars_fp"] == [["0.4800", "10.00"]]
    assert venue.state is State.FINISHED
    assert venue.clock.now() == (BASE + 10_000) * 1_000_000


def test_the_position_counts_the_recordings_frames_whatever_they_are(
    tmp_path: Path, key_dir: Path
) -> None:
    subscribed = {"type": "subscribed", "id": 1, "msg": {"channel": "orderbook_delta", "sid": 1}}
    ok = {"type": "ok", "id": 2, "sid": 1, "seq": 3, "msg": {"market_tickers": [TICKER]}}
    venue, _ = replaying(
        write(tmp_path, [subscribed, *FRAMES[:2], ok, delta(4, "yes", "0.4700", "1.00", 500)]),
        key_dir,
    )
    assert venue.position() == 0
    venue.clock.begin()

    positions = []
    while venue.advance(1):
        positions.append(venue.position())

    assert positions == [2, 3, 5]


def test_a_recorders_clock_does_not_move_market_time(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    with CaptureWriter(path, uses_yes_price=False) as writer:
        for place, frame in enumerate(FRAMES):
            writer.write(json.dumps(frame).encode(), (BASE + 9 * 10**9 + place) * 1_000_000)

    loaded = load_capture(path)

    assert [timed.at - BASE * 1_000_000 for timed in loaded.events] == [
        ms * 1_000_000 for ms in (0, 0, 2_000, 4_000, 6_000, 10_000)
    ]


def test_changes_after_a_gap_are_left_out_until_the_next_snapshot(tmp_path: Path) -> None:
    frames = [
        *FRAMES[:2],
        delta(4, "yes", "0.4700", "1.00", 500),  # 3 is missing
        snapshot(5, [["0.4000", "1.00"]], []),
        delta(6, "yes", "0.4000", "1.00", 900),
    ]

    loaded = load_capture(write(tmp_path, frames))

    assert [timed.frame_no for timed in loaded.events] == [1, 2, 4, 5]
    assert loaded.skipped == 1


def test_a_market_that_joins_later_has_the_grid_with_which_it_joins() -> None:
    stamps = [Stamp(n, BASE, BASE, TimeSource.EXCHANGE) for n in range(1, 4)]
    fine = ((Price(4_850), Quantity(100)),)
    events = [
        BookSnapshot("EARLY", (), (), stamps[0]),
        MarketStatusChanged("LATE", "price_level_structure_updated", stamps[1], grid=CENT_GRID),
        BookSnapshot("LATE", fine, (), stamps[2]),
    ]
    grids = {"EARLY": CENT_GRID, "LATE": DECI_CENT_GRID}

    loaded = capture_of("drawn", events, (), grids, {}, [(3, "LATE", DECI_CENT_GRID)])

    assert loaded.skipped == 0


def test_an_order_at_its_price_is_filled_by_a_recorded_trade_that_gets_past_its_queue(
    capture: Path, key_dir: Path
) -> None:
    trade = {
        "market_ticker": TICKER,
        "trade_id": "recorded",
        "yes_price_dollars": "0.4700",
        "count_fp": "20.00",
        "taker_book_side": "ask",
        "ts_ms": BASE + 5_000,
    }
    frames = [*FRAMES[:4], {"type": "trade", "sid": 2, "seq": 1, "msg": trade}, *FRAMES[4:]]
    venue, session = replaying(write(capture.parent, frames), key_dir)
    venue.clock.begin()
    venue.advance(3)
    account = venue.floor.accounts.with_keys()[0]
    best = venue.place(account, NewOrder(TICKER, Side.BID, Price(4800), Quantity(300)))
    level = venue.place(account, NewOrder(TICKER, Side.BID, Price(4700), Quantity(2_000)))
    assert venue.queue_position(account, level.order.order_id) == 500
    session.take()

    venue.advance(2)

    assert [(t["yes_price_dollars"], t["count_fp"]) for t in told(session, "trade")] == [
        ("0.4800", "3.00"),
        ("0.4700", "17.00"),  # the recorded one, as far as it came
    ]
    fills = told(session, "fill")
    assert [(f["yes_price_dollars"], f["count_fp"], f["is_taker"]) for f in fills] == [
        ("0.4800", "3.00", False),
        ("0.4700", "12.00", False),
    ]
    assert fills[1]["trade_id"] == "recorded"
    assert (best.remaining, level.remaining) == (0, 800)
    assert venue.queue_position(account, level.order.order_id) == 0
    assert venue.floor.market(TICKER).volume == 2_000


def test_a_late_begin_is_preloaded_silently(capture: Path, key_dir: Path) -> None:
    venue, session = replaying(capture, key_dir, begin=0.5)
    venue.clock.begin()
    venue.advance(100)

    (book,) = told(session, "orderbook_snapshot")
    assert book["yes_dollars_fp"] == [["0.4700", "5.00"]]
    assert book["no_dollars_fp"] == [["0.4900", "20.00"], ["0.5000", "10.00"]]
    assert len(told(session, "orderbook_delta")) == 2


def test_an_order_takes_what_is_shown_and_rests_until_the_other_side_comes(
    capture: Path, key_dir: Path
) -> None:
    venue, session = replaying(capture, key_dir)
    venue.clock.begin()
    venue.advance(3)
    account = venue.floor.accounts.with_keys()[0]
    session.take()

    taken = venue.place(
        account,
        NewOrder(TICKER, Side.BID, Price(5000), Quantity(400), TimeInForce.IOC),
    )
    resting = venue.place(account, NewOrder(TICKER, Side.BID, Price(4900), Quantity(300)))
    venue.advance(100)

    assert taken.filled == 400
    assert resting.filled == 300
    assert account.portfolio.held(TICKER) == 700
    fills = told(session, "fill")
    assert [(f["yes_price_dollars"], f["is_taker"]) for f in fills] == [
        ("0.5000", True),
        ("0.4900", False),
    ]
    # The recorded ask of 6 at 48 met our 3 at 49: three of it are shown.
    assert [
        (f["side"], f["price_dollars"], f["delta_fp"])
        for f in told(session, "orderbook_delta")
        if f["ts_ms"] == BASE + 6_000
    ] == [("yes", "0.4900", "-3.00"), ("no", "0.5200", "3.00")]


@pytest.mark.recorded
@pytest.mark.parametrize(
    ("file", "deltas", "snapshots"),
    [
        ("kalshi-demo-ws-2026-07/session.jsonl", 2_885, 5),
        ("kalshi-prod-inxd-2023-08-31/INXD-23AUG31-B4512.jsonl", 35_898, 9),
    ],
)
def test_a_real_capture_loads_whole(
    recorded_data: Path, file: str, deltas: int, snapshots: int
) -> None:
    loaded = load_capture(recorded_data / file)

    assert loaded.skipped == 0
    assert sum(isinstance(timed.event, BookDelta) for timed in loaded.events) == deltas
    assert sum(isinstance(timed.event, BookSnapshot) for timed in loaded.events) == snapshots


@pytest.mark.recorded
def test_a_subscriber_has_the_files_book_after_every_one_of_its_frames(
    recorded_data: Path, key_dir: Path
) -> None:
    path = recorded_data / "kalshi-demo-ws-2026-07" / "session.jsonl"
    venue = build_venue(VenueConfig(capture=path, speed=float("inf")), client_key(key_dir))
    session = venue.hub.join(venue.floor.accounts.with_keys()[0])
    loaded = load_capture(path)
    grids = {market.ticker: market.grid for market in loaded.markets}
    tickers = ",".join(f'"{ticker}"' for ticker in grids)
    commands.receive(
        venue.hub,
        session,
        '{"id":1,"cmd":"subscribe","params":{"channels":["orderbook_delta"],'
        f'"market_tickers":[{tickers}],"use_yes_price":true}}}}',
    )
    feed, heard, recorded = Feed(uses_yes_price=True), Books(grids), Books(grids)
    for frame in session.take():
        event = feed.receive(frame, 0).event
        if isinstance(event, BookSnapshot):
            heard.apply(event)
    venue.clock.begin()

    for timed in loaded.events:
        assert isinstance(timed.event, BookSnapshot | BookDelta)
        recorded.apply(timed.event)
        assert venue.advance(1) == 1
        for frame in session.take():
            event = feed.receive(frame, 0).event
            assert isinstance(event, BookSnapshot | BookDelta)
            heard.apply(event)
        assert heard[timed.event.ticker] == recorded[timed.event.ticker]

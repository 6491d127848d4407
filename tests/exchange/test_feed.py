"""The feed: numbers, gaps, market time, and bad input that never raises."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshiflow.exchange.feed import UNDECODABLE, Feed
from kalshiflow.exchange.records import OwnFill, OwnOrder, OwnPosition
from kalshiflow.market.events import (
    BookDelta,
    BookSnapshot,
    MarketStatusChanged,
    PublicTrade,
    Side,
    TimeSource,
)
from kalshiflow.market.orders import OrderState, Role

NOW = 1_795_165_300_000_000_000
T0 = 1_795_165_200_000  # milliseconds


def frame(kind, sid=None, seq=None, command_id=None, **msg) -> bytes:
    parts = {"type": kind, "id": command_id, "sid": sid, "seq": seq}
    return json.dumps(
        {name: value for name, value in parts.items() if value is not None} | {"msg": msg}
    ).encode()


def delta(seq, sid=1, ticker="M", ts_ms=T0, **msg) -> bytes:
    body = {"price_dollars": "0.2200", "delta_fp": "-54.00", "side": "yes", "ts_ms": ts_ms}
    return frame("orderbook_delta", sid, seq, market_ticker=ticker, **(body | msg))


def snapshot(seq, sid=1, ticker="M", **msg) -> bytes:
    levels = {"yes_dollars_fp": [["0.0800", "300.00"], ["0.2200", "333.00"]]}
    return frame("orderbook_snapshot", sid, seq, market_ticker=ticker, **(levels | msg))


def subscribed(sid=1, channel="orderbook_delta", command_id=1) -> bytes:
    body = {"channel": channel, "sid": sid}
    return json.dumps({"type": "subscribed", "id": command_id, "msg": body}).encode()


def ok(seq, tickers, sid=1, command_id=2) -> bytes:
    return frame("ok", sid, seq, command_id, market_tickers=tickers)


def fed(*frames, **options) -> Feed:
    feed = Feed(**options)
    for raw in frames:
        feed.receive(raw, NOW)
    return feed


def test_a_snapshot_is_a_book_on_the_yes_scale_best_first():
    received = Feed().receive(snapshot(1, no_dollars_fp=[["0.5200", "5.00"]]), NOW)

    event = received.event
    assert isinstance(event, BookSnapshot)
    assert event.bids == ((2200, 33300), (800, 30000))
    assert event.asks == ((5200, 500),)
    assert (received.kind, received.sid, received.seq) == ("orderbook_snapshot", 1, 1)


def test_a_delta_is_a_signed_change():
    feed = fed(snapshot(1))

    event = feed.receive(delta(2, client_order_id="mine"), NOW).event

    assert isinstance(event, BookDelta)
    assert (event.side, event.price, event.change) == (Side.BID, 2200, -5400)
    assert event.client_order_id == "mine"


def test_without_yes_prices_a_no_level_is_turned_round():
    feed = Feed(uses_yes_price=False)

    event = feed.receive(delta(1, side="no", price_dollars="0.4800"), NOW).event

    assert (event.side, event.price) == (Side.ASK, 5200)


# --- numbers -----------------------------------------------------------------------------------


def test_frames_are_numbered_from_one_whatever_they_are():
    feed = Feed()
    frames = [subscribed(), b"no json", snapshot(1), delta(2), frame("news", 9, 1), b""]

    numbers = [feed.receive(raw, NOW).frame_no for raw in frames]

    assert numbers == [1, 2, 3, 4, 5, 6]


def test_consecutive_numbers_are_no_gap():
    feed = fed(subscribed(), ok(1, ["M"]), snapshot(2), delta(3))

    ledger = feed.ledgers()[1]

    assert (ledger.channel, ledger.sequenced) == ("orderbook_delta", True)
    assert (ledger.first, ledger.last, ledger.count, ledger.missing) == (1, 3, 3, ())


def test_a_missing_number_is_a_gap_and_the_event_still_comes():
    feed = fed(subscribed(), ok(1, ["M", "N"]), snapshot(2))

    received = feed.receive(delta(6), NOW)

    assert isinstance(received.event, BookDelta)
    assert (received.gap.sid, received.gap.expected, received.gap.received) == (1, 3, 6)
    assert received.gap.tickers == ("M", "N")
    assert feed.ledgers()[1].missing == ((3, 5),)
    assert feed.receive(delta(7), NOW).gap is None


def test_a_subscription_that_does_not_begin_at_one_has_a_gap():
    assert Feed().receive(snapshot(3), NOW).gap.expected == 1


def test_a_repeated_number_is_a_gap_that_moves_nothing():
    feed = fed(snapshot(1), delta(2))

    received = feed.receive(delta(2), NOW)

    assert (received.gap.expected, received.gap.received) == (3, 2)
    ledger = feed.ledgers()[1]
    assert (ledger.last, ledger.count, ledger.repeated, ledger.missing) == (2, 2, 1, ())
    assert feed.receive(delta(3), NOW).gap is None


def test_each_subscription_counts_by_itself():
    feed = fed(snapshot(1, sid=1), frame("trade", 2, 1, **TRADE), delta(2, sid=1))

    assert feed.receive(frame("trade", 2, 3, **TRADE), NOW).gap.channel == "trade"
    assert feed.receive(delta(3, sid=1), NOW).gap is None


def test_unsubscribing_consumes_a_number_and_ends_the_subscription():
    feed = fed(subscribed(), snapshot(1))

    received = feed.receive(b'{"type":"unsubscribed","id":7,"sid":1,"seq":2}', NOW)

    assert (received.kind, received.gap, received.command_id) == ("unsubscribed", None, 7)
    assert feed.ledgers()[1].last == 2
    assert feed.sid_of("orderbook_delta") is None


@given(st.lists(st.integers(1, 30), min_size=1, max_size=30))
def test_the_ledger_adds_up_for_any_numbers(numbers):
    feed = Feed()
    gaps = [feed.receive(delta(seq), NOW).gap for seq in numbers]

    ledger = feed.ledgers()[1]
    missing = sum(high - low + 1 for low, high in ledger.missing)
    assert ledger.last - ledger.first + 1 == ledger.count + missing
    assert ledger.count + ledger.repeated == len(numbers)
    assert len([gap for gap in gaps if gap]) == len(ledger.missing) + ledger.repeated


def test_whether_a_channel_is_sequenced_is_taken_from_its_frames():
    feed = fed(subscribed(2, "fill"), frame("fill", 2, **FILL), frame("fill", 2, **FILL))

    ledger = feed.ledgers()[2]

    assert (ledger.channel, ledger.sequenced) == ("fill", False)
    assert (ledger.first, ledger.last, ledger.count) == (None, None, 2)


def test_frames_of_2023_belong_to_no_subscription():
    feed = Feed(uses_yes_price=False)

    received = feed.receive(frame("orderbook_snapshot", market_ticker="M", yes=[[11, 135]]), NOW)

    assert (received.sid, received.seq, received.gap) == (None, None, None)
    assert received.event.bids == ((1100, 13500),)
    assert feed.ledgers() == {}


def test_a_gap_names_the_markets_that_were_asked_for_before_their_snapshots_came():
    feed = Feed()
    feed.asked(1, ["M", "N"])
    feed.receive(subscribed(command_id=1), NOW)

    assert feed.receive(snapshot(2, ticker="M"), NOW).gap.tickers == ("M", "N")


def test_asking_may_be_told_after_the_answer():
    feed = fed(subscribed(command_id=1))
    feed.asked(1, ["M"])

    assert feed.tickers(1) == ("M",)


def test_an_ok_frame_replaces_the_subscriptions_markets():
    feed = fed(subscribed(), snapshot(1, ticker="M"), snapshot(2, ticker="N"))

    received = feed.receive(ok(3, ["N", "O"]), NOW)

    assert received.tickers == ("N", "O")
    assert feed.tickers(1) == ("N", "O")


def test_a_list_of_subscriptions_is_no_list_of_markets():
    raw = b'{"id":6,"type":"ok","msg":[{"channel":"orderbook_delta","sid":1}]}'

    received = Feed().receive(raw, NOW)

    assert (received.kind, received.tickers, received.error) == ("ok", (), None)


def test_a_new_recording_goes_on_with_the_same_subscriptions():
    feed = fed(subscribed(), snapshot(1), delta(4), frame("fill", 2, **FILL))

    feed.restart_numbers()

    assert feed.ledgers()[1] == type(feed.ledgers()[1])("orderbook_delta", True, 5, 4, 0)
    received = feed.receive(delta(5), NOW)
    assert (received.frame_no, received.gap) == (1, None)
    ledger = feed.ledgers()[1]
    assert (ledger.first, ledger.last, ledger.count, ledger.missing) == (5, 5, 1, ())


def test_a_new_recording_forgets_subscriptions_that_ended():
    feed = fed(subscribed(), snapshot(1), b'{"type":"unsubscribed","sid":1,"seq":2}')

    feed.restart_numbers()

    assert feed.ledgers() == {}


# --- market time -------------------------------------------------------------------------------


def test_before_any_exchange_time_market_time_is_the_receive_time():
    stamp = Feed().receive(snapshot(1), NOW).stamp

    assert (stamp.market_time, stamp.time_source) == (NOW, TimeSource.RECEIVE)
    assert stamp.exchange_ts is None


def test_market_time_is_the_largest_exchange_time_so_far():
    feed = Feed()
    stamps = [
        feed.receive(raw, NOW).stamp
        for raw in (delta(1, ts_ms=T0), delta(2, ts_ms=T0 - 5), snapshot(3), delta(4, ts_ms=T0 + 1))
    ]

    assert [stamp.market_time for stamp in stamps] == [
        T0 * 10**6,
        T0 * 10**6,
        T0 * 10**6,
        (T0 + 1) * 10**6,
    ]
    assert [stamp.time_source for stamp in stamps] == [
        TimeSource.EXCHANGE,
        TimeSource.CARRIED,
        TimeSource.CARRIED,
        TimeSource.EXCHANGE,
    ]
    assert stamps[1].exchange_ts == (T0 - 5) * 10**6


def test_microseconds_of_ts_beat_the_milliseconds():
    raw = delta(1, ts="2026-11-20T09:00:00.123456Z", ts_ms=1_795_165_200_123)

    assert Feed().receive(raw, NOW).stamp.market_time == 1_795_165_200_123_456_000


def test_market_time_outlives_a_new_recording():
    feed = fed(delta(1))

    feed.restart_numbers()

    assert feed.receive(snapshot(2), NOW).stamp.time_source is TimeSource.CARRIED


def test_a_close_date_is_no_market_time():
    raw = frame(
        "market_lifecycle_v2",
        3,
        1,
        market_ticker="M",
        event_type="close_date_updated",
        close_ts=1_900_000_000,
    )

    received = Feed().receive(raw, NOW)

    assert received.stamp.time_source is TimeSource.RECEIVE
    assert received.event.close_time == 1_900_000_000 * 10**9


# --- the other kinds ---------------------------------------------------------------------------

TRADE = {
    "trade_id": "t-1",
    "market_ticker": "M",
    "yes_price_dollars": "0.3600",
    "count_fp": "136.00",
    "taker_book_side": "ask",
    "ts_ms": T0,
}
FILL = {
    "trade_id": "t-2",
    "order_id": "o-1",
    "market_ticker": "M",
    "is_taker": True,
    "side": "no",
    "yes_price_dollars": "0.1600",
    "count_fp": "1.16",
    "fee_cost": "0.011000",
    "action": "buy",
    "post_position_fp": "4.36",
    "book_side": "ask",
    "ts_ms": T0,
}
ORDER = {
    "order_id": "o-1",
    "ticker": "M",
    "status": "resting",
    "book_side": "bid",
    "yes_price_dollars": "0.3500",
    "fill_count_fp": "10.00",
    "remaining_count_fp": "40.00",
    "initial_count_fp": "50.00",
    "taker_fees_dollars": "0.160000",
    "maker_fees_dollars": "0.010000",
    "client_order_id": "mine",
    "created_ts_ms": T0,
    "last_update_reason": "Trade",
}
POSITION = {
    "market_ticker": "M",
    "position_fp": "-100.00",
    "position_cost_dollars": "50.0000",
    "realized_pnl_dollars": "-10.0000",
    "fees_paid_dollars": "1.0000",
}


def test_a_trade_is_an_event():
    event = Feed().receive(frame("trade", 2, 1, **TRADE), NOW).event

    assert isinstance(event, PublicTrade)
    assert (event.price, event.quantity, event.taker_side) == (3600, 13600, Side.ASK)


def test_a_fill_is_ones_own_with_the_position_it_left():
    own = Feed().receive(frame("fill", 4, **FILL), NOW).own

    assert isinstance(own, OwnFill)
    assert (own.fill.side, own.fill.price, own.fill.quantity) == (Side.ASK, 1600, 116)
    assert (own.fill.fee, own.fill.role, own.fill.at) == (11_000, Role.TAKER, T0 * 10**6)
    assert own.post_position == 436


def test_an_order_is_ones_own():
    own = Feed().receive(frame("user_order", 6, **ORDER), NOW).own

    assert isinstance(own, OwnOrder)
    assert (own.state, own.filled, own.remaining, own.quantity) == (
        OrderState.RESTING,
        1000,
        4000,
        5000,
    )
    assert (own.fees, own.reason, own.client_order_id) == (170_000, "Trade", "mine")


def test_a_position_is_ones_own():
    own = Feed().receive(frame("market_position", 5, **POSITION), NOW).own

    assert isinstance(own, OwnPosition)
    assert (own.quantity, own.cost, own.realised) == (-10_000, 50_000_000, -10_000_000)


def test_a_ticker_is_no_event():
    raw = frame(
        "ticker",
        3,
        market_ticker="M",
        yes_bid_dollars="0.4500",
        yes_ask_dollars="0.5300",
        yes_bid_size_fp="300.00",
        yes_ask_size_fp="150.00",
        time="2026-11-20T09:00:00.5Z",
    )

    received = Feed().receive(raw, NOW)

    assert received.event is None
    assert (received.ticker.bid, received.ticker.ask) == (4500, 5300)
    assert received.stamp.market_time == 1_795_165_200_500_000_000


def test_a_settlement_is_an_event():
    raw = frame(
        "market_lifecycle_v2",
        3,
        1,
        market_ticker="M",
        event_type="determined",
        result="yes",
        settlement_value="1.0000",
        determination_ts=1_795_165_200,
    )

    event = Feed().receive(raw, NOW).event

    assert isinstance(event, MarketStatusChanged)
    assert (event.result, event.settlement_value) == ("yes", 10_000)


@pytest.mark.parametrize("code", [7, 10, 25])
def test_an_error_frame_is_a_refusal_not_a_bad_frame(code):
    feed = fed(subscribed())

    received = feed.receive(frame("error", 1, None, 8, code=code, msg="no"), NOW)

    assert (received.error, received.refusal.code, received.command_id) == (None, code, 8)
    assert received.refusal.is_terminal == (code != 7)
    assert (feed.sid_of("orderbook_delta") is None) == received.refusal.is_terminal


def test_a_kind_we_do_not_know_is_no_error_and_its_number_counts():
    feed = fed(snapshot(1))

    received = feed.receive(frame("orderbook_poem", 1, 2, market_ticker="M"), NOW)

    assert (received.kind, received.error, received.gap) == ("orderbook_poem", None, None)
    assert feed.receive(delta(3), NOW).gap is None


# --- bad input ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'{"type":5}',
        b'"text"',
        b"{" * 200_000,
        b'{"type":"trade","msg":' + b"[" * 200_000,
        b'{"type":"orderbook_delta","sid":-1,"msg":{}}',
        b'{"type":"orderbook_delta","sid":' + b"9" * 40 + b',"msg":{}}',
    ],
)
def test_what_is_no_frame_is_undecodable(raw):
    received = Feed().receive(raw, NOW)

    assert (received.kind, received.frame_no) == (UNDECODABLE, 1)
    assert received.error
    assert received.stamp.received_at == NOW


@pytest.mark.parametrize(
    "bad",
    [
        {"price_dollars": "2.0000"},
        {"price_dollars": 0.22},
        {"delta_fp": "many"},
        {"side": "maybe"},
        {"ts": "yesterday"},
        {"ts_ms": -1},
        {"ts_ms": 10**30},
        {"client_order_id": 5},
    ],
)
def test_a_bad_body_keeps_its_kind_its_number_and_its_market(bad):
    feed = fed(subscribed(), snapshot(1, ticker="M"), snapshot(2, ticker="N"))

    received = feed.receive(delta(3, **bad), NOW)

    assert received.error
    assert (received.kind, received.sid, received.seq) == ("orderbook_delta", 1, 3)
    assert (received.event, received.gap, received.tickers) == (None, None, ("M",))
    assert feed.receive(delta(4), NOW).gap is None


def test_a_bad_body_that_names_no_market_may_be_about_any_of_its_subscription():
    feed = fed(subscribed(), snapshot(1, ticker="M"), snapshot(2, ticker="N"))

    received = feed.receive(frame("orderbook_delta", 1, 3, market_ticker=7), NOW)

    assert received.tickers == ("M", "N")


@pytest.mark.parametrize("ticker", ["", "X" * 300])
def test_a_ticker_that_nothing_can_store_is_refused(ticker):
    assert Feed().receive(delta(1, ticker=ticker), NOW).error


def test_a_nul_character_is_refused_and_the_number_counts():
    feed = Feed()

    received = feed.receive(delta(1, client_order_id="a\0b"), NOW)

    assert (received.kind, received.event) == ("orderbook_delta", None)
    assert "NUL" in received.error
    assert feed.receive(delta(2), NOW).gap is None


def test_text_that_is_not_utf8_is_refused_even_where_we_do_not_look():
    raw = delta(1)[:-2] + b',"note":"\xff"}}'

    assert "utf-8" in Feed().receive(raw, NOW).error


@given(st.binary(max_size=300))
def test_no_bytes_make_it_raise(raw):
    assert Feed().receive(raw, NOW).frame_no == 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


@given(
    st.sampled_from(
        [
            json.loads(delta(1)),
            json.loads(snapshot(1)),
            json.loads(ok(1, ["M"])),
            json.loads(frame("trade", 2, 1, **TRADE)),
            json.loads(frame("fill", 4, **FILL)),
            json.loads(frame("user_order", 6, **ORDER)),
            json.loads(frame("market_position", 5, **POSITION)),
        ]
    ),
    st.data(),
)
def test_no_value_in_any_field_makes_it_raise(good, data):
    place = data.draw(st.sampled_from(["top", "msg"]))
    target = good if place == "top" else good["msg"]
    field = data.draw(st.sampled_from(sorted(target)))
    broken = {**target, field: data.draw(json_values)}
    raw = msgspec.json.encode(broken if place == "top" else good | {"msg": broken})

    received = Feed().receive(raw, NOW)

    assert received.frame_no == 1
    assert received.error is None or received.event is None


@given(st.sampled_from(["top", "msg"]), st.booleans(), st.data())
def test_a_delta_is_read_in_one_way_whether_or_not_it_comes_in_its_turn(place, yes_prices, data):
    good = json.loads(delta(2, ts="2026-11-20T14:30:00.979830Z", side="no"))
    target = good if place == "top" else good["msg"]
    values = json_values | st.sampled_from(["0.0000", "1.0000", "-1.5", "yes", "", "Z", 1, 2, 3])
    field = data.draw(st.sampled_from(sorted(target)))
    broken = {**target, field: data.draw(values)}
    told = broken if place == "top" else good | {"msg": broken}
    in_turn, answering = (fed(delta(1), uses_yes_price=yes_prices) for _ in range(2))

    plain = in_turn.receive(msgspec.json.encode(told), NOW)
    # One that answers a command is none of those that are taken the short way.
    answer = answering.receive(msgspec.json.encode(told | {"id": 7}), NOW)

    assert msgspec.structs.replace(plain, command_id=None) == msgspec.structs.replace(
        answer, command_id=None
    )
    assert in_turn.state() == answering.state()


def test_a_first_number_of_zero_is_no_delta_in_its_turn():
    feed = fed(subscribed())
    assert feed.receive(delta(0), NOW).gap.expected == 1
    assert feed.receive(delta(1), NOW).gap is None


def test_a_delta_in_its_turn_is_taken_as_its_event():
    feed = fed(delta(1))
    taken = feed.take(delta(2), NOW)
    assert isinstance(taken, BookDelta)
    assert feed.told(taken) == fed(delta(1)).receive(delta(2), NOW)
    assert feed.take(delta(4), NOW).gap is not None


def test_a_restored_feed_goes_on_where_the_first_one_was():
    feed = fed(subscribed(), delta(1), delta(3), delta(3), snapshot(1, sid=2), delta(None, sid=3))
    feed.asked(9, ["A", "B"])
    restored = Feed.restore(feed.state())

    assert restored.state() == feed.state()
    assert restored.ledgers() == feed.ledgers()
    for raw in (delta(9), subscribed(sid=4, command_id=9), snapshot(2, sid=4), ok(10, ["M"])):
        assert restored.receive(raw, NOW) == feed.receive(raw, NOW)

"""Real traffic through the feed and the books, whole."""

import json

import pytest

from kalshiflow.exchange import payloads, translate_bodies
from kalshiflow.exchange.capture import capture_span, capture_tickers, read_capture, uses_yes_price
from kalshiflow.exchange.feed import Feed
from kalshiflow.exchange.messages import decode_frame, encode
from kalshiflow.exchange.records import OwnFill
from kalshiflow.exchange.refusals import refusal_of
from kalshiflow.exchange.translate import book_levels
from kalshiflow.market.books import Books
from kalshiflow.market.events import BookDelta, BookSnapshot, Side, TimeSource
from kalshiflow.market.listing import CENT_GRID
from kalshiflow.market.orders import OrderState

pytestmark = pytest.mark.recorded

SESSION = "kalshi-demo-ws-2026-07/session.jsonl"
DAY = "kalshi-prod-inxd-2023-08-31/INXD-23AUG31-B4512.jsonl"
REST = "kalshi-demo-rest-2026-06"
MIA = "KXNEXTTEAMNBA-26LJAM-MIA"


def replay(path, *, uses_yes_price=False):
    feed = Feed(uses_yes_price=uses_yes_price)
    received = [feed.receive(frame.raw, frame.received_at) for frame in read_capture(path)]
    return feed, received


@pytest.fixture(scope="module")
def session(recorded_data):
    return replay(recorded_data / SESSION)


def test_the_whole_session_of_2026_has_no_gap_and_no_bad_frame(session):
    feed, received = session

    assert not [one for one in received if one.gap or one.error]
    ledger = feed.ledgers()[1]
    assert (ledger.first, ledger.last, ledger.count, ledger.missing) == (1, 2894, 2894, ())
    assert feed.ledgers()[2].sequenced is False
    assert [one.frame_no for one in received] == list(range(1, 2899))


def test_the_session_of_2026_holds_what_its_source_counted(session):
    _, received = session
    events = [one.event for one in received if one.event]

    assert sum(isinstance(event, BookDelta) for event in events) == 2885
    assert sum(isinstance(event, BookSnapshot) for event in events) == 5
    assert len({event.ticker for event in events}) == 5


def test_no_book_of_the_session_of_2026_is_ever_negative_or_crossed(session):
    _, received = session
    books = Books()

    for one in received:
        if one.event:
            books.apply(one.event)

    assert len(books) == 5
    assert not books.stale()


def test_market_time_of_the_session_never_goes_back(session):
    _, received = session
    times = [
        one.stamp.market_time for one in received if one.stamp.time_source is not TimeSource.RECEIVE
    ]

    assert times == sorted(times)
    assert received[-1].stamp.time_source is not TimeSource.RECEIVE


def test_the_fills_of_the_session_are_exact(session):
    _, received = session
    fills = [one.own for one in received if isinstance(one.own, OwnFill)]

    assert [
        (own.fill.side, own.fill.price, own.fill.quantity, own.fill.fee, own.post_position)
        for own in fills
    ] == [(Side.BID, 1700, 552, 54_600, 552), (Side.ASK, 1600, 116, 11_000, 436)]


def test_the_first_books_of_the_session_are_those_that_rest_gave(recorded_data, session):
    _, received = session
    first = {}
    for one in received:
        if isinstance(one.event, BookSnapshot):
            first.setdefault(one.event.ticker, (one.event.bids, one.event.asks))
    with (recorded_data / "kalshi-demo-ws-2026-07/rest.jsonl").open() as lines:
        calls = [json.loads(line) for line in lines]
    books = [call for call in calls if call["url"].endswith("/orderbook")]

    for call in books:
        ticker = call["url"].split("/")[-2]
        levels = payloads.decode(call["response_body"].encode(), payloads.OrderbookAnswer)
        both = levels.orderbook_fp
        assert book_levels(both.yes_dollars, both.no_dollars) == first[ticker]
    assert len(books) == 5


def test_frames_are_written_as_kalshi_writes_them(recorded_data):
    unlike = [
        frame.raw
        for frame in read_capture(recorded_data / SESSION)
        if encode(decode_frame(frame.raw)) != frame.raw
    ]

    # The two fills have their fields in another order, and the same ones.
    assert [json.loads(raw)["type"] for raw in unlike] == ["fill", "fill"]
    assert all(json.loads(raw) == json.loads(encode(decode_frame(raw))) for raw in unlike)


def test_the_whole_day_of_2023_replays_on_receive_times(recorded_data):
    feed, received = replay(recorded_data / DAY)
    books = Books()
    counts = {BookDelta: 0, BookSnapshot: 0}
    for one in received:
        books.apply(one.event)
        counts[type(one.event)] += 1

    assert counts == {BookDelta: 35_898, BookSnapshot: 9}
    assert not [one for one in received if one.gap or one.error]
    assert feed.ledgers() == {}
    assert {one.stamp.time_source for one in received} == {TimeSource.RECEIVE}
    assert all(one.stamp.market_time == one.stamp.received_at for one in received)
    assert not books.stale()


def test_each_of_the_recorders_own_snapshots_of_2023_carries_one_change(recorded_data):
    """Each stands where a delta was, so leaving them out would lose seven changes."""
    _, received = replay(recorded_data / DAY)
    books = Books()
    changes = []
    for position, one in enumerate(received):
        event = one.event
        if isinstance(event, BookSnapshot) and position > 1:
            book = books[event.ticker]
            before = {*book.levels(Side.BID), *book.levels(Side.ASK)}
            after = {*event.bids, *event.asks}
            changes.append(len({price for price, _ in before ^ after}))
        books.apply(event)

    assert changes == [1] * 7


def test_both_transcripts_of_june_2026_end_where_the_other_begins(recorded_data):
    """One asked for YES prices, the other did not; nothing but that tells their books apart."""
    ends, begins = {}, {}
    for name, scale in (("yes", True), ("noleg", False)):
        path = recorded_data / REST / f"ws__orderbook_trade_{name}.jsonl"
        feed, received = replay(path, uses_yes_price=scale)
        books = Books()
        events = [one.event for one in received if one.event]
        for event in events:
            books.apply(event)
        book = books[events[0].ticker]
        begins[name] = (events[0].bids, events[0].asks)
        ends[name] = (book.levels(Side.BID), book.levels(Side.ASK))
        assert feed.sid_of("trade") == 2
        assert not [one for one in received if one.gap or one.error]

    assert ends["yes"] == begins["noleg"] == (((4700, 300),), ((5200, 200),))
    assert ends["noleg"] == begins["yes"] == (((4700, 300),), ((5200, 100),))


def test_the_span_and_markets_of_the_recordings(recorded_data):
    begin, end = capture_span(recorded_data / SESSION)

    assert 315 <= (end - begin) / 1e9 <= 316
    assert MIA in capture_tickers(recorded_data / SESSION)
    assert capture_tickers(recorded_data / DAY) == ["INXD-23AUG31-B4512"]
    assert not uses_yes_price(recorded_data / SESSION)


# --- REST bodies -------------------------------------------------------------------------------


def body(recorded_data, name, kind):
    return payloads.decode((recorded_data / REST / f"{name}.json").read_bytes(), kind)


@pytest.mark.parametrize(
    "name",
    [
        "markets__garbage_cursor",
        "markets__high_temp",
        "markets__page1",
        "markets__page2",
        "markets__page3",
        "markets__single_filter_lastpage",
        "markets__status_closed",
        "markets__status_open",
        "markets__status_settled",
        "markets__unauth_list",
    ],
)
def test_every_recorded_page_of_markets_translates(recorded_data, name):
    page = body(recorded_data, name, payloads.MarketsPage)

    markets = [translate_bodies.market_of(market) for market in page.markets]

    assert markets
    assert all(market.ticker and market.close_time for market in markets)


def test_a_recorded_market_is_exact(recorded_data):
    answer = body(recorded_data, "markets__single", payloads.MarketAnswer)

    market = translate_bodies.market_of(answer.market)

    assert market.grid == CENT_GRID
    assert (market.status, market.result) == ("active", "")
    assert market.open_time == 1_781_156_369 * 10**9


def test_recorded_fills_orders_positions_and_balance_translate(recorded_data):
    fills = body(recorded_data, "fills__after_taker", payloads.FillsPage).fills
    orders = body(recorded_data, "portfolio__orders_list", payloads.OrdersPage).orders
    positions = body(recorded_data, "portfolio__positions", payloads.PositionsPage)
    balance = body(recorded_data, "auth__balance_ok", payloads.BalanceBody)

    fill = translate_bodies.fill_of(fills[0])
    assert (fill.side, fill.price, fill.quantity, fill.fee) == (Side.BID, 5200, 100, 17_500)
    states = {translate_bodies.order_of(order).state for order in orders}
    assert states == {OrderState.FILLED, OrderState.CANCELLED}
    position = translate_bodies.position_of(positions.market_positions[0])
    assert (position.quantity, position.exposure, position.fees) == (300, 2_500_000, 18_900)
    assert translate_bodies.balance_of(balance).available == 98_018_600


def test_recorded_answers_to_orders_translate(recorded_data):
    taker = body(recorded_data, "orders__create_v2_taker_ioc", payloads.CreateOrderAnswer)
    cancelled = body(recorded_data, "orders__cancel_v2", payloads.CancelOrderAnswer)

    ack = translate_bodies.order_ack(taker)
    assert (ack.filled, ack.remaining, ack.average_price) == (100, 0, 5200)
    assert ack.average_fee == 17_500
    assert translate_bodies.cancel_ack(cancelled).reduced_by == 100


def test_recorded_public_trades_translate(recorded_data):
    page = body(recorded_data, "trades__public_recorded", payloads.TradesPage)

    trades = [translate_bodies.trade_of(trade) for trade in page.trades]

    assert (trades[0].price, trades[0].quantity, trades[0].taker_side) == (300, 777, Side.BID)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("auth__bad_signature", "Unauthorised"),
        ("auth__missing_signature_header", "Unauthorised"),
        ("auth__skew_minus30s", "Unauthorised"),
        ("auth__unknown_key_id", "Unauthorised"),
        ("markets__limit_over_max", "RequestRejected"),
        ("orders__cancel_already_canceled", "NotFound"),
        ("orders__cancel_executed", "NotFound"),
        ("orders__cancel_unknown_id", "NotFound"),
        ("orders__duplicate_client_order_id", "DuplicateClientOrderId"),
        ("orders__insufficient_balance", "InsufficientBalance"),
        ("orders__invalid_price_structure", "InvalidPrice"),
        ("orders__numeric_field_types", "OrderRejected"),
        ("orders__post_only_cross", "PostOnlyCross"),
        ("orders__reuse_canceled_client_id", "DuplicateClientOrderId"),
    ],
)
def test_every_recorded_refusal_has_its_own_error(recorded_data, name, kind):
    folder = recorded_data / REST
    meta = json.loads((folder / f"{name}.meta.json").read_text())
    raw = (folder / f"{name}.json").read_bytes()

    error = refusal_of(meta["status"], raw, mutates=meta["method"] != "GET")

    assert type(error).__name__ == kind
    assert str(error) != f"HTTP {meta['status']}"

"""Market data frames to events and back: every scale, every era."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshiflow.exchange import translate
from kalshiflow.exchange.messages import (
    DeltaBody,
    LifecycleBody,
    PriceRange,
    SnapshotBody,
    TickerBody,
    TradeBody,
)
from kalshiflow.exchange.records import TickerUpdate
from kalshiflow.exchange.translate import TranslationError
from kalshiflow.market.events import (
    BookDelta,
    MarketStatusChanged,
    PublicTrade,
    Side,
    Stamp,
    TimeSource,
)
from kalshiflow.market.listing import (
    CENT_GRID,
    GridError,
    MarketResult,
    MarketStatus,
    PriceBand,
    PriceGrid,
)
from kalshiflow.market.units import DOLLAR, Price, Quantity, UnitError

AT = 1_795_165_200_123_456_789
STAMP = Stamp(1, 5, AT, TimeSource.EXCHANGE, AT, 1, 1)

prices = st.integers(0, DOLLAR).map(Price)
inner_prices = st.integers(1, DOLLAR - 1).map(Price)
quantities = st.integers(1, 10**12).map(Quantity)
changes = st.integers(-(10**12), 10**12).map(Quantity)
scales = st.booleans()
sides = st.sampled_from(Side)


@st.composite
def books(draw):
    """Bids strictly below asks, best first."""
    levels = draw(st.dictionaries(inner_prices, quantities, max_size=12))
    split = draw(inner_prices)
    bids = sorted((level for level in levels.items() if level[0] < split), reverse=True)
    asks = sorted(level for level in levels.items() if level[0] >= split)
    return tuple(bids), tuple(asks)


@given(books(), scales)
def test_a_book_survives_the_wire_on_either_scale(book, uses_yes_price):
    bids, asks = book
    body = translate.snapshot_body("M", bids, asks, uses_yes_price=uses_yes_price)

    event = translate.book_snapshot(body, STAMP, uses_yes_price=uses_yes_price)

    assert (event.bids, event.asks) == book


@given(books())
def test_both_scales_of_a_book_are_the_same_book(book):
    read = [
        translate.book_snapshot(
            translate.snapshot_body("M", *book, uses_yes_price=scale), STAMP, uses_yes_price=scale
        )
        for scale in (True, False)
    ]

    assert read[0] == read[1]


@given(books())
def test_levels_are_written_ascending_and_an_empty_side_not_at_all(book):
    body = translate.snapshot_body("M", *book, uses_yes_price=False)

    for levels, side in ((body.yes_dollars_fp, book[0]), (body.no_dollars_fp, book[1])):
        assert (levels is None) == (not side)
        assert levels is None or levels == sorted(levels)


@given(sides, prices, changes, scales, st.none() | st.text(min_size=1))
def test_a_delta_survives_the_wire_on_either_scale(side, price, change, uses_yes_price, owner):
    delta = BookDelta("M", side, price, change, STAMP, owner)
    body = translate.delta_body(delta, uses_yes_price=uses_yes_price, private=True)

    assert translate.book_delta(body, STAMP, uses_yes_price=uses_yes_price) == delta
    assert translate.delta_time(body) == AT


def test_only_its_owner_is_told_whose_order_made_a_delta():
    delta = BookDelta("M", Side.BID, Price(1), Quantity(1), STAMP, "mine")

    assert translate.delta_body(delta, uses_yes_price=True).client_order_id is None


def test_a_no_bid_is_an_ask_at_what_is_left_of_the_dollar():
    body = DeltaBody(market_ticker="M", side="no", price_dollars="0.4800", delta_fp="2.00")

    own_scale = translate.book_delta(body, STAMP, uses_yes_price=False)
    yes_scale = translate.book_delta(body, STAMP, uses_yes_price=True)

    assert (own_scale.side, own_scale.price) == (Side.ASK, 5200)
    assert (yes_scale.side, yes_scale.price) == (Side.ASK, 4800)


@pytest.mark.parametrize(
    "body",
    [
        DeltaBody(market_ticker="M", side="yes", price=96, delta=-54),
        DeltaBody(market_ticker="M", side="yes", price=96, price_dollars="0.960", delta=-54),
        DeltaBody(
            market_ticker="M",
            side="yes",
            price=96,
            price_dollars="0.960",
            delta=-54,
            delta_fp="-54.00",
        ),
        DeltaBody(market_ticker="M", side="yes", price_dollars="0.9600", delta_fp="-54.00"),
    ],
    ids=["cents", "three decimals", "all", "current"],
)
def test_a_delta_of_every_era_says_the_same(body):
    delta = translate.book_delta(body, STAMP, uses_yes_price=False)

    assert (delta.side, delta.price, delta.change) == (Side.BID, 9600, -5400)


@pytest.mark.parametrize(
    "body",
    [
        SnapshotBody("M", yes=[(8, 300), (22, 333)], no=[(54, 20)]),
        SnapshotBody(
            "M",
            yes=[(8, 300), (22, 333)],
            no=[(54, 20)],
            yes_dollars=[("0.080", 300), ("0.220", 333)],
            no_dollars=[("0.540", 20)],
        ),
        SnapshotBody(
            "M",
            yes_dollars_fp=[("0.0800", "300.00"), ("0.2200", "333.00")],
            no_dollars_fp=[("0.5400", "20.00"), ("0.5500", "0.00")],
        ),
    ],
    ids=["cents", "three decimals", "current"],
)
def test_a_snapshot_of_every_era_says_the_same(body):
    book = translate.book_snapshot(body, STAMP, uses_yes_price=False)

    assert book.bids == ((2200, 33300), (800, 30000))
    assert book.asks == ((4600, 2000),)


@pytest.mark.parametrize(
    "body",
    [
        DeltaBody(market_ticker="M", side="maybe", price_dollars="0.5000", delta_fp="1.00"),
        DeltaBody(market_ticker="M", side="yes", price_dollars="1.0001", delta_fp="1.00"),
        DeltaBody(market_ticker="M", side="yes", price_dollars="0.50001", delta_fp="1.00"),
        DeltaBody(market_ticker="M", side="yes", price_dollars="half", delta_fp="1.00"),
        DeltaBody(market_ticker="M", side="yes", price_dollars="0.5000", delta_fp="1.001"),
        DeltaBody(market_ticker="M", side="yes", price_dollars="0.5000", delta_fp="1" * 40),
        DeltaBody(market_ticker="M", side="yes", price_dollars="0.5000"),
        DeltaBody(market_ticker="M", side="yes", delta_fp="1.00"),
        DeltaBody(market_ticker="M", side="yes", price=101, delta=1),
        DeltaBody(market_ticker="M", side="yes", price=1, delta=10**30),
    ],
)
def test_a_delta_that_cannot_be_true_is_refused(body):
    with pytest.raises((TranslationError, UnitError)):
        translate.book_delta(body, STAMP, uses_yes_price=True)


@pytest.mark.parametrize(
    "levels", [[("0.5000", "-1.00")], [("2.0000", "1.00")], [("0.5000", "9" * 30)]]
)
def test_a_snapshot_that_cannot_be_true_is_refused(levels):
    with pytest.raises((TranslationError, UnitError)):
        translate.book_snapshot(
            SnapshotBody("M", yes_dollars_fp=levels), STAMP, uses_yes_price=True
        )


@given(inner_prices, quantities, sides)
def test_a_trade_survives_the_wire(price, quantity, side):
    trade = PublicTrade("M", "t-1", price, quantity, side, STAMP)

    assert translate.public_trade(translate.trade_body(trade), STAMP) == trade


@pytest.mark.parametrize(
    ("body", "side"),
    [
        (TradeBody("M", "t", "0.36", count_fp="1", taker_book_side="ask"), Side.ASK),
        (TradeBody("M", "t", "0.36", count_fp="1", taker_outcome_side="no"), Side.ASK),
        (TradeBody("M", "t", "0.36", count_fp="1", taker_side="yes"), Side.BID),
        (TradeBody("M", yes_price=36, count=1, taker_side="no"), Side.ASK),
    ],
)
def test_a_trade_of_every_era_tells_its_taker(body, side):
    trade = translate.public_trade(body, STAMP)

    assert (trade.taker_side, trade.price, trade.quantity) == (side, 3600, 100)


@pytest.mark.parametrize(
    "body",
    [
        TradeBody("M", "t", "0.36", count_fp="0.00", taker_side="yes"),
        TradeBody("M", "t", "0.36", count_fp="-1.00", taker_side="yes"),
        TradeBody("M", "t", "0.36", taker_side="yes"),
        TradeBody("M", "t", count_fp="1", taker_side="yes"),
        TradeBody("M", "t", "0.36", count_fp="1"),
    ],
)
def test_a_trade_without_its_words_is_refused(body):
    with pytest.raises(TranslationError):
        translate.public_trade(body, STAMP)


@given(
    st.none() | inner_prices,
    st.none() | inner_prices,
    quantities,
    quantities,
    st.integers(0, 10**9).map(Quantity),
)
def test_a_ticker_survives_the_wire(bid, ask, bid_quantity, ask_quantity, volume):
    update = TickerUpdate(
        "M",
        last=Price(4800),
        bid=bid,
        ask=ask,
        bid_quantity=Quantity(0) if bid is None else bid_quantity,
        ask_quantity=Quantity(0) if ask is None else ask_quantity,
        volume=volume,
        open_interest=Quantity(7),
        last_quantity=Quantity(3),
    )
    body = translate.ticker_body(update, AT)

    assert translate.ticker_update(body) == update
    assert translate.ticker_time(body) == AT


def test_a_side_of_no_size_has_no_price_whatever_it_shows():
    body = TickerBody("M", yes_bid_dollars="0.4000", yes_bid_size_fp="0.00", yes_ask_dollars="1.00")

    update = translate.ticker_update(body)

    assert (update.bid, update.ask) == (None, None)


DECI_EDGES = PriceGrid(
    (
        PriceBand(Price(0), Price(1000), Price(10)),
        PriceBand(Price(1000), Price(9000), Price(100)),
        PriceBand(Price(9000), DOLLAR, Price(10)),
    )
)


@pytest.mark.parametrize("grid", [CENT_GRID, DECI_EDGES])
def test_a_grid_survives_the_wire(grid):
    assert translate.grid_of(translate.ranges_of(grid)) == grid


def test_a_market_without_ranges_has_a_cent_grid():
    assert translate.grid_of(None) is CENT_GRID


def test_ranges_that_do_not_join_are_refused():
    with pytest.raises(GridError):
        translate.grid_of([PriceRange("0.5000", "1.0000", "0.0100")])


@pytest.mark.parametrize(
    "event",
    [
        MarketStatusChanged(
            "M",
            "determined",
            STAMP,
            MarketStatus.DETERMINED,
            MarketResult.SCALAR,
            settlement_value=Price(2500),
        ),
        MarketStatusChanged("M", "settled", STAMP, MarketStatus.FINALIZED),
        MarketStatusChanged("M", "deactivated", STAMP, MarketStatus.INACTIVE),
        MarketStatusChanged("M", "activated", STAMP, MarketStatus.ACTIVE),
        MarketStatusChanged("M", "close_date_updated", STAMP, close_time=1_795_165_200_000_000_000),
        MarketStatusChanged("M", "price_level_structure_updated", STAMP, grid=DECI_EDGES),
    ],
    ids=lambda event: event.event_type,
)
def test_a_step_of_a_markets_life_survives_the_wire(event):
    assert translate.status_changed(translate.lifecycle_body(event, AT), STAMP) == event


def test_only_settling_and_determining_tell_a_time():
    assert translate.lifecycle_time(LifecycleBody("created", "M", close_ts=99)) is None
    assert translate.lifecycle_time(LifecycleBody("settled", "M", settled_ts=99)) == 99 * 10**9


def test_a_result_that_is_none_is_refused():
    with pytest.raises(ValueError, match="perhaps"):
        translate.status_changed(LifecycleBody("determined", "M", result="perhaps"), STAMP)


@pytest.mark.parametrize(
    ("words", "side"),
    [
        (("bid", None, None, None), Side.BID),
        (("ask", "yes", "yes", "buy"), Side.ASK),
        ((None, "no", "yes", "buy"), Side.ASK),
        ((None, None, "yes", "buy"), Side.BID),
        ((None, None, "no", "buy"), Side.ASK),
        ((None, None, "yes", "sell"), Side.ASK),
        ((None, None, "no", "sell"), Side.BID),
    ],
)
def test_buying_yes_and_selling_no_are_bids(words, side):
    assert translate.side_of(*words) is side


@pytest.mark.parametrize("words", [("both", None), (None, "maybe"), (None, None, "yes", "hold")])
def test_a_direction_that_is_none_is_refused(words):
    with pytest.raises(TranslationError):
        translate.side_of(*words)


@pytest.mark.parametrize("text", ["1" * 30, "-" + "9" * 20])
def test_money_beyond_any_account_is_refused(text):
    with pytest.raises(TranslationError):
        translate.cash_of(text)

"""Events become rows and rows the same events again, whatever their values."""

from hypothesis import given
from hypothesis import strategies as st

from kalshiflow.market.events import (
    BookDelta,
    BookSnapshot,
    MarketStatusChanged,
    PublicTrade,
    Side,
    Stamp,
    TimeSource,
)
from kalshiflow.market.listing import CENT_GRID, MarketResult, MarketStatus
from kalshiflow.store import rows

big = st.integers(0, 2**62)
maybe_big = st.none() | big
names = st.text(min_size=1, max_size=12)
prices = st.integers(0, 10_000)
stamps = st.builds(
    Stamp,
    frame_no=big,
    received_at=big,
    market_time=big,
    time_source=st.sampled_from(TimeSource),
    exchange_ts=maybe_big,
    sid=st.none() | st.integers(1, 2**31 - 1),
    seq=maybe_big,
)
levels = st.lists(st.tuples(prices, st.integers(1, 2**40))).map(tuple)


def record(table, row):
    return dict(zip(rows.COLUMNS[table], row, strict=True))


@given(
    st.builds(
        BookDelta,
        ticker=names,
        side=st.sampled_from(Side),
        price=prices,
        change=st.integers(-(2**62), 2**62),
        stamp=stamps,
        client_order_id=st.none() | names,
    )
)
def test_a_delta_comes_back_equal(event):
    assert rows.delta_of(record(rows.DELTAS, rows.delta_row("s", event))) == event


@given(st.builds(BookSnapshot, ticker=names, bids=levels, asks=levels, stamp=stamps))
def test_a_snapshot_comes_back_equal(event):
    assert rows.snapshot_of(record(rows.SNAPSHOTS, rows.snapshot_row("s", event))) == event


@given(
    st.builds(
        PublicTrade,
        ticker=names,
        trade_id=names,
        price=prices,
        quantity=st.integers(1, 2**40),
        taker_side=st.sampled_from(Side),
        stamp=stamps,
    )
)
def test_a_trade_comes_back_equal(event):
    assert rows.trade_of(record(rows.TRADES, rows.trade_row("s", event))) == event


@given(
    st.builds(
        MarketStatusChanged,
        ticker=names,
        event_type=names,
        stamp=stamps,
        status=st.none() | st.sampled_from(MarketStatus),
        result=st.sampled_from(MarketResult),
        settlement_value=st.none() | prices,
        close_time=maybe_big,
        grid=st.none() | st.just(CENT_GRID),
    )
)
def test_a_lifecycle_event_comes_back_equal(event):
    assert rows.lifecycle_of(record(rows.LIFECYCLE, rows.lifecycle_row("s", event))) == event

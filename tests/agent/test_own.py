"""One's own orders and account in what is seen: never part of the market, and their queues."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seen_market import (
    ASK,
    BID,
    NAMES,
    OF_THE_MARKET,
    PRICES,
    SECOND,
    SIZE,
    body_of,
    change,
    market,
    observed,
    trade,
)

from kalshiflow.agent import layout
from kalshiflow.agent.book import FINE
from kalshiflow.agent.layout import FLOWS_SIZE, forget, seen_size
from kalshiflow.agent.own import others_at, queue_ahead
from kalshiflow.agent.seen import (
    cut,
    fault_of_change,
    hide_order,
    see_snapshot,
    show_order,
)

own_life = st.lists(
    st.one_of(
        st.tuples(st.just("change"), st.sampled_from([BID, ASK]), st.integers(0, 9),
                  st.integers(-400, 900)),
        st.tuples(st.just("trade"), st.sampled_from([BID, ASK]), st.integers(0, 9),
                  st.integers(1, 600)),
        st.tuples(st.just("rest"), st.sampled_from([BID, ASK]), st.integers(0, 9),
                  st.integers(1, 500)),
        st.tuples(st.just("go"), st.sampled_from([BID, ASK]), st.just(0), st.just(0)),
    ),
    max_size=30,
)  # fmt: skip


def index_of(side, behind):
    """Give a place from two steps inside the others' first book to seven behind it."""
    return 50 + behind - 2 if side else 46 - behind + 2


@settings(max_examples=50)
@given(own_life, st.booleans())
def test_the_market_looks_as_if_one_were_not_there(steps, is_told_first):
    with_own, without = market(now=0), market(now=0)
    for at, (kind, side, behind, number) in enumerate(steps):
        seen, index, now = with_own[0], index_of(side, behind), at * SECOND // 3
        own = layout.OWN_ASK if side else layout.OWN_BID
        if kind == "change":
            others = others_at(seen, side, index)
            by = max(number, -others)
            if fault_of_change(seen, side, index, by) == FINE:
                change(with_own, side, index, by, now)
                change(without, side, index, by, now)
        elif kind == "trade":
            trade(with_own, side, index, number, now)
            trade(without, side, index, number, now)
        elif kind == "rest" and seen[own] < 0:
            if fault_of_change(seen, side, index, number) == FINE:
                if is_told_first:
                    show_order(seen, side, index, number, now)
                change(with_own, side, index, number, now, is_own=True)
                show_order(seen, side, index, number, now)
        elif kind == "go" and seen[own] >= 0:
            index, resting = seen[own], seen[own + layout.OWN_QUANTITY]
            if is_told_first:
                hide_order(seen, side)
            change(with_own, side, index, -resting, now, is_own=True)
            hide_order(seen, side)
        one, other = observed(with_own, now), observed(without, now)
        assert dict(zip(NAMES[:OF_THE_MARKET], one, strict=False)) == dict(
            zip(NAMES[:OF_THE_MARKET], other, strict=False)
        )
        for which in (BID, ASK):
            resting = with_own[0][layout.OWN_ASK if which else layout.OWN_BID]
            ahead = queue_ahead(with_own[0], which)
            level = others_at(with_own[0], which, resting) if resting >= 0 else 0
            assert 0 <= ahead <= level


def test_an_own_resting_order_that_others_take_is_news_and_what_we_take_is_none():
    one, other = market(), market()
    show_order(one[0], BID, 46, 200, 0)
    change(one, BID, 46, 200, is_own=True)
    assert one[1] == other[1]
    show_order(one[0], BID, 46, 150, 0)
    change(one, BID, 46, -50)
    assert one[1][layout.BID_PRESSURE] == -0.5
    change(other, ASK, 50, -700, is_own=True)
    assert other[1][layout.ASK_PRESSURE] == other[1][layout.ACTIVITY] == 0.0
    assert other[0][layout.MID2] == PRICES[46] + PRICES[55]  # the mid moved all the same


@pytest.mark.parametrize("is_told_first", [True, False])
@pytest.mark.parametrize(("side", "index", "level"), [(BID, 46, 500), (ASK, 50, 700)])
def test_ones_own_order_stands_behind_what_its_level_holds_whichever_is_told_first(
    side, index, level, is_told_first
):
    one = market()
    if is_told_first:
        show_order(one[0], side, index, 200, 0)
    change(one, side, index, 200, is_own=True)
    show_order(one[0], side, index, 200, 0)
    assert queue_ahead(one[0], side) == level
    change(one, side, index, 400, 2 * SECOND)  # stands behind
    assert queue_ahead(one[0], side) == level
    trade(one, 1 - side, index, 100, 3 * SECOND)
    change(one, side, index, -100, 3 * SECOND)
    show_order(one[0], side, index, 150, 0)  # partly filled, it keeps its place
    assert queue_ahead(one[0], side) == level - 100
    show_order(one[0], side, index, 150, 4 * SECOND)  # another one stands behind all others
    assert queue_ahead(one[0], side) == others_at(one[0], side, index)


def test_only_trades_at_its_price_bring_an_order_forward_and_cancels_where_none_else_is_left():
    one = market()
    show_order(one[0], BID, 46, 200, 0)
    change(one, BID, 46, 200, is_own=True)
    change(one, BID, 46, 100)
    trade(one, BID, 46, 150)  # a taker who bids takes asks, not us
    trade(one, ASK, 47, 150)
    assert queue_ahead(one[0], BID) == 500
    trade(one, ASK, 46, 150)
    change(one, BID, 46, -150)
    assert queue_ahead(one[0], BID) == 350
    change(one, BID, 46, -50, 9 * SECOND)  # a cancel, of which we do not know where it stood
    assert queue_ahead(one[0], BID) == 350
    change(one, BID, 46, -300, 19 * SECOND)
    assert queue_ahead(one[0], BID) == 100


def test_an_order_found_before_any_book_stands_behind_all_that_it_will_show():
    seen, flows = [0] * seen_size(SIZE), [0.0] * FLOWS_SIZE
    forget(seen, flows, SIZE, -1)
    show_order(seen, BID, 46, 200, 0)
    see_snapshot(seen, flows, PRICES, body_of({46: 700}, {}), 0, 0)
    assert queue_ahead(seen, BID) == 500


def test_after_a_gap_an_order_stands_behind_all_of_its_level_again():
    one = market()
    show_order(one[0], BID, 46, 200, 0)
    change(one, BID, 46, 200, is_own=True)
    trade(one, ASK, 46, 400)
    change(one, BID, 46, -400)
    assert queue_ahead(one[0], BID) == 100
    cut(one[0])
    see_snapshot(*one, PRICES, body_of({46: 900}, {50: 700}), 0, 3 * SECOND)
    assert queue_ahead(one[0], BID) == 700


def test_a_snapshot_in_the_middle_moves_the_queue_as_the_change_it_is():
    one = market()
    show_order(one[0], BID, 46, 200, 0)
    show_order(one[0], ASK, 50, 100, 0)
    change(one, BID, 46, 200, is_own=True)
    change(one, ASK, 50, 100, is_own=True)
    see_snapshot(*one, PRICES, body_of({46: 900}, {50: 500}), 0, 3 * SECOND)
    assert queue_ahead(one[0], BID) == 500
    assert queue_ahead(one[0], ASK) == 400


def test_the_mid_stands_right_again_after_news_of_ones_own_that_came_late():
    taken, rests = market(), market()
    show_order(taken[0], BID, 46, 600, 0)
    change(taken, BID, 46, 600, is_own=True)
    change(taken, BID, 46, -600)  # ours was taken, but that is told later
    change(rests, BID, 48, 600, is_own=True)
    change(rests, BID, 48, 10)  # ours rests there, but that is told later
    change(rests, BID, 48, -10)
    hide_order(taken[0], BID)
    show_order(rests[0], BID, 48, 600, 0)
    for one in (taken, rests):
        assert one[0][layout.MID2] != PRICES[46] + PRICES[50]
        change(one, BID, 30, 100)
        assert one[0][layout.MID2] == PRICES[46] + PRICES[50]


def test_own_orders_inside_the_spread_leave_the_touch_to_others():
    one = market()
    for side, index in ((BID, 48), (ASK, 49)):
        show_order(one[0], side, index, 500, 0)
        change(one, side, index, 500, is_own=True)
    assert observed(one)[:OF_THE_MARKET] == observed(market())[:OF_THE_MARKET]


def test_own_orders_at_the_ends_of_the_grid_alone_on_their_sides_leave_them_empty():
    one, alone = market({}, {}), market({}, {})
    for side, index in ((BID, 0), (ASK, SIZE - 1)):
        show_order(one[0], side, index, 500, 0)
        change(one, side, index, 500, is_own=True)
        trade(one, 1 - side, index, 300)
        trade(alone, 1 - side, index, 300)
    assert observed(one)[:OF_THE_MARKET] == observed(alone)[:OF_THE_MARKET]
    told = dict(zip(NAMES, observed(one), strict=True))
    assert (told["bid_queue"], told["ask_queue"]) == (1.0, 1.0)
    assert told["last_trade"] != 0.0
    change(one, BID, 0, 700)
    change(one, ASK, SIZE - 1, 700)
    told = dict(zip(NAMES, observed(one), strict=True))
    assert (told["touch_depth"], told["imbalance_1"]) == (14 / 514, 0.0)
    for side, index in ((BID, 0), (ASK, SIZE - 1)):
        change(one, side, index, -500, is_own=True)
        hide_order(one[0], side)
    assert observed(one)[OF_THE_MARKET + 11 :] == [0.0] * 5
    assert dict(zip(NAMES, observed(one), strict=True))["touch_depth"] == 14 / 514

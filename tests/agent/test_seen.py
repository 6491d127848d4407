"""What is seen of a market: how each event changes it, and what changes nothing."""

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
from kalshiflow.agent.book import CROSSED, FINE, NEGATIVE
from kalshiflow.agent.layout import (
    BEST_ASK,
    BEST_BID,
    BOOK,
    FLOWS_SIZE,
    READY,
    TOTAL,
    forget,
    seen_size,
)
from kalshiflow.agent.seen import (
    cut,
    fault_of_change,
    fault_of_snapshot,
    hold,
    see_first_time,
    see_snapshot,
    show_order,
)
from kalshiflow.market.book import Book, BookCrossed
from kalshiflow.market.listing import CENT_GRID


def book_in(seen):
    return Book.of_sizes("T", CENT_GRID, seen[BOOK : BOOK + SIZE], seen[BOOK + SIZE :])


changes = st.lists(
    st.tuples(st.sampled_from([BID, ASK]), st.integers(30, 65), st.integers(-900, 900)),
    max_size=40,
)


@settings(max_examples=50)
@given(changes)
def test_the_book_is_the_one_that_the_domain_keeps_faults_and_all(steps):
    seen, flows = market()
    book = book_in(seen)
    for at, (side, index, by) in enumerate(steps):
        try:
            book.apply_delta(side, PRICES[index], by)
        except BookCrossed:
            assert fault_of_change(seen, side, index, by) == CROSSED
        except ValueError:
            assert fault_of_change(seen, side, index, by) == NEGATIVE
        else:
            assert fault_of_change(seen, side, index, by) == FINE
            change((seen, flows), side, index, by, at)
        assert book_in(seen) == book
        assert seen[BEST_BID] == book.best_bid_index
        assert seen[BEST_ASK] == book.best_ask_index
        assert seen[TOTAL : TOTAL + 2] == [sum(book.bids), sum(book.asks)]


@pytest.mark.parametrize(
    ("bids", "asks", "fault"),
    [
        ([(46, 5), (45, 5)], [(50, 5)], FINE),
        ([], [], FINE),
        ([(46, 0)], [(50, 5)], NEGATIVE),
        ([(46, 5)], [(50, 5), (51, -1)], NEGATIVE),
        ([(46, 5), (46, 5)], [], NEGATIVE),
        ([], [(50, 5), (49, 5)], NEGATIVE),
        ([(50, 5)], [(50, 5)], CROSSED),
    ],
)
def test_a_snapshot_that_cannot_be_is_told(bids, asks, fault):
    levels = [number for level in (*bids, *asks) for number in level]
    assert fault_of_snapshot([7, len(bids), len(asks), *levels], 1) == fault


def test_nothing_is_believed_without_a_book_or_before_market_time():
    seen, flows = [0] * seen_size(SIZE), [0.0] * FLOWS_SIZE
    forget(seen, flows, SIZE, -1)
    one = (seen, flows)
    change(one, BID, 40, 100)
    trade(one, BID, 40, 100)
    see_snapshot(seen, flows, PRICES, body_of({40: 100}, {}), 0, -1)
    change(one, BID, 40, 100)
    assert (seen[READY], seen[TOTAL]) == (1, 100)
    see_first_time(seen, flows, 5)
    change(one, BID, 40, 100)
    assert (seen[READY], seen[TOTAL]) == (2, 200)


def test_a_snapshot_equal_to_the_book_changes_nothing():
    one = market()
    change(one, BID, 48, 800)
    show_order(one[0], BID, 46, 200, 0)
    trade(one, ASK, 46, 100)
    before = (list(one[0]), list(one[1]))
    see_snapshot(*one, PRICES, body_of({48: 800, 46: 500, 40: 900}, {50: 700, 55: 300}), 0, SECOND)
    assert one == before


def test_a_snapshot_after_a_cut_begins_anew_and_keeps_ones_own():
    one, fresh = market(), market(now=50 * SECOND)
    change(one, BID, 48, 800)
    trade(one, ASK, 46, 100)
    hold(one[0], 300, 1_500_000, 0, 0, 0, SECOND)
    cut(one[0])
    assert one[0][READY] == 0
    see_snapshot(*one, PRICES, body_of({46: 500, 40: 900}, {50: 700, 55: 300}), 0, 50 * SECOND)
    assert (
        observed(one, 51 * SECOND)[:OF_THE_MARKET] == observed(fresh, 51 * SECOND)[:OF_THE_MARKET]
    )
    assert one[0][layout.POSITION] == 300


def test_a_trade_off_the_grid_counts_as_a_trade_at_no_known_price():
    one = market()
    trade(one, BID, 50, 300)
    trade(one, BID, -1, 300)
    told = dict(zip(NAMES, observed(one), strict=True))
    assert told["last_trade"] == 0.0
    assert told["trade_flow"] > 0

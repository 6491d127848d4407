"""Tables of actions to come: other rows, the same rules."""

from enum import IntEnum

import pytest

from kalshiflow.agent import layout
from kalshiflow.agent.action_rules import DECISION_SIZE, allow_rows, decide_rows
from kalshiflow.agent.action_table import KALSHI_5, ActionRow, ActionTable, PriceRule
from kalshiflow.agent.own import show_order
from kalshiflow.agent.seen import see_snapshot
from kalshiflow.market.events import Side
from kalshiflow.market.listing import CENT_GRID

PRICES = CENT_GRID.prices


class Quote(IntEnum):
    HOLD = 0
    JOIN_BID = 1
    BETTER_ASK = 2
    TAKE_TWICE = 3
    LEAVE_YES = 4


QUOTES = ActionTable(
    "quotes-5",
    1,
    9,
    (
        ActionRow(Quote.HOLD, None, False, "nothing"),
        ActionRow(Quote.JOIN_BID, Side.BID, False, "bid at the best bid", PriceRule.NEAR_TOUCH),
        ActionRow(Quote.BETTER_ASK, Side.ASK, False, "ask inside", PriceRule.INSIDE),
        ActionRow(Quote.TAKE_TWICE, Side.BID, False, "bid at the best ask", size=2),
        ActionRow(Quote.LEAVE_YES, Side.ASK, True, "ask at the best ask", PriceRule.NEAR_TOUCH),
    ),
)


def market(bids=((47, 500),), asks=((51, 500),), held=0, budget=10**9):
    seen, flows = [0] * layout.seen_size(len(PRICES)), [0.0] * layout.FLOWS_SIZE
    layout.forget(seen, flows, len(PRICES), -1)
    levels = [number for index, quantity in (*bids, *asks) for number in (index, quantity)]
    see_snapshot(seen, flows, PRICES, [len(bids), len(asks), *levels], 0, 0)
    seen[layout.BUDGET], seen[layout.POSITION] = budget, held
    seen[layout.ORDER_QUANTITY] = 100
    return seen


def allowed(seen):
    out = [0] * len(QUOTES.rows)
    allow_rows(QUOTES.numbers(), len(QUOTES.rows), seen, PRICES, out)
    return out


def decided(seen, action, now=0):
    out = [0] * DECISION_SIZE
    rows = QUOTES.numbers()
    decide_rows(rows, len(QUOTES.rows), QUOTES.order_lifetime, seen, PRICES, action, now, out)
    return out


def test_a_row_needs_its_own_price_and_no_other():
    assert allowed(market()) == [1, 1, 1, 1, 0]
    assert allowed(market(bids=())) == [1, 0, 1, 1, 0]
    assert allowed(market(asks=())) == [1, 1, 0, 0, 0]
    assert allowed(market(held=300)) == [1, 1, 0, 1, 1]


@pytest.mark.parametrize(
    ("action", "side", "index", "quantity"),
    [(Quote.JOIN_BID, 0, 47, 100), (Quote.BETTER_ASK, 1, 50, 100), (Quote.TAKE_TWICE, 0, 51, 200)],
)
def test_a_rows_price_and_size_are_its_rules(action, side, index, quantity):
    assert decided(market(), action) == [action, 0, side, index, quantity, 0, 0]


def test_an_order_inside_never_reaches_the_other_side():
    narrow = market(bids=((50, 500),))
    assert decided(narrow, Quote.BETTER_ASK) == [Quote.BETTER_ASK, 0, 1, 51, 100, 0, 0]
    lowest = market(bids=(), asks=((0, 500),))
    assert decided(lowest, Quote.BETTER_ASK)[3] == 0


def test_closing_takes_no_more_than_is_held():
    assert decided(market(held=30), Quote.LEAVE_YES) == [Quote.LEAVE_YES, 0, 1, 51, 30, 0, 0]


def test_twice_the_size_needs_twice_the_cash():
    needed = 2 * 100 * PRICES[51] + 20_000  # two cents for rounding; no fees here
    assert allowed(market(budget=needed))[Quote.TAKE_TWICE]
    assert not allowed(market(budget=needed - 1))[Quote.TAKE_TWICE]


@pytest.mark.parametrize("index", [0, len(PRICES) - 1])
def test_an_order_at_an_end_of_the_grid_is_cancelled_as_any(index):
    seen = market()
    show_order(seen, 0, index, 100, 0)
    assert decided(seen, Quote.HOLD, now=8)[-2:] == [0, 0]
    assert decided(seen, Quote.HOLD, now=9)[-2:] == [1, 0]


def test_each_own_order_is_cancelled_for_its_own_age():
    seen = market()
    show_order(seen, 0, 40, 100, 0)
    show_order(seen, 1, 60, 100, 5)
    assert decided(seen, Quote.HOLD, now=8)[-2:] == [0, 0]
    assert decided(seen, Quote.HOLD, now=9)[-2:] == [1, 0]
    assert decided(seen, Quote.JOIN_BID, now=9)[-2:] == [1, 1]


def test_a_table_counts_from_zero_and_begins_with_no_order():
    with pytest.raises(ValueError, match="must count from 0"):
        ActionTable("odd", 1, 9, QUOTES.rows[1:])
    with pytest.raises(ValueError, match="must count from 0"):
        ActionTable("odd", 1, 9, QUOTES.rows[::-1])


def test_the_text_of_a_table_tells_every_rule():
    assert QUOTES.text() != KALSHI_5.text()
    for change in ({"name": "x"}, {"version": 2}, {"order_lifetime": 8}):
        values = {"name": "quotes-5", "version": 1, "order_lifetime": 9, "rows": QUOTES.rows}
        assert ActionTable(**values | change).text() != QUOTES.text()

"""What an order of ours meets, and what the public is told of it."""

import pytest
from simulated_play import ASK, BID, PRICES, Play, cents
from simulator_rules import copy_of_rules

from kalshiflow.market.flat import (
    ACTIVE,
    DELTA,
    INACTIVE,
    OWN_DELTA,
    STATUS_NUMBER,
    TRADE,
)
from kalshiflow.market.flat import STATUS as STATUS_TOLD
from kalshiflow.market.listing import MarketStatus

RULES = copy_of_rules()
CLOSED = STATUS_NUMBER[MarketStatus.CLOSED]
PESSIMISTIC, REALISTIC, OPTIMISTIC = 0, 1, 2


def market(bids, asks, **terms):
    play = Play(RULES, **terms)
    play.snapshot({cents(p): q for p, q in bids.items()}, {cents(p): q for p, q in asks.items()})
    return play


def rest(play, side, price, quantity):
    number = play.send(side, cents(price), quantity)
    play.pass_time(play.now + 100)
    return number


def filled(play):
    """Give (price in cents, quantity, is inferred) of each fill."""
    return [(fill[1] + 1, fill[2], bool(fill[6])) for fill in play.fills()]


def told(play):
    return [(kind, side, index + 1, quantity) for kind, side, index, quantity, _ in play.rows]


# --- arriving -----------------------------------------------------------------------------------


def test_an_arrival_takes_the_best_levels_first_and_rests_with_what_is_left():
    play = market({40: 100}, {50: 300, 51: 300, 53: 1000})
    number = rest(play, BID, 52, 1000)
    assert filled(play) == [(50, 300, False), (51, 300, False)]
    assert play.resting() == [(number, BID, cents(52), 400)]
    assert told(play) == [
        (TRADE, BID, 50, 300),
        (OWN_DELTA, ASK, 50, -300),
        (TRADE, BID, 51, 300),
        (OWN_DELTA, ASK, 51, -300),
        (OWN_DELTA, BID, 52, 400),
    ]


def test_an_order_that_never_rests_leaves_nothing_behind():
    play = market({40: 100}, {50: 300})
    play.send(BID, cents(50), 500, rests=False)
    play.pass_time(100)
    assert filled(play) == [(50, 300, False)]
    assert play.resting() == []
    assert play.number("RESERVED") == 0


def test_it_stands_behind_all_that_its_level_shows_and_takes_no_place_of_its_own_orders():
    play = market({40: 300}, {60: 100})
    first, second = rest(play, BID, 40, 100), rest(play, BID, 40, 100)
    assert play.ahead(first) == play.ahead(second) == 300


def test_an_order_that_would_meet_ones_own_takes_what_stands_ahead_of_it_and_ends():
    play = market({40: 100}, {50: 100, 51: 100, 53: 100})
    mine = rest(play, ASK, 51, 100)
    play.change(ASK, cents(51), 700)
    rest(play, BID, 52, 1000)
    assert filled(play) == [(50, 100, False), (51, 100, False)]
    assert play.resting() == [(mine, ASK, cents(51), 100)]
    assert play.ahead(mine) == 0


def test_only_so_many_orders_fit_at_a_time():
    play = market({40: 100}, {60: 100})
    room = RULES.state.ORDER_ROOM
    numbers = [play.send(BID, cents(30), 100) for _ in range(room)]
    assert numbers == list(range(1, room + 1))
    assert play.send(BID, cents(30), 100) == 0
    play.cancel(1)
    play.cancel(1)
    play.pass_time(100)
    assert play.number("RESTING") == room - 1
    assert play.send(BID, cents(30), 100) == room + 1


@pytest.mark.parametrize(("index", "quantity"), [(-1, 100), (99, 100), (5, 0), (5, -1)])
def test_an_order_that_cannot_be_gets_no_number(index, quantity):
    assert market({}, {}).send(BID, index, quantity) == 0


def test_a_cancel_is_forgotten_with_its_order_and_none_is_sent_for_an_ended_one():
    play = market({40: 100}, {60: 100})
    number = rest(play, BID, 40, 100)
    play.cancel(number, latency=10_000)
    assert play.number("COMMANDS") == 1
    play.change(ASK, cents(40), 100)
    assert filled(play) == [(40, 100, False)]
    assert play.number("COMMANDS") == 0
    play.cancel(number)
    assert play.number("COMMANDS") == 0


# --- trades -------------------------------------------------------------------------------------


def test_a_trade_beyond_an_orders_price_fills_it_at_its_own_price_first():
    play = market({38: 500}, {60: 100})
    rest(play, BID, 40, 300)
    play.trade(ASK, cents(38), 500)
    assert filled(play) == [(40, 300, False)]
    assert told(play) == [(TRADE, ASK, 40, 300), (DELTA, BID, 40, -300), (TRADE, ASK, 38, 200)]


def test_a_trade_at_its_price_eats_the_queue_before_it_fills_an_order():
    play = market({40: 300}, {60: 100})
    rest(play, BID, 40, 500)
    play.trade(ASK, cents(40), 200)
    play.change(BID, cents(40), -200)
    assert filled(play) == []
    play.trade(ASK, cents(40), 150)
    assert filled(play) == [(40, 50, False)]
    assert told(play) == [(TRADE, ASK, 40, 150), (DELTA, BID, 40, -50)]


def test_the_decrease_of_a_trade_may_come_before_it():
    play = market({40: 300}, {60: 100})
    number = rest(play, BID, 40, 500)
    play.change(BID, cents(40), -200)
    play.trade(ASK, cents(40), 200)
    assert filled(play) == []
    assert play.ahead(number) == 100


def test_one_trade_fills_orders_by_price_and_then_by_arrival_and_no_more_than_itself():
    play = market({40: 100}, {60: 100})
    rest(play, BID, 40, 100)
    rest(play, BID, 41, 100)
    rest(play, BID, 40, 100)
    play.trade(ASK, cents(40), 250)
    assert [(fill[7], fill[2]) for fill in play.fills()] == [(2, 100), (1, 50)]
    play.trade(ASK, cents(40), 1000)
    assert [(fill[7], fill[2]) for fill in play.fills()][2:] == [(1, 50), (3, 100)]


def test_a_trade_on_the_other_side_or_off_the_grid_meets_nobody():
    play = market({40: 100}, {60: 100})
    rest(play, BID, 40, 100)
    play.trade(BID, cents(60), 1000)
    play.trade(ASK, -1, 1000)
    assert filled(play) == []
    assert play.rows == [(TRADE, ASK, -1, 1000, play.now)]


def test_what_traded_of_our_own_stays_in_the_level_of_the_others():
    play = market({40: 300}, {60: 100})
    rest(play, BID, 40, 100)
    play.trade(ASK, cents(40), 400)
    assert filled(play) == [(40, 100, False)]
    assert play.public[BID] == {cents(40): 300}


# --- the touch ----------------------------------------------------------------------------------


def test_the_other_side_at_or_through_its_price_fills_an_order_from_what_it_shows():
    play = market({40: 300}, {60: 100})
    rest(play, BID, 45, 500)
    play.change(ASK, cents(45), 200)
    assert told(play) == [(TRADE, ASK, 45, 200), (DELTA, BID, 45, -200)]
    play.change(ASK, cents(44), 400)
    assert filled(play) == [(45, 200, False), (45, 300, False)]
    assert told(play)[-1] == (DELTA, ASK, 44, 100)
    assert play.public[ASK] == {cents(44): 100, cents(60): 100}


def test_a_snapshot_in_the_middle_fills_what_it_reaches_and_brings_nothing_back():
    play = market({40: 100}, {50: 100, 60: 700})
    rest(play, BID, 50, 300)
    play.snapshot({cents(40): 100}, {cents(49): 50, cents(50): 100, cents(60): 700})
    assert filled(play) == [(50, 100, False), (50, 50, False)]
    assert play.public == ({cents(50): 150, cents(40): 100}, {cents(60): 700})


def test_a_change_below_zero_changes_nothing():
    play = market({40: 100}, {60: 100})
    before = list(play.market)
    rule = RULES.recorded.recorded_change
    fault = rule(play.market, PRICES, BID, cents(40), -101, 5, play.told)
    assert fault == RULES.recorded.BELOW_ZERO
    assert play.market == before


# --- recordings without trades ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "expected"),
    [(PESSIMISTIC, []), (REALISTIC, [(40, 7, True)]), (OPTIMISTIC, [(40, 100, True)])],
)
def test_a_decrease_of_the_best_level_may_be_a_trade_that_was_not_told(model, expected):
    """Realistic: 50 of 100 trade and 7 of the 50 ahead leave; then 50 trade and 43 stand ahead."""
    play = market({40: 100}, {60: 100}, model=model, has_trades=0)
    rest(play, BID, 40, 500)
    play.change(BID, cents(40), 300)
    play.change(BID, cents(40), -100)
    assert filled(play) == []
    play.change(BID, cents(40), -100)
    assert filled(play) == expected


@pytest.mark.parametrize(
    ("model", "traded"), [(PESSIMISTIC, 0), (REALISTIC, 400), (OPTIMISTIC, 800)]
)
def test_one_inferred_trade_fills_all_our_orders_of_a_level_together_no_further_than_itself(
    model, traded
):
    play = market({}, {60: 100}, model=model, has_trades=0)
    for _ in range(5):
        rest(play, BID, 40, 200)
    play.change(BID, cents(40), 800)
    play.change(BID, cents(40), -800)
    assert sum(fill[2] for fill in play.fills()) == traded


@pytest.mark.parametrize("model", [PESSIMISTIC, REALISTIC, OPTIMISTIC])
def test_nothing_is_inferred_behind_the_best_level_or_where_trades_are_told(model):
    behind = market({40: 100, 41: 50}, {60: 100}, model=model, has_trades=0)
    rest(behind, BID, 40, 500)
    behind.change(BID, cents(40), -100)
    assert filled(behind) == []
    known = market({40: 100}, {60: 100}, model=model)
    rest(known, BID, 40, 500)
    known.change(BID, cents(40), -100)
    assert filled(known) == []


# --- status -------------------------------------------------------------------------------------


def test_an_order_that_is_reached_while_nothing_may_trade_is_taken_off():
    play = market({40: 100}, {60: 100})
    rest(play, BID, 45, 100)
    play.status(INACTIVE)
    assert len(play.resting()) == 1
    play.change(ASK, cents(45), 100)
    assert filled(play) == []
    assert told(play) == [(OWN_DELTA, BID, 45, -100), (DELTA, ASK, 45, 100)]


@pytest.mark.parametrize("statuses", [[CLOSED], [INACTIVE, ACTIVE]])
def test_a_market_that_closes_or_resumes_has_no_orders_of_ours(statuses):
    play = market({40: 100}, {60: 100})
    rest(play, BID, 40, 100)
    for status in statuses:
        play.status(status)
    now = play.now
    assert play.rows == [
        (STATUS_TOLD, 0, statuses[-1], -1, now),
        (OWN_DELTA, BID, cents(40), -100, now),
    ]
    assert play.resting() == []
    assert play.number("RESERVED") == 0


def test_nothing_is_accepted_while_a_market_is_not_active():
    play = market({40: 100}, {60: 100})
    play.status(CLOSED)
    rest(play, BID, 40, 100)
    assert play.number("REJECTED") == 1

"""The five actions: which are allowed, what each asks for, and the one rule of resting orders."""

import hashlib
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshiflow.agent.account import MarketAccount, OwnOrder
from kalshiflow.agent.action import (
    ACTION_VERSION,
    ACTIONS,
    DECISION_SIZE,
    ONLY_HOLD,
    ORDER_LIFETIME,
    Action,
    decide,
    fingerprint,
    mask,
    plan,
    table_text,
)
from kalshiflow.agent.features import FEATURES
from kalshiflow.agent.observation import MarketObserver
from kalshiflow.market.events import (
    BookDelta,
    BookSnapshot,
    MarketStatusChanged,
    Side,
    Stamp,
    TimeSource,
)
from kalshiflow.market.fees import worst_case_fee
from kalshiflow.market.listing import FeeTerms, Market, MarketStatus
from kalshiflow.market.orders import Order
from kalshiflow.market.portfolio import Portfolio, Position
from kalshiflow.market.units import Cash, Price, Quantity

STAMP = Stamp(1, 1_000, 1_000, TimeSource.EXCHANGE)
TEN = Quantity(1_000)
NOW = 100_000_000_000


def observer(bids=((4800, 500),), asks=((5000, 500),), status=MarketStatus.ACTIVE):
    one = MarketObserver(Market("T", "E", "a market", status=status))
    bids = tuple((Price(p), Quantity(q)) for p, q in bids)
    asks = tuple((Price(p), Quantity(q)) for p, q in asks)
    one.apply(BookSnapshot("T", bids, asks, STAMP))
    return one


def account(budget=100_000_000, held=0, cost=None):
    one = MarketAccount(Cash(budget))
    cost = abs(held) * 5000 if cost is None else cost
    one.hold(Position(Quantity(held), Cash(cost)), 0)
    return one


def test_flat_one_may_buy_either_side():
    assert mask(observer(), account(), TEN) == (True, True, False, True, False)


def test_holding_yes_one_may_add_to_it_or_sell_it():
    assert mask(observer(), account(held=300), TEN) == (True, True, True, False, False)


def test_holding_no_one_may_add_to_it_or_sell_it():
    assert mask(observer(), account(held=-300), TEN) == (True, False, False, True, True)


def test_what_has_no_touch_to_trade_with_is_forbidden():
    no_asks = observer(asks=())
    assert mask(no_asks, account(), TEN) == (True, False, False, True, False)
    assert mask(no_asks, account(held=-300), TEN) == (True, False, False, True, False)
    no_bids = observer(bids=())
    assert mask(no_bids, account(held=300), TEN) == (True, True, False, False, False)


@pytest.mark.parametrize("status", [s for s in MarketStatus if s is not MarketStatus.ACTIVE])
def test_only_hold_while_the_market_does_not_trade(status):
    assert mask(observer(status=status), account(held=300), TEN) == ONLY_HOLD


def test_only_hold_without_a_book_to_trust():
    one = observer()
    one.cut()
    assert mask(one, account(held=300), TEN) == ONLY_HOLD


def intent(action, one, mine, quantity=TEN):
    return plan(action, (True,) * len(ACTIONS), one, mine, quantity, NOW).intent


@settings(max_examples=50)
@given(st.integers(0, 2 * 10**7), st.integers(1, 98), st.integers(1, 3000), st.sampled_from([3, 1]))
def test_buying_is_allowed_exactly_where_the_ledger_would_take_the_order(
    cash, cents, quantity, action
):
    bid, ask = Price(cents * 100), Price(cents * 100 + 100)
    one = observer(bids=((bid, 500),), asks=((ask, 500),))
    sent = intent(Action(action), one, account(10**12), Quantity(quantity))
    order = Order("o", "T", sent.side, sent.price, sent.quantity)
    portfolio = Portfolio(Cash(cash))
    may = mask(one, account(cash), Quantity(quantity))[action]
    assert may == portfolio.can_place(order, FeeTerms())


@pytest.mark.parametrize(
    ("action", "per_contract", "price"),
    [(Action.BUY_YES_LIMIT, 5_000, 5_000), (Action.BUY_NO_LIMIT, 5_200, 4_800)],
)
def test_buying_needs_its_price_its_worst_fee_and_not_a_microdollar_more(
    action, per_contract, price
):
    needed = per_contract * TEN + worst_case_fee(FeeTerms(), Price(price), TEN)
    assert mask(observer(), account(needed), TEN)[action]
    assert not mask(observer(), account(needed - 1), TEN)[action]


def test_cash_that_a_resting_order_keeps_counts_as_free_since_it_is_cancelled_first():
    cost = 5000 * 1000 + worst_case_fee(FeeTerms(), Price(5000), TEN)
    mine = account(budget=cost)
    mine.reserved = Cash(cost)
    assert mask(observer(), mine, TEN)[Action.BUY_YES_LIMIT]
    assert not mask(observer(), account(budget=cost - 1), TEN)[Action.BUY_YES_LIMIT]


@pytest.mark.parametrize(
    ("action", "held", "side", "price", "quantity"),
    [
        (Action.BUY_YES_LIMIT, 0, Side.BID, 5000, 1000),
        (Action.SELL_YES_LIMIT, 1300, Side.ASK, 4800, 1000),
        (Action.SELL_YES_LIMIT, 300, Side.ASK, 4800, 300),
        (Action.BUY_NO_LIMIT, 0, Side.ASK, 4800, 1000),
        (Action.SELL_NO_LIMIT, -300, Side.BID, 5000, 300),
    ],
)
def test_each_action_is_a_limit_order_at_the_far_touch(action, held, side, price, quantity):
    sent = intent(action, observer(), account(held=held))
    assert (sent.side, sent.price, sent.quantity) == (side, price, quantity)


def test_hold_and_nothing_held_ask_for_no_order():
    assert intent(Action.HOLD, observer(), account(held=300)) is None
    assert intent(Action.SELL_YES_LIMIT, observer(), account()) is None


def test_ones_own_order_is_not_what_one_trades_with():
    one, mine = observer(), account(held=0)
    mine.order_rests(OwnOrder(Side.BID, Price(4900), Quantity(100), NOW))
    one.apply(BookDelta("T", Side.BID, Price(4900), Quantity(100), STAMP, "me"))
    step = plan(Action.BUY_NO_LIMIT, mask(one, mine, TEN), one, mine, TEN, NOW)
    assert step.intent.price == 4800
    assert step.cancels == (mine.own_bid,)


def test_a_forbidden_action_becomes_hold_and_says_so():
    one, mine = observer(), account()
    step = plan(Action.SELL_YES_LIMIT, mask(one, mine, TEN), one, mine, TEN, NOW)
    assert (step.action, step.is_forbidden, step.intent) == (Action.HOLD, True, None)


def test_a_mask_from_another_moment_allows_nothing_that_is_forbidden_now():
    everything = (True,) * len(ACTIONS)
    step = plan(Action.SELL_YES_LIMIT, everything, observer(), account(), TEN, NOW)
    assert (step.action, step.is_forbidden, step.intent) == (Action.HOLD, True, None)


@pytest.mark.parametrize("number", [-9, -1, 5, 99])
def test_a_number_that_is_no_action_is_forbidden(number):
    one, out = observer(), [7] * DECISION_SIZE
    decide(one.seen, one.prices, number, NOW, out)
    assert out == [0, 1, -1, -1, 0, 0, 0]
    step = plan(number, (True,) * len(ACTIONS), one, account(), TEN, NOW)
    assert (step.action, step.is_forbidden, step.intent) == (Action.HOLD, True, None)


@pytest.mark.parametrize(
    ("age", "cancelled"), [(ORDER_LIFETIME - 1, False), (ORDER_LIFETIME, True)]
)
def test_hold_cancels_a_resting_order_only_when_it_is_old(age, cancelled):
    one, mine = observer(), account()
    mine.order_rests(OwnOrder(Side.BID, Price(4700), Quantity(100), NOW - age, "mine"))
    step = plan(Action.HOLD, ONLY_HOLD, one, mine, TEN, NOW)
    assert bool(step.cancels) == cancelled
    assert not step.is_forbidden


def test_any_other_action_cancels_first():
    one, mine = observer(), account()
    mine.order_rests(OwnOrder(Side.BID, Price(4700), Quantity(100), NOW, "mine"))
    step = plan(Action.BUY_YES_LIMIT, mask(one, mine, TEN), one, mine, TEN, NOW)
    assert [own.order_id for own in step.cancels] == ["mine"]


sides = st.dictionaries(st.integers(1, 49), st.integers(1, 3_000), max_size=4)


@settings(max_examples=50)
@given(sides, sides, st.integers(-5000, 5000), st.integers(0, 10**8), st.integers(1, 5000))
def test_hold_is_always_allowed_and_never_both_sides_while_one_is_held(
    bids, asks, held, budget, quantity
):
    one = observer(
        tuple((cents * 100, bids[cents]) for cents in sorted(bids, reverse=True)),
        tuple(((cents + 49) * 100, asks[cents]) for cents in sorted(asks)),
    )
    hold, buy_yes, sell_yes, buy_no, sell_no = mask(one, account(budget, held), Quantity(quantity))
    assert hold
    assert not (sell_yes and sell_no)
    assert not (buy_yes and held < 0)
    assert not (buy_no and held > 0)
    assert not (not bids and (sell_yes or buy_no))
    assert not (not asks and (sell_no or buy_yes))


def test_a_market_that_halts_forbids_what_it_allowed():
    one = observer()
    one.apply(MarketStatusChanged("T", "deactivated", STAMP, MarketStatus.INACTIVE))
    assert mask(one, account(held=300), TEN) == ONLY_HOLD


def test_the_fingerprint_covers_both_tables():
    text = table_text()
    assert fingerprint() == hashlib.sha256(text.encode()).hexdigest()
    assert all(feature.formula in text for feature in FEATURES)
    assert all(row.action.name in text and row.meaning in text for row in ACTIONS)
    assert [row.action for row in ACTIONS] == list(Action)


def test_the_rules_give_the_decisions_of_their_version():
    # Where a rule changes on purpose, ACTION_VERSION goes up and these are renewed.
    packed = hashlib.sha256()
    for held, budget, has_bid, has_ask in product(
        (-1300, -300, 0, 300, 1300), (10**8, 4_900_000, 10**5), (0, 1), (0, 1)
    ):
        one = observer(((4800, 500),) * has_bid, ((5000, 500),) * has_ask)
        mine = account(budget, held)
        packed.update(bytes(mask(one, mine, TEN)))
        for action in range(-1, 6):
            out = [0] * DECISION_SIZE
            decide(one.seen, one.prices, action, NOW, out)
            packed.update(repr(out).encode())
    assert ACTION_VERSION == 1
    assert packed.hexdigest()[:16] == "efe5bc11eb77b28b"
    assert fingerprint()[:16] == "ee44b9ef10c4d607"

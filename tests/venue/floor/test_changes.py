"""Changes of resting orders: amended, decreased, cancelled in one go."""

import pytest
from floor_scene import SECOND, START_CASH, TICKER, Scene

from kalshiflow.market.events import Side
from kalshiflow.market.listing import MarketStatus
from kalshiflow.market.units import Cash, Price, Quantity
from kalshiflow.venue.floor.facts import OrderChanged, Traded
from kalshiflow.venue.floor.refusals import (
    ClientIdMismatch,
    ExchangePaused,
    InsufficientBalance,
    InvalidOrder,
    InvalidOrderSize,
    InvalidPrice,
    MarketInactive,
    OrderAlreadyExists,
    OrderNotFound,
    Refused,
    SideMismatch,
    TickerMismatch,
)
from kalshiflow.venue.floor.requests import Amendment
from kalshiflow.venue.matching.messages import SelfTrade

BID, ASK = Side.BID, Side.ASK


# --- amendments ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cents", "contracts", "terms", "place"),
    [
        (40, 5, {}, "kept"),
        (40, 10, {"expires_at": 9 * SECOND}, "kept"),
        (40, 5, {"expires_at": 9 * SECOND}, "kept"),
        (40, 11, {}, "lost"),
    ],
)
def test_only_more_to_fill_or_another_price_costs_the_place(
    cents: int, contracts: int, terms: dict, place: str
) -> None:
    scene = Scene()
    first, second = scene.order(0, BID, 40, 10), scene.order(1, BID, 40, 10)

    record = scene.amend(0, first, cents, contracts, **terms)

    assert scene.queue(BID, 40) == ([first, second] if place == "kept" else [second, first])
    assert (record.remaining, record.status, record.reason) == (
        contracts * 100,
        "resting",
        "Amend",
    )


def test_the_new_quantity_is_a_total_with_what_was_filled() -> None:
    scene = Scene()
    order_id = scene.order(0, BID, 40, 10)
    scene.order(1, ASK, 40, 4)

    assert scene.amend(0, order_id, 40, 7).remaining == 300
    with pytest.raises(InvalidOrderSize):
        scene.amend(0, order_id, 40, 4)
    scene.order(1, ASK, 40, 3)

    record = scene.record(order_id)
    assert (record.status, record.filled, record.order.quantity) == ("executed", 700, 700)


def test_an_amendment_may_take_and_reserves_for_what_rests() -> None:
    scene = Scene()
    order_id = scene.order(0, BID, 40, 10)
    scene.order(1, ASK, 45, 4)
    scene.facts.clear()

    record = scene.amend(0, order_id, 46, 10)

    assert [(fact.price, fact.quantity) for fact in scene.of(Traded)] == [(4500, 400)]
    assert (record.filled, record.remaining, record.reason) == (400, 600, "Trade")
    assert record.taker_cost == 4500 * 400
    assert [fact.record for fact in scene.of(OrderChanged)].count(record) == 1
    portfolio = scene.accounts[0].portfolio
    assert portfolio.reserved == 4600 * 600 + 104_400 + 20_000  # with 0.07 x 6 x 0.46 x 0.54
    assert scene.floor.accounts.assets() == 3 * START_CASH


def test_an_amended_post_only_order_that_would_take_is_taken_off() -> None:
    scene = Scene()
    order_id = scene.order(0, BID, 40, 10, post_only=True)
    scene.order(1, ASK, 45, 4)

    record = scene.amend(0, order_id, 45, 10)

    assert (record.status, record.reason) == ("canceled", "PostOnlyCrossCancel")
    assert (record.order.price, record.filled) == (4000, 0)
    assert scene.accounts[0].portfolio.reserved == 0


@pytest.mark.parametrize("self_trade", SelfTrade)
def test_an_amendment_that_meets_ones_own_order_prevents_the_trade(self_trade: SelfTrade) -> None:
    scene = Scene()
    bid = scene.order(0, BID, 40, 10, self_trade=self_trade)
    ask = scene.order(0, ASK, 45, 10)

    scene.amend(0, bid, 45, 10)

    gone, left = (bid, ask) if self_trade is SelfTrade.TAKER else (ask, bid)
    assert scene.record(gone).reason == "SelfTradeCancel"
    assert scene.record(left).status == "resting"
    assert scene.of(Traded) == []


def test_refused_amendments_change_nothing() -> None:
    scene = Scene()
    order_id = scene.order(0, BID, 40, 10, client_order_id="mine")
    scene.order(0, BID, 30, 1, client_order_id="used")
    behind = scene.order(1, BID, 40, 10)
    scene.facts.clear()
    cases: list[tuple[type[Refused], dict]] = [
        (TickerMismatch, {"ticker": "KXOTHER"}),
        (SideMismatch, {"side": ASK}),
        (ClientIdMismatch, {"client_order_id": "another"}),
        (OrderAlreadyExists, {"updated_client_order_id": "used"}),
        (OrderAlreadyExists, {"updated_client_order_id": "mine"}),
        (InvalidOrder, {"expires_at": SECOND}),
        (InsufficientBalance, {"contracts": 3_000}),
        (InvalidOrderSize, {"contracts": 0}),
        (OrderNotFound, {"who": 1}),
    ]
    before = scene.accounts[0].portfolio.reserved
    for refusal, terms in cases:
        with pytest.raises(refusal):
            scene.amend(**{"who": 0, "order_id": order_id, "cents": 41, "contracts": 11, **terms})
    off_grid = Amendment(TICKER, BID, Price(4_050), Quantity(100))
    with pytest.raises(InvalidPrice):
        scene.floor.amend(scene.accounts[0], order_id, off_grid, SECOND)

    assert scene.facts == []
    assert scene.queue(BID, 40) == [order_id, behind]
    assert scene.accounts[0].portfolio.reserved == before
    assert scene.amend(0, order_id, 40, 9, client_order_id="mine").remaining == 900


def test_a_new_client_order_id_is_used_up_for_ever_and_so_is_the_old_one() -> None:
    scene = Scene()
    order_id = scene.order(0, BID, 40, 10, client_order_id="old")

    record = scene.amend(0, order_id, 40, 10, updated_client_order_id="new")

    assert record.order.client_order_id == "new"
    for name in ("old", "new"):
        with pytest.raises(OrderAlreadyExists):
            scene.order(0, BID, 40, 1, client_order_id=name)


def test_an_order_lives_until_its_amended_expiry_and_not_its_first() -> None:
    scene = Scene()
    later, earlier = (scene.order(0, BID, 40, 1, expires_at=5 * SECOND) for _ in range(2))
    scene.amend(0, later, 40, 1, expires_at=9 * SECOND)
    scene.amend(0, earlier, 40, 1, expires_at=3 * SECOND)

    scene.floor.agenda.run(5 * SECOND)
    assert (scene.record(later).status, scene.record(earlier).updated_at) == ("resting", 3 * SECOND)
    scene.floor.agenda.run(9 * SECOND)

    assert scene.record(later).reason == "ExpiryCancel"


def test_an_amendment_is_afforded_with_the_old_reserve_released() -> None:
    scene = Scene()
    scene.accounts[0].portfolio.adopt(Cash(4_300_000), {})
    order_id = scene.order(0, BID, 40, 10)  # 4 dollars, fees and a cushion

    assert scene.amend(0, order_id, 8, 50).remaining == 5_000
    assert scene.amend(0, order_id, 41, 10).remaining == 1_000
    with pytest.raises(InsufficientBalance):
        scene.amend(0, order_id, 42, 10)


# --- decreases, cancels ------------------------------------------------------------------------


def test_a_decreased_order_keeps_its_place_and_can_still_be_executed() -> None:
    scene = Scene()
    first, second = scene.order(0, BID, 40, 10), scene.order(1, BID, 40, 10)
    account = scene.accounts[0]

    record = scene.floor.decrease(account, first, SECOND, by=Quantity(300))
    assert (record.remaining, record.reason, record.status) == (700, "Decrease", "resting")
    scene.floor.decrease(account, first, SECOND, to=Quantity(200))
    scene.floor.decrease(account, first, SECOND, to=Quantity(200))  # done already
    assert scene.queue(BID, 40) == [first, second]
    scene.order(2, ASK, 40, 2)

    assert (record.status, record.filled, record.order.quantity) == ("executed", 200, 1_000)


def test_a_decrease_to_nothing_cancels() -> None:
    scene = Scene()
    order_id = scene.order(0, BID, 40, 10)

    record = scene.floor.decrease(scene.accounts[0], order_id, SECOND, to=Quantity(0))

    assert (record.status, record.reason, record.remaining) == ("canceled", "Decrease", 0)
    assert scene.accounts[0].portfolio.available == START_CASH


@pytest.mark.parametrize(
    ("terms", "refusal"),
    [
        ({"by": Quantity(1_001)}, InvalidOrderSize),
        ({"by": Quantity(0)}, InvalidOrderSize),
        ({"to": Quantity(1_001)}, InvalidOrderSize),
        ({"to": Quantity(-1)}, InvalidOrderSize),
        ({}, InvalidOrder),
        ({"by": Quantity(1), "to": Quantity(1)}, InvalidOrder),
    ],
)
def test_a_decrease_names_one_possible_quantity(terms: dict, refusal: type[Refused]) -> None:
    scene = Scene()
    order_id = scene.order(0, BID, 40, 10)
    scene.facts.clear()

    with pytest.raises(refusal):
        scene.floor.decrease(scene.accounts[0], order_id, SECOND, **terms)

    assert scene.facts == []


def test_cancel_all_takes_off_ones_own_orders_and_nobody_elses() -> None:
    scene = Scene()
    mine = [scene.order(0, BID, cents, 1) for cents in (40, 39)]
    other = scene.order(1, BID, 40, 1)

    scene.floor.cancel_all(scene.accounts[0], SECOND)

    assert {scene.record(order_id).status for order_id in mine} == {"canceled"}
    assert scene.record(other).status == "resting"


def test_in_a_paused_market_orders_are_cancelled_and_decreased_but_not_amended() -> None:
    scene = Scene()
    order_id = scene.order(0, BID, 40, 10)
    scene.floor.lifecycle.deactivate(TICKER, SECOND)

    with pytest.raises(MarketInactive):
        scene.amend(0, order_id, 40, 5)
    scene.floor.decrease(scene.accounts[0], order_id, SECOND, to=Quantity(100))
    scene.floor.cancel_all(scene.accounts[0], SECOND)

    assert scene.record(order_id).status == "canceled"


def test_after_the_close_cancel_all_leaves_what_nobody_can_cancel() -> None:
    scene = Scene()
    order_id = scene.order(0, BID, 40, 10)
    scene.floor.lifecycle.close(TICKER, SECOND)

    scene.floor.cancel_all(scene.accounts[0], SECOND)

    assert scene.floor.market(TICKER).market.status is MarketStatus.CLOSED
    assert scene.record(order_id).status == "resting"


def test_while_the_exchange_is_paused_cancel_all_is_refused_as_a_whole() -> None:
    scene = Scene()
    order_id = scene.order(0, BID, 40, 10)
    scene.floor.exchange.is_active = False

    with pytest.raises(ExchangePaused):
        scene.floor.cancel_all(scene.accounts[0], SECOND)

    assert scene.record(order_id).status == "resting"


def test_the_queue_position_is_told_to_the_owner_only() -> None:
    scene = Scene()
    scene.order(0, BID, 40, 10)
    order_id = scene.order(1, BID, 40, 5)

    assert scene.floor.queue_position(scene.accounts[1], order_id) == 1_000
    with pytest.raises(OrderNotFound):
        scene.floor.queue_position(scene.accounts[0], order_id)

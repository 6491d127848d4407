"""Orders, money and priority over several accounts, on cases and on random streams of operations."""

import pytest
from floor_scene import SECOND, START_CASH, TICKER, Scene

from kalshiflow.market.events import Side
from kalshiflow.market.listing import CENT_GRID, Market
from kalshiflow.market.orders import Role, TimeInForce
from kalshiflow.market.units import Cash, Price, Quantity
from kalshiflow.venue.floor.facts import Filled, OrderChanged, Traded
from kalshiflow.venue.floor.refusals import (
    InsufficientBalance,
    InvalidOrder,
    InvalidPrice,
    MarketInactive,
    MarketNotFound,
    OrderAlreadyExists,
    OrderNotFound,
    Refused,
)
from kalshiflow.venue.floor.requests import NewOrder
from kalshiflow.venue.matching.messages import LevelChanged
from kalshiflow.venue.matching.recorded import RecordedBook

BID, ASK = Side.BID, Side.ASK


def test_a_trade_is_told_to_the_public_and_to_both_accounts() -> None:
    scene = Scene()
    scene.order(0, ASK, 40, 10)
    scene.facts.clear()

    scene.order(1, BID, 45, 4)

    trade = scene.of(Traded)[0]
    assert (trade.price, trade.quantity, trade.taker_side) == (4000, 400, BID)
    fills = {fact.fill.role: fact for fact in scene.of(Filled)}
    assert fills[Role.TAKER].position == 400
    assert fills[Role.MAKER].position == -400
    # 0.07 x 4 x 0.4 x 0.6 and a quarter of it, in whole cents: so balances were kept at that time.
    assert fills[Role.TAKER].fill.fee == 70_000
    assert fills[Role.MAKER].fill.fee == 20_000
    assert fills[Role.TAKER].fill.trade_id == fills[Role.MAKER].fill.trade_id == trade.trade_id
    assert [f.change for f in scene.of(LevelChanged)] == [-400]  # the maker's side only


def test_an_order_carries_cumulative_figures_over_its_fills() -> None:
    scene = Scene()
    scene.order(0, ASK, 40, 2)
    scene.order(0, ASK, 41, 3)

    order_id = scene.order(1, BID, 41, 10)

    record = scene.accounts[1].orders[order_id]
    assert (record.filled, record.remaining, record.status) == (500, 500, "resting")
    assert record.taker_cost == (4000 * 200 + 4100 * 300)
    assert record.average_price() == 4060
    assert record.taker_fees == sum(f.fill.fee for f in scene.of(Filled) if f.record is record)
    told = [fact.record for fact in scene.of(OrderChanged)]
    assert told.count(record) == 1  # one frame for the whole placing


def test_selling_from_flat_reserves_and_costs_the_complement() -> None:
    scene = Scene()
    scene.order(0, BID, 40, 10)

    scene.order(1, ASK, 40, 10)

    seller = scene.accounts[1].portfolio
    assert seller.held(TICKER) == -1000
    assert seller.cash == START_CASH - 6000 * 1000 - seller.fees_paid


def test_refusals_name_the_reason_and_change_nothing() -> None:
    scene = Scene()
    scene.order(0, ASK, 50, 1, client_order_id="once")
    scene.facts.clear()
    cases: list[tuple[type[Refused], str, dict]] = [
        (OrderAlreadyExists, "order already exists", {"who": 0, "client_order_id": "once"}),
        (InvalidOrder, "post only cross", {"who": 1, "post_only": True}),
        (InvalidOrder, "insufficient resting volume", {"time_in_force": TimeInForce.FOK}),
        (InsufficientBalance, "insufficient balance", {"contracts": 5000}),
        (InvalidOrder, "reduce only", {"reduce_only": True}),
    ]
    for refusal, words, options in cases:
        asked = {"who": 1, "side": BID, "cents": 50, "contracts": 2, **options}
        with pytest.raises(refusal, match=words):
            scene.order(**asked)
    with pytest.raises(InvalidPrice):
        scene.floor.place(
            scene.accounts[0], NewOrder(TICKER, BID, Price(5050), Quantity(100)), SECOND
        )
    with pytest.raises(MarketNotFound):
        scene.floor.place(scene.accounts[0], NewOrder("KXNO", BID, Price(50), Quantity(1)), SECOND)

    assert scene.facts == []


def test_a_client_order_id_stays_used_after_a_cancel() -> None:
    scene = Scene()
    order_id = scene.order(0, BID, 40, 1, client_order_id="once")
    scene.floor.cancel(scene.accounts[0], order_id, SECOND)

    with pytest.raises(OrderAlreadyExists):
        scene.order(0, BID, 40, 1, client_order_id="once")
    scene.order(1, BID, 40, 1, client_order_id="once")  # another account's id is its own


def test_only_the_owner_cancels_and_only_once() -> None:
    scene = Scene()
    order_id = scene.order(0, BID, 40, 7)

    with pytest.raises(OrderNotFound):
        scene.floor.cancel(scene.accounts[1], order_id, SECOND)
    record, left = scene.floor.cancel(scene.accounts[0], order_id, SECOND)
    assert (left, record.status) == (700, "canceled")
    assert scene.accounts[0].portfolio.available == START_CASH
    with pytest.raises(OrderNotFound):
        scene.floor.cancel(scene.accounts[0], order_id, SECOND)


def test_a_reduce_only_order_is_cut_to_the_position() -> None:
    scene = Scene()
    scene.order(0, ASK, 40, 3)
    scene.order(1, BID, 40, 3)

    order_id = scene.order(1, ASK, 60, 10, reduce_only=True)

    assert scene.accounts[1].orders[order_id].order.quantity == 300


def test_an_order_expires_at_its_time_and_says_so() -> None:
    scene = Scene()
    order_id = scene.order(0, BID, 40, 1, expires_at=5 * SECOND)

    scene.floor.agenda.run(4 * SECOND)
    assert scene.accounts[0].orders[order_id].status == "resting"
    assert scene.floor.agenda.next_at() == 5 * SECOND
    scene.floor.agenda.run(6 * SECOND)

    record = scene.accounts[0].orders[order_id]
    assert (record.status, record.reason, record.updated_at) == (
        "canceled",
        "ExpiryCancel",
        5 * SECOND,
    )


def test_a_market_that_closes_cancels_what_rests_and_takes_nothing_more() -> None:
    scene = Scene()
    order_id = scene.order(0, BID, 40, 1)

    scene.floor.agenda.run(1_001 * SECOND)

    assert scene.accounts[0].orders[order_id].reason == "CloseCancel"
    with pytest.raises(MarketInactive):
        scene.order(0, BID, 40, 1)


def test_what_all_accounts_have_is_what_was_deposited() -> None:
    scene = Scene()
    scene.order(0, ASK, 40, 10)
    scene.order(1, BID, 41, 7)
    scene.order(2, ASK, 40, 5)
    scene.order(1, ASK, 39, 2)

    accounts = scene.floor.accounts

    assert accounts.fees_collected > 0
    assert accounts.assets() == 3 * START_CASH
    assert accounts.held("y", TICKER) == 700


def test_open_interest_counts_a_pair_once_whoever_the_other_side_is() -> None:
    scene = Scene()
    recorded = RecordedBook(TICKER, CENT_GRID)
    listed = scene.floor.list_market(Market(TICKER, "KXA-B", "t"), recorded)
    asks = ((Price(4000), Quantity(2_000)),)
    scene.floor.follow_recording(
        TICKER, SECOND, lambda: recorded.recorded_snapshot((), asks, SECOND), is_whole=True
    )

    scene.order(0, BID, 40, 10)  # from the recording
    assert listed.open_interest == 1_000
    scene.order(1, ASK, 39, 4)  # rests,
    scene.order(2, BID, 39, 4)  # and is met by another of ours
    assert listed.open_interest == 1_400
    scene.order(1, BID, 40, 4)  # closes against the recording
    assert listed.open_interest == 1_000


def test_rounding_goes_with_the_order_and_the_precision_with_its_account() -> None:
    scene = Scene()
    maker = scene.accounts[0]
    maker.precision = Cash(10_000)  # whole cents
    order_id = scene.order(0, BID, 55, 2)

    for _ in range(2):
        scene.order(1, ASK, 55, 1)

    # Each trade costs 0.0044, and 0.0056 to the next cent: 0.0112 in all, of which a cent is back.
    assert [fill.fee for fill in maker.fills] == [10_000, 0]
    assert (scene.record(order_id).maker_fees, scene.record(order_id).accumulated) == (
        10_000,
        1_200,
    )
    assert maker.portfolio.cash == START_CASH - 1_110_000


@pytest.mark.parametrize("contracts", [3, 8])
def test_an_orders_owner_is_told_once_what_became_of_it_at_its_arrival(contracts: int) -> None:
    scene = Scene()
    scene.order(0, ASK, 50, 5)
    scene.facts.clear()

    order_id = scene.order(1, BID, 50, contracts, time_in_force=TimeInForce.IOC)

    told = [fact.record.order.order_id for fact in scene.of(OrderChanged)]
    assert told.count(order_id) == 1

"""Order groups: what several orders may fill in 15 seconds, and what happens beyond it."""

import pytest
from floor_scene import SECOND, TICKER, Scene

from kalshiflow.market.events import Side
from kalshiflow.market.units import Price, Quantity
from kalshiflow.venue.floor.facts import GroupStep, OrderGroupChanged
from kalshiflow.venue.floor.groups import OrderGroup
from kalshiflow.venue.floor.refusals import (
    ExchangePaused,
    InvalidOrder,
    InvalidOrderSize,
    OrderGroupNotFound,
)
from kalshiflow.venue.floor.requests import NewOrder

BID, ASK = Side.BID, Side.ASK


def group_of(scene: Scene, contracts: int) -> OrderGroup:
    return scene.floor.groups.create(scene.accounts[0], Quantity(contracts * 100), SECOND)


def sell(scene: Scene, contracts: int, at: int) -> None:
    """Sell to whoever bids."""
    new = NewOrder(TICKER, ASK, Price(100), Quantity(contracts * 100))
    scene.floor.place(scene.accounts[1], new, at)


def test_fills_beyond_the_limit_cancel_the_group_until_its_reset() -> None:
    scene = Scene()
    group = group_of(scene, 10)
    filled = scene.order(0, BID, 41, 10, group_id=group.group_id)
    resting = scene.order(0, BID, 40, 10, group_id=group.group_id)
    outside = scene.order(0, BID, 39, 10)
    assert group.order_ids == [filled, resting]

    sell(scene, 10, SECOND)  # at the limit, not beyond it
    assert (group.is_triggered, group.order_ids) == (False, [resting])
    sell(scene, 1, SECOND)

    assert group.is_triggered
    assert (scene.record(resting).status, scene.record(resting).filled) == ("canceled", 100)
    assert scene.record(outside).status == "resting"
    assert group.order_ids == []
    with pytest.raises(InvalidOrder, match="triggered"):
        scene.order(0, BID, 40, 1, group_id=group.group_id)
    scene.floor.groups.reset(scene.accounts[0], group.group_id, 2 * SECOND)
    scene.order(0, BID, 40, 1, group_id=group.group_id)


@pytest.mark.parametrize(("seconds", "is_triggered"), [(14, True), (15, False)])
def test_only_the_fills_of_the_last_15_seconds_count(seconds: int, is_triggered: bool) -> None:
    scene = Scene()
    group = group_of(scene, 10)
    scene.order(0, BID, 40, 30, group_id=group.group_id)

    sell(scene, 8, SECOND)
    sell(scene, 8, (1 + seconds) * SECOND)

    assert group.is_triggered is is_triggered


def test_a_takers_own_fills_count_and_its_remainder_goes_with_the_group() -> None:
    scene = Scene()
    group = group_of(scene, 10)
    scene.order(1, ASK, 50, 11)

    order_id = scene.order(0, BID, 50, 20, group_id=group.group_id)

    record = scene.record(order_id)
    assert (record.filled, record.status, record.reason) == (1_100, "canceled", "")
    assert group.is_triggered


def test_a_taker_that_is_filled_whole_may_trigger_its_group() -> None:
    scene = Scene()
    group = group_of(scene, 10)
    scene.order(1, ASK, 50, 20)

    order_id = scene.order(0, BID, 50, 20, group_id=group.group_id)

    assert scene.record(order_id).status == "executed"
    assert group.is_triggered


def test_a_limit_below_what_was_filled_triggers_at_once() -> None:
    scene = Scene()
    group, groups, owner = group_of(scene, 10), scene.floor.groups, scene.accounts[0]
    order_id = scene.order(0, BID, 40, 30, group_id=group.group_id)
    sell(scene, 8, SECOND)

    groups.set_limit(owner, group.group_id, Quantity(800), 2 * SECOND)
    assert not group.is_triggered
    groups.set_limit(owner, group.group_id, Quantity(799), 2 * SECOND)

    assert group.is_triggered
    assert scene.record(order_id).status == "canceled"


def test_a_group_is_its_owners_and_gone_once_deleted() -> None:
    scene = Scene()
    group, groups, owner = group_of(scene, 10), scene.floor.groups, scene.accounts[0]
    order_id = scene.order(0, BID, 40, 30, group_id=group.group_id)
    assert groups.of(owner) == [group]
    assert groups.of(scene.accounts[1]) == []
    with pytest.raises(OrderGroupNotFound):
        groups.get(scene.accounts[1], group.group_id)
    with pytest.raises(OrderGroupNotFound):
        scene.order(1, BID, 40, 1, group_id=group.group_id)

    groups.delete(owner, group.group_id, SECOND)

    assert scene.record(order_id).status == "canceled"
    for ask in (groups.get, lambda *of: groups.reset(*of, SECOND)):
        with pytest.raises(OrderGroupNotFound):
            ask(owner, group.group_id)


def test_a_group_tells_each_of_its_steps_after_the_cancels_that_it_makes() -> None:
    scene = Scene()
    group, groups, owner = group_of(scene, 10), scene.floor.groups, scene.accounts[0]
    scene.order(0, BID, 40, 30, group_id=group.group_id)
    groups.trigger(owner, group.group_id, SECOND)
    groups.trigger(owner, group.group_id, SECOND)
    groups.reset(owner, group.group_id, SECOND)
    groups.set_limit(owner, group.group_id, Quantity(500), SECOND)
    groups.delete(owner, group.group_id, SECOND)

    told = scene.of(OrderGroupChanged)

    assert [fact.step for fact in told] == [
        GroupStep.CREATED,
        GroupStep.TRIGGERED,
        GroupStep.RESET,
        GroupStep.LIMIT_UPDATED,
        GroupStep.DELETED,
    ]
    assert [fact.limit for fact in told] == [1_000, 1_000, 1_000, 500, 500]


def test_a_limit_of_nothing_is_refused() -> None:
    with pytest.raises(InvalidOrderSize):
        group_of(Scene(), 0)


def test_after_the_close_a_groups_orders_are_left_to_the_exchange() -> None:
    scene = Scene()
    group, groups, owner = group_of(scene, 10), scene.floor.groups, scene.accounts[0]
    order_id = scene.order(0, BID, 40, 10, group_id=group.group_id)
    scene.floor.lifecycle.close(TICKER, SECOND)

    groups.trigger(owner, group.group_id, SECOND)
    groups.delete(owner, group.group_id, SECOND)

    assert scene.record(order_id).status == "resting"
    scene.floor.agenda.run(3 * SECOND)
    assert scene.record(order_id).reason == "CloseCancel"


def test_while_the_exchange_is_paused_no_group_is_changed() -> None:
    scene = Scene()
    group, groups, owner = group_of(scene, 10), scene.floor.groups, scene.accounts[0]
    order_id = scene.order(0, BID, 40, 10, group_id=group.group_id)
    scene.floor.lifecycle.pause_exchange(SECOND)
    scene.facts.clear()

    for change in (
        lambda: groups.create(owner, Quantity(1), SECOND),
        lambda: groups.reset(owner, group.group_id, SECOND),
        lambda: groups.trigger(owner, group.group_id, SECOND),
        lambda: groups.set_limit(owner, group.group_id, Quantity(1), SECOND),
        lambda: groups.delete(owner, group.group_id, SECOND),
    ):
        with pytest.raises(ExchangePaused):
            change()

    assert (groups.of(owner), group.limit, group.is_triggered) == ([group], 1_000, False)
    assert (scene.record(order_id).status, scene.facts) == ("resting", [])

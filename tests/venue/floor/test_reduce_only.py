"""Reduce-only orders: cut to what they close, as the position changes under them."""

from floor_scene import TICKER, Scene

from kalshiflow.market.events import Side
from kalshiflow.market.orders import TimeInForce
from kalshiflow.venue.matching.messages import LevelChanged

BID, ASK = Side.BID, Side.ASK


def holding(contracts: int) -> Scene:
    """A scene in which the first account holds so many contracts of YES, bought at 40 cents."""
    scene = Scene()
    scene.order(1, ASK, 40, contracts)
    scene.order(0, BID, 40, contracts)
    return scene


def test_reduce_only_orders_shrink_with_the_position() -> None:
    scene = holding(10)
    far = scene.order(0, ASK, 70, 10, reduce_only=True)
    near = scene.order(0, ASK, 60, 6, reduce_only=True)
    scene.facts.clear()

    scene.order(2, BID, 60, 4)  # of the near one

    assert scene.record(near).remaining == 200
    assert (scene.record(far).remaining, scene.record(far).reason) == (600, "ReduceOnlyCancel")
    assert [f.change for f in scene.of(LevelChanged)] == [-400, -400]
    scene.order(2, BID, 39, 6)
    scene.order(0, ASK, 39, 6, time_in_force=TimeInForce.IOC)  # the rest of the position
    for order_id in (far, near):
        record = scene.record(order_id)
        assert (record.status, record.reason) == ("canceled", "ReduceOnlyCancel")


def test_one_taker_through_several_closing_orders_leaves_the_account_flat() -> None:
    scene = holding(10)
    scene.order(0, ASK, 60, 8)
    only = scene.order(0, ASK, 61, 10, reduce_only=True)

    scene.order(2, BID, 61, 20)

    assert scene.accounts[0].portfolio.held(TICKER) == 0
    record = scene.record(only)
    assert (record.filled, record.status, record.reason) == (200, "canceled", "ReduceOnlyCancel")
    assert scene.accounts[2].portfolio.held(TICKER) == 1_000


def test_an_amended_reduce_only_order_is_cut_to_the_position_again() -> None:
    scene = holding(10)
    order_id = scene.order(0, ASK, 60, 4, reduce_only=True)

    assert scene.amend(0, order_id, 60, 50).remaining == 1_000

"""What an account is told of its own: orders, fills, positions and groups, and whose a change was."""

import pytest
from scene import NOW, A, B, Scene, frames

from kalshiflow.market.events import Side
from kalshiflow.market.units import Quantity
from kalshiflow.venue.floor.facts import GroupStep, OrderGroupChanged


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_order_groups_are_told_to_their_owner_with_numbers(scene: Scene) -> None:
    mine, other = scene.session(), scene.session(scene.other)
    for session in (mine, other):
        scene.subscribe(session, "order_group_updates", market_ticker=A)

    limit = Quantity(15_000)
    scene.tell(OrderGroupChanged(scene.mine, "g-1", GroupStep.CREATED, limit, NOW))
    scene.tell(OrderGroupChanged(scene.mine, "g-1", GroupStep.TRIGGERED, limit, NOW))

    told = frames(mine)
    assert [(frame["type"], frame["seq"]) for frame in told] == [
        ("order_group_updates", 1),
        ("order_group_updates", 2),
    ]
    assert told[0]["msg"] == {
        "event_type": "created",
        "order_group_id": "g-1",
        "ts_ms": 1795165200123,
        "contracts_limit_fp": "150.00",
    }
    assert "contracts_limit_fp" not in told[1]["msg"]
    assert frames(other) == []


def test_private_channels_take_markets(scene: Scene) -> None:
    session = scene.session()
    scene.subscribe(session, "fill", "user_orders", "market_positions", market_ticker=B)

    for ticker in (A, B):
        scene.order(scene.other, Side.ASK, 50, 1, ticker)
        scene.order(scene.mine, Side.BID, 50, 1, ticker)

    told = frames(session)
    assert {frame["type"] for frame in told} == {"fill", "user_order", "market_position"}
    assert {frame["msg"].get("market_ticker") or frame["msg"]["ticker"] for frame in told} == {B}


def test_each_connection_of_the_owner_learns_whose_change_it_was(scene: Scene) -> None:
    first, second, stranger = scene.session(), scene.session(), scene.session(scene.other)
    for session in (first, second, stranger):
        scene.subscribe(session, "orderbook_delta", market_ticker=A, use_yes_price=True)

    scene.order(scene.mine, Side.ASK, 60, 1, name="mine-1")

    names = [frames(session)[0]["msg"].get("client_order_id") for session in (first, second)]
    assert names == ["mine-1", "mine-1"]
    assert "client_order_id" not in frames(stranger)[0]["msg"]


def test_a_match_is_told_as_the_takers_change_and_not_as_the_makers(scene: Scene) -> None:
    taker, maker = scene.session(), scene.session(scene.other)
    scene.order(scene.other, Side.ASK, 50, 2, name="resting")
    for session in (taker, maker):
        scene.subscribe(session, "orderbook_delta", market_ticker=A)
        frames(session)

    scene.order(scene.mine, Side.BID, 50, 1, name="taking")

    (told,), (heard,) = frames(taker), frames(maker)
    assert (told["msg"]["delta_fp"], told["msg"]["client_order_id"]) == ("-1.00", "taking")
    assert (heard["msg"]["delta_fp"], heard["msg"].get("client_order_id")) == ("-1.00", None)


def test_a_cancelled_orders_change_is_told_as_its_owners(scene: Scene) -> None:
    session = scene.session()
    scene.subscribe(session, "orderbook_delta", market_ticker=A)
    order_id = scene.order(scene.mine, Side.BID, 40, 1, name="mine-1")
    frames(session)

    scene.floor.cancel(scene.mine, order_id, NOW)

    (told,) = frames(session)
    assert (told["msg"]["delta_fp"], told["msg"]["client_order_id"]) == ("-1.00", "mine-1")


def test_an_order_tells_its_group_and_when_it_expires(scene: Scene) -> None:
    session = scene.session()
    scene.subscribe(session, "user_orders")

    scene.order(scene.mine, Side.BID, 40, 1, expires_at=NOW + 60_000_000_000)

    (told,) = frames(session)
    assert told["msg"]["expiration_time"] == "2026-11-20T09:01:00.123Z"
    assert told["msg"]["expiration_ts_ms"] == 1795165260123
    assert "order_group_id" not in told["msg"]
